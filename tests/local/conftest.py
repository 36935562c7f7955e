"""A run with which several modules compare others."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_search import metasearch, write_resource


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run of two workers that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    ended = metasearch("run", write_resource(folder), "--output", folder / "out", "--workers", "2")
    assert ended.returncode == 0, ended.stderr
    (folder / "out" / "printed.txt").write_text(ended.stdout, encoding="utf-8")
    return folder / "out"
