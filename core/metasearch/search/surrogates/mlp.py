"""
The MLP surrogate of PNAS: each step's tokens are embedded and joined, the steps' vectors are averaged, and hidden
layers map the mean to the score. In PNAS it extrapolates to larger cells better than the LSTM does (its table 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from metasearch import api
from metasearch.search.space import Space, Tokens
from metasearch.search.surrogates.ensemble import Ensemble

EMBEDDING_SIZE = 100
EMBEDDING_RANGE = 0.1


@dataclass(frozen=True)
class TokenCounts:
    """The shares of steps that have a token at a position of the step: (candidates, width * vocabulary)."""

    shares: Tensor


def build(settings: api.Surrogate, space: Space[Any]) -> Ensemble[TokenCounts]:
    """Build the ensemble of MLPs that `spec.search.surrogate` describes."""
    model = MLP(space.vocabulary_size, space.step_width, settings.hidden_size, settings.layers)
    return Ensemble(model, settings.members)


class MLP:
    """
    Hidden layers with ReLU and a linear output, for several members at once.

    Weights: embedding, then (weight, bias) for each hidden layer, then output.
    """

    name = "MLP"

    def __init__(self, vocabulary_size: int, step_width: int, hidden_size: int, layers: int) -> None:
        self.vocabulary_size, self.step_width = vocabulary_size, step_width
        self.hidden_size, self.layers = hidden_size, layers

    def initial(self, generator: Generator, members: int) -> list[Tensor]:
        def uniform(*shape: int, bound: float) -> Tensor:
            return (torch.rand(members, *shape, generator=generator) * 2 - 1) * bound

        weights = [uniform(self.vocabulary_size, EMBEDDING_SIZE, bound=EMBEDDING_RANGE)]
        inputs = self.step_width * EMBEDDING_SIZE
        for _ in range(self.layers):
            bound = 1 / math.sqrt(inputs)  # torch.nn.Linear's
            weights += [uniform(inputs, self.hidden_size, bound=bound), uniform(1, self.hidden_size, bound=bound)]
            inputs = self.hidden_size
        return [*weights, uniform(inputs, 1, bound=1 / math.sqrt(inputs))]

    def prepare(self, candidates: Sequence[Tokens]) -> TokenCounts:
        # The mean of embeddings is linear, so how often each token occurs at each position is all that matters.
        rows = np.repeat(np.arange(len(candidates)), [len(steps) for steps in candidates])
        tokens = np.array([step for steps in candidates for step in steps])  # (all steps, width)
        columns = tokens + self.vocabulary_size * np.arange(self.step_width)
        shares = np.zeros((len(candidates), self.step_width * self.vocabulary_size), dtype=np.float32)
        np.add.at(shares, (rows[:, None], columns), 1)
        return TokenCounts(torch.from_numpy(shares / [[len(steps)] for steps in candidates]).float())

    def logits(self, weights: Sequence[Tensor], candidates: TokenCounts) -> Tensor:
        embedding, *layers, output = weights
        shares = candidates.shares.view(-1, self.step_width, self.vocabulary_size).to(embedding.dtype)
        hidden = torch.einsum("cwv,mve->mcwe", shares, embedding).flatten(2)  # (members, candidates, width * embedding)
        for weight, bias in zip(layers[::2], layers[1::2], strict=True):
            hidden = torch.relu(torch.baddbmm(bias, hidden, weight))
        return torch.bmm(hidden, output).squeeze(-1)
