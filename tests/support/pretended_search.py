"""The same search on one machine, whose results are invented: what a search in a cluster must come to."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builders import make_resource, pretend_result

from metasearch.reconcile import reconcile
from metasearch.search.build import build_search
from metasearch.stores.sqlite import SqliteStore

Scores = Mapping[str, float | None]
"""By the trial's name."""


def pretended_scores(name: str, spec: Mapping[str, Any]) -> Scores:
    """Return the scores of the trials of a search on one machine, with the results of `pretend_result`."""
    search = build_search(name, make_resource(**spec).spec, started_at=0.0)
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "trials.db")
        while not (turn := reconcile(search, store, 1.0)).plan.phase.is_over:
            while claimed := store.claim("w", 1.0, 0.0):
                store.complete(claimed, pretend_result(claimed.spec), 1.0)
    return {trial.name: trial.score for trial in turn.trials}
