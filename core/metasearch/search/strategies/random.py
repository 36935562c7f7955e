"""Random search: what every claim of ours is measured against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic

import numpy as np

from metasearch.search.space import C, Space
from metasearch.search.strategies.base import Measured, Proposal

DRAWS_PER_TRIAL = 50
"""Draws before a small space is taken to have nothing new."""


class Random(Generic[C]):
    """As many different candidates of the last level as there may be trials, in one level."""

    def __init__(self, space: Space[C], trials: int, seed: int) -> None:
        self.space, self.trials, self.seed = space, trials, seed

    def propose(self, levels: Sequence[Sequence[Measured[C]]]) -> Sequence[Proposal[C]]:
        if levels:
            return []
        rng = np.random.default_rng([self.seed, 0])
        drawn: dict[str, Proposal[C]] = {}
        for _ in range(self.trials * DRAWS_PER_TRIAL):
            candidate = self.space.random(rng)
            drawn.setdefault(self.space.key(candidate), Proposal(candidate))
            if len(drawn) == self.trials:
                break
        return list(drawn.values())

    def is_complete(self, level_sizes: Sequence[int]) -> bool:
        return bool(level_sizes)
