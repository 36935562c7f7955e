"""The events of a MetaSearch: changes of its conditions, and new rounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast

import kopf

from metasearch.kubernetes.search_status import EXHAUSTED, READY, Condition, SearchStatus
from metasearch_operator.reasons import EventReason, ReadyReason

REPORTED_CONDITIONS = (READY, EXHAUSTED)
"""Conditions whose changes become events. The others change together with Ready and add nothing to its reason."""

EXPECTED_REASONS = (ReadyReason.QUEUED, ReadyReason.WAITING_FOR_WORKERS, ReadyReason.SUSPENDED)
"""Reasons of a Ready that is False which are part of a normal search, and so are no warnings."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """An event of a MetaSearch, before it is posted."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def events_between(before: SearchStatus, after: SearchStatus) -> list[Event]:
    """Return the events that report the changes from one status to the next."""
    return [*_condition_events(before, after), *_round_events(before, after)]


def emit(resource: Json, event: Event) -> None:
    """Post an event of a search. kopf queues it and sends it in the background, so that this never waits or fails."""
    kopf.event(cast("kopf.Body", resource), type=event.type, reason=event.reason, message=event.message)


def _condition_events(before: SearchStatus, after: SearchStatus) -> Iterator[Event]:
    for type in REPORTED_CONDITIONS:
        old, new = before.condition(type), after.condition(type)
        # A changed message alone is no event: messages of the scheduler or of Kueue change every few seconds.
        if new is None or (old is not None and (old.status, old.reason) == (new.status, new.reason)):
            continue
        if type == READY or new.status == "True":  # nobody waits for the news that a raised budget is not exhausted
            yield Event(
                "Warning" if _is_warning(new) else "Normal", _reason(new), new.message or f"{type}: {new.reason}"
            )


def _is_warning(condition: Condition) -> bool:
    return condition.type == EXHAUSTED or (condition.status != "True" and condition.reason not in EXPECTED_REASONS)


def _reason(condition: Condition) -> str:
    return condition.reason if condition.type == READY else EventReason.BUDGET_EXHAUSTED


def _round_events(before: SearchStatus, after: SearchStatus) -> Iterator[Event]:
    for round in after.rounds:
        if round.round > (before.round or 0):
            yield Event("Normal", EventReason.ROUND_STARTED, f"round {round.round}: {round.proposed} cells to try")
