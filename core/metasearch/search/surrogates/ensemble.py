"""
An ensemble of equal models, trained side by side as one. It reads tokens and parents' scores; features are ignored.

As in PNAS: every member learns from scratch on 4/5 of the scores, with the L1 loss; the ensemble predicts the mean.
With five members each score is left out by one of them. Where the paper leaves a choice (docs/choices.md):

- scores are stretched so that the lowest is at 0.1 and the highest at 0.9 of the sigmoid's range, for candidates
  that differ by a point in accuracy must differ in the loss;
- the output bias starts at the logit of the mean score, as the paper's 1.8 does;
- a score counts by the inverse of its standard deviation, which is what the L1 loss asks for;
- the parent's score is an input of the output layer: a slope for it is learned beside the output bias;
- a token that a member has not learned from has an embedding of zeros, not the random numbers it began with;
- Adam runs at 0.01 and, for the last half of the epochs, at 0.002, the paper's two rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from metasearch.search.space import Tokens
from metasearch.search.surrogates.adam import Adam
from metasearch.search.surrogates.base import Candidates, Observations, Scores
from metasearch.search.surrogates.score_weights import score_weights

EPOCHS = 100
LEARNING_RATES = (0.01, 0.002)
FOLDS = 5
"""The parts of the scores of which each member leaves one out."""

MARGIN = 0.1
"""Distance of the lowest and highest score from the ends of the sigmoid's range."""

CANDIDATES_AT_ONCE = 512
"""Candidates that are ranked together; the states of more would fall out of the processor's caches."""

CHUNKS_AT_ONCE = 2
"""Chunks that are ranked side by side, each by one thread, so that how many there are changes no prediction."""

P = TypeVar("P")


class Model(Protocol[P]):
    """A family of networks that map candidates to one number each. Tensors carry a leading axis of members."""

    name: str
    """The name for people."""

    def initial(self, generator: Generator, members: int) -> list[Tensor]:
        """Draw fresh weights, each (members, ...); the first are the embeddings, (members, vocabulary, size)."""
        ...

    def prepare(self, candidates: Sequence[Tokens]) -> P:
        """Arrange the candidates for `logits`; done once for many calls."""
        ...

    def logits(self, weights: Sequence[Tensor], candidates: P) -> Tensor:
        """Compute (members, candidates), before the output bias and the sigmoid."""
        ...


class Ensemble(Generic[P]):
    """Several members of one model."""

    def __init__(self, model: Model[P], members: int, epochs: int = EPOCHS) -> None:
        self.model, self.members, self.epochs = model, members, epochs

    def fit(self, observations: Observations, seed: Sequence[int]) -> FittedEnsemble[P]:
        scores = observations.scores.tolist()
        rng = np.random.default_rng(list(seed))
        generator = Generator().manual_seed(int(rng.integers(2**62)))
        prepared = self.model.prepare(observations.candidates.tokens)
        reader = _ParentReader.of(observations.candidates)
        parents = reader.read(observations.candidates)
        stretch = _Stretch.over(scores)
        targets = stretch.apply(torch.tensor(scores, dtype=torch.float32))
        is_left_out = self._left_out(len(scores), rng)
        shares = ~is_left_out * torch.from_numpy(score_weights(observations)).float().sqrt()
        shares = shares / shares.sum(1, keepdim=True)  # rows add up to 1
        bias = torch.logit(targets.mean()).repeat(self.members, 1)
        weights = self.model.initial(generator, self.members)
        members = _Members(self.model, weights, bias, torch.zeros(self.members, 1))
        trained = [tensor.requires_grad_() for tensor in members.tensors]
        optimizer = Adam(trained)
        for epoch in range(self.epochs):
            # The sum over members gives each the gradient of its own loss, because they share no weights.
            differences = F.l1_loss(members.stretched(prepared, parents), targets.expand_as(shares), reduction="none")
            late = 2 * epoch >= self.epochs
            optimizer.step(torch.autograd.grad((differences * shares).sum(), trained), LEARNING_RATES[late])
        is_seen = _is_seen(observations.candidates.tokens, is_left_out, weights[0].shape[1])
        fitted = FittedEnsemble(members.fixed(is_seen), stretch, reader)
        fitted.left_out = fitted.predict_left_out(prepared, parents, is_left_out)
        return fitted

    def _left_out(self, count: int, rng: np.random.Generator) -> Tensor:
        """Say which candidates each member does not learn from, (members, candidates)."""
        if self.members == 1 or count == 1:
            return torch.zeros(self.members, count, dtype=torch.bool)
        folds = torch.from_numpy(rng.permutation(count) % FOLDS)
        return folds == (torch.arange(self.members) % FOLDS)[:, None]


