"""The protocol between a strategy and a surrogate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, overload

import numpy as np
import numpy.typing as npt

from metasearch.search.encoded_cells import Floats, Integers
from metasearch.search.space import C, Space, Tokens

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Candidates as surrogates read them. A surrogate may ignore parts of it; its documentation then says so."""

    tokens: Sequence[Tokens]
    """The architectures, as `Space.tokens` reads them."""
    features: Floats
    """Figures of the architectures and the values of hyperparameters, (candidates, features)."""
    sizes: Floats
    """Logarithms of the networks' sizes, which `features` has too, (candidates, sizes); no columns if none is known."""
    parent_scores: Scores
    """The score of what each one grew from, (candidates,); NaN where that is not known."""

    @classmethod
    def of(cls, space: Space[C], candidates: Sequence[C], parent_scores: Sequence[float] | Scores) -> Candidates:
        """Arrange candidates of a space; their tokens are read when they are asked for."""
        features = space.features(candidates)
        return cls(
            tokens=_TokensOnDemand(space, candidates),
            features=features,
            sizes=features[:, list(space.size_features)],
            parent_scores=np.asarray(parent_scores, dtype=np.float64),
        )

    def __len__(self) -> int:
        return len(self.tokens)

    def at(self, indices: Integers) -> Candidates:
        """Return some of the candidates, in the order of the indices."""
        return Candidates(
            tokens=[self.tokens[index] for index in indices.tolist()],
            features=self.features[indices],
            sizes=self.sizes[indices],
            parent_scores=self.parent_scores[indices],
        )


@dataclass(frozen=True, kw_only=True)
class Observations:
    """Measured candidates."""

    candidates: Candidates
    scores: Scores
    """In [0, 1], (candidates,)."""
    errors: Scores
    """The scores' standard errors, (candidates,); 0 where they are not known."""
    rounds: Integers
    """The round in which each was measured, counted from 1, (candidates,)."""

    def __len__(self) -> int:
        return len(self.scores)

    def at(self, indices: Integers) -> Observations:
        """Return some of the observations, in the order of the indices."""
        return Observations(
            candidates=self.candidates.at(indices),
            scores=self.scores[indices],
            errors=self.errors[indices],
            rounds=self.rounds[indices],
        )


class Predictor(Protocol):
    """A fitted surrogate."""

    left_out: Scores
    """
    The prediction of each observation's score by what has not learned from it, (observations,). By this surrogates are
    compared and their votes are found; NaN where a surrogate cannot tell, which gives it no vote.
    """

    @property
    def description(self) -> str:
        """Say, as part of a sentence, what predicts; such as "Ridge, from 67 scores"."""
        ...

    def predict(self, candidates: Candidates) -> Scores:
        """Predict scores, (candidates,)."""
        ...


class Surrogate(Protocol):
    """Learns from scratch at every call and keeps nothing."""

    def fit(self, observations: Observations, seed: Sequence[int]) -> Predictor:
        """
        Learn from measured candidates.

        Args:
            observations: at least one; their tokens may differ in length.
            seed: the same arguments and seed give the same predictor.
        """
        ...


class _TokensOnDemand(Sequence[Tokens]):
    """The tokens of candidates, each read when it is asked for: of 100,000 an ensemble may ask for a few thousand."""

    def __init__(self, space: Space[Any], candidates: Sequence[Any]) -> None:
        self._space, self._candidates = space, candidates

    def __len__(self) -> int:
        return len(self._candidates)

    @overload
    def __getitem__(self, index: int) -> Tokens: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Tokens]: ...
    def __getitem__(self, index: int | slice) -> Tokens | Sequence[Tokens]:
        if isinstance(index, slice):
            return [self._space.tokens(candidate) for candidate in self._candidates[index]]
        return self._space.tokens(self._candidates[index])
