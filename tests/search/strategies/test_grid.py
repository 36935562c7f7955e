"""Grid search: every candidate once."""

from __future__ import annotations

from typing import Any

import pytest
from builders import completed, make_search, make_spec, pretend_result

from metasearch.errors import InvalidSpec
from metasearch.search.build import require_possible
from metasearch.search.planner import Search, plan
from metasearch.search.strategies import DONE, WAIT
from metasearch.search.trials import Trial

SPACE = {"operations": ["conv3x3", "identity"], "maxBlocks": 2}
INITIAL = ["conv3x3(-1)+identity(-2)", "identity(-2)+identity(-1)"]


def grid(**spec: Any) -> Search:
    return make_search(**{"space": SPACE, "search": {"strategy": "Grid"}, "budget": {"maxTrials": 500}, **spec})


def test_the_only_round_has_every_cell_of_every_size_once() -> None:
    search = grid()
    texts = [spec.candidate.text for spec in plan(search, [], now=0.0).propose]
    two = {search.space.key(child) for cell in search.space.smallest() for child in search.space.children(cell)}
    assert sorted(texts) == sorted({*map(str, search.space.smallest()), *two})


def test_with_initial_cells_there_are_no_others() -> None:
    search = grid(search={"strategy": "Grid", "initial": INITIAL})
    texts = {spec.candidate.text for spec in plan(search, [], now=0.0).propose}
    assert texts == {"identity(-2)+conv3x3(-1)", "identity(-2)+identity(-1)"}


def test_the_order_depends_on_the_seed_alone() -> None:
    first, again, other = (plan(grid(seed=seed), [], now=0.0).propose for seed in (0, 0, 1))
    assert first == again
    assert [spec.candidate for spec in first] != [spec.candidate for spec in other]
    assert {spec.candidate for spec in first} == {spec.candidate for spec in other}


def test_it_waits_for_all_and_is_done_then() -> None:
    search = grid()
    pending = [Trial(spec=spec) for spec in plan(search, [], now=0.0).propose]
    assert search.strategy.propose(pending, room=0) is WAIT
    assert search.strategy.propose([completed(each, pretend_result(each.spec)) for each in pending], room=0) is DONE


@pytest.mark.parametrize(
    ("spec", "number"),
    [
        # Two operations on two inputs are 4 branches and 10 blocks; the second block has 21 choices, 10 * 21 / 2 + 10.
        ({"space": SPACE, "budget": {"maxTrials": 100}}, "the cells of the space make at least 115 candidates"),
        ({"budget": {"maxTrials": 455}}, "the cells of the space make at least"),
    ],
)
def test_a_grid_that_is_larger_than_the_budget_is_refused(spec: dict[str, Any], number: str) -> None:
    asked = make_spec(**spec, search={"strategy": "Grid"})
    rule = f"budget.maxTrials must be as large \\(it is {spec['budget']['maxTrials']}\\), or the grid smaller"
    with pytest.raises(InvalidSpec, match=f"^spec.search.strategy is Grid, and {number}.*; {rule}$"):
        require_possible(asked)


def test_a_grid_that_is_as_large_as_the_budget_is_taken() -> None:
    size = len(plan(grid(), [], now=0.0).propose)
    require_possible(make_spec(space=SPACE, search={"strategy": "Grid"}, budget={"maxTrials": size}))
    with pytest.raises(InvalidSpec, match=f"at least {size} candidates"):
        require_possible(make_spec(space=SPACE, search={"strategy": "Grid"}, budget={"maxTrials": size - 1}))


def test_its_only_round_has_a_name() -> None:
    assert (grid().strategy.rounds, grid().strategy.title(1)) == (1, "every cell")
