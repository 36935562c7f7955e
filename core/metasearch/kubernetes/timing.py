"""
The start, the suspensions and the end of a search, which are read from its status because no trial records them.

A suspension that goes on counts from the last transition of the condition Suspended; when it ends, it is added to
suspendedTime in the same write that changes the condition. So it is counted once, wherever the operator is killed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from metasearch.kubernetes.search_status import SUSPENDED, ConditionStatus, SearchStatus
from metasearch.search.trials import Trial


@dataclass(frozen=True)
class Timing:
    """Unix times and durations, in seconds."""

    started_at: float
    suspended_seconds: float
    """Sum of all suspensions that have ended."""
    suspended_at: float | None
    """Begin of the suspension that goes on; None without one."""
    completed_at: float | None
    """End of the search; None while it goes on."""

    def paused_seconds(self, now: float) -> float:
        """Return the time that does not count against `budget.wallTime`."""
        return self.suspended_seconds + (0.0 if self.suspended_at is None else max(0.0, now - self.suspended_at))

    def resumed(self, now: float) -> Timing:
        """Return the timing of a search that had ended and goes on: the time between counts as a suspension."""
        assert self.completed_at is not None
        # An operator on another machine may have written the time, with a clock ahead of this one.
        idle = max(0.0, now - self.completed_at)
        return replace(self, suspended_seconds=self.suspended_seconds + idle, completed_at=None)

    def noted(self, now: float, is_over: bool, is_suspended: bool) -> Timing:
        """Return the timing to record, given whether the search has ended or is suspended now."""
        if is_over:  # the first end stays, however often an ended search is looked at
            return replace(self._unsuspended(now), completed_at=self.completed_at or max(now, self.started_at))
        return self if is_suspended else self._unsuspended(now)

    def _unsuspended(self, now: float) -> Timing:
        return replace(self, suspended_seconds=self.paused_seconds(now), suspended_at=None)


def timing_of(status: SearchStatus, trials: Sequence[Trial], now: float) -> Timing:
    """
    Return the timing that a status records; a search without one begins now.

    Where somebody has removed the status, the first attempt of a trial is the begin: otherwise the whole of
    `budget.wallTime` could be spent again. One that begins in the future, by the clock of an operator that was ahead,
    begins now, or its time would not count.
    """
    began = min((attempt.started_at for trial in trials for attempt in trial.attempts), default=now)
    suspended = status.condition(SUSPENDED)
    is_suspended = suspended is not None and suspended.status is ConditionStatus.TRUE
    return Timing(
        started_at=min(status.start_time.unix_seconds if status.start_time else began, now),
        suspended_seconds=status.suspended_time.seconds if status.suspended_time else 0.0,
        suspended_at=suspended.last_transition_time.unix_seconds if suspended and is_suspended else None,
        completed_at=status.completion_time.unix_seconds if status.completion_time else None,
    )
