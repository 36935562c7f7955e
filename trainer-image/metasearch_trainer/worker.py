"""
Claim, run, record: a worker's loop, the same in a local process and in a pod.

A worker keeps nothing of its own. Killed at any moment it leaves a claim that its driver frees, and perhaps a
checkpoint that the next one goes on from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from metasearch.exit_codes import EXIT_RESTART
from metasearch.retry import Backoff, Retry
from metasearch.search.trials import Progress, Reason, StaleClaim, State, Trial, TrialResult, TrialSpec
from metasearch.stores.base import TrialQueue
from metasearch_trainer.shutdown import WorkerShutdown
from metasearch_trainer.trial import Observer, TrialEnded

REPORT_SECONDS = 1.0
"""Progress is recorded at most so often, for each record is a write to the store that all workers share."""

IDLE_SECONDS = 0.1
"""Seconds between two requests for work of a local worker, for which a request is a query of a file."""

RECORD_BACKOFF = Backoff(first=0.5, longest=30.0)
RECORD_SECONDS = 60.0
"""Seconds for which recording a result is tried again: the result took minutes of training."""

RESTART_AFTER = frozenset({Reason.ERROR, Reason.OUT_OF_MEMORY})
"""Failures after which the process may be short of memory or half broken; a fresh one takes over."""


class TrialRunner(Protocol):
    """The part of `Trainer` that a worker uses."""

    def run(self, trial: TrialSpec, observe: Observer) -> TrialResult: ...

    def forget(self, trial: TrialSpec) -> None: ...


@dataclass(frozen=True)
class WorkerEnvironment:
    """The time, the ways to wait and the callbacks that a process hands to its worker."""

    now: Callable[[], float]
    """Unix time in seconds, for the record."""
    retry: Retry
    """Its sleep is also how the worker waits for work."""
    is_shutting_down: Callable[[], bool]
    """Returns whether the worker is to end."""
    idle_seconds: Callable[[int], float] = lambda _: IDLE_SECONDS
    """Returns the seconds to wait for work; its argument counts the waits in a row before this one."""
    set_busy: Callable[[bool], None] = lambda _: None
    """Called after each request for work; True if there was any."""
    should_recycle: Callable[[], bool] = lambda: False
    """Called after each trial; returns whether a fresh process is to take over."""
    is_outdated: Callable[[], bool] = lambda: False
    """Called before each request for work; returns whether only a fresh process knows what holds for it."""
    give_sign_of_life: Callable[[], None] = lambda: None
    """Called between two steps of whatever the worker does."""
    record_seconds: float = RECORD_SECONDS
    """Recording a result is tried again for so long; 0 where the queue does so itself."""


class Worker:
    """Runs one trial at a time, and belongs to one slot."""

    def __init__(
        self, name: str, gpus: float, queue: TrialQueue, trainer: TrialRunner, environment: WorkerEnvironment
    ) -> None:
        """
        Args:
            name: how claims are signed.
            gpus: the share of GPUs that the slot holds, for the account.
        """
        self.name, self.gpus, self.queue, self.trainer, self.environment = name, gpus, queue, trainer, environment

    def work(self) -> int:
        """
        Run trials until told to shut down; return the process's exit code.

        Raises:
            WorkerShutdown: in the middle of a trial, which stays claimed; whoever started the process frees it.
            StoreUnavailable: a result could not be recorded for too long.
        """
        idle = 0
        while not self.environment.is_shutting_down():
            self.environment.give_sign_of_life()
            if self.environment.is_outdated():
                return EXIT_RESTART
            claimed = self.queue.claim(self.name, self.environment.now(), self.gpus)
            self.environment.set_busy(claimed is not None)
            if claimed is None:
                self.environment.retry.sleep(self.environment.idle_seconds(idle))
                idle += 1
                continue
            idle = 0
            if self._run(claimed) in RESTART_AFTER or self.environment.should_recycle():
                return EXIT_RESTART
        return 0

    def _run(self, claimed: Trial) -> Reason | None:
        """Take one trial from claim to record; return why it failed, if it did."""
        try:
            result = self.trainer.run(claimed.spec, self._observer(claimed))
            self._record(claimed, result)
        except StaleClaim:  # somebody else has it, or it has its result: what was done here is void
            return None
        if result.state is not State.FAILED:
            self.trainer.forget(claimed.spec)  # not before, lest its training be lost with a worker killed in between
        return result.reason

    def _observer(self, claimed: Trial) -> Observer:
        """Return the function that the trainer calls between steps: it reports, and ends trials that are to stop."""
        reported = self.environment.retry.monotonic()
        points = 0

        def observe(progress: Progress) -> None:
            nonlocal reported, points
            self.environment.give_sign_of_life()
            if self.environment.is_shutting_down():
                raise WorkerShutdown
            now = self.environment.retry.monotonic()
            # A new point of the curve goes out at once: thresholds for other trials are computed from it.
            if now - reported < REPORT_SECONDS and len(progress.curve) == points:
                return
            reported, points = now, len(progress.curve)
            timed = replace(progress, reported_at=self.environment.now())
            if self.queue.report(claimed, timed).stop_requested:
                raise TrialEnded(
                    State.STOPPED, Reason.BUDGET_EXHAUSTED, "the search's budget was spent before it could end"
                )

        return observe

    def _record(self, claimed: Trial, result: TrialResult) -> None:
        # Recording twice is safe: the second finds the claim stale, or the same result in place.
        self.environment.retry.until_available(
            lambda: self.queue.complete(claimed, result, self.environment.now()),
            RECORD_BACKOFF,
            self.environment.record_seconds,
        )
