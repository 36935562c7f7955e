"""The protocol between a strategy and a surrogate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from metasearch.search.candidates import Value
from metasearch.search.space import Tokens

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SurrogateInput:
    """All that a score may depend on. A surrogate may ignore parts of it; its documentation then says so."""

    tokens: Tokens
    """The architecture, as `Space.tokens` reads it."""
    hyperparameters: Mapping[str, Value] = field(default_factory=dict)
    features: Mapping[str, float] = field(default_factory=dict)
    """Figures of the data set, by name, so that one surrogate can learn from several searches."""


@dataclass(frozen=True, kw_only=True)
class Observation(SurrogateInput):
    """A measured candidate."""

    score: float
    """In [0, 1]."""


class Predictor(Protocol):
    """A fitted surrogate."""

    def predict(self, inputs: Sequence[SurrogateInput]) -> Scores:
        """Predict scores, (inputs,)."""
        ...


class Surrogate(Protocol):
    """Learns from scratch at every call and keeps nothing."""

    def fit(self, observations: Sequence[Observation], seed: Sequence[int]) -> Predictor:
        """
        Learn from measured candidates.

        Args:
            observations: at least one; their tokens may differ in length.
            seed: the same arguments and seed give the same predictor.
        """
        ...
