"""Changes of a status become events."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from builders import STARTED

from metasearch.cluster.api import Api, Conflict
from metasearch.errors import StoreUnavailable
from metasearch.kubernetes import names
from metasearch.kubernetes.search_status import (
    EXHAUSTED,
    FAILED,
    PROGRESSING,
    READY,
    SUCCEEDED,
    SUSPENDED,
    Condition,
    ConditionStatus,
    Left,
    RoundStatus,
    SearchStatus,
    SpentStatus,
)
from metasearch.kubernetes.times import Time
from metasearch.outcome.figures import CellSummary, Estimate, FoundNetwork
from metasearch.quantities import Duration
from metasearch_operator.event_posting import MESSAGE_MAX_LENGTH, event_body, post
from metasearch_operator.events import Event, events_between

Told = tuple[str, str, str]


def told(before: SearchStatus, after: SearchStatus) -> list[Told]:
    """Return type, reason and message of the events."""
    return [(event.type, event.reason, event.message) for event in events_between(before, after)]


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
        (condition(READY, True, "Final"), ("Normal", "Final", "Ready: Final")),
        (condition(READY, True, "Succeeded", "done"), ("Normal", "Succeeded", "done")),
        (condition(READY, False, "Failed", "no"), ("Warning", "Failed", "no")),
        (condition(READY, False, "Suspended", "s"), ("Normal", "Suspended", "s")),
        (condition(READY, False, "Queued", "q"), ("Normal", "Queued", "q")),
        (condition(READY, False, "WaitingForWorkers", "w"), ("Normal", "WaitingForWorkers", "w")),
        (condition(READY, False, "PodsRefused", "quota"), ("Warning", "PodsRefused", "quota")),
        (condition(READY, False, "InvalidSpec", "x"), ("Warning", "InvalidSpec", "x")),
    ],
)
def test_where_a_search_is_now_is_reported(ready: Condition, event: Told) -> None:
    assert told(status(SEARCHING), status(ready)) == [event]


def test_the_first_status_is_reported() -> None:
    assert [reason for _, reason, _ in told(SearchStatus(), status(SEARCHING))] == ["Searching"]


def test_another_message_alone_is_not_reported() -> None:
    before = status(condition(READY, False, "Unschedulable", "0/2 nodes"))
    assert not told(before, status(condition(READY, False, "Unschedulable", "0/3 nodes")))


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
    assert told(before, after) == [("Normal", "Succeeded", "done")]


def test_a_limit_that_is_reached_is_reported_and_one_that_was_raised_is_not() -> None:
    within, reached = condition(EXHAUSTED, False, "WithinBudget"), condition(EXHAUSTED, True, "WallTime", "24h")
    assert told(status(within), status(reached)) == [("Warning", "BudgetExhausted", "24h")]
    assert not told(status(reached), status(within))


def test_a_round_is_reported_when_it_begins() -> None:
    assert told(status(rounds=1), status(rounds=3)) == [
        ("Normal", "RoundStarted", "round 2: 20 cells to try"),
        ("Normal", "RoundStarted", "round 3: 30 cells to try"),
    ]
    assert not told(status(rounds=3), status(rounds=3))


# --- the course of the search -------------------------------------------------------------------------------------


def cell(trial: str, score: float, is_beginning: bool = False) -> CellSummary[float]:
    return CellSummary[float](
        cell="conv3x3(-1)+identity(-2)",
        trial=trial,
        blocks=1,
        depth=1,
        parameter_count=1234,
        multiply_adds=9,
        meta_iterations=9,
        is_beginning=is_beginning,
        score=score,
        interval=0.01,
    )


BEST = SearchStatus(round=1, ranked=(cell("test-1-begun", 0.9, is_beginning=True), cell("test-1-a", 0.81234)))
BEST_MESSAGE = "after round 1: 0.8123 by test-1-a, 1,234 parameters, conv3x3(-1)+identity(-2)"


def test_the_best_cell_is_told_when_the_next_round_begins() -> None:
    after = BEST.model_copy(update={"round": 2, "rounds": status(rounds=2).rounds})
    assert told(BEST, after) == [
        ("Normal", "BestSoFar", BEST_MESSAGE),
        ("Normal", "RoundStarted", "round 2: 20 cells to try"),
    ]


def test_a_better_trial_within_a_round_is_no_event() -> None:
    better = BEST.model_copy(update={"ranked": (cell("test-1-b", 0.9),)})
    assert not told(BEST, better)


def test_without_a_whole_training_there_is_no_best_cell() -> None:
    after = SearchStatus(round=2, ranked=BEST.ranked[:1])
    assert not told(SearchStatus(round=1), after)


def test_the_best_cell_is_told_when_the_final_stage_begins() -> None:
    after = BEST.model_copy(update={"final_trials": 5})
    assert told(BEST, after) == [
        ("Normal", "BestSoFar", BEST_MESSAGE),
        ("Normal", "FinalStarted", "5 trials train the best cells, and baselines, in full"),
    ]
    assert not told(after, after.model_copy(update={"final_trials": 6}))


def network(weights: str | None) -> FoundNetwork[float]:
    measured = Estimate[float](accuracy=0.8768, interval=0.0049)
    return FoundNetwork[float](
        cell="conv3x3(-1)+identity(-2)",
        trials=("test-final-a",),
        seeds=1,
        parameter_count=1234,
        multiply_adds=9,
        meta_iterations=9,
        score=0.5,
        transductive=measured,
        non_transductive=measured,
        support_statistics=measured,
        tasks=9,
        weights=weights,
    )


@pytest.mark.parametrize(
    ("weights", "place"), [("models/a/b", "its weights are in models/a/b"), (None, "its weights were not kept")]
)
def test_the_network_is_told_at_the_end_alone(weights: str | None, place: str) -> None:
    before = status(condition(SUCCEEDED, False, "InProgress")).model_copy(update={"delivered": network(weights)})
    after = before.model_copy(update={"conditions": (condition(SUCCEEDED, True, "NetworkFound"),)})
    message = (
        "87.7 ± 0.5 % of test images classified right, each alone, with 1,234 parameters; "
        f"{place}; conv3x3(-1)+identity(-2)"
    )
    assert told(before, after) == [("Normal", "NetworkDelivered", message)]
    assert not told(after, after)


# --- the budget ---------------------------------------------------------------------------------------------------


def budget(
    wall: tuple[int, int] = (0, 100), hours: tuple[str, str] = ("0", "1"), failed: tuple[int, int] = (0, 5)
) -> SearchStatus:
    """Return a status with what is spent of each limit, and what is left."""
    spent = SpentStatus(
        share="0%",
        trials=30,
        failed_trials=failed[0],
        wall_time=Duration(f"{wall[0]}s"),
        worker_time=Duration("0s"),
        gpu_hours=Decimal(hours[0]),
    )
    left = Left(trials=0, failed_trials=failed[1], wall_time=Duration(f"{wall[1]}s"), gpu_hours=Decimal(hours[1]))
    return SearchStatus(spent=spent, left=left)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (budget(wall=(89, 11)), budget(wall=(90, 10)), "of budget.wallTime (100 s) 10 s are left"),
        (
            budget(hours=("1.7", "0.3")),
            budget(hours=("1.8", "0.2")),
            "of budget.gpuHours (2 GPU-hours) 0.2 GPU-hours are left",
        ),
        (budget(failed=(2, 1)), budget(failed=(3, 0)), "of budget.maxFailedTrials (3) none is left"),
    ],
)
def test_a_budget_that_is_nearly_spent_is_a_warning(before: SearchStatus, after: SearchStatus, message: str) -> None:
    assert told(before, after) == [("Warning", "BudgetNearlySpent", f"{message}; a larger one may be set at any time")]
    assert not told(after, after)


def test_a_larger_budget_may_be_nearly_spent_again() -> None:
    assert told(budget(wall=(90, 10)), budget(wall=(180, 20)))
    assert not told(budget(wall=(90, 10)), budget(wall=(95, 5)))


def test_a_budget_that_allows_no_failure_is_not_nearly_spent_at_the_start() -> None:
    assert not told(SearchStatus(), budget(failed=(0, 0)))


def test_all_trials_used_are_no_warning() -> None:
    assert not told(SearchStatus(), budget())


# --- posting ------------------------------------------------------------------------------------------------------

SEARCH = {"metadata": {"name": "test", "namespace": "team-a", "uid": "1234"}}
EVENT = Event("Normal", "RoundStarted", "round 2: 20 cells to try", "round 2")


class Recorded(Api):
    """An API that records what is created, and answers with an error where it is given one."""

    def __init__(self, error: Exception | None = None) -> None:
        self.created: list[tuple[str, dict[str, Any]]] = []
        self.error = error

    def create(self, path: str, body: dict[str, Any], **query: str) -> dict[str, Any]:
        del query
        self.created.append((path, body))
        if self.error:
            raise self.error
        return body


def named(event: Event, uid: str = "1234") -> str:
    search = {"metadata": {**SEARCH["metadata"], "uid": uid}}
    name: str = event_body(search, event, STARTED)["metadata"]["name"]
    return name


def test_an_event_has_the_same_name_whenever_it_is_posted() -> None:
    assert event_body(SEARCH, EVENT, STARTED)["metadata"] == event_body(SEARCH, EVENT, STARTED + 9)["metadata"]
    other_words = replace(EVENT, message="round 2: 21 cells to try")
    assert named(other_words) == named(EVENT)
    assert len({named(EVENT), named(replace(EVENT, occasion="round 3")), named(EVENT, uid="5678")}) == 3


def test_a_condition_that_comes_again_has_an_event_of_its_own() -> None:
    """Ready's status has changed in between, so that its transition time is another."""
    first, again = (
        events_between(SearchStatus(), status(replaced_time(SEARCHING, at)))[0] for at in (STARTED, STARTED + 60)
    )
    assert named(first) != named(again)


def replaced_time(condition: Condition, at: float) -> Condition:
    return condition.model_copy(update={"last_transition_time": Time.at(at)})


def test_an_event_that_was_posted_before_is_left_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    api = Recorded(Conflict("there is one"))
    post(api, SEARCH, EVENT, STARTED)
    ((path, _),) = api.created
    assert path == names.EVENT.path("team-a")
    assert not caplog.records


def test_an_event_that_cannot_be_posted_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    post(Recorded(StoreUnavailable("the API server cannot be reached")), SEARCH, EVENT, STARTED)
    assert "RoundStarted of test cannot be posted: the API server cannot be reached" in caplog.text


def test_a_long_message_is_cut() -> None:
    body = event_body(SEARCH, replace(EVENT, message="x" * 2000), STARTED)
    assert len(body["message"]) == MESSAGE_MAX_LENGTH
    assert body["message"].endswith("…")
