"""
What becomes of the trials that an ended process had claimed.

Its successor has another name and knows nothing of them, and the pod's Lease is renewed all the while. So whoever saw
the process end frees them, as soon as the store can be reached.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from metasearch.cluster.api import Refused
from metasearch.errors import StoreUnavailable
from metasearch.search.trials import Reason, StaleClaim, State, Trial, TrialResult
from metasearch_trainer.endings import say
from metasearch_trainer.spool import Spool

RETRY_SECONDS = 2.0

OUT_OF_MEMORY = TrialResult(
    state=State.FAILED,
    reason=Reason.OUT_OF_MEMORY,
    message="the kernel killed the trial's process, for the pod had reached its memory limit; set budget.trialMemory, "
    "a higher limit in worker.template.resources, or fewer worker.slots",
)


class Store(Protocol):
    """What is asked of the store."""

    def held_by(self, worker: str) -> Sequence[Trial]: ...

    def release_trial(self, name: str, worker: str, now: float, outcome: str) -> None: ...

    def complete(self, claimed: Trial, result: TrialResult, now: float) -> Trial: ...


@dataclass(frozen=True)
class Ended:
    """A process that is no more."""

    worker: str
    spool: Spool
    """What is in there is sent by the next process in the slot."""
    outcome: str | TrialResult
    """How its attempt ended: trials.LOST or trials.INTERRUPTED, or a result where it is the trial's own failure."""
    is_last: bool = False
    """No process follows in its slot."""


class Claims:
    """Settles them one by one, in a thread of its own, for a store may take its time to answer."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self._store, self._now = store, now
        self._open: list[Ended] = []
        self._changed = threading.Condition()

    def start(self) -> None:
        threading.Thread(target=self._settle_for_ever, name="claims", daemon=True).start()

    def add(self, ended: Ended) -> None:
        with self._changed:
            self._open.append(ended)
            self._changed.notify_all()

    def wait_until_settled(self, seconds: float) -> bool:
        """Whether all of them are, so many seconds later at most."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._open, seconds)

    def settle(self, ended: Ended) -> None:
        """
        Free what a process held.

        Raises:
            StoreUnavailable: some of it is not free yet; doing it again is safe.
        """
        unsent = ended.spool.read()
        if unsent is not None and ended.is_last:
            self._complete(unsent.claimed, unsent.result, unsent.ended_at)
        for trial in self._store.held_by(ended.worker):
            if unsent is not None and (unsent.claimed.name, unsent.claimed.epoch) == (trial.name, trial.epoch):
                continue
            if isinstance(ended.outcome, TrialResult):
                self._complete(trial, ended.outcome, self._now())
            else:
                self._store.release_trial(trial.name, ended.worker, self._now(), ended.outcome)

    def _complete(self, claimed: Trial, result: TrialResult, now: float) -> None:
        try:
            self._store.complete(claimed, result, now)
        except StaleClaim:
            return

    def _settle_for_ever(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._open)
                ended = self._open[0]
            try:
                self.settle(ended)
            except StoreUnavailable:
                time.sleep(RETRY_SECONDS)
                continue
            except (Refused, ValueError) as error:  # it will not have it later either; the operator finds the trial
                say(f"what {ended.worker} had claimed cannot be freed: {error}")
            with self._changed:
                self._open.pop(0)
                self._changed.notify_all()
