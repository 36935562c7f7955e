"""The conditions of a search are computed from its situation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from builders import STARTED, make_spec

from metasearch.kubernetes.search_status import (
    EXHAUSTED,
    FAILED,
    PROGRESSING,
    READY,
    SUCCEEDED,
    SUSPENDED,
    Condition,
)
from metasearch.search.budget import Limit
from metasearch.search.planner import Phase, Plan
from metasearch_operator.conditions import (
    MESSAGE_MAX_LENGTH,
    Situation,
    compute_conditions,
    has_ended,
    problem_conditions,
    still_ended_conditions,
)
from metasearch_operator.diagnosis import Problem
from metasearch_operator.reasons import ReadyReason

NO_NODE = Problem(ReadyReason.UNSCHEDULABLE, "no node takes it")
WRONG = Problem(ReadyReason.INVALID_SPEC, "spec.task.ways is wrong")

Reported = dict[str, tuple[str, str]]


def situation(phase: Phase = Phase.SEARCHING, spec: dict[str, Any] | None = None, **changes: Any) -> Situation:
    """Return the situation of a search without problems, with some changes."""
    asked: dict[str, Any] = {
        "plan": Plan(phase, limit=changes.pop("limit", None), message=changes.pop("message", None)),
        "workers": 2,
        "trials_running": 2,
        "problem": None,
        "remarks": (),
    }
    return Situation(spec=make_spec(**(spec or {})), **{**asked, **changes})


def said(of: Situation, before: Sequence[Condition] = (), generation: int = 1, now: float = STARTED) -> list[Condition]:
    return list(compute_conditions(of, before, generation, now))


def reported(of: Situation) -> Reported:
    return {condition.type: (str(condition.status), condition.reason) for condition in said(of)}


def message(of: Situation, type: str = READY) -> str:
    (found,) = (condition for condition in said(of) if condition.type == type)
    return found.message


# --- each in turn -------------------------------------------------------------------------------------------------


def test_all_six_are_always_there() -> None:
    for phase in Phase:
        assert set(reported(situation(phase))) == {READY, PROGRESSING, SUCCEEDED, FAILED, SUSPENDED, EXHAUSTED}


@pytest.mark.parametrize(
    ("of", "ready", "progressing"),
    [
        pytest.param(situation(), ("True", "Searching"), "True", id="searching"),
        pytest.param(situation(Phase.FINAL), ("True", "Final"), "True", id="final"),
        pytest.param(situation(Phase.SUCCEEDED), ("True", "Succeeded"), "False", id="succeeded"),
        pytest.param(situation(Phase.FAILED), ("False", "Failed"), "False", id="failed"),
        pytest.param(
            situation(workers=0, trials_running=0), ("False", "WaitingForWorkers"), "True", id="no workers yet"
        ),
        pytest.param(
            situation(trials_running=0, has_claimed=False), ("False", "WaitingForWorkers"), "True", id="no trial yet"
        ),
        pytest.param(situation(trials_running=0), ("True", "Searching"), "True", id="between two trials"),
        pytest.param(situation(spec={"suspend": True}), ("False", "Suspended"), "False", id="suspended"),
        pytest.param(
            situation(workers=0, trials_running=0, problem=NO_NODE), ("False", "Unschedulable"), "False", id="problem"
        ),
        pytest.param(
            situation(workers=0, problem=NO_NODE),
            ("False", "Unschedulable"),
            "False",
            id="problem, and pods that leave",
        ),
        pytest.param(situation(problem=NO_NODE), ("True", "Searching"), "True", id="problem that stops nobody"),
        pytest.param(
            situation(Phase.SUCCEEDED, problem=NO_NODE, workers=0), ("True", "Succeeded"), "False", id="too late"
        ),
        pytest.param(
            situation(Phase.SUCCEEDED, spec={"suspend": True}), ("True", "Succeeded"), "False", id="over and suspended"
        ),
        pytest.param(
            situation(spec={"suspend": True}, problem=NO_NODE), ("False", "Suspended"), "False", id="both at once"
        ),
    ],
)
def test_a_search_is_ready_where_nothing_is_in_its_way(of: Situation, ready: tuple[str, str], progressing: str) -> None:
    assert reported(of)[READY] == ready
    assert reported(of)[PROGRESSING] == (progressing, ready[1])


@pytest.mark.parametrize(
    ("phase", "succeeded", "failed"),
    [
        (Phase.SEARCHING, ("False", "InProgress"), ("False", "InProgress")),
        (Phase.FINAL, ("False", "InProgress"), ("False", "InProgress")),
        (Phase.SUCCEEDED, ("True", "NetworkFound"), ("False", "NetworkFound")),
        (Phase.FAILED, ("False", "NoNetwork"), ("True", "NoNetwork")),
    ],
)
def test_a_search_ends_in_one_of_two_ways(phase: Phase, succeeded: tuple[str, str], failed: tuple[str, str]) -> None:
    assert reported(situation(phase))[SUCCEEDED] == succeeded
    assert reported(situation(phase))[FAILED] == failed


@pytest.mark.parametrize(
    ("of", "suspended"),
    [
        pytest.param(situation(), ("False", "NotSuspended"), id="not"),
        pytest.param(situation(spec={"suspend": True}), ("True", "Suspended"), id="so"),
        pytest.param(situation(Phase.SUCCEEDED, spec={"suspend": True}), ("False", "NotSuspended"), id="too late"),
    ],
)
def test_suspended_says_whether_workers_were_taken_away(of: Situation, suspended: tuple[str, str]) -> None:
    assert reported(of)[SUSPENDED] == suspended


@pytest.mark.parametrize("limit", Limit)
def test_a_limit_that_was_reached_is_named_with_its_value(limit: Limit) -> None:
    budget = {"maxTrials": 7, "maxFailedTrials": 7, "wallTime": "7s", "gpuHours": "7"}
    of = situation(Phase.SUCCEEDED, spec={"budget": budget}, limit=limit)
    status, reason = reported(of)[EXHAUSTED]
    assert (status, reason.casefold()) == ("True", limit.casefold())
    assert message(of, EXHAUSTED).startswith(f"budget.{limit} (7")
    assert "has ended the search early" in message(of, EXHAUSTED)


def test_a_limit_that_ended_only_the_search_stage_says_so() -> None:
    assert "has ended a stage early" in message(situation(Phase.FINAL, limit=Limit.TRIALS), EXHAUSTED)
    assert reported(situation())[EXHAUSTED] == ("False", "WithinBudget")


# --- what people read ---------------------------------------------------------------------------------------------


def test_an_end_says_what_became_of_the_weights() -> None:
    assert "weights were not kept" in message(situation(Phase.SUCCEEDED))
    assert message(situation(Phase.SUCCEEDED, spec={"storage": {"url": "s3://b"}})) == "the network is delivered"
    assert message(situation(Phase.FAILED, message="no search trial succeeded")) == "no search trial succeeded"


def test_remarks_and_a_problem_that_stops_nobody_are_in_the_message_all_the_same() -> None:
    assert message(situation(problem=NO_NODE, remarks=["one", "other"])) == "no node takes it; one; other"
    assert message(situation(workers=0, trials_running=0, remarks=["one"])) == "no worker pod runs yet; one"


def test_a_long_message_is_cut_to_what_the_definition_allows() -> None:
    long = message(situation(problem=Problem(ReadyReason.WORKERS_FAILING, "x" * 1000)))
    assert (len(long), long[-2:]) == (MESSAGE_MAX_LENGTH, "x…")


# --- over time ----------------------------------------------------------------------------------------------------


def test_the_time_of_transition_changes_with_the_status_alone() -> None:
    first = said(situation(), now=STARTED)
    later = said(situation(Phase.FINAL), first, now=STARTED + 60)
    for old, new in zip(first, later, strict=True):
        assert new.last_transition_time == old.last_transition_time
    ended = said(situation(Phase.SUCCEEDED), later, now=STARTED + 90)
    changed = {new.type for old, new in zip(later, ended, strict=True) if new.status != old.status}
    assert changed == {PROGRESSING, SUCCEEDED}
    for old, new in zip(later, ended, strict=True):
        assert (new.last_transition_time.unix_seconds == STARTED + 90) == (new.type in changed)
        assert new.type in changed or new.last_transition_time == old.last_transition_time


def test_every_condition_says_of_which_generation_it_is() -> None:
    assert {condition.observed_generation for condition in said(situation(), generation=7)} == {7}


# --- a search that cannot be reconciled -----------------------------------------------------------------------


def test_what_cannot_be_made_sense_of_is_not_ready_and_the_rest_stays() -> None:
    before = said(situation(spec={"suspend": True}))
    after = {condition.type: condition for condition in problem_conditions(WRONG, before, generation=2, now=STARTED)}
    assert (after[READY].status, after[READY].reason, after[READY].message) == (
        "False",
        "InvalidSpec",
        WRONG.message,
    )
    assert (after[PROGRESSING].status, after[PROGRESSING].observed_generation) == ("False", 2)
    assert [after[condition.type] for condition in before[2:]] == before[2:]


def test_a_search_that_ended_stays_so_for_the_spec_that_it_ended_with() -> None:
    ended = said(situation(Phase.SUCCEEDED), generation=3)
    assert has_ended(ended, 3)
    assert not has_ended(ended, 4)
    assert has_ended(ended)
    assert has_ended(said(situation(Phase.FAILED), generation=3), 3)
    assert not has_ended(said(situation()), 1)
    assert not has_ended((), 1)


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.FAILED])
def test_a_new_spec_without_more_to_do_leaves_a_search_as_it_ended(phase: Phase) -> None:
    ended = said(situation(phase, limit=Limit.WALL_TIME, message="nothing worked"), generation=3)
    for before in (ended, problem_conditions(WRONG, ended, generation=4, now=STARTED + 1)):
        after = still_ended_conditions(before, generation=4, now=STARTED + 2)
        assert has_ended(after, 4)
        assert {each.type: (each.status, each.reason, each.message) for each in after} == {
            each.type: (each.status, each.reason, each.message) for each in ended
        }


def test_a_problem_with_a_new_spec_does_not_end_a_search_with_it() -> None:
    """The operator fails once over a raised budget; the next reconcile must not take the old end for the new spec's."""
    ended = said(situation(Phase.SUCCEEDED), generation=3)
    assert not has_ended(problem_conditions(WRONG, ended, generation=4, now=STARTED), 4)
