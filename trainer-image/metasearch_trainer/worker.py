"""
Claim, run, record: a worker's loop, the same in a local process and in a pod.

A worker keeps nothing of its own. Killed at any moment it leaves a claim that its driver frees, and perhaps a
checkpoint that the next one goes on from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from metasearch.errors import StoreUnavailable
from metasearch.search.trials import Progress, Reason, StaleClaim, State, Trial, TrialResult, TrialSpec
from metasearch.stores.base import TrialQueue
from metasearch_trainer.endings import RECYCLED
from metasearch_trainer.trial import Observer, TrialEnded

REPORT_SECONDS = 1.0
IDLE_SECONDS = 0.1
RETRY_SECONDS = (0.5, 1, 2, 4, 8, 15, 30)
"""Pauses between attempts to record a result; the training behind it is worth some patience."""

UNCLEAN = frozenset({Reason.ERROR, Reason.OUT_OF_MEMORY})
"""After these a process may be short of memory or half broken; a fresh one takes over."""


class WorkerLeaves(BaseException):
    """The worker is to end now, in the middle of a trial. No Exception, lest a trial take it for its own failure."""


class RunsTrials(Protocol):
    """What a worker needs of a `Trainer`."""

    def run(self, trial: TrialSpec, observe: Observer) -> TrialResult: ...

    def forget(self, trial: TrialSpec) -> None: ...


@dataclass(frozen=True)
class Surroundings:
    """What a worker asks the world for."""

    now: Callable[[], float]
    """Unix time in seconds, for the record."""
    monotonic: Callable[[], float]
    wait: Callable[[float], None]
    """Let so many seconds pass."""
    is_leaving: Callable[[], bool]
    """Whether the worker is to end."""
    idle_seconds: Callable[[int], float] = lambda _: IDLE_SECONDS
    """How long to wait where there was no work so often in a row before."""
    tell_busy: Callable[[bool], None] = lambda _: None
    """Told after each asking for work whether there was any."""
    is_worn: Callable[[], bool] = lambda: False
    """Asked after each trial: whether a fresh process is to take over."""
    retry_seconds: Sequence[float] = RETRY_SECONDS
    """Pauses between attempts to record a result; none where the queue has patience of its own."""


class Worker:
    """One slot: one trial at a time."""

    def __init__(self, name: str, gpus: float, queue: TrialQueue, trainer: RunsTrials, world: Surroundings) -> None:
        self.name, self.gpus, self.queue, self.trainer, self.world = name, gpus, queue, trainer, world

    def work(self) -> int:
        """Run trials until told to leave; returns the process's exit code."""
        idle = 0
        while not self.world.is_leaving():
            claimed = self.queue.claim(self.name, self.world.now(), self.gpus)
            self.world.tell_busy(claimed is not None)
            if claimed is None:
                self.world.wait(self.world.idle_seconds(idle))
                idle += 1
                continue
            idle = 0
            if self._run(claimed) in UNCLEAN or self.world.is_worn():
                return RECYCLED
        return 0

    def _run(self, claimed: Trial) -> Reason | None:
        """One trial from claim to record; returns why it failed, if it did."""
        try:
            result = self.trainer.run(claimed.spec, self._observer(claimed))
            self._record(claimed, result)
        except StaleClaim:  # somebody else has it, or it has its result: what was done here is void
            return None
        if result.state is not State.FAILED:
            self.trainer.forget(claimed.spec)  # not before, lest its training be lost with a worker killed in between
        return result.reason

    def _observer(self, claimed: Trial) -> Observer:
        reported = self.world.monotonic()
        points = 0

        def observe(progress: Progress) -> None:
            nonlocal reported, points
            if self.world.is_leaving():
                raise WorkerLeaves
            now = self.world.monotonic()
            if now - reported < REPORT_SECONDS and len(progress.curve) == points:
                return
            reported, points = now, len(progress.curve)
            if self.queue.report(claimed, progress).stop_requested:
                raise TrialEnded(
                    State.STOPPED, Reason.BUDGET_EXHAUSTED, "the search's budget was spent before it could end"
                )

        return observe

    def _record(self, claimed: Trial, result: TrialResult) -> None:
        for pause in self.world.retry_seconds:
            try:
                self.queue.complete(claimed, result, self.world.now())
                return
            except StoreUnavailable:
                self.world.wait(pause)
        self.queue.complete(claimed, result, self.world.now())
