"""
Sequences that begin alike, arranged so that each different beginning is met once.

A recurrent model has the same state after the same beginning. The children of one parent share all of it but their last
block, and measured candidates share theirs with their ancestors, so a model that moves beginnings on instead of
sequences does a fraction of the work for the very same result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metasearch.search.space import Tokens


@dataclass(frozen=True)
class PrefixStep:
    """The different beginnings of one length, made from those that are one token shorter."""

    parents: Tensor
    """The shorter beginning that each one continues, (beginnings,)."""
    tokens: Tensor
    """The token that it continues it by, (beginnings,)."""
    ends: Tensor
    """The beginnings that are whole sequences, one entry for each such sequence."""


@dataclass(frozen=True)
class PrefixTree:
    """All steps, shortest beginnings first."""

    steps: tuple[PrefixStep, ...]
    order: Tensor
    """The index of each sequence's entry in the `ends` of all steps joined, (sequences,)."""

    @classmethod
    def of(cls, sequences: Sequence[Tokens], vocabulary_size: int) -> PrefixTree:
        ids, lengths = _padded(sequences)
        at = np.zeros(len(sequences), dtype=np.int64)  # the beginning each sequence has so far
        steps, ended = [], []
        for position in range(ids.shape[1]):
            running = lengths > position
            # Beginning and next token in one number, because `unique` is faster on numbers than on rows.
            codes = at[running] * vocabulary_size + ids[running, position]
            different, at[running] = np.unique(codes, return_inverse=True)
            parents, tokens = np.divmod(different, vocabulary_size)
            whole = np.flatnonzero(lengths == position + 1)
            ended.append(whole)
            steps.append(PrefixStep(*map(torch.from_numpy, (parents, tokens, at[whole]))))
        return cls(tuple(steps), torch.from_numpy(np.argsort(np.concatenate(ended))))


def _padded(sequences: Sequence[Tokens]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return token ids (sequences, longest), zeros behind the end, and each one's number of tokens (sequences,)."""
    width = len(sequences[0][0])
    lengths = np.fromiter((len(steps) * width for steps in sequences), dtype=np.int64, count=len(sequences))
    flat = np.fromiter((token for steps in sequences for step in steps for token in step), dtype=np.int64)
    ids = np.zeros((len(sequences), int(lengths.max())), dtype=np.int64)
    ids[np.arange(ids.shape[1]) < lengths[:, None]] = flat
    return ids, lengths
