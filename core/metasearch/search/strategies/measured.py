"""Measured candidates, as strategies that learn from them need them: by size and by key, with their parents' scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import nan
from typing import Generic

import numpy as np

from metasearch.search.space import C, Space
from metasearch.search.surrogates.base import Candidates, Observations
from metasearch.search.trials import Trial


@dataclass(frozen=True)
class MeasuredCandidate(Generic[C]):
    """A candidate and its score."""

    candidate: C
    score: float
    """In [0, 1]."""
    error: float
    """Standard error of the score; 0 where it is not known."""
    round: int


class Measured(Generic[C]):
    """The candidates of trials with a score: not of failed ones, and of those given up early with what they had."""

    def __init__(self, space: Space[C], trials: Iterable[Trial]) -> None:
        self.space = space
        self.by_key: dict[str, MeasuredCandidate[C]] = {}
        """In the order of the trials; of a candidate that was measured again, the better."""
        self.tried: set[str] = set()
        """Keys of all candidates, failed ones too."""
        for trial in trials:
            candidate = space.read(trial.spec.candidate)
            key = space.key(candidate)
            self.tried.add(key)
            known = self.by_key.get(key)
            if trial.score is not None and (known is None or known.score < trial.score):
                self.by_key[key] = MeasuredCandidate(candidate, trial.score, trial.score_error, trial.spec.round)

    def level(self, size: int) -> list[MeasuredCandidate[C]]:
        """
        Return what may grow at a size: what was measured there, and children that were known before.

        In spaces whose candidates may compute the same as smaller ones, a child that is known is not tried again, but
        it grows on.
        """
        own = [each for each in self.by_key.values() if self.space.size(each.candidate) == size]
        if size == 1 or not self.space.repeats_across_sizes:
            return own
        there = {self.space.key(each.candidate) for each in own}
        for parent in self.level(size - 1):
            for child in self.space.children(parent.candidate):
                key = self.space.key(child)
                if key in self.by_key and key not in there:
                    there.add(key)
                    known = self.by_key[key]
                    own.append(MeasuredCandidate(child, known.score, known.error, known.round))
        return own

    def children(self, size: int) -> dict[str, tuple[C, float]]:
        """Return the untried candidates of a size that grow from measured ones, by key, and the best parent's score."""
        grown: dict[str, tuple[C, float]] = {}
        for key, child, parent_score in self._grown(size):
            if key not in grown or grown[key][1] < parent_score:
                # In the place of the first, so that the order is that of the parents.
                grown[key] = (child, parent_score)
        return grown

    def neighbours(self, count: int) -> dict[str, tuple[C, float]]:
        """Return the untried neighbours of the best candidates of the largest size, by key, with a parent's score."""
        largest = self.level(self.space.max_size)
        best = sorted(largest, key=lambda each: (-each.score, self.space.key(each.candidate)))[:count]
        found: dict[str, tuple[C, float]] = {}
        for each in best:
            for neighbour in self.space.neighbours(each.candidate):
                key = self.space.key(neighbour)
                if key not in self.tried and key not in found:
                    found[key] = (neighbour, self.parent_score(neighbour))
        return found

    def has_untried(self, size: int) -> bool:
        """Tell whether there is an untried child of a size; as a rule the first that is looked at is one."""
        return next(self._grown(size), None) is not None

    def _grown(self, size: int) -> Iterator[tuple[str, C, float]]:
        """Yield the key of each untried child of a size, the child and its parent's score; some several times."""
        for parent in self.level(size - 1):
            for child in self.space.children(parent.candidate):
                key = self.space.key(child)
                if key not in self.tried:
                    yield key, child, parent.score

    def parent_score(self, candidate: C) -> float:
        """Return the best score of a candidate from which this one may have grown; NaN where none is measured."""
        keys = map(self.space.key, self.space.parents(candidate))
        return max((self.by_key[key].score for key in keys if key in self.by_key), default=nan)

    def observations(self) -> Observations:
        """Return what a surrogate learns from."""
        measured: Sequence[MeasuredCandidate[C]] = list(self.by_key.values())
        candidates = [each.candidate for each in measured]
        return Observations(
            candidates=Candidates.of(self.space, candidates, [self.parent_score(each) for each in candidates]),
            scores=np.array([each.score for each in measured]),
            errors=np.array([each.error for each in measured]),
            rounds=np.array([each.round for each in measured]),
        )
