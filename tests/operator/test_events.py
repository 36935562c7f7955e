"""Changes of a status become events."""

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
    RoundStatus,
    SearchStatus,
)
from metasearch.kubernetes.times import Time
from metasearch_operator.events import Event, events_between


def condition(type: str, holds: bool, reason: str, message: str = "") -> Condition:
    status = ConditionStatus.TRUE if holds else ConditionStatus.FALSE
    return Condition(type=type, status=status, reason=reason, message=message, last_transition_time=Time.at(STARTED))


def status(*conditions: Condition, rounds: int = 0) -> SearchStatus:
    begun = [
        RoundStatus(round=round, proposed=10 * round, trained=0, stopped=0, failed=0) for round in range(1, rounds + 1)
    ]
    return SearchStatus(conditions=conditions, round=rounds, rounds=tuple(begun))


SEARCHING = condition(READY, True, "Searching")


@pytest.mark.parametrize(
    ("ready", "event"),
    [
        (condition(READY, True, "Final"), Event("Normal", "Final", "Ready: Final")),
        (condition(READY, True, "Succeeded", "done"), Event("Normal", "Succeeded", "done")),
        (condition(READY, False, "Failed", "no"), Event("Warning", "Failed", "no")),
        (condition(READY, False, "Suspended", "s"), Event("Normal", "Suspended", "s")),
        (condition(READY, False, "Queued", "q"), Event("Normal", "Queued", "q")),
        (condition(READY, False, "WaitingForWorkers", "w"), Event("Normal", "WaitingForWorkers", "w")),
        (condition(READY, False, "PodsRefused", "quota"), Event("Warning", "PodsRefused", "quota")),
        (condition(READY, False, "InvalidSpec", "x"), Event("Warning", "InvalidSpec", "x")),
    ],
)
def test_where_a_search_is_now_is_reported(ready: Condition, event: Event) -> None:
    assert events_between(status(SEARCHING), status(ready)) == [event]


def test_the_first_status_is_reported() -> None:
    assert [event.reason for event in events_between(SearchStatus(), status(SEARCHING))] == ["Searching"]


def test_another_message_alone_is_not_reported() -> None:
    before = status(condition(READY, False, "Unschedulable", "0/2 nodes"))
    assert not events_between(before, status(condition(READY, False, "Unschedulable", "0/3 nodes")))


def test_an_end_is_reported_once() -> None:
    """Succeeded, Failed, Suspended and Progressing change at the same time as Ready, and say no more."""
    before = status(SEARCHING, *(condition(type, False, "InProgress") for type in (SUCCEEDED, FAILED, SUSPENDED)))
    after = status(
        condition(READY, True, "Succeeded", "done"),
        condition(PROGRESSING, False, "Succeeded"),
        condition(SUCCEEDED, True, "NetworkFound", "done"),
        condition(FAILED, False, "NetworkFound"),
        condition(SUSPENDED, False, "NotSuspended"),
    )
    assert events_between(before, after) == [Event("Normal", "Succeeded", "done")]


def test_a_limit_that_is_reached_is_reported_and_one_that_was_raised_is_not() -> None:
    within, reached = condition(EXHAUSTED, False, "WithinBudget"), condition(EXHAUSTED, True, "WallTime", "24h")
    assert events_between(status(within), status(reached)) == [Event("Warning", "BudgetExhausted", "24h")]
    assert not events_between(status(reached), status(within))


def test_a_round_is_reported_when_it_begins() -> None:
    assert events_between(status(rounds=1), status(rounds=3)) == [
        Event("Normal", "RoundStarted", "round 2: 20 cells to try"),
        Event("Normal", "RoundStarted", "round 3: 30 cells to try"),
    ]
    assert not events_between(status(rounds=3), status(rounds=3))
