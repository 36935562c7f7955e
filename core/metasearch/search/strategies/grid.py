"""
Grid search: every candidate once.

Those are the cells of `search.initial` where there are any, else all cells of the space, each with every combination of
the values of searched hyperparameters, which must not be `continuous`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, islice
from typing import Generic

import numpy as np

from metasearch.api import MetaSearchSpec
from metasearch.errors import InvalidSpec
from metasearch.search.space import C, Space
from metasearch.search.strategies.base import History, Proposal, Proposals
from metasearch.search.strategies.beginning import initial
from metasearch.search.strategies.rounds import RoundPlanner, Rounds
from metasearch.search.surrogates.base import Surrogate


class Grid(Generic[C]):
    """Tries every candidate, in one round and in an order that the seed decides."""

    rounds: int | None = 1
    varies_fidelity = False
    preliminary_rounds = 0

    def __init__(self, spec: MetaSearchSpec, space: Space[C], surrogate: Callable[[], Surrogate]) -> None:  # noqa: ARG002
        self.spec, self.space = spec, space
        self._planner = RoundPlanner(spec, space, self._choose, is_complete=bool)

    def propose(self, history: History, room: int) -> Proposals:
        return self._planner.propose(history, room)

    def title(self, round: int) -> str:  # noqa: ARG002
        return "every cell"

    def _choose(self, finished: Rounds) -> Sequence[Proposal]:
        if finished:
            return []
        candidates = _candidates(self.spec, self.space, self.spec.budget.max_trials)
        # A limit on time may end the only round, and the order of listing is not to decide what is lost.
        order = np.random.default_rng([self.spec.seed, 0]).permutation(len(candidates))
        return [
            Proposal(candidate=self.space.write(candidates[place]), priority=index) for index, place in enumerate(order)
        ]


def require_fitting(spec: MetaSearchSpec, space: Space[C]) -> None:
    """
    Refuse a grid of hyperparameters with too many values to list, or of more candidates than the budget has trials.

    Raises:
        InvalidSpec: says which those are, or how many of either there are.
    """
    if space.continuous:
        raise InvalidSpec(
            "spec.search.strategy is Grid, and spec.search.hyperparameters draws "
            f"{space.continuous[0]} from a range of numbers with fractions; its distribution must be Fixed, Choice or "
            "Linear, which have few enough values to try each"
        )
    most, given = spec.budget.max_trials, spec.search.initial
    number = len(_candidates(spec, space, most + 1)) if given else space.count(most)
    if number > most:
        cells = "the cells of search.initial" if given else "the cells of the space"
        raise InvalidSpec(
            f"spec.search.strategy is Grid, and {cells} make at least {number:,} candidates; budget.maxTrials must be "
            f"as large (it is {most:,}), or the grid smaller"
        )


def _candidates(spec: MetaSearchSpec, space: Space[C], most: int) -> list[C]:
    """List the candidates of the grid, at most so many."""
    initial(spec, space)  # refuses what is wrong with them
    listed = chain.from_iterable(map(space.variants, spec.search.initial))
    return list(islice(listed if spec.search.initial else space.everything(), most))
