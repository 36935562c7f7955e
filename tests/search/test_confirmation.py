"""The second look at contenders, before the final ones are chosen."""

from __future__ import annotations

from typing import Any

import pytest
from builders import STARTED, make_result, make_search, pretend_score
from planned_search import run_planned

from metasearch.search import confirmation
from metasearch.search.budget import Limit
from metasearch.search.planner import Phase, Search, belongs_to, plan
from metasearch.search.trials import Stage, State, Trial, TrialResult, TrialSpec


def searching(confirmations: int = 3, trials: int = 60, **spec: Any) -> Search:
    return make_search(
        search={"confirmations": confirmations, "strategy": "Random"},
        budget={"maxTrials": trials, **spec.pop("budget", {})},
        final={"top": 1, "seeds": 1, "metaIterations": 10, "baselines": []},
        **spec,
    )


def scored(error: float, lucky: float = 0.0) -> Any:
    """Return what invents scores of that standard error; with the first seed, the best is flattered."""

    def measure(spec: TrialSpec) -> TrialResult:
        score = pretend_score(spec.candidate.architecture)
        score += lucky if spec.seed == 0 and score > 0.78 else 0.0
        test = None if spec.stage is Stage.SEARCH else make_result().validation
        return make_result(min(score, 0.99), score_error=error, test=test)

    return measure


def second_looks(trials: list[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.spec.stage is Stage.SEARCH and trial.spec.seed == confirmation.SEED]


def test_contenders_that_cannot_be_told_apart_are_trained_once_more() -> None:
    search = searching()
    trials, decided = run_planned(search, scored(0.5))
    looks = second_looks(trials)
    assert (decided.phase, len(looks), len(trials)) == (Phase.SUCCEEDED, 3, 61)
    first = [trial for trial in trials if trial.spec.stage is Stage.SEARCH and trial.spec.seed == 0]
    best = sorted(first, key=lambda trial: -(trial.score or 0))[:3]
    assert {trial.spec.candidate for trial in looks} == {trial.spec.candidate for trial in best}
    assert all(belongs_to(search, trial) for trial in trials)


def test_one_that_is_told_from_all_others_needs_no_second_look() -> None:
    trials, _ = run_planned(searching(), scored(1e-6))
    assert second_looks(trials) == []


def test_the_winner_is_the_best_of_the_means() -> None:
    def measure(spec: TrialSpec) -> TrialResult:
        """The first seed flatters one candidate, and the second tells."""
        score = 0.5 + pretend_score(spec.candidate.architecture) / 100
        flattered = spec.candidate.architecture.startswith("conv3x3(-2)+conv3x3(-2)")
        score += (0.1 if spec.seed == 0 else -0.3) if flattered else 0.0
        return make_result(score, score_error=0.2, test=make_result().validation)

    trials, _ = run_planned(searching(confirmations=3, trials=200), measure)
    (final,) = [trial for trial in trials if trial.spec.stage is Stage.FINAL]
    looks = {trial.spec.candidate: trial for trial in second_looks(trials)}
    assert any(each.architecture.startswith("conv3x3(-2)+conv3x3(-2)") for each in looks)
    means = {
        candidate: ((trial.score or 0) + next(t.score or 0 for t in trials if t.spec.candidate == candidate)) / 2
        for candidate, trial in looks.items()
    }
    assert final.spec.candidate == max(means, key=lambda candidate: means[candidate])


@pytest.mark.parametrize(
    ("confirmations", "trials", "expected"), [(3, 60, 3), (3, 40, 2), (3, 39, 0), (1, 60, 0), (0, 60, 0)]
)
def test_they_are_a_twentieth_of_the_trials_at_most(confirmations: int, trials: int, expected: int) -> None:
    spec = searching(confirmations, trials).spec
    assert confirmation.reserved(spec) == expected
    assert confirmation.strategy_spec(spec).budget.max_trials == trials - expected


def test_a_limit_of_time_leaves_them_to_the_final_stage() -> None:
    search = searching(budget={"wallTime": "100s"})
    specs = plan(search, [], STARTED).propose
    measure = scored(0.5)
    done = [Trial(spec=spec, state=State.SUCCEEDED, result=measure(spec)) for spec in specs[:5]]
    decided = plan(search, done, STARTED + 71)
    assert (len(decided.propose), decided.limit, decided.stop) == (3, Limit.WALL_TIME, ())
    running = [Trial(spec=spec) for spec in decided.propose]
    assert plan(search, [*done, *running], STARTED + 80).stop == ()
    assert set(plan(search, [*done, *running], STARTED + 101).stop) == {trial.name for trial in running}


def test_strategies_do_not_see_them() -> None:
    search = searching()
    trials, _ = run_planned(search, scored(0.5))
    assert second_looks(confirmation.first_looks(trials)) == []
