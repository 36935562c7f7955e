"""What is worth an event of the resource: changes of its conditions, and a new level."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from metasearch.kubernetes.search_status import EXHAUSTED, READY, Condition, SearchStatus
from metasearch_operator.reasons import EventReason, ReadyReason

TOLD = (READY, EXHAUSTED)
"""Conditions whose changes are told. The others say nothing that a reason of Ready does not."""

CALM = (ReadyReason.QUEUED, ReadyReason.WAITING_FOR_WORKERS, ReadyReason.SUSPENDED)
"""Reasons of not being ready that nobody need worry about."""


@dataclass(frozen=True)
class Note:
    """An event to be."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def notes(before: SearchStatus, after: SearchStatus) -> list[Note]:
    """What has changed from one status to the next."""
    return [*_of_conditions(before, after), *_of_levels(before, after)]


def _of_conditions(before: SearchStatus, after: SearchStatus) -> Iterator[Note]:
    for type in TOLD:
        old, new = before.condition(type), after.condition(type)
        if new is None or (old is not None and (old.status, old.reason) == (new.status, new.reason)):
            continue
        if type == READY or new.status == "True":
            yield Note("Warning" if _is_bad(new) else "Normal", _reason(new), new.message or f"{type}: {new.reason}")


def _is_bad(condition: Condition) -> bool:
    return condition.type == EXHAUSTED or (condition.status != "True" and condition.reason not in CALM)


def _reason(condition: Condition) -> str:
    return condition.reason if condition.type == READY else EventReason.BUDGET_EXHAUSTED


def _of_levels(before: SearchStatus, after: SearchStatus) -> Iterator[Note]:
    for level in after.levels[len(before.levels) :]:
        yield Note("Normal", EventReason.LEVEL_STARTED, f"level {level.level}: {level.proposed} cells to try")
