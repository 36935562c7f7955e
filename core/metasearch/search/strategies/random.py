"""Random search: the baseline against which benchmarks measure the other strategies."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import islice
from typing import Generic

import numpy as np

from metasearch.api import MetaSearchSpec
from metasearch.search.space import C, Space, candidate_key
from metasearch.search.strategies.base import DONE, WAIT, History, Proposal, Proposals, Share
from metasearch.search.strategies.beginning import draw_untried, initial_first
from metasearch.search.surrogates.base import Surrogate

ROUND_TRIALS, MAX_ROUNDS = 16, 50
"""Trials of a round, and the most rounds: rounds are what a report shows, and after each the best may go on."""


class Random(Generic[C]):
    """
    Tries as many different candidates as there may be trials; smaller ones once none of the largest size is left.

    All are proposed at once, for none depends on another; that they are in rounds only orders them.
    """

    varies_fidelity = False
    preliminary_rounds = 0

    def __init__(self, spec: MetaSearchSpec, space: Space[C], surrogate: Callable[[], Surrogate]) -> None:  # noqa: ARG002
        self.spec, self.space, self.trials = spec, space, spec.budget.max_trials
        self._round_trials = max(ROUND_TRIALS, math.ceil(self.trials / MAX_ROUNDS))
        self.rounds: int | None = math.ceil(self.trials / self._round_trials)

    def propose(self, history: History, room: int) -> Proposals:
        tried = {candidate_key(self.space, trial.spec.candidate) for trial in history}
        missing = [each for key, each in self._drawn.items() if key not in tried]
        if missing:
            return missing if room > 0 else ()
        return WAIT if any(not trial.state.is_over for trial in history) else DONE

    def title(self, round: int) -> str:  # noqa: ARG002
        return "random cells"

    def foresee(self, trials: int) -> Sequence[Share]:
        return [Share(self.space.max_size, self.spec.training.meta_iterations, trials)]

    @cached_property
    def _drawn(self) -> dict[str, Proposal]:
        """Every proposal, by the key of its candidate."""
        untried = draw_untried(self.space, (), np.random.default_rng([self.spec.seed, 0]))
        candidates = islice(initial_first(self.spec, self.space, untried), self.trials)
        drawn = {self.space.key(candidate): candidate for candidate in candidates}
        proposals: dict[str, Proposal] = {}
        for index, (key, candidate) in enumerate(drawn.items()):
            # Priority in the order of drawing, so that a limit on time that ends a round leaves a fair sample.
            round, priority = divmod(index, self._round_trials)
            proposals[key] = Proposal(
                candidate=self.space.write(candidate),
                round=round + 1,
                round_size=min(self._round_trials, len(drawn) - round * self._round_trials),
                priority=priority,
            )
        return proposals
