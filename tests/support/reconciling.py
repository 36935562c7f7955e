"""A reconciler with an invented cache, and what its result says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from builders import STARTED
from operator_builders import UID, RecordingApi, make_settings

from metasearch.kubernetes.search_status import READY
from metasearch.search.trials import Trial
from metasearch_operator.cache import CachedTrial, WorkerJob, WorkerLease, WorkerPod
from metasearch_operator.ranking_process import RankingProcess
from metasearch_operator.reconciler import Reconciler, ReconcileResult
from metasearch_operator.searches import status_json

Json = dict[str, Any]


@dataclass
class FakeCache:
    """A fake cache that holds the same objects for every search."""

    held_trials: Sequence[CachedTrial] = ()
    held_jobs: Sequence[WorkerJob] = ()
    held_pods: Sequence[WorkerPod] = ()
    held_leases: dict[str, WorkerLease] | None = None

    def require_synced(self, _namespace: str) -> None: ...

    def trials(self, _search: Any) -> list[CachedTrial]:
        return list(self.held_trials)

    def jobs(self, _search: Any) -> list[WorkerJob]:
        return list(self.held_jobs)

    def pods(self, _search: Any) -> list[WorkerPod]:
        return list(self.held_pods)

    def leases(self, _search: Any) -> dict[str, WorkerLease]:
        return self.held_leases or {}


def reconciler(
    cache: FakeCache | None = None, api: RecordingApi | None = None, now: float = STARTED, ranking: Any = None
) -> Reconciler:
    ranking = ranking or RankingProcess()
    return Reconciler(api or RecordingApi(), cache or FakeCache(), make_settings(), ranking, lambda: now)  # type: ignore[arg-type]


def written(result: ReconcileResult) -> Json:
    """Return a result's status as it goes on record."""
    return status_json(result.status)


def said(result: ReconcileResult, type: str = READY) -> tuple[str, str, str]:
    (found,) = [each for each in written(result)["conditions"] if each["type"] == type]
    return found["status"], found["reason"], found["message"]


def cached(trials: Sequence[Trial], owner: str = UID) -> list[CachedTrial]:
    return [CachedTrial(trial.name, owner, None, trial) for trial in trials]
