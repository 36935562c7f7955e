"""What is worth an event."""

from __future__ import annotations

import pytest
from builders import STARTED

from metasearch.kubernetes.search_status import (
    EXHAUSTED,
    FAILED,
    PROGRESSING,
    READY,
    SUCCEEDED,
    SUSPENDED,
    Condition,
    ConditionStatus,
    LevelStatus,
    SearchStatus,
)
from metasearch.kubernetes.times import Time
from metasearch_operator.notes import Note, notes


def condition(type: str, holds: bool, reason: str, message: str = "") -> Condition:
    status = ConditionStatus.TRUE if holds else ConditionStatus.FALSE
    return Condition(type=type, status=status, reason=reason, message=message, last_transition_time=Time.at(STARTED))


def status(*conditions: Condition, levels: int = 0) -> SearchStatus:
    begun = [
        LevelStatus(level=level, proposed=10 * level, trained=0, stopped=0, failed=0) for level in range(1, levels + 1)
    ]
    return SearchStatus(conditions=conditions, levels=tuple(begun))


SEARCHING = condition(READY, True, "Searching")


@pytest.mark.parametrize(
    ("ready", "note"),
    [
        (condition(READY, True, "Final"), Note("Normal", "Final", "Ready: Final")),
        (condition(READY, True, "Succeeded", "done"), Note("Normal", "Succeeded", "done")),
        (condition(READY, False, "Failed", "no"), Note("Warning", "Failed", "no")),
        (condition(READY, False, "Suspended", "s"), Note("Normal", "Suspended", "s")),
        (condition(READY, False, "Queued", "q"), Note("Normal", "Queued", "q")),
        (condition(READY, False, "WaitingForWorkers", "w"), Note("Normal", "WaitingForWorkers", "w")),
        (condition(READY, False, "PodsRefused", "quota"), Note("Warning", "PodsRefused", "quota")),
        (condition(READY, False, "InvalidSpec", "x"), Note("Warning", "InvalidSpec", "x")),
    ],
)
def test_where_a_search_is_now_is_told(ready: Condition, note: Note) -> None:
    assert notes(status(SEARCHING), status(ready)) == [note]


def test_the_first_status_is_told() -> None:
    assert [note.reason for note in notes(SearchStatus(), status(SEARCHING))] == ["Searching"]


def test_another_message_alone_is_not_told() -> None:
    before = status(condition(READY, False, "Unschedulable", "0/2 nodes"))
    assert not notes(before, status(condition(READY, False, "Unschedulable", "0/3 nodes")))


def test_an_end_is_told_once() -> None:
    """Succeeded, Failed, Suspended and Progressing change at the same time as Ready, and say no more."""
    before = status(SEARCHING, *(condition(type, False, "UnderWay") for type in (SUCCEEDED, FAILED, SUSPENDED)))
    after = status(
        condition(READY, True, "Succeeded", "done"),
        condition(PROGRESSING, False, "Succeeded"),
        condition(SUCCEEDED, True, "NetworkFound", "done"),
        condition(FAILED, False, "NetworkFound"),
        condition(SUSPENDED, False, "NotAskedFor"),
    )
    assert notes(before, after) == [Note("Normal", "Succeeded", "done")]


def test_a_limit_that_is_reached_is_told_and_one_that_was_raised_is_not() -> None:
    within, reached = condition(EXHAUSTED, False, "WithinBudget"), condition(EXHAUSTED, True, "WallTime", "24h")
    assert notes(status(within), status(reached)) == [Note("Warning", "BudgetExhausted", "24h")]
    assert not notes(status(reached), status(within))


def test_a_level_is_told_when_it_begins() -> None:
    assert notes(status(levels=1), status(levels=3)) == [
        Note("Normal", "LevelStarted", "level 2: 20 cells to try"),
        Note("Normal", "LevelStarted", "level 3: 30 cells to try"),
    ]
    assert not notes(status(levels=3), status(levels=3))
