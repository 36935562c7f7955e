"""The bounded queue of best-first search, and its trainings that pause and go on."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from builders import make_result, make_search
from planned_search import run_planned

from metasearch.search.planner import Phase, Search, belongs_to, plan
from metasearch.search.strategies.priority import _lengths
from metasearch.search.trials import Stage, Trial, TrialResult, TrialSpec


def worth(spec: TrialSpec) -> float:
    """Return what a candidate is worth: its convolutions, and a little of its own."""
    own = np.random.default_rng(list(spec.candidate.text.encode())).random()
    return min(0.9, 0.1 * spec.candidate.text.count("conv") + 0.1 * float(own))


def measured(spec: TrialSpec) -> TrialResult:
    """Invent a score that rises with the length of the training."""
    return make_result(
        worth(spec) + 0.001 * spec.meta_iterations,
        score_error=0.01,
        test=None if spec.stage is Stage.SEARCH else make_result().validation,
    )


def priority(trials: int = 60, **settings: Any) -> Search:
    return make_search(
        search={"strategy": "Priority", "priority": settings},
        training={"metaIterations": 16},
        budget={"maxTrials": trials},
        final={"top": 1, "seeds": 1},
    )


def searched(trials: list[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.spec.stage is Stage.SEARCH]


@pytest.mark.parametrize(
    ("whole", "quantum", "expected"),
    [(16, 0.125, (2, 4, 8, 16)), (20, 0.25, (5, 10, 20)), (10, 1.0, (10,)), (3, 0.01, (1, 2, 3)), (1, 0.5, (1,))],
)
def test_a_training_goes_on_for_as_long_as_it_was_trained(
    whole: int, quantum: float, expected: tuple[int, ...]
) -> None:
    assert _lengths(whole, quantum) == expected


def test_the_first_generation_is_drawn_uniformly_as_the_seed_says() -> None:
    drawn: Counter[str] = Counter()
    for seed in range(40):
        search = make_search(search={"strategy": "Priority"}, seed=seed)
        drawn.update(spec.candidate.text for spec in plan(search, [], 0.0).propose)
    smallest = {search.space.write(each).text for each in search.space.smallest()}
    assert set(drawn) == smallest
    # 8 of 10 each time, so 32 of 40 are expected with a standard deviation of 2.5.
    assert min(drawn.values()) >= 22


def test_it_climbs_and_trains_the_best_to_the_end() -> None:
    trials, decided = run_planned(priority(120), measured)
    assert decided.phase is Phase.SUCCEEDED
    own = searched(trials)
    whole = [trial for trial in own if trial.spec.meta_iterations == 16]
    best = max(worth(trial.spec) for trial in own)
    # The last ones that were found have not been trained to the end.
    assert max(worth(trial.spec) for trial in whole) >= best - 0.05
    assert len({trial.spec.candidate.text.count("|") for trial in own}) == 3


def test_what_goes_on_has_begun_and_is_among_the_best_of_its_round() -> None:
    trials, _ = run_planned(priority(), measured)
    by_name = {trial.name: trial for trial in trials}
    gone_on = [trial for trial in searched(trials) if trial.spec.resumes]
    assert gone_on
    for trial in gone_on:
        begun = by_name[trial.spec.resumes or ""]
        assert (begun.spec.candidate, begun.spec.meta_iterations * 2) == (
            trial.spec.candidate,
            trial.spec.meta_iterations,
        )
        assert begun.spec.round < trial.spec.round


def test_given_cells_are_all_in_the_first_round_whatever_their_size_and_number() -> None:
    space = make_search().space
    given = [space.write(cell).text for cell in (*space.smallest()[:6], *space.children(space.smallest()[6]))][:12]
    search = make_search(
        search={"strategy": "Priority", "priority": {"capacity": 2}, "initial": given}, training={"metaIterations": 16}
    )
    first = plan(search, [], 0.0).propose
    assert [spec.candidate.text for spec in sorted(first, key=lambda spec: given.index(spec.candidate.text))] == given


@pytest.mark.parametrize(("parallelism", "together"), [(1, 8), (8, 8), (20, 20)])
def test_a_round_keeps_all_workers_busy(parallelism: int, together: int) -> None:
    search = make_search(search={"strategy": "Priority"}, parallelism=parallelism, budget={"maxTrials": 60})
    assert len(plan(search, [], 0.0).propose) == together


def test_children_come_in_the_order_of_their_parents_scores() -> None:
    search = priority(children=2, round_trials=4)
    trials, _ = run_planned(search, measured)
    own = searched(trials)
    scores = {trial.spec.candidate.text: trial.score or 0.0 for trial in own if trial.spec.round == 1}
    second = [trial.spec for trial in own if trial.spec.round == 2]
    best = max(scores.values())
    # The best itself goes on and both of its children are begun before anything of the others.
    assert {spec.candidate.text for spec in second if spec.resumes} <= set(scores)
    assert scores[second[0].candidate.text] == best


def test_what_overflows_is_dropped_the_least_promising_first() -> None:
    narrow, _ = run_planned(priority(capacity=1, round_trials=1), measured)
    rounds = [trial.spec for trial in searched(narrow)]
    # With room for one, the training that is under way keeps its place until it is whole.
    assert [spec.meta_iterations for spec in rounds[:4]] == [2, 4, 8, 16]
    assert len({spec.candidate.text for spec in rounds[:4]}) == 1


def test_a_round_that_is_larger_than_the_queue_is_whole_all_the_same() -> None:
    first = plan(priority(capacity=2, round_trials=9), [], 0.0).propose
    assert len({spec.candidate.text for spec in first}) == 9


def test_where_a_parent_has_no_more_children_another_is_drawn() -> None:
    """A space of one operation has few cells, and each has fewer children than wait for it."""
    search = make_search(
        space={"operations": ["identity"], "maxBlocks": 2},
        search={"strategy": "Priority", "priority": {"children": 1000, "quantum": "1"}},
        budget={"maxTrials": 500},
    )
    trials, decided = run_planned(search, measured)
    assert decided.phase is Phase.SUCCEEDED
    keys = [search.space.key(search.space.read(trial.spec.candidate)) for trial in searched(trials)]
    assert sorted(keys) == sorted(map(search.space.key, search.space.everything()))


def test_a_training_that_no_longer_improves_is_not_gone_on_with() -> None:
    def flat(_: TrialSpec) -> TrialResult:
        return make_result(0.5, test=make_result().validation)

    trials, _ = run_planned(priority(), flat)
    assert max(trial.spec.meta_iterations for trial in searched(trials)) == 4


def test_a_dominated_training_is_not_gone_on_with() -> None:
    def unequal(spec: TrialSpec) -> TrialResult:
        good = spec.candidate.text.startswith("conv3x3(-2)+conv3x3(-2)")
        score = (0.9 if good else 0.2) + 0.001 * spec.meta_iterations
        return make_result(score, 10 if good else 1000, score_error=0.01, test=make_result().validation)

    trials, _ = run_planned(priority(200, round_trials=10), unequal)
    after_the_first = [trial for trial in searched(trials) if trial.spec.resumes]
    assert {trial.spec.candidate.text[:23] for trial in after_the_first} == {"conv3x3(-2)+conv3x3(-2)"}


def test_how_many_workers_there_are_and_when_a_driver_dies_changes_nothing() -> None:
    whole = {trial.spec for trial in run_planned(priority(), measured)[0]}
    assert {trial.spec for trial in run_planned(priority(), measured, workers=7)[0]} == whole
    ordered, _ = run_planned(priority(), measured)
    for kept in range(0, len(ordered), 7):
        assert {trial.spec for trial in run_planned(priority(), measured, trials=ordered[:kept])[0]} == whole


def test_all_of_the_budget_is_spent_and_nothing_twice() -> None:
    search = priority(150)
    trials, _ = run_planned(search, measured)
    own = searched(trials)
    assert len(own) == 150
    assert len({(trial.spec.candidate, trial.spec.meta_iterations) for trial in own}) == 150
    assert all(belongs_to(search, trial) for trial in own)
