"""Random search: the baseline against which benchmarks measure the other strategies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic

import numpy as np

from metasearch.api import MetaSearchSpec
from metasearch.search.space import C, Space
from metasearch.search.strategies.base import History, Proposal, Proposals
from metasearch.search.strategies.rounds import RoundPlanner, Rounds
from metasearch.search.surrogates.base import Surrogate

DRAWS_PER_TRIAL = 50
"""Draws before a small space is taken to have nothing new."""


class Random(Generic[C]):
    """Tries as many different candidates of the largest size as there may be trials, in one round."""

    rounds: int | None = 1
    varies_fidelity = False

    def __init__(self, spec: MetaSearchSpec, space: Space[C], surrogate: Callable[[], Surrogate]) -> None:  # noqa: ARG002
        self.space, self.trials, self.seed = space, spec.budget.max_trials, spec.seed
        self._planner = RoundPlanner(spec, space, self._choose, is_complete=bool)

    def propose(self, history: History, room: int) -> Proposals:
        return self._planner.propose(history, room)

    def title(self, round: int) -> str:  # noqa: ARG002
        return "random cells"

    def _choose(self, finished: Rounds) -> Sequence[Proposal]:
        if finished:
            return []
        rng = np.random.default_rng([self.seed, 0])
        drawn: dict[str, Proposal] = {}
        for _ in range(self.trials * DRAWS_PER_TRIAL):
            candidate = self.space.sample(rng)
            drawn.setdefault(self.space.key(candidate), Proposal(candidate=self.space.write(candidate)))
            if len(drawn) == self.trials:
                break
        return list(drawn.values())
