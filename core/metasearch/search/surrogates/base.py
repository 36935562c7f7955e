"""What a strategy asks of a surrogate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from metasearch.search.space import Tokens

Scores = npt.NDArray[np.float64]


class Predictor(Protocol):
    """A fitted surrogate."""

    def predict(self, candidates: Sequence[Tokens]) -> Scores:
        """Predicted scores (candidates,)."""
        ...


class Surrogate(Protocol):
    """Learns from scratch at every call and keeps nothing."""

    def fit(self, candidates: Sequence[Tokens], scores: Sequence[float], seed: Sequence[int]) -> Predictor:
        """
        Args:
            candidates: at least one; they may differ in length.
            scores: theirs, in [0, 1].
            seed: the same arguments and seed give the same predictor.
        """
        ...
