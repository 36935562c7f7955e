"""A space without the candidates that are beyond a limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Generic

import numpy as np

from metasearch.errors import InvalidSpec
from metasearch.search.candidates import Candidate
from metasearch.search.encoded_cells import Floats
from metasearch.search.network_limits import Booleans
from metasearch.search.space import C, Space, Tokens

DRAWS = 200
"""Draws in a row that are beyond a limit before another way is taken."""


class ConstrainedSpace(Generic[C]):
    """The candidates of a space that are within limits; to strategies, there are no others."""

    def __init__(self, space: Space[C], admit: Callable[[Sequence[C]], Booleans]) -> None:
        """
        Args:
            admit: tells which of some candidates are within all limits, (candidates,).
        """
        self.space, self._admit = space, admit
        self.max_size, self.repeats_across_sizes = space.max_size, space.repeats_across_sizes
        self.vocabulary_size, self.step_width = space.vocabulary_size, space.step_width
        # A strategy reads the trials of its history anew whenever one has changed.
        self._reads: Callable[[Candidate], C] = lru_cache(4096)(self._read)

    def smallest(self) -> Sequence[C]:
        return self._admitted(self.space.smallest())

    def children(self, candidate: C) -> Iterable[C]:
        return self._admitted(self.space.children(candidate))

    def parents(self, candidate: C) -> Iterable[C]:
        return self._admitted(self.space.parents(candidate))

    def sample(self, rng: np.random.Generator) -> C:
        """Draw a candidate of the largest size or, where those within the limits are too rare, one grown as far."""
        for _ in range(DRAWS):
            candidate = self.space.sample(rng)
            if self._is_admitted(candidate):
                return candidate
        return self._grown(rng)

    def mutate(self, candidate: C, rng: np.random.Generator) -> C:
        for _ in range(DRAWS):
            changed = self.space.mutate(candidate, rng)
            if self._is_admitted(changed):
                return changed
        return candidate

    def neighbours(self, candidate: C) -> Iterable[C]:
        return self._admitted(self.space.neighbours(candidate))

    def key(self, candidate: C) -> str:
        return self.space.key(candidate)

    def tokens(self, candidate: C) -> Tokens:
        return self.space.tokens(candidate)

    def features(self, candidates: Sequence[C]) -> Floats:
        return self.space.features(candidates)

    def cost(self, candidate: C) -> float:
        return self.space.cost(candidate)

    def write(self, candidate: C) -> Candidate:
        return self.space.write(candidate)

    def read(self, recorded: Candidate) -> C:
        return self._reads(recorded)

    def size_text(self, size: int) -> str:
        return self.space.size_text(size)

    # --- limits ---

    def _read(self, recorded: Candidate) -> C:
        candidate = self.space.read(recorded)
        if not self._is_admitted(candidate):
            raise InvalidSpec(f"the candidate {recorded.text} is not within spec.search.constraints")
        return candidate

    def _is_admitted(self, candidate: C) -> bool:
        return bool(self._admit([candidate])[0])

    def _admitted(self, candidates: Iterable[C]) -> list[C]:
        listed = list(candidates)
        if not listed:
            return []
        return [each for each, is_within in zip(listed, self._admit(listed).tolist(), strict=True) if is_within]

    def _grown(self, rng: np.random.Generator) -> C:
        """Grow a random candidate of the smallest size by random steps, as far as the limits allow."""
        steps: Sequence[C] = self.smallest()
        while steps:
            candidate = steps[int(rng.integers(len(steps)))]
            steps = self._admitted(self.space.children(candidate))
        return candidate
