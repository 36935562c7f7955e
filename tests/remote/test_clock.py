"""What a cluster says of a search's time, and of what keeps it."""

from __future__ import annotations

from typing import Any

import pytest

from metasearch.kubernetes.search_status import Condition, ConditionStatus, SearchStatus
from metasearch.kubernetes.times import Time
from metasearch.remote.session import Clock, clock_of, with_trouble
from metasearch.search.planner import Phase, Plan

NOW = 5_000.0


def condition(kind: str, status: ConditionStatus, **said: Any) -> Condition:
    fields = {"reason": "Waiting", "message": "", "last_transition_time": Time.at(4_000)}
    return Condition(type=kind, status=status, **{**fields, **said})


SUSPENDED = condition("Suspended", ConditionStatus.TRUE)
RESUMED = condition("Suspended", ConditionStatus.FALSE)


@pytest.mark.parametrize(
    ("status", "clock"),
    [
        pytest.param(SearchStatus(), Clock(NOW, 0.0, NOW), id="not begun"),
        pytest.param(SearchStatus(start_time=Time.at(1_000)), Clock(1_000, 0.0, NOW), id="under way"),
        pytest.param(
            SearchStatus(start_time=Time.at(1_000), suspended_time="90s", conditions=(RESUMED,)),
            Clock(1_000, 90.0, NOW),
            id="resumed",
        ),
        pytest.param(
            SearchStatus(start_time=Time.at(1_000), suspended_time="90s", conditions=(SUSPENDED,)),
            Clock(1_000, 90.0 + 1_000, NOW),
            id="suspended",
        ),
        pytest.param(
            SearchStatus(start_time=Time.at(1_000), completion_time=Time.at(2_000)),
            Clock(1_000, 0.0, 2_000),
            id="over",
        ),
    ],
)
def test_time_stands_still_while_a_search_is_suspended_and_once_it_is_over(status: SearchStatus, clock: Clock) -> None:
    assert clock_of(status, NOW) == clock


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        pytest.param((), "no operator has taken it up yet", id="no operator"),
        pytest.param((condition("Ready", ConditionStatus.TRUE),), None, id="no trouble"),
        pytest.param((condition("Ready", ConditionStatus.UNKNOWN),), None, id="nobody knows"),
        pytest.param((condition("Ready", ConditionStatus.FALSE),), "Waiting", id="a reason"),
        pytest.param(
            (condition("Ready", ConditionStatus.FALSE, reason="InvalidSpec", message="too few classes"),),
            "InvalidSpec: too few classes",
            id="a sentence",
        ),
    ],
)
def test_a_search_says_why_it_does_not_get_on(conditions: tuple[Condition, ...], message: str | None) -> None:
    assert with_trouble(Plan(Phase.SEARCHING), SearchStatus(conditions=conditions)).message == message


def test_a_search_that_is_over_says_why_itself() -> None:
    failed = Plan(Phase.FAILED, message="no search trial succeeded")
    assert with_trouble(failed, SearchStatus(conditions=(condition("Ready", ConditionStatus.FALSE),))) == failed
