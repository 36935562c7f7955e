"""Strategies begin with the given cells, and draw what is not known until nothing is left."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from builders import completed, make_search, make_spec, pretend_result

from metasearch.errors import InvalidSpec
from metasearch.search.build import require_possible
from metasearch.search.planner import Phase, plan
from metasearch.search.space import CellSpace
from metasearch.search.strategies.beginning import draw_untried, initial_first
from metasearch.search.trials import Trial

SMALL_CELL = "conv3x3(-1)+conv3x3(-1)"
LARGE_CELL = "conv3x3(-2)+identity(-1) | identity(0)+identity(0)"
INITIAL = [LARGE_CELL, SMALL_CELL]


def with_initial(strategy: str, **search: Any) -> dict[str, Any]:
    return {"search": {"strategy": strategy, "initial": INITIAL, **search}, "budget": {"maxTrials": 12}}


@pytest.mark.parametrize(
    "spec",
    [
        with_initial("Random"),
        with_initial("LocalSearch"),
        with_initial("Evolution", evolution={"population": 5, "sample": 2}),
    ],
    ids=lambda spec: spec["search"]["strategy"],
)
def test_the_given_cells_are_the_first_of_the_budgets_trials(spec: dict[str, Any]) -> None:
    trials: list[Trial] = []
    search = make_search(**spec)
    while (step := plan(search, trials, now=0.0)).phase is Phase.SEARCHING:
        trials += [completed(Trial(spec=each), pretend_result(each)) for each in step.propose]
    texts = [trial.spec.candidate.text for trial in trials]
    assert set(texts[:2]) == set(INITIAL)
    assert {trial.spec.round for trial in trials[:2]} == {1}
    assert len(texts) == len(set(texts)) == 12


def test_given_cells_are_not_tried_again_among_others() -> None:
    spec, space = make_spec(**with_initial("Progressive")), CellSpace(("conv3x3", "identity"), 2)
    listed = list(initial_first(spec, space, space.smallest()))
    assert [len(cell) for cell in listed[:2]] == [2, 1]
    assert [space.key(cell) for cell in listed[1:]].count(SMALL_CELL) == 1
    assert set(listed) == {listed[0], *space.smallest()}


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (
            {"search": {"initial": [SMALL_CELL, "warp(-1)+conv3x3(-1)"]}},
            r"spec.search.initial\[1\] is 'warp\(-1\)\+conv3x3\(-1\)': block 0 has the operation 'warp'; it must be",
        ),
        (
            {"search": {"initial": ["conv3x3(0)+conv3x3(-1)"]}},
            r"spec.search.initial\[0\] is 'conv3x3\(0\)\+conv3x3\(-1\)': block 0 reads input 0; it may read -2..-1",
        ),
        (
            {"search": {"initial": ["conv3x3(-2)+identity(-1)", "identity(-1)+conv3x3(-2)"]}},
            r"spec.search.initial\[1\] is 'identity\(-1\)\+conv3x3\(-2\)', which computes the same as another",
        ),
        (
            {"search": {"initial": INITIAL}, "budget": {"maxTrials": 1}},
            "spec.search.initial has 2 cells; budget.maxTrials allows 1",
        ),
    ],
)
def test_cells_that_cannot_be_tried_are_refused(spec: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidSpec, match=f"^{sentence}"):
        require_possible(make_spec(**spec))


def test_all_that_is_left_of_a_space_is_drawn_once_and_the_largest_first() -> None:
    space = CellSpace(("conv3x3", "identity"), 2)
    everything = {space.key(each) for each in space.everything()}
    tried = set(sorted(everything)[::2])
    drawn = list(draw_untried(space, tried, np.random.default_rng(0)))
    keys = [space.key(each) for each in drawn]
    assert len(keys) == len(set(keys))
    assert set(keys) == everything - tried
    sizes = [len(each) for each in drawn]
    assert sizes[:20] == [2] * 20
    assert min(sizes) == 1
