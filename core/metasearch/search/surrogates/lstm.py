"""
The LSTM surrogate of PNAS and Auto-Meta: it reads a candidate's tokens one by one, and its last state gives the score.

One embedding table serves all tokens; inputs and operations have ids of their own, so this is the paper's table for
each. A token's product with the embedding and the input weights is the same at every position, so it is computed once
(`_token_gates`), and sequences that begin alike share the states of their beginning (`prefixes`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from metasearch import api
from metasearch.search.space import Space, Tokens
from metasearch.search.surrogates.ensemble import Ensemble
from metasearch.search.surrogates.prefixes import PrefixTree

EMBEDDING_SIZE = 100
EMBEDDING_RANGE = 0.1
"""The paper's: 100 numbers per token, uniform in [-0.1, 0.1]."""

WEIGHTS_PER_LAYER = 3


def build(settings: api.Surrogate, space: Space[Any]) -> Ensemble[PrefixTree]:
    """Build the ensemble of LSTMs that `spec.search.surrogate` describes."""
    return Ensemble(LSTM(space.vocabulary_size, settings.hidden_size, settings.layers), settings.members)


class LSTM:
    """
    Layers of LSTM cells and a linear output, for several members at once.

    Weights: embedding, then (input, recurrent, bias) for each layer, then output; gates in torch.nn.LSTM's order.
    """

    name = "LSTM"

    def __init__(self, vocabulary_size: int, hidden_size: int, layers: int) -> None:
        self.vocabulary_size, self.hidden_size, self.layers = vocabulary_size, hidden_size, layers

    def initial(self, generator: Generator, members: int) -> list[Tensor]:
        bound = 1 / math.sqrt(self.hidden_size)  # torch.nn.LSTM's

        def uniform(*shape: int, bound: float = bound) -> Tensor:
            return (torch.rand(members, *shape, generator=generator) * 2 - 1) * bound

        weights = [uniform(self.vocabulary_size, EMBEDDING_SIZE, bound=EMBEDDING_RANGE)]
        for layer in range(self.layers):
            inputs = EMBEDDING_SIZE if layer == 0 else self.hidden_size
            gates = 4 * self.hidden_size
            weights += [uniform(inputs, gates), uniform(self.hidden_size, gates), uniform(1, gates)]
        return [*weights, uniform(self.hidden_size, 1)]

    def prepare(self, candidates: Sequence[Tokens]) -> PrefixTree:
        return PrefixTree.of(candidates, self.vocabulary_size)

    def logits(self, weights: Sequence[Tensor], candidates: PrefixTree) -> Tensor:
        token_gates = self._token_gates(weights)
        states = [token_gates.new_zeros(len(token_gates), 1, self.hidden_size)] * (2 * self.layers)
        ended = []
        for step in candidates.steps:
            states = self._step(weights, token_gates.index_select(1, step.tokens), states, step.parents)
            # The last two states are the top layer's hidden and cell state; the output reads the hidden one.
            ended.append(torch.bmm(states[-2].index_select(1, step.ends), weights[-1]).squeeze(-1))
        return torch.cat(ended, dim=1)[:, candidates.order]  # sequences end at different steps

    def _token_gates(self, weights: Sequence[Tensor]) -> Tensor:
        """Compute what each token adds to the first layer's gates, (members, vocabulary, 4 * hidden)."""
        embedding, inputs, _, bias = weights[: 1 + WEIGHTS_PER_LAYER]
        return torch.baddbmm(bias, embedding, inputs)

    def _step(
        self, weights: Sequence[Tensor], gates: Tensor, states: Sequence[Tensor], parents: Tensor
    ) -> list[Tensor]:
        """
        Move each layer's hidden and cell state on by one token.

        Args:
            gates: what the token adds to the first layer's, (members, rows, 4 * hidden).
            states: each layer's hidden and cell state before, (members, earlier rows, hidden).
            parents: the earlier row that each row continues, (rows,). There are far fewer of those, so the recurrent
                product is made before it is handed on.
        """
        moved: list[Tensor] = []
        for layer in range(self.layers):
            inputs, recurrent, bias = weights[1 + WEIGHTS_PER_LAYER * layer :][:WEIGHTS_PER_LAYER]
            hidden, memory = states[2 * layer : 2 * layer + 2]
            if layer > 0:
                gates = torch.baddbmm(bias, moved[-2], inputs)
            gates = torch.bmm(hidden, recurrent).index_select(1, parents).add_(gates)
            into, keep, new, out = gates.chunk(4, dim=-1)
            memory = torch.sigmoid(keep) * memory.index_select(1, parents) + torch.sigmoid(into) * _tanh(new)
            moved += [torch.sigmoid(out) * _tanh(memory), memory]
        return moved


def _tanh(x: Tensor) -> Tensor:
    """Compute tanh by the sigmoid, of which torch has a kernel on CPUs that is twice as fast."""
    return torch.sigmoid(2 * x) * 2 - 1
