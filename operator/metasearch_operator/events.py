"""
The events of a MetaSearch, which tell its story: changes of its conditions, rounds, the best cell after each of them,
a budget that is nearly spent, the final trials and the network that is delivered.

No event is about one trial alone: a search has thousands. Two statuses decide which events there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from metasearch.kubernetes.search_status import EXHAUSTED, READY, SUCCEEDED, Condition, SearchStatus
from metasearch_operator.reasons import EventReason, ReadyReason

REPORTED_CONDITIONS = (READY, EXHAUSTED)
"""Conditions whose changes become events. The others change together with Ready and add nothing to its reason."""

EXPECTED_REASONS = (ReadyReason.QUEUED, ReadyReason.WAITING_FOR_WORKERS, ReadyReason.SUSPENDED)
"""Reasons of a Ready that is False which are part of a normal search, and so are no warnings."""

NEARLY_SPENT = 0.9
"""The share of `budget.wallTime` or `budget.gpuHours` from which it is nearly spent."""


@dataclass(frozen=True)
class Event:
    """An event of a MetaSearch, before it is posted."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    occasion: str
    """The text that tells it from other events of the same reason; for the same occasion an event is posted once."""


def events_between(before: SearchStatus, after: SearchStatus) -> list[Event]:
    """Return the events that report the changes from one status to the next, in the order of the story."""
    return [
        *_best_events(before, after),
        *_round_events(before, after),
        *_final_events(before, after),
        *_budget_events(before, after),
        *_delivery_events(before, after),
        *_condition_events(before, after),
    ]


# --- conditions ---------------------------------------------------------------------------------------------------


def _condition_events(before: SearchStatus, after: SearchStatus) -> Iterator[Event]:
    for type in REPORTED_CONDITIONS:
        old, new = before.condition(type), after.condition(type)
        # A changed message alone is no event: messages of the scheduler or of Kueue change every few seconds.
        if new is None or (old is not None and (old.status, old.reason) == (new.status, new.reason)):
            continue
        if type == READY or new.status == "True":  # nobody waits for the news that a raised budget is not exhausted
            yield Event(
                "Warning" if _is_warning(new) else "Normal",
                _reason(new),
                new.message or f"{type}: {new.reason}",
                # While a status lasts, its reason may come and go: each is told once, and again after an edit.
                f"{new.status} since {new.last_transition_time}, generation {new.observed_generation}",
            )


def _is_warning(condition: Condition) -> bool:
    return condition.type == EXHAUSTED or (condition.status != "True" and condition.reason not in EXPECTED_REASONS)


def _reason(condition: Condition) -> str:
    return condition.reason if condition.type == READY else EventReason.BUDGET_EXHAUSTED


# --- the course of the search -------------------------------------------------------------------------------------


def _round_events(before: SearchStatus, after: SearchStatus) -> Iterator[Event]:
    for round in after.rounds:
        if round.round > (before.round or 0):
            message = f"round {round.round}: {round.proposed} cells to try"
            yield Event("Normal", EventReason.ROUND_STARTED, message, f"round {round.round}")


def _best_events(before: SearchStatus, after: SearchStatus) -> Iterator[Event]:
    """Yield the best cell so far, when the next round or the final stage begins: once per round, not per trial."""
    began = before.round or 0
    is_over = began > 0 and ((after.round or 0) > began or _begins_final(before, after))
    best = next((cell for cell in after.ranked if not cell.is_beginning), None)
    if is_over and best is not None:
        message = (
            f"after round {began}: {best.score:.4f} by {best.trial}, {best.parameter_count:,} parameters, "
            f"{best.candidate}"
        )
        yield Event("Normal", EventReason.BEST_SO_FAR, message, f"round {began}")


def _final_events(before: SearchStatus, after: SearchStatus) -> Iterator[Event]:
    if _begins_final(before, after):
        message = f"{after.final_trials} trials train the best cells, and baselines, in full"
        yield Event("Normal", EventReason.FINAL_STARTED, message, "final")


def _begins_final(before: SearchStatus, after: SearchStatus) -> bool:
    return not before.final_trials and bool(after.final_trials)


def _delivery_events(before: SearchStatus, after: SearchStatus) -> Iterator[Event]:
    network = after.delivered
    if network is None or _has_succeeded(before) or not _has_succeeded(after):
        return
    accuracy = network.non_transductive
    place = f"its weights are in {network.weights}" if network.weights else "its weights were not kept"
    message = (
        f"{100 * accuracy.accuracy:.1f} ± {100 * accuracy.interval:.1f} % of test images classified right, each alone, "
        f"with {network.parameter_count:,} parameters; {place}; {network.candidate}"
    )
    yield Event("Normal", EventReason.NETWORK_DELIVERED, message, f"completed {after.completion_time}")


def _has_succeeded(status: SearchStatus) -> bool:
    condition = status.condition(SUCCEEDED)
    return condition is not None and condition.status == "True"


# --- the budget ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Limit:
    """A limit of the budget as a status has it."""

    field: str
    allowed: str
    left: str
    is_nearly_spent: bool


def _budget_events(before: SearchStatus, after: SearchStatus) -> Iterator[Event]:
    """Yield the limits that may soon end a stage early. Trials are none: to use all of them is the normal course."""
    told = {(limit.field, limit.allowed) for limit in _limits(before) if limit.is_nearly_spent}
    for limit in _limits(after):
        if limit.is_nearly_spent and (limit.field, limit.allowed) not in told:
            message = (
                f"of budget.{limit.field} ({limit.allowed}) {limit.left} left; a larger one may be set at any time"
            )
            yield Event("Warning", EventReason.BUDGET_NEARLY_SPENT, message, f"{limit.field} {limit.allowed}")


def _limits(status: SearchStatus) -> Iterator[_Limit]:
    spent, left = status.spent, status.left
    if spent is None or left is None:
        return
    failed, may_fail = spent.failed_trials, left.failed_trials
    is_last = may_fail == 0 and failed > 0
    yield _Limit("maxFailedTrials", str(failed + may_fail), "none is" if is_last else f"{may_fail} are", is_last)
    for field, used, rest in (
        ("wallTime", spent.wall_time.seconds, None if left.wall_time is None else left.wall_time.seconds),
        ("gpuHours", float(spent.gpu_hours), None if left.gpu_hours is None else float(left.gpu_hours)),
    ):
        if rest is not None and used + rest > 0:
            unit = "s" if field == "wallTime" else "GPU-hours"
            is_near = used / (used + rest) >= NEARLY_SPENT
            yield _Limit(field, f"{used + rest:g} {unit}", f"{rest:g} {unit} are", is_near)
