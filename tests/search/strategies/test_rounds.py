"""Strategies that propose round by round: the budget's cut, and the order in which trials are claimed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from builders import make_search

from metasearch.search.candidates import Candidate
from metasearch.search.space import CellSpace
from metasearch.search.strategies import Answer, Proposal
from metasearch.search.strategies.rounds import RoundPlanner

BY_COST = ["identity(-1)+identity(-1)", "identity(-1)+conv3x3(-1)", "conv3x3(-1)+conv3x3(-1)"]
"""Cells of none, one and two convolutions."""


def planned(chosen: Sequence[Proposal], room: int = 10) -> list[Proposal]:
    search = make_search()
    assert isinstance(search.space, CellSpace)
    planner = RoundPlanner(search.spec, search.space, lambda _finished: chosen, is_complete=bool)
    answer = planner.propose([], room)
    assert not isinstance(answer, Answer)
    return list(answer)


def proposals(texts: Sequence[str], **fields: int) -> list[Proposal]:
    return [Proposal(candidate=Candidate(text), predicted=0.5, **fields) for text in texts]


def test_the_costliest_is_claimed_first_and_the_order_of_proposing_stays() -> None:
    found = planned(proposals(BY_COST))
    assert [each.candidate.text for each in found] == BY_COST
    assert [each.priority for each in found] == [2, 1, 0]
    assert {each.predicted for each in found} == {0.5}


def test_of_equal_costs_the_first_proposed_is_claimed_first() -> None:
    found = planned(proposals(["identity(-1)+identity(-2)", "identity(-1)+identity(-1)", *BY_COST[1:]]))
    assert [each.priority for each in found] == [2, 3, 1, 0]


def test_the_budget_cuts_off_the_last_proposed_however_costly() -> None:
    found = planned(proposals(BY_COST), room=2)
    assert [each.candidate.text for each in found] == BY_COST[:2]
    assert [(each.priority, each.round_size) for each in found] == [(1, 2), (0, 2)]


@pytest.mark.parametrize("priority", [0, 7])
def test_a_priority_that_is_given_stays(priority: int) -> None:
    assert {each.priority for each in planned(proposals(BY_COST, priority=priority))} == {priority}
