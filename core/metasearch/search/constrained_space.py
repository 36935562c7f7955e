"""A space without the candidates that are beyond a limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import chain, islice
from typing import Generic

import numpy as np

from metasearch.errors import InvalidSpec
from metasearch.search.candidates import Candidate
from metasearch.search.encoded_cells import Floats
from metasearch.search.network_limits import Booleans
from metasearch.search.space import C, Space, Tokens

DRAWS = 200
"""Draws in a row that are beyond a limit before another way is taken."""

DRAWN_AT_ONCE = 20
"""As many are looked at together, which takes hardly longer than one."""

LISTED_AT_ONCE, BEYOND_IN_A_ROW = 100, 20_000
"""Smaller cells are listed first, so that after many beyond a limit hardly one is within it; and there are billions."""


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
        self.size_features, self.continuous = space.size_features, space.continuous
        # A strategy reads the trials of its history anew whenever one has changed.
        self._reads: Callable[[Candidate], C] = lru_cache(4096)(self._read)

    def size(self, candidate: C) -> int:
        return self.space.size(candidate)

    def smallest(self) -> Sequence[C]:
        return self._smallest

    def children(self, candidate: C) -> Iterable[C]:
        return self._admitted(self.space.children(candidate))

    def parents(self, candidate: C) -> Iterable[C]:
        return self._admitted(self.space.parents(candidate))

    def sample(self, rng: np.random.Generator) -> C:
        """Draw a candidate of the largest size or, where those within the limits are too rare, one grown as far."""
        return self._first(lambda: self.space.sample(rng)) or self._grown(rng)

    def mutate(self, candidate: C, rng: np.random.Generator) -> C:
        return self._first(lambda: self.space.mutate(candidate, rng)) or candidate

    def neighbours(self, candidate: C) -> Iterable[C]:
        return self._admitted(self.space.neighbours(candidate))

    def coordinates(self, candidate: C) -> Sequence[Sequence[C]]:
        return [self._admitted(changed) for changed in self.space.coordinates(candidate)]

    def everything(self) -> Iterator[C]:
        """Yield the candidates within the limits, until so many in a row are not that the rest is taken to be none."""
        return self._lazily_admitted(self.space.everything(), must_end=False)

    def count(self, most: int) -> int:
        return sum(1 for _ in islice(self._lazily_admitted(self.space.everything(), must_end=True), most + 1))

    def variants(self, architecture: str) -> Iterator[C]:
        variants = self._lazily_admitted(self.space.variants(architecture), must_end=True)
        if (first := next(variants, None)) is None:
            raise InvalidSpec(f"the cell {architecture} is not within spec.search.constraints")
        return chain([first], variants)

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

    @cached_property
    def _smallest(self) -> Sequence[C]:
        return self._admitted(self.space.smallest())

    def _first(self, draw: Callable[[], C]) -> C | None:
        """Return the first of many draws that is within the limits, if there is one."""
        for _ in range(DRAWS // DRAWN_AT_ONCE):
            if admitted := self._admitted(draw() for _ in range(DRAWN_AT_ONCE)):
                return admitted[0]
        return None

    def _read(self, recorded: Candidate) -> C:
        candidate = self.space.read(recorded)
        if not self._admitted([candidate]):
            raise InvalidSpec(f"the candidate {recorded.text} is not within spec.search.constraints")
        return candidate

    def _lazily_admitted(self, candidates: Iterator[C], *, must_end: bool) -> Iterator[C]:
        """
        Yield the candidates within the limits, until too many in a row are not.

        Args:
            must_end: refuse to yield only some of them.
        """
        beyond = 0
        while some := list(islice(candidates, LISTED_AT_ONCE)):
            admitted = self._admitted(some)
            beyond = 0 if admitted else beyond + len(some)
            yield from admitted
            if beyond >= BEYOND_IN_A_ROW:
                if must_end:
                    raise InvalidSpec(
                        f"spec.search.constraints refuse {beyond:,} candidates in a row, so those within them cannot "
                        "all be listed; spec.space and spec.search.hyperparameters must have fewer that are beyond them"
                    )
                return

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
