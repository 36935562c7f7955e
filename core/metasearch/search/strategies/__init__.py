"""
Strategies: they decide what to try next from the trials so far. One file each, and one line in `BUILT_IN`.

Other packages add theirs through the entry point group `metasearch.strategies`; docs/extending.md shows how.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import Any

from metasearch import api
from metasearch.extensions import Group, deferred, find
from metasearch.search.space import Space
from metasearch.search.strategies.base import DONE, WAIT, Answer, History, Proposal, Proposals, Strategy
from metasearch.search.strategies.halving import Rungs, SuccessiveHalving
from metasearch.search.surrogates import Surrogate

__all__ = [
    "BUILT_IN",
    "DONE",
    "WAIT",
    "WITHOUT_SURROGATE",
    "Answer",
    "Builder",
    "History",
    "Proposal",
    "Proposals",
    "Strategy",
    "build",
]

Builder = Callable[[api.MetaSearchSpec, Space[Any], Callable[[], Surrogate]], Strategy]
"""
Makes a strategy from the search's spec, the space of its candidates, and a function that makes the surrogate of
`spec.search.surrogate`. Making one may load PyTorch, so a strategy calls it when it has something to learn from.
"""

BUILT_IN: Mapping[str, Builder] = {
    "Progressive": deferred("metasearch.search.strategies.progressive:Progressive"),
    "Evolution": deferred("metasearch.search.strategies.evolution:Evolution"),
    "LocalSearch": deferred("metasearch.search.strategies.local_search:LocalSearch"),
    "Random": deferred("metasearch.search.strategies.random:Random"),
    "Priority": deferred("metasearch.search.strategies.priority:Priority"),
    "Halving": deferred("metasearch.search.strategies.halving:build"),
    "Grid": deferred("metasearch.search.strategies.grid:Grid"),
}

WITHOUT_SURROGATE: Set[str] = frozenset({"Evolution", "LocalSearch", "Random", "Priority", "Halving", "Grid"})
"""The names of those that never make one, and so propose at once in a process without PyTorch."""


def build(spec: api.MetaSearchSpec, space: Space[Any], surrogate: Callable[[], Surrogate]) -> Strategy:
    """
    Build the strategy that `spec.search.strategy` names.

    Raises:
        InvalidSpec: no such strategy is known here.
    """
    builder = find(Group.STRATEGIES, spec.search.strategy, BUILT_IN, "spec.search.strategy")
    rungs, strategy = Rungs.of_search(spec), builder(spec, space, surrogate)
    if strategy.varies_fidelity or len(rungs.meta_iterations) == 1:
        return strategy
    return SuccessiveHalving(spec, rungs, lambda part: builder(part, space, surrogate))
