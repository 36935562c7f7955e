"""Three parts that MetaSearch finds by name once this package is installed beside it."""

import numpy as np
import torch
from torch import Generator, Tensor

from metasearch_trainer.adaptation import Moments, adapt
from metasearch_trainer.data import ImageSet, Splits
from metasearch_trainer.layers import ConvNormRelu
from metasearch_trainer.metalearners.base import State
from metasearch_trainer.network import Network
from metasearch_trainer.operations import Layer
from metasearch_trainer.parameters import ParameterLayout
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import Passes, Support, Tasks, TaskShape


class Untrained:
    """A control for meta-learners: it adapts random weights to each task, and learns nothing between tasks."""

    meta_batch_size = 1
    evaluation_passes = Passes(5, 3)

    def __init__(self, recipe: Recipe, network: Network, device: torch.device) -> None:
        self.network, self.device = network, device
        self.training_tasks = TaskShape(recipe.task.ways, recipe.task.shots, 0, Passes(0))
        self.learning_rate = float(recipe.training.options.get("learningRate", "0.001"))

    def initial_state(self, generator: Generator) -> State:
        return State({"theta": self.network.layout.initial(generator).to(self.device, torch.float32)})

    def outer_step(self, state: State, tasks: Tasks, progress: Tensor) -> Tensor:  # noqa: ARG002
        return torch.tensor(torch.nan)  # it has no loss

    def adapt(self, state: State, support: Support) -> Tensor:
        moments = Moments.zero(state.theta).for_tasks(len(support))
        return adapt(self.network, state.theta, moments, support, self.learning_rate)[0]


def conv1x1(layout: ParameterLayout, name: str, filters: int, stride: int) -> Layer:
    """A convolution that mixes the channels of each pixel."""
    return ConvNormRelu(layout, name, filters, filters, (1, 1), stride)


def bars() -> Splits:
    """Images of 12 x 12 pixels with one bright bar, which is at another height in each class, under noise."""
    rng = np.random.default_rng(0)
    classes = []
    for height in range(12):
        pixels = rng.integers(0, 128, (20, 1, 12, 12), dtype=np.uint8)
        pixels[:, :, height] = 255
        classes.append((f"height {height}", pixels))
    return Splits(*(ImageSet.of(classes[part::3]) for part in range(3)))
