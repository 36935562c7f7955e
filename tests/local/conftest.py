"""A run that several modules hold others against."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_search import metasearch, write_resource


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run that was left alone, with two workers."""
    folder = tmp_path_factory.mktemp("undisturbed")
    ended = metasearch("run", write_resource(folder), "--output", folder / "out", "--workers", "2")
    assert ended.returncode == 0, ended.stderr
    (folder / "out" / "printed.txt").write_text(ended.stdout, encoding="utf-8")
    return folder / "out"
