"""
Strategies: what to try next, decided from what was measured. One file each; `build` finds the one that a spec names.

A strategy has no memory. It is asked again, from all finished levels, whenever trials are missing.
"""

from __future__ import annotations

from metasearch import api
from metasearch.search.space import C, Space
from metasearch.search.strategies.base import Proposal, Strategy
from metasearch.search.strategies.progressive import Progressive
from metasearch.search.strategies.random import Random
from metasearch.search.surrogates import Surrogate

__all__ = ["Proposal", "Strategy", "build"]


def build(search: api.MetaSearchSpec, space: Space[C], surrogate: Surrogate) -> Strategy[C]:
    """The strategy that `spec.search.strategy` names."""
    match search.search.strategy:
        case api.Strategy.PROGRESSIVE:
            return Progressive(space, surrogate, search.search.beam_width, search.seed)
        case api.Strategy.RANDOM:
            return Random(space, search.budget.max_trials, search.seed)
