"""
Releases the trials that an ended process had claimed.

Its successor has another name and knows nothing of them, and the pod's Lease is renewed all the while, so the operator
does not release them. The supervisor, which saw the process end, does, as soon as the store can be reached.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from metasearch.cluster.api import Forbidden, Refused
from metasearch.errors import StoreUnavailable
from metasearch.retry import Backoff
from metasearch.search.trials import Reason, StaleClaim, State, Trial, TrialResult
from metasearch_trainer.process_output import log
from metasearch_trainer.spool import Spool

RETRY_BACKOFF = Backoff(first=2.0, longest=2.0)
"""Even pauses: when the API server is back the pod may have only seconds left."""

OUT_OF_MEMORY = TrialResult(
    state=State.FAILED,
    reason=Reason.OUT_OF_MEMORY,
    message="the kernel killed the trial's process, for the pod had reached its memory limit; set budget.trialMemory, "
    "a higher limit in worker.template.resources, or fewer worker.slots",
)


class Store(Protocol):
    """The part of the store that is needed to release claims."""

    def held_by(self, worker: str) -> Sequence[Trial]: ...

    def release_trial(self, name: str, worker: str, now: float, outcome: str) -> None: ...

    def complete(self, claimed: Trial, result: TrialResult, now: float) -> Trial: ...


@dataclass(frozen=True)
class EndedWorker:
    """A worker process that is no more."""

    worker: str
    spool: Spool
    """A result that is in there is sent by the next process in the slot."""
    outcome: str | TrialResult
    """The outcome of its attempt: LOST or INTERRUPTED, or a result where it is the trial's own failure."""
    is_last: bool = False
    """No process follows in its slot."""


class ClaimReleaser:
    """Releases claims one by one, in a thread of its own, for a store may take its time to answer."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        """
        Args:
            now: returns the Unix time in seconds.
        """
        self._store, self._now = store, now
        self._queue: list[EndedWorker] = []
        self._changed = threading.Condition()

    def start(self) -> None:
        threading.Thread(target=self._run, name="claims", daemon=True).start()

    def add(self, ended: EndedWorker) -> None:
        with self._changed:
            self._queue.append(ended)
            self._changed.notify_all()

    def wait_until_released(self, seconds: float) -> bool:
        """Wait so many seconds at most; return whether all claims are released."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue, seconds)

    def release(self, ended: EndedWorker) -> None:
        """
        Release what a process held.

        Raises:
            StoreUnavailable: some of it is not released yet; doing it again is safe.
        """
        pending = ended.spool.read()
        if pending is not None and ended.is_last:
            self._complete(pending.claimed, pending.result, pending.ended_at)
        for trial in self._store.held_by(ended.worker):
            if pending is not None and (pending.claimed.name, pending.claimed.epoch) == (trial.name, trial.epoch):
                continue  # trained to its end: the next process sends the result under this claim
            if isinstance(ended.outcome, TrialResult):
                self._complete(trial, ended.outcome, self._now())
            else:
                self._store.release_trial(trial.name, ended.worker, self._now(), ended.outcome)

    def _complete(self, claimed: Trial, result: TrialResult, now: float) -> None:
        try:
            self._store.complete(claimed, result, now)
        except StaleClaim:
            return

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue)
                ended = self._queue[0]
            try:
                self.release(ended)
            except (StoreUnavailable, Forbidden):
                # The first in the queue is tried again: while the store or the rights are away the others would fail
                # as well. Nobody else frees what it had claimed, for the pod's lease is renewed all the while.
                time.sleep(RETRY_BACKOFF.pause(0))
                continue
            except (Refused, ValueError) as error:  # it is not valid, and so it will be later
                log(f"what {ended.worker} had claimed cannot be released: {error}")
            # Only now: until its claims are released, `wait_until_released` has to find the worker in the queue.
            with self._changed:
                self._queue.pop(0)
                self._changed.notify_all()
