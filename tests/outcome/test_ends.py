"""The ends of a search are kept, so that it can be told what had ended it before it went on."""

from __future__ import annotations

import pytest
from builders import STARTED, completed, make_resource, make_search, make_spec, pretend_result
from planned_search import run_planned

from metasearch.kubernetes.search_status import SearchStatus
from metasearch.outcome.ends import End, end_of, spec_hash, stays_ended, with_end
from metasearch.outcome.figures import MAX_ENDS
from metasearch.outcome.results import summarize
from metasearch.outcome.summary import recorded_ends, search_status
from metasearch.search.budget import Limit
from metasearch.search.planner import Phase, Plan, plan
from metasearch.search.trials import Stage, Trial


def an_end(**changes: object) -> End:
    fields = {
        "at": STARTED,
        "phase": Phase.SUCCEEDED,
        "limit": Limit.WALL_TIME,
        "trials": 40,
        "final_trials": 6,
        "wall_seconds": 120.0,
        "gpu_hours": 0.5,
        "best_score": 0.75,
        "spec_hash": "0123456789abcdef",
    }
    return End.model_validate({**fields, **changes})


def test_an_end_says_what_was_used_and_found() -> None:
    search = make_search(search={"strategy": "Random"}, budget={"maxTrials": 5})
    trials, decided = run_planned(search, pretend_result)
    end = end_of(search, trials, decided, STARTED + 60)
    best = max(trial.score or 0.0 for trial in trials if trial.spec.stage is Stage.SEARCH)
    assert (end.at, end.phase, end.limit) == (STARTED + 60, Phase.SUCCEEDED, None)
    assert (end.trials, end.final_trials, end.wall_seconds, end.best_score) == (5, 4, 60.0, best)


def test_an_end_without_scores_has_none() -> None:
    search = make_search()
    assert end_of(search, [], Plan(Phase.FAILED), STARTED).best_score is None


def test_ends_are_added_and_the_first_of_too_many_go() -> None:
    ends: tuple[End, ...] = ()
    for trials in range(MAX_ENDS + 2):
        ends = with_end(ends, an_end(trials=trials))
    assert [end.trials for end in ends] == list(range(2, MAX_ENDS + 2))


def test_an_end_that_only_repeats_the_last_keeps_its_time_and_takes_the_spec() -> None:
    (end,) = with_end([an_end()], an_end(at=STARTED + 99, wall_seconds=130.0, spec_hash="fedcba9876543210"))
    assert (end.at, end.wall_seconds, end.spec_hash) == (STARTED, 120.0, "fedcba9876543210")


@pytest.mark.parametrize("change", [{"budget": {"maxTrials": 7}}, {"final": {"seeds": 7}}, {"final": {"top": 7}}])
def test_a_search_may_go_on_where_budget_or_final_has_changed(change: dict[str, object]) -> None:
    ends = [an_end(spec_hash=spec_hash(make_spec()))]
    assert not stays_ended(ends, make_spec(**change))
    assert stays_ended(ends, make_spec(parallelism=7, worker={"slots": 2}))
    assert not stays_ended([], make_spec())


def test_the_digest_is_the_same_in_every_process() -> None:
    assert spec_hash(make_resource().spec) == spec_hash(make_spec())
    assert len(spec_hash(make_spec())) == 16


def test_a_status_keeps_ends_as_they_are() -> None:
    search = make_search()
    ends = (an_end(), an_end(trials=80, limit=None, best_score=None, phase=Phase.FAILED))
    trials = [completed(Trial(spec=spec), pretend_result(spec)) for spec in plan(search, [], STARTED).propose]
    status = search_status(
        summarize(search, trials, Plan(Phase.SEARCHING), STARTED, ends),
        final_trials=0,
        generation=1,
        conditions=(),
        suspended_seconds=0.0,
        completed_at=None,
        storage=None,
        folder="team-a/test-1b9d6bcd",
        worker_image="trainer:dev",
    )
    read = SearchStatus.model_validate_json(status.model_dump_json(by_alias=True, exclude_none=True))
    assert recorded_ends(read) == ends