@dataclass(frozen=True)
class _Stretch:
    """Maps scores from [lowest, highest] to [MARGIN, 1 - MARGIN]."""

    lowest: float
    scale: float

    @classmethod
    def over(cls, scores: Sequence[float]) -> _Stretch:
        lowest, highest = min(scores), max(scores)
        # All scores may be equal; any scale is right then, but not an infinite one.
        return cls(lowest, (1 - 2 * MARGIN) / max(highest - lowest, 1e-6))

    def apply(self, scores: Tensor) -> Tensor:
        return MARGIN + (scores - self.lowest) * self.scale

    def undo(self, stretched: Tensor) -> Tensor:
        return self.lowest + (stretched - MARGIN) / self.scale


@dataclass(frozen=True)
class _ParentReader:
    """Standardises parents' scores; those not known count as the mean."""

    mean: float
    deviation: float
    """Infinite where no observation's parent is known: nothing is learned from parents then."""

    @classmethod
    def of(cls, candidates: Candidates) -> _ParentReader:
        known = candidates.parent_scores[np.isfinite(candidates.parent_scores)]
        return cls(float(known.mean()), max(float(known.std()), 1e-6)) if len(known) else cls(0.0, np.inf)

    def read(self, candidates: Candidates) -> Tensor:
        standard = (candidates.parent_scores - self.mean) / self.deviation
        return torch.from_numpy(np.nan_to_num(standard)).float()


@dataclass(frozen=True)
class _Members(Generic[P]):
    """All that is trained, of all members."""

    model: Model[P]
    weights: Sequence[Tensor]
    bias: Tensor
    """The output's, (members, 1)."""
    slope: Tensor
    """The output's slope in the standardised parent's score, (members, 1)."""

    @property
    def tensors(self) -> list[Tensor]:
        return [*self.weights, self.bias, self.slope]

    def stretched(self, candidates: P, parents: Tensor) -> Tensor:
        """Predict stretched scores, (members, candidates)."""
        return torch.sigmoid(self.model.logits(self.weights, candidates) + self.bias + self.slope * parents)

    def fixed(self, is_seen: Tensor) -> _Members[P]:
        """Return them trained to the end; the embeddings of tokens not seen, (members, vocabulary), become zeros."""
        embedding, *weights, bias, slope = (tensor.detach() for tensor in self.tensors)
        return _Members(self.model, [embedding * is_seen[:, :, None], *weights], bias, slope)


def _is_seen(candidates: Sequence[Tokens], is_left_out: Tensor, vocabulary_size: int) -> Tensor:
    """Say which tokens each member has learned from, (members, vocabulary)."""
    occurs = torch.zeros(len(candidates), vocabulary_size)
    for index, steps in enumerate(candidates):
        occurs[index, list({token for step in steps for token in step})] = 1
    return (~is_left_out).float() @ occurs > 0


class FittedEnsemble(Generic[P]):
    """Members that have learned; predicts their mean."""

    def __init__(self, members: _Members[P], stretch: _Stretch, reader: _ParentReader) -> None:
        self.members, self.stretch, self.reader = members, stretch, reader
        self.left_out: Scores = np.empty(0)

    @property
    def description(self) -> str:
        return f"{self.members.model.name}, from {len(self.left_out)} scores"

    @torch.no_grad()
    def predict_left_out(self, candidates: P, parents: Tensor, is_left_out: Tensor) -> Scores:
        """Predict each candidate by the members that have not learned from it; NaN where all have."""
        stretched = self.members.stretched(candidates, parents).double()
        return self.stretch.undo((stretched * is_left_out).sum(0) / is_left_out.sum(0)).numpy()

    def predict(self, inputs: Candidates) -> Scores:
        candidates, parents = list(inputs.tokens), self.reader.read(inputs)
        # Neighbours in sorted order begin alike, which models can make use of within a chunk.
        order = sorted(range(len(candidates)), key=candidates.__getitem__)
        chunks = [order[start : start + CANDIDATES_AT_ONCE] for start in range(0, len(order), CANDIDATES_AT_ONCE)]

        def predict_chunk(chunk: list[int]) -> Scores:
            return self._predict_chunk([candidates[index] for index in chunk], parents[chunk])

        scores = np.empty(len(candidates))
        with ThreadPoolExecutor(CHUNKS_AT_ONCE) as threads:
            for chunk, values in zip(chunks, threads.map(predict_chunk, chunks), strict=True):
                scores[chunk] = values
        return scores

    @torch.no_grad()
    def _predict_chunk(self, candidates: Sequence[Tokens], parents: Tensor) -> Scores:
        stretched = self.members.stretched(self.members.model.prepare(candidates), parents)
        return self.stretch.undo(stretched.double().mean(0)).numpy()
