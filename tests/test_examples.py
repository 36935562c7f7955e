"""The examples that users copy are valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from metasearch.loading import load_search

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.yaml"))


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_a_resource_named_as_its_file(path: Path) -> None:
    assert load_search(path).metadata.name == path.stem
