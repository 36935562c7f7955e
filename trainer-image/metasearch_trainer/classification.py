"""
A network that has adapted to tasks, and the three ways in which it classifies their query images.

Networks normalise with the statistics of a batch, so an answer depends on what else is in it. `Classification` names
the choices. Transductive: the queries of a task share a batch, which in evaluation has one of each class; that makes
the task easier. Non-transductive: each query joins the whole support set, which lends it statistics, and only its own
prediction is read; this is supervised-reptile's definition. Support statistics: mean and variance come from the support
images alone, and the query changes nothing. These are the statistics with which the network has adapted, so a query is
seen as the support images were; and as queries do not touch each other, one batch takes all of them.

With `shifts`, logits are means over an image and its moved copies. The classifier is linear, so that is the same as the
logits of mean features. A mean of log-probabilities would differ only by a term that all classes share.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metasearch.api import Classification
from metasearch_trainer.metalearners.base import MetaLearner, State
from metasearch_trainer.network import Network
from metasearch_trainer.shifts import copies, shifted, shifted_support
from metasearch_trainer.tasks import Support

QUERIES_AT_ONCE = 256
"""Queries of a task that share a batch where they are independent, so that memory does not grow with their number."""


@dataclass(frozen=True)
class AdaptedNetwork:
    """A network with parameters of its own for each of several tasks."""

    network: Network
    phi: Tensor
    """The adapted parameters, (tasks, size)."""
    support: Tensor
    """The images that it has adapted to, copies included, (tasks, images, channels, side, side), in [0, 1]."""
    shifts: int
    """The pixels by which the copies of an image are moved; 0 for none."""

    @torch.no_grad()
    def logits(self, queries: Tensor, way: Classification) -> Tensor:
        """
        Compute the scores of the classes.

        Args:
            queries: (tasks, count, channels, side, side), in [0, 1]; at least one of each task.

        Returns:
            (tasks, count, ways)
        """
        if way is Classification.TRANSDUCTIVE:
            return self._mean_over_copies(self.network(self.phi, shifted(queries, self.shifts)))
        if way is Classification.NON_TRANSDUCTIVE:
            return torch.cat([self._beside_support(query, 0) for query in queries.split(1, dim=1)], 1)
        parts = queries.split(QUERIES_AT_ONCE, dim=1)
        return torch.cat([self._beside_support(part, self.support.shape[1]) for part in parts], 1)

    def _beside_support(self, queries: Tensor, statistics: int) -> Tensor:
        """Classify queries behind the support images in one batch; see `Network.__call__` for `statistics`."""
        batch = torch.cat([self.support, shifted(queries, self.shifts)], 1)
        return self._mean_over_copies(self.network(self.phi, batch, statistics)[:, self.support.shape[1] :])

    def _mean_over_copies(self, logits: Tensor) -> Tensor:
        """Map (tasks, copies * count, ways) to (tasks, count, ways)."""
        tasks, _, ways = logits.shape
        return logits.reshape(tasks, copies(self.shifts), -1, ways).mean(1)


def adapt(learner: MetaLearner, state: State, support: Support, shifts: int) -> AdaptedNetwork:
    """
    Adapt a meta-learned network to tasks.

    Args:
        state: stays as it is.
        shifts: pixels, as `evaluation.shifts`.
    """
    moved = shifted_support(support, shifts)
    return AdaptedNetwork(learner.network, learner.adapt(state, moved), moved.images, shifts)
