"""The protocol between a strategy and a surrogate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from metasearch.search.encoded_cells import Floats
from metasearch.search.space import Tokens

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Candidates as surrogates read them. A surrogate may ignore parts of it; its documentation then says so."""

    tokens: Sequence[Tokens]
    """The architectures, as `Space.tokens` reads them."""
    features: Floats
    """Figures of the architectures and the values of hyperparameters, (candidates, features)."""
    parent_scores: Scores
    """The score of what each one grew from, (candidates,); NaN where that is not known."""

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True, kw_only=True)
class Observations:
    """Measured candidates."""

    candidates: Candidates
    scores: Scores
    """In [0, 1], (candidates,)."""
    errors: Scores
    """The scores' standard errors, (candidates,); 0 where they are not known."""

    def __len__(self) -> int:
        return len(self.scores)


class Predictor(Protocol):
    """A fitted surrogate."""

    left_out: Scores
    """
    What it would have predicted for each observation, had it not learned from that one, (observations,). By this it is
    compared with others, so a surrogate that cannot tell is no part of an ensemble and has NaN.
    """

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
