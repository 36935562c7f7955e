"""Every store has trials taken in the same order: by stage, round and priority, then by name."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import make_trial_spec, spec_names
from operator_builders import make_search_json

from metasearch.search.trials import Stage
from metasearch.stores.base import TrialStore
from metasearch.stores.kubernetes import KubernetesStore
from metasearch.stores.sqlite import SqliteStore

Json = dict[str, Any]

STAGES = (Stage.SEARCH, Stage.FINAL, Stage.BASELINE)
IN_ORDER = [
    make_trial_spec(f"{letter}-{999 - index}", stage=stage, round=round, priority=priority)
    for index, (stage, round, priority, letter) in enumerate(itertools.product(STAGES, (0, 2, 10), (0, 9, 100), "ab"))
]
"""Numbers count as numbers; of two names that differ in nothing else, the first letter decides."""


class Waiting:
    """A fake `Api` that holds trials that nobody has claimed yet."""

    def __init__(self) -> None:
        self._waiting = dict[str, Json]()

    def create(self, path: str, body: Json) -> None:
        body["metadata"]["resourceVersion"] = "1"
        self._waiting[f"{path}/{body['metadata']['name']}/status"] = body

    def list_all(self, path: str, **query: str) -> tuple[list[Json], str]:  # noqa: ARG002
        return list(self._waiting.values()), "1"

    def patch(self, path: str, operations: list[Json]) -> None:  # noqa: ARG002
        del self._waiting[path]


@pytest.fixture(params=["SQLite", "Kubernetes"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TrialStore]:
    if request.param == "Kubernetes":
        yield KubernetesStore(Waiting(), make_search_json(), pod_uid="a-pod")  # type: ignore[arg-type]
        return
    opened = SqliteStore(tmp_path / "trials.db")
    yield opened
    opened.close()


def test_trials_are_listed_and_claimed_in_order(store: TrialStore) -> None:
    store.propose(random.Random(7).sample(IN_ORDER, len(IN_ORDER)))
    assert [trial.name for trial in store.trials()] == spec_names(IN_ORDER)
    claimed = iter(lambda: store.claim("w", 0.0, 0.0), None)
    assert [trial.name for trial in claimed] == spec_names(IN_ORDER)
