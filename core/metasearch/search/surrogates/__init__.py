"""
Surrogates: predict the scores of untried candidates from those of tried ones. One file each; `build` finds the one
that a spec names. Only this package of the search uses torch, and only once there is something to learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from metasearch import api
from metasearch.search.space import Tokens
from metasearch.search.surrogates.base import Predictor, Surrogate

__all__ = ["Predictor", "Surrogate", "build"]


def build(surrogate: api.Surrogate, vocabulary_size: int, step_width: int) -> Surrogate:
    """The surrogate that `spec.search.surrogate` describes, for a space's tokens."""
    return _Described(surrogate, vocabulary_size, step_width)


@dataclass(frozen=True)
class _Described:
    """
    A surrogate that is made when it is first asked to learn.

    Importing torch takes a second and half a gigabyte, which those who only look at a search need not pay.
    """

    spec: api.Surrogate
    vocabulary_size: int
    step_width: int

    def fit(self, candidates: Sequence[Tokens], scores: Sequence[float], seed: Sequence[int]) -> Predictor:
        return self._made().fit(candidates, scores, seed)

    def _made(self) -> Surrogate:
        from metasearch.search.surrogates.ensemble import Ensemble
        from metasearch.search.surrogates.lstm import LSTM
        from metasearch.search.surrogates.mlp import MLP

        described = self.spec
        match described.type:
            case api.SurrogateType.LSTM:
                model = LSTM(self.vocabulary_size, described.hidden_size, described.layers)
                return Ensemble(model, described.members)
            case api.SurrogateType.MLP:
                mlp = MLP(self.vocabulary_size, self.step_width, described.hidden_size, described.layers)
                return Ensemble(mlp, described.members)
