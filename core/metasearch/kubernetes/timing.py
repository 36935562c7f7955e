"""
When a search began, was suspended and ended: the only thing that its status remembers, for no trial does.

A suspension under way counts from the condition Suspended's last transition; once it is over, it is added to
suspendedTime in the same write that turns the condition.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from metasearch.kubernetes.search_status import SUSPENDED, ConditionStatus, SearchStatus


@dataclass(frozen=True)
class Timing:
    """Unix times and lengths, in seconds."""

    started_at: float
    suspended_seconds: float
    """Of suspensions that are over."""
    suspended_at: float | None
    """When the one under way began."""
    completed_at: float | None

    def paused_seconds(self, now: float) -> float:
        """Time that does not count against the budget."""
        return self.suspended_seconds + (0.0 if self.suspended_at is None else max(0.0, now - self.suspended_at))

    def resumed(self, now: float) -> Timing:
        """Of a search that had ended and goes on: the time between does not count."""
        assert self.completed_at is not None
        idle = max(0.0, now - self.completed_at)
        return replace(self, suspended_seconds=self.suspended_seconds + idle, completed_at=None)

    def noted(self, now: float, is_over: bool, is_suspended: bool) -> Timing:
        """As it is to be on record, given how things stand now."""
        if is_over:
            return replace(self._unsuspended(now), completed_at=self.completed_at or now)
        return self if is_suspended else self._unsuspended(now)

    def _unsuspended(self, now: float) -> Timing:
        return replace(self, suspended_seconds=self.paused_seconds(now), suspended_at=None)


def timing_of(status: SearchStatus, now: float) -> Timing:
    """What a status says; of a search that begins, that it begins now."""
    suspended = status.condition(SUSPENDED)
    is_suspended = suspended is not None and suspended.status is ConditionStatus.TRUE
    return Timing(
        started_at=status.start_time.unix_seconds if status.start_time else now,
        suspended_seconds=status.suspended_time.seconds if status.suspended_time else 0.0,
        suspended_at=suspended.last_transition_time.unix_seconds if suspended and is_suspended else None,
        completed_at=status.completion_time.unix_seconds if status.completion_time else None,
    )
