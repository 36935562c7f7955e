"""
The protocol of a meta-learner: how it begins, how it learns from a meta-batch, and how it adapts to new tasks.

A meta-learner is built from a recipe and a network and keeps nothing of its own between calls. What it has learned is
a `State`, which checkpoints and delivered files hold tensor by tensor, whatever the learner calls them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Generator, Tensor

from metasearch_trainer.network import Network
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import Passes, Support, Tasks, TaskShape

THETA = "theta"
"""The name of the network's meta-learned parameters (size,) in a state. A delivered file has them layer by layer."""


@dataclass(frozen=True)
class State:
    """
    The tensors and integers that a meta-learner has learned so far, by name.

    The names stay the same from `initial_state` on. An outer step writes into the tensors instead of replacing them,
    since a CUDA graph of it reads and writes the same memory each time.
    """

    tensors: dict[str, Tensor]
    """Has at least `THETA`."""
    integers: dict[str, int] = field(default_factory=dict)
    """Whole numbers, which checkpoints and delivered files keep in their headers."""

    @property
    def theta(self) -> Tensor:
        """The network's meta-learned parameters, (size,)."""
        return self.tensors[THETA]


class MetaLearner(Protocol):
    """The algorithm that trains a candidate and adapts it to tasks."""

    @property
    def network(self) -> Network:
        """The network whose parameters it learns."""
        ...

    @property
    def meta_batch_size(self) -> int:
        """Number of tasks of an outer step."""
        ...

    @property
    def training_tasks(self) -> TaskShape:
        """The shape of the tasks that an outer step learns from."""
        ...

    @property
    def evaluation_passes(self) -> Passes:
        """The length of `adapt` in evaluation and use."""
        ...

    def initial_state(self, generator: Generator) -> State:
        """Return the state before the first outer step, float32 on the learner's device."""
        ...

    def outer_step(self, state: State, tasks: Tasks, progress: Tensor) -> Tensor:
        """
        Learn from one meta-batch, in place.

        It must not copy a value from the device to Python, so that it can become a CUDA graph.

        Args:
            tasks: a meta-batch, of the shape `training_tasks`.
            progress: share of the training that is done, a float64 tensor () in [0, 1). A learner that anneals a rate
                computes it from this.

        Returns:
            The mean loss of the meta-batch before the step, (): of what the learner lowers, or of Reptile's last inner
            steps. NaN for a learner that has none.
        """
        ...

    def adapt(self, state: State, support: Support) -> Tensor:
        """Return the network's parameters after adapting to each task, (tasks, size), detached; `state` stays."""
        ...


Builder = Callable[[Recipe, Network, torch.device], MetaLearner]
"""Makes a meta-learner; its class, as a rule."""
