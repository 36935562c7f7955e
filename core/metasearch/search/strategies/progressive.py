"""
Progressive search (Liu et al. 2018, algorithm 1): grow the measured candidates by one step, rank the children by a
surrogate that has learned from everything measured, try the best `beam_width`, and so on to the last level.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic

import numpy as np

from metasearch.search.space import C, Space
from metasearch.search.strategies.base import Measured, Proposal
from metasearch.search.surrogates.base import Scores, Surrogate


class Progressive(Generic[C]):
    """The first level whole, then a beam."""

    def __init__(self, space: Space[C], surrogate: Surrogate, beam_width: int, seed: int) -> None:
        self.space, self.surrogate, self.beam_width, self.seed = space, surrogate, beam_width, seed

    def propose(self, levels: Sequence[Sequence[Measured[C]]]) -> Sequence[Proposal[C]]:
        if not levels:
            return [Proposal(candidate) for candidate in self._shuffled(self.space.first_level())]
        if len(levels) >= self.space.levels:
            return []
        beams = self._with_known_children(levels)
        tried = {self.space.key(entry.candidate) for level in levels for entry in level}
        untried = list(_each_once(self.space, (entry.candidate for entry in beams[-1]), tried))
        if not untried:
            return []
        history = [entry for beam in beams for entry in beam]
        predictor = self.surrogate.fit(
            [self.space.tokens(entry.candidate) for entry in history],
            [entry.score for entry in history],
            seed=(self.seed, len(levels)),
        )
        predicted = predictor.predict([self.space.tokens(candidate) for candidate in untried])
        best = self._best(untried, predicted)
        return [Proposal(untried[index], float(predicted[index])) for index in best]

    def is_complete(self, level_sizes: Sequence[int]) -> bool:
        if len(level_sizes) < self.space.levels:
            return False
        # All of the first level is tried, and no later one has fewer children; a smaller last level was cut short.
        first = len(self.space.first_level())
        return level_sizes[-1] >= (first if len(level_sizes) == 1 else min(self.beam_width, first))

    def _best(self, candidates: Sequence[C], predicted: Scores) -> Sequence[int]:
        """Indices of the `beam_width` best predictions; ties go to the cheaper, then to the key."""
        # A partial sort first, for a level may have tens of thousands of children and keys are slow to compare.
        kept = min(self.beam_width, len(predicted))
        worst_kept = np.partition(predicted, -kept)[-kept]
        contenders = np.flatnonzero(predicted >= worst_kept).tolist()

        def rank(index: int) -> tuple[float, float, str]:
            return -predicted[index], self.space.cost(candidates[index]), self.space.key(candidates[index])

        return sorted(contenders, key=rank)[: self.beam_width]

    def _with_known_children(self, levels: Sequence[Sequence[Measured[C]]]) -> list[list[Measured[C]]]:
        """
        Each level's measured candidates and, in spaces where that can be, the children that were known before.

        A child that computes the same as something measured earlier is not tried again, but it grows on.
        """
        if not self.space.repeats_across_levels:
            return [list(level) for level in levels]
        scores: dict[str, float] = {}
        beams: list[list[Measured[C]]] = []
        for level in levels:
            parents = [entry.candidate for entry in beams[-1]] if beams else []
            children = (child for parent in parents for child in self.space.children(parent))
            known = {
                self.space.key(child): Measured(child, scores[self.space.key(child)])
                for child in children
                if self.space.key(child) in scores
            }
            beams.append([*level, *known.values()])
            scores |= {self.space.key(entry.candidate): entry.score for entry in level}
        return beams

    def _shuffled(self, candidates: Sequence[C]) -> list[C]:
        # A budget may cut the first level short, and the order of enumeration is not to decide what is lost.
        order = np.random.default_rng([self.seed, 0]).permutation(len(candidates))
        return [candidates[index] for index in order]


def _each_once(space: Space[C], parents: Iterator[C], tried: set[str]) -> Iterator[C]:
    """The parents' children that compute something new, each once."""
    seen = set(tried)
    for parent in parents:
        for child in space.children(parent):
            key = space.key(child)
            if key not in seen:
                seen.add(key)
                yield child
