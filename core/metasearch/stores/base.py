"""
The protocols of a store: one for the driver of a search, one for its workers.

Every change is atomic and goes through the functions of `search.trials`. Methods raise StoreUnavailable when the store
cannot be read or written now; calling again later is safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from metasearch.search.trials import Progress, Trial, TrialResult, TrialSpec


class TrialRegistry(Protocol):
    """The methods of a store that the driver of a search uses."""

    def trials(self) -> Sequence[Trial]:
        """List every trial on record, in the order of claims."""
        ...

    def propose(self, specs: Iterable[TrialSpec]) -> None:
        """Create trials that do not exist yet; those that do are left as they are."""
        ...

    def request_stop(self, names: Iterable[str]) -> None:
        """End trials: pending ones now, running ones at their worker's next report, others not at all."""
        ...

    def release(self, worker: str, now: float, outcome: str) -> None:
        """Release what a worker that is gone had claimed; `outcome` is trials.LOST or trials.INTERRUPTED."""
        ...


class TrialQueue(Protocol):
    """The methods that a worker uses. They raise trials.StaleClaim where the worker's claim is void."""

    def claim(self, worker: str, now: float, gpus: float) -> Trial | None:
        """Take the pending trial of lowest (stage, round, priority); None where there is none."""
        ...

    def report(self, claimed: Trial, progress: Progress) -> Trial:
        """Record how far a claimed trial is; the answer says whether it is to stop."""
        ...

    def complete(self, claimed: Trial, result: TrialResult, now: float) -> Trial:
        """Record how an attempt ended."""
        ...


class TrialStore(TrialRegistry, TrialQueue, Protocol):
    """All methods of a store."""
