"""The status of a search on a cluster says why it does not go on."""

from __future__ import annotations

from typing import Any

import pytest

from metasearch.kubernetes.search_status import Condition, ConditionStatus, SearchStatus
from metasearch.kubernetes.times import Time
from metasearch.search.planner import Phase, Plan
from metasearch_cli.remote.session import with_trouble


def condition(kind: str, status: ConditionStatus, **said: Any) -> Condition:
    fields = {"reason": "Waiting", "message": "", "last_transition_time": Time.at(4_000)}
    return Condition(type=kind, status=status, **{**fields, **said})


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
