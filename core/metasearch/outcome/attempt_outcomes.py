"""Sort attempts by what came of their time."""

from __future__ import annotations

from enum import StrEnum

from metasearch.search.trials import Attempt, Reason, State

_STOPPED = (Reason.EARLY_STOPPED, Reason.BUDGET_EXHAUSTED)


class AttemptOutcome(StrEnum):
    """The kinds of ends of an attempt."""

    COMPLETE = "complete"
    """It ran to its end."""
    STOPPED = "stopped"
    """Early stopping or the budget ended it."""
    LOST = "lost"
    """It failed, or its worker was lost or stopped: another has to do the same again, if any does."""
    RUNNING = "running"


def outcome_of(attempt: Attempt) -> AttemptOutcome:
    """Return the kind of an attempt's end."""
    if attempt.ended_at is None:
        return AttemptOutcome.RUNNING
    if attempt.outcome == State.SUCCEEDED:
        return AttemptOutcome.COMPLETE
    return AttemptOutcome.STOPPED if attempt.outcome in _STOPPED else AttemptOutcome.LOST
