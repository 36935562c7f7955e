"""
Progressive search (Liu et al. 2018, algorithm 1): grow the measured candidates by one step, rank the children by a
surrogate that has learned from everything measured, try the best `beam_width`, and so on to the largest size.

What the paper leaves to its budget is settled here, for budgets of any size (docs/choices.md):

- one-step candidates are a dozen, and where a whole beam of each size is too much, sizes below the largest share half
  of the trials, and the largest has the other half;
- at the largest size the surrogate learns anew after every few trials, and the search goes on while there are
  trials: with children, and with neighbours of the best, which differ from them in one choice;
- one in eight trials of a round is drawn at random from the same pool. It examines the surrogate, which cannot be
  judged by candidates that it has chosen for their likeness.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Generic

import numpy as np

from metasearch.api import MetaSearchSpec, ProgressiveSearchSettings
from metasearch.search.space import C, Space
from metasearch.search.strategies.base import History, Proposal, Proposals, Share
from metasearch.search.strategies.beginning import initial_first
from metasearch.search.strategies.measured import Measured
from metasearch.search.strategies.rounds import RoundPlanner, Rounds, are_over
from metasearch.search.surrogates.base import Candidates, Scores, Surrogate

MAX_FIRST_SHARE = 1 / 3
"""The most of the trials that are of one step, which say little of what larger candidates do."""

GROWING_SHARE = 1 / 2
"""The most of the trials that are of sizes below the largest, where not all sizes can have a whole beam."""

DRAWN_SHARE = 1 / 8
"""The share of a round that is drawn at random."""

REFIT_TRIALS = 8
"""The least trials of a round at the largest size, where the spec does not say."""

NEIGHBOURS_OF = 8
"""The number of best candidates whose neighbours are looked at."""


@dataclass(frozen=True)
class RoundSizes:
    """The number of trials of each round."""

    first: int
    """One-step candidates."""
    beam: int
    """Each further size below the largest."""
    batch: int
    """Each round at the largest size."""

    @classmethod
    def of(cls, one_step: int, max_size: int, settings: ProgressiveSearchSettings, spec: MetaSearchSpec) -> RoundSizes:
        """
        Divide a budget.

        Args:
            one_step: the number of candidates of one step.
        """
        max_trials = spec.budget.max_trials
        first = min(one_step, settings.first_trials, max(1, math.floor(max_trials * MAX_FIRST_SHARE)))
        if max_size == 1:
            return cls(one_step, one_step, one_step)
        return cls(
            first,
            _beam(first, max_size, settings.beam_width, max_trials),
            # A round with fewer trials than workers would leave some idle until it is over.
            min(settings.beam_width, settings.refit_trials or max(REFIT_TRIALS, spec.parallelism)),
        )


def _beam(first: int, max_size: int, wanted: int, max_trials: int) -> int:
    """Return the number of trials of each size between the first and the largest."""
    between = max_size - 2
    if between == 0 or first + wanted * (between + 1) <= max_trials:
        return wanted
    return max(1, min(wanted, (math.floor(max_trials * GROWING_SHARE) - first) // between))


class Progressive(Generic[C]):
    """Tries one-step candidates, then a beam of each further size, and goes on at the largest."""

    varies_fidelity = False
    rounds: int | None = None

    def __init__(self, spec: MetaSearchSpec, space: Space[C], surrogate: Callable[[], Surrogate]) -> None:
        self.spec, self.space, self.surrogate, self.seed = spec, space, surrogate, spec.seed
        settings = spec.search.settings(ProgressiveSearchSettings)
        self._smallest = space.smallest()
        self.preliminary_rounds = space.max_size - 1
        self.sizes = RoundSizes.of(len(self._smallest), space.max_size, settings, spec)
        early = settings.open_rounds_early
        self._planner = RoundPlanner(spec, space, self._choose, self._is_complete, opens_early=early)

    def propose(self, history: History, room: int) -> Proposals:
        return self._planner.propose(history, room)

    def title(self, round: int) -> str:
        return self.space.size_text(self._size(round))

    def foresee(self, trials: int) -> Sequence[Share]:
        first, between, left = self.sizes.first, max(0, self.space.max_size - 2), trials
        found = []
        for size, wanted in enumerate([first, *[self.sizes.beam] * between, trials], start=1):
            count = min(wanted, left)
            found.append(Share(min(size, self.space.max_size), self.spec.training.meta_iterations, count))
            left -= count
        return found

    def _size(self, round: int) -> int:
        return min(round, self.space.max_size)

    def _choose(self, finished: Rounds) -> Sequence[Proposal]:
        if not finished:
            return [Proposal(candidate=self.space.write(each)) for each in self._first()]
        measured, size = Measured(self.space, chain.from_iterable(finished)), self._size(len(finished) + 1)
        pool = measured.children(size)
        if len(finished) >= self.space.max_size:
            pool |= measured.neighbours(NEIGHBOURS_OF)
        count = self.sizes.batch if size == self.space.max_size else self.sizes.beam
        if not pool or (len(pool) < count and not all(map(are_over, finished))):
            return []  # a round that is opened early is as large as one that is not
        candidates = [candidate for candidate, _ in pool.values()]
        # The seed is of the round alone, so that a driver that resumes the search fits the same surrogate.
        predictor = self.surrogate().fit(measured.observations(), seed=(self.seed, len(finished)))
        parent_scores = [score for _, score in pool.values()]
        predicted = predictor.predict(Candidates.of(self.space, candidates, parent_scores))
        best = self._best(candidates, predicted, math.ceil(count * (1 - DRAWN_SHARE)))
        drawn = self._drawn(len(candidates), best, count - len(best), len(finished))
        return [
            Proposal(
                candidate=self.space.write(candidates[index]),
                predicted=float(predicted[index]),
                predicted_by=predictor.description,
                is_drawn=index in drawn,
            )
            for index in (*best, *drawn)
        ]

    def _is_complete(self, finished: Rounds) -> bool:
        if not finished:
            return False
        if sum(map(len, finished)) >= self.spec.budget.max_trials:
            return True
        measured, size = Measured(self.space, chain.from_iterable(finished)), self._size(len(finished) + 1)
        if size > 1 and measured.has_untried(size):
            return False
        return len(finished) < self.space.max_size or not measured.neighbours(NEIGHBOURS_OF)

    def _best(self, candidates: Sequence[C], predicted: Scores, count: int) -> list[int]:
        """Return the indices of the best predictions; ties go to the cheaper, then to the key."""
        # A partial sort first, for a round may have tens of thousands of children and keys are slow to compare.
        kept = min(count, len(predicted))
        worst_kept = np.partition(predicted, -kept)[-kept]
        contenders = np.flatnonzero(predicted >= worst_kept).tolist()

        def rank(index: int) -> tuple[float, float, str]:
            return -predicted[index], self.space.cost(candidates[index]), self.space.key(candidates[index])

        return sorted(contenders, key=rank)[:kept]

    def _drawn(self, pool: int, best: Sequence[int], count: int, round: int) -> list[int]:
        """Draw the indices of further candidates of the pool."""
        others = np.setdiff1d(np.arange(pool), best)
        rng = np.random.default_rng([self.seed, 1, round])
        drawn: list[int] = rng.permutation(others)[:count].tolist()
        return drawn

    def _first(self) -> list[C]:
        """Return the candidates of the first round: those given, whatever their size, then some of one step."""
        # Shuffled: the order of enumeration is not to decide which of them the budget leaves out.
        order = np.random.default_rng([self.seed, 0]).permutation(len(self._smallest))
        one_step = (self._smallest[index] for index in order)
        given = len(self.spec.search.initial)
        return list(islice(initial_first(self.spec, self.space, one_step), max(given, self.sizes.first)))
