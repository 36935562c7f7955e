"""Successive halving, of random candidates and of those of another strategy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from builders import make_result, make_search
from planned_search import run_planned

from metasearch.api.strategies import HalvingSearchSettings
from metasearch.search.planner import Phase, Search, belongs_to, plan
from metasearch.search.strategies.halving import Rungs
from metasearch.search.trials import Reason, Stage, State, Trial, TrialResult, TrialSpec

HALVING: dict[str, Any] = {"strategy": "Halving", "halving": {"factor": 2, "rungs": 3}}


def worth(spec: TrialSpec) -> float:
    """Return what a candidate is worth, in [0, 1), whatever it is trained for."""
    return float(np.random.default_rng(list(spec.candidate.text.encode())).random())


def measured(spec: TrialSpec) -> TrialResult:
    return make_result(worth(spec), test=None if spec.stage is Stage.SEARCH else make_result().validation)


def halving(trials: int = 28, **search: Any) -> Search:
    return make_search(
        search={**HALVING, **search},
        training={"metaIterations": 8},
        budget={"maxTrials": trials},
        final={"top": 2, "seeds": 1},
    )


def of_length(trials: list[Trial], meta_iterations: int) -> list[Trial]:
    is_search = (trial for trial in trials if trial.spec.stage is Stage.SEARCH)
    return [trial for trial in is_search if trial.spec.meta_iterations == meta_iterations]


@pytest.mark.parametrize(
    ("whole", "factor", "rungs", "expected"),
    [(8, 2, 3, (2, 4, 8)), (100, 4, 3, (6, 25, 100)), (5, 4, 8, (1, 5)), (1, 2, 2, (1,)), (3, 16, 2, (3,))],
)
def test_each_rung_is_a_factor_as_long_as_the_one_below(
    whole: int, factor: int, rungs: int, expected: tuple[int, ...]
) -> None:
    assert Rungs.of_factor(whole, HalvingSearchSettings(factor=factor, rungs=rungs)).meta_iterations == expected


@pytest.mark.parametrize(
    ("whole", "share", "expected"), [(40, 0.25, (10, 40)), (3, 0.25, (1, 3)), (10, 1.0, (10,)), (1, 0.5, (1,))]
)
def test_a_share_makes_two_rungs(whole: int, share: float, expected: tuple[int, ...]) -> None:
    assert Rungs.of_share(whole, share, 0.125).meta_iterations == expected


def test_the_best_of_each_rung_go_on_from_their_checkpoints() -> None:
    trials, decided = run_planned(halving(), measured)
    assert decided.phase is Phase.SUCCEEDED
    lower, middle, top = (of_length(trials, length) for length in (2, 4, 8))
    # 28 trials in the ratio 4 : 2 : 1.
    assert (len(lower), len(middle), len(top)) == (16, 8, 4)
    by_name = {trial.name: trial for trial in trials}
    for trial in (*middle, *top):
        assert trial.spec.resumes is not None
        begun = by_name[trial.spec.resumes].spec
        assert (begun.candidate, begun.meta_iterations) == (trial.spec.candidate, trial.spec.meta_iterations // 2)
        assert begun.is_beginning
    assert all(trial.spec.is_beginning for trial in (*lower, *middle))
    assert not any(trial.spec.is_beginning for trial in top)
    best = sorted(lower, key=lambda trial: worth(trial.spec), reverse=True)
    assert {trial.spec.candidate for trial in best[:8]} == {trial.spec.candidate for trial in middle}
    assert {trial.spec.candidate for trial in best[:4]} == {trial.spec.candidate for trial in top}


@pytest.mark.parametrize("search", [{}, {"strategy": "Progressive", "halving": None, "screening": {"share": "0.25"}}])
def test_how_many_workers_there_are_changes_nothing(search: dict[str, Any]) -> None:
    ends = [
        {trial.spec for trial in run_planned(halving(60, **search), measured, workers)[0]} for workers in (1, 3, 40)
    ]
    assert ends[0] == ends[1] == ends[2]


def test_a_driver_that_died_at_any_moment_changes_nothing() -> None:
    whole, _ = run_planned(halving(), measured)
    for kept in range(0, len(whole), 3):
        again, _ = run_planned(halving(), measured, trials=whole[:kept])
        assert {trial.spec for trial in again} == {trial.spec for trial in whole}


def test_the_final_ones_are_of_those_that_were_trained_longest() -> None:
    def flattering(spec: TrialSpec) -> TrialResult:
        """The loss of short trainings is on another scale than the score of whole ones."""
        return make_result(0.99 if spec.is_beginning else worth(spec), test=make_result().validation)

    trials, _ = run_planned(halving(), flattering)
    final = {trial.spec.candidate for trial in trials if trial.spec.stage is Stage.FINAL}
    top = sorted(of_length(trials, 8), key=lambda trial: worth(trial.spec), reverse=True)
    assert final == {trial.spec.candidate for trial in top[:2]}


def test_failed_trainings_do_not_go_on() -> None:
    def failing(spec: TrialSpec) -> TrialResult:
        if worth(spec) > 0.5:
            return TrialResult(state=State.FAILED, reason=Reason.DIVERGED, message="no longer finite")
        return measured(spec)

    search = make_search(
        search=HALVING,
        training={"metaIterations": 8},
        budget={"maxTrials": 28, "maxFailedTrials": 100},
        final={"top": 2, "seeds": 1},
    )
    trials, _ = run_planned(search, failing)
    assert all(worth(trial.spec) <= 0.5 for trial in (*of_length(trials, 4), *of_length(trials, 8)))


def test_screened_candidates_are_those_of_the_strategy_and_one_in_eight_is_trained_in_full() -> None:
    search = make_search(
        search={"strategy": "Random", "screening": {"share": "0.25", "keep": "0.125"}},
        training={"metaIterations": 8},
        budget={"maxTrials": 36},
        final={"top": 2, "seeds": 1},
    )
    trials, _ = run_planned(search, measured)
    plain = make_search(search={"strategy": "Random"}, budget={"maxTrials": 32})
    drawn = {spec.candidate for spec in plan(plain, [], 0.0).propose}
    assert {trial.spec.candidate for trial in of_length(trials, 2)} == drawn
    assert len(of_length(trials, 8)) == 4


def test_a_search_of_one_trial_screens_it_and_ends() -> None:
    trials, decided = run_planned(halving(1), measured)
    assert decided.phase is Phase.SUCCEEDED
    assert len([trial for trial in trials if trial.spec.stage is Stage.SEARCH]) == 1


def test_its_trials_belong_to_the_search() -> None:
    search = halving()
    trials, _ = run_planned(search, measured)
    assert all(belongs_to(search, trial) for trial in trials)
