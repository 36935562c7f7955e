"""Every built-in strategy searches cells together with hyperparameters, within constraints, to its end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import STARTED, make_accuracies, make_result, make_search, make_spec
from planned_search import run_planned

from metasearch.errors import InvalidSpec
from metasearch.search import constrained_space
from metasearch.search.build import build_search, require_possible
from metasearch.search.candidates import Candidate
from metasearch.search.cells import parse_cell
from metasearch.search.hyperparameters import varied_space
from metasearch.search.planner import Phase, Search, plan
from metasearch.search.strategies import BUILT_IN, Answer, History, Proposals, Strategy
from metasearch.search.trials import Stage, TrialResult, TrialSpec
from metasearch_trainer.network import cell_network

MAX_PARAMETERS = 20_000
FILTERS = {"name": "filters", "distribution": "Choice", "values": [4, 5, 32]}
STEPS = {"name": "innerSteps", "distribution": "Linear", "minimum": 2, "maximum": 6, "steps": 2}
RATE = {"name": "innerLearningRate", "distribution": "LogUniform", "minimum": "0.0001", "maximum": "0.1"}
RIDGE = {"type": "Ridge"}
INITIAL = "conv3x3(-1)+identity(-2)"


def searching(strategy: str, hyperparameters: list[dict[str, Any]], trials: int, **search: Any) -> Search:
    constraints = {"maxParameters": MAX_PARAMETERS}
    return make_search(
        space={"operations": ["conv3x3", "identity"], "maxBlocks": 2},
        search={"strategy": strategy, "hyperparameters": hyperparameters, "constraints": constraints, **search},
        training={"metaIterations": 16},
        budget={"maxTrials": trials},
        final={"top": 2, "seeds": 1, "metaIterations": 20, "baselines": []},
    )


def worth(candidate: Candidate) -> float:
    """Return a score that grows with convolutions and filters."""
    filters = int(str(candidate.hyperparameters["filters"]))
    return min(0.95, 0.2 + 0.1 * candidate.architecture.count("conv") + 0.01 * filters)


def measured(spec: TrialSpec) -> TrialResult:
    score = worth(spec.candidate)
    final = spec.stage is not Stage.SEARCH
    return make_result(score, score_error=0.01, test=make_accuracies(score) if final else None)


def parameters_of(search: Search, candidate: Candidate) -> int:
    """Count the parameters of the network that the trainer builds."""
    space = varied_space(search.spec.space, candidate.hyperparameters)
    cell = parse_cell(candidate.architecture)
    return cell_network(cell, space, 1, 28, search.spec.task.ways).layout.size


@pytest.mark.parametrize("workers", [1, 5])
@pytest.mark.parametrize("strategy", sorted(set(BUILT_IN) - {"Grid"}))
def test_it_finds_candidates_within_the_constraints_only(strategy: str, workers: int) -> None:
    search = searching(strategy, [FILTERS, STEPS, RATE], trials=40)
    require_possible(search.spec)
    trials, ended = run_planned(search, measured, workers)
    assert (ended.phase, ended.message) == (Phase.SUCCEEDED, None)
    candidates = {trial.spec.candidate for trial in trials}
    assert len(candidates) > 10
    assert max(parameters_of(search, each) for each in candidates) <= MAX_PARAMETERS
    assert {tuple(each.hyperparameters) for each in candidates} == {("filters", "innerLearningRate", "innerSteps")}
    for name, fewest in (("filters", 2), ("innerSteps", 2), ("innerLearningRate", 3)):
        assert len({each.hyperparameters[name] for each in candidates}) >= fewest


class BothAnswers:
    """A strategy that also asks another one without room, and with a trial missing, as after a deletion by hand."""

    def __init__(self, strategy: Strategy) -> None:
        self._strategy, self.asked = strategy, 0
        self.rounds, self.varies_fidelity = strategy.rounds, strategy.varies_fidelity
        self.preliminary_rounds = strategy.preliminary_rounds

    def propose(self, history: History, room: int) -> Proposals:
        for trials in (history, history[:-1]) if room > 1 else ():
            answer, without_room = self._strategy.propose(trials, room), self._strategy.propose(trials, 0)
            self.asked += 1
            if isinstance(without_room, Answer):
                assert answer is without_room
            else:
                assert not without_room
        return self._strategy.propose(history, room)

    def title(self, round: int) -> str:
        return self._strategy.title(round)


@pytest.mark.parametrize("screening", [{}, {"share": "0.25"}], ids=["whole", "screened"])
@pytest.mark.parametrize("strategy", sorted(BUILT_IN))
def test_without_room_it_neither_waits_nor_ends_where_it_would_propose(
    strategy: str, screening: dict[str, Any]
) -> None:
    is_free = build_search("x", make_spec(search={"strategy": strategy}), started_at=0.0).strategy.varies_fidelity
    if is_free and screening:
        return  # it chooses lengths itself, and is refused
    few = {"initial": [INITIAL]} if strategy == "Grid" else {}
    search = searching(strategy, [FILTERS, STEPS], trials=16, screening=screening, surrogate=RIDGE, **few)
    both = BothAnswers(search.strategy)
    run_planned(replace(search, strategy=both), measured, workers=3)
    assert both.asked > 0


@pytest.mark.parametrize("strategy", ["Evolution", "Halving", "LocalSearch", "Progressive", "Random"])
def test_a_given_cell_is_tried_first_with_values_that_are_within_the_constraints(strategy: str) -> None:
    search = searching(strategy, [FILTERS, STEPS, RATE], trials=10, initial=[INITIAL])
    first = plan(search, [], now=STARTED).propose[0].candidate
    assert first.architecture == "identity(-2)+conv3x3(-1)"
    assert parameters_of(search, first) <= MAX_PARAMETERS


@pytest.mark.parametrize("workers", [1, 5])
def test_a_grid_has_all_that_is_within_the_constraints_and_nothing_else(workers: int) -> None:
    search = searching("Grid", [FILTERS, STEPS], trials=2000)
    require_possible(search.spec)
    trials, ended = run_planned(search, measured, workers)
    assert ended.phase is Phase.SUCCEEDED
    tried = [trial.spec.candidate for trial in trials if trial.spec.stage is Stage.SEARCH]
    cells = make_search(space={"operations": ["conv3x3", "identity"], "maxBlocks": 2}).space
    every = {
        Candidate(str(cell), {"filters": filters, "innerSteps": steps})
        for cell in cells.everything()
        for filters in (4, 5, 32)
        for steps in (2, 4, 6)
    }
    within = {each for each in every if parameters_of(search, each) <= MAX_PARAMETERS}
    assert len(tried) == len(set(tried))
    assert set(tried) == within
    assert 0 < len(within) < len(every)


def test_a_grid_of_whole_numbers_has_each_of_them() -> None:
    batch = {"name": "innerBatchSize", "distribution": "LogUniform", "minimum": 3, "maximum": 9}
    search = searching("Grid", [FILTERS, batch], trials=1000, initial=["identity(-1)+identity(-2)"])
    require_possible(search.spec)
    trials, _ = run_planned(search, measured)
    tried = [trial.spec.candidate.hyperparameters for trial in trials if trial.spec.stage is Stage.SEARCH]
    # With 32 filters it has 59,877 parameters.
    assert sorted((each["filters"], each["innerBatchSize"]) for each in tried) == [
        (filters, batch) for filters in (4, 5) for batch in range(3, 10)
    ]


@pytest.mark.parametrize("initial", [[], [INITIAL]])
def test_a_grid_of_numbers_with_fractions_is_refused(initial: list[str]) -> None:
    search = searching("Grid", [FILTERS, RATE], trials=1000, initial=initial)
    with pytest.raises(InvalidSpec) as refused:
        require_possible(search.spec)
    assert str(refused.value) == (
        "spec.search.strategy is Grid, and spec.search.hyperparameters draws innerLearningRate from a range of numbers "
        "with fractions; its distribution must be Fixed, Choice or Linear, which have few enough values to try each"
    )


def test_a_grid_that_is_too_rare_to_be_found_whole_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constrained_space, "BEYOND_IN_A_ROW", 100)
    filters = {"name": "filters", "distribution": "Uniform", "minimum": 4, "maximum": 256}
    search = searching("Grid", [filters], trials=1000)
    with pytest.raises(
        InvalidSpec, match=r"^spec\.search\.constraints refuse 100 candidates in a row, so those within"
    ):
        require_possible(search.spec)
