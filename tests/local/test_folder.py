"""Some changes of a spec are allowed once the search has begun, and others are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import make_resource

from metasearch.api import CHANGEABLE
from metasearch.errors import FolderConflict
from metasearch_cli.local.folder import RunFolder, open_search

CHANGES: dict[str, Any] = {
    "budget": {"maxTrials": 7},
    "final.baselines": {"baselines": []},
    "final.reserve": {"reserve": "0.5"},
    "final.seeds": {"seeds": 7},
    "final.top": {"top": 7},
    "parallelism": 7,
    "storage": {"claim": "models"},
    "suspend": True,
    "worker": {"slots": 7},
}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """Return a folder in which a search was begun."""
    folder = RunFolder(tmp_path)
    open_search(folder, make_resource(), resume=False, now=0.0)[0].close()
    return folder


@pytest.mark.parametrize("part", CHANGEABLE)
def test_what_decides_only_where_a_search_runs_and_ends_may_change(folder: RunFolder, part: str) -> None:
    changed = make_resource(**{part.split(".")[0]: CHANGES[part]})
    store, row = open_search(folder, changed, resume=True, now=1.0)
    store.close()
    assert row.spec == changed.spec.model_dump_json(by_alias=True)


def test_what_decides_what_it_finds_may_not(folder: RunFolder) -> None:
    with pytest.raises(FolderConflict, match=r"spec\.seed 0 and now it is 1; only budget, final\.baselines, .* worker"):
        open_search(folder, make_resource(seed=1), resume=True, now=1.0)


def test_a_longer_final_training_is_refused(folder: RunFolder) -> None:
    with pytest.raises(FolderConflict, match=r"spec\.final\.metaIterations 100000 and now it is 7; only budget"):
        open_search(folder, make_resource(final={"metaIterations": 7}), resume=True, now=1.0)
