"""
The delivered learner: load a network, show it a few labelled images of new classes, let it classify.

    learner = FewShotLearner.load("runs/omniglot-quick/best/weights.safetensors")
    classifier = learner.adapt(support_images, support_labels)
    classifier.classify(images)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metasearch.api import Classification
from metasearch.errors import InvalidData
from metasearch_trainer.classification import AdaptedNetwork, adapt
from metasearch_trainer.delivery import Delivered, load_weights
from metasearch_trainer.tasks import Support, shuffled_passes

Images = Tensor | npt.NDArray[Any]
Labels = npt.NDArray[Any] | Sequence[int]


class FewShotLearner:
    """A meta-trained network, ready to learn a task of `ways` classes from a few images of each."""

    def __init__(self, delivered: Delivered, device: torch.device) -> None:
        self._delivered, self.device = delivered, device
        self.description = delivered.description

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> FewShotLearner:
        """Read a `weights.safetensors`; raises InvalidData where it is none."""
        return cls(load_weights(Path(path), torch.device(device)), torch.device(device))

    def adapt(self, images: Images, labels: Tensor | Labels, seed: int = 0) -> Classifier:
        """
        Learn a task, as the network was evaluated.

        Args:
            images: (count, channels, side, side), in [0, 1]; the size that the search trained on. A tensor, or an array
                of NumPy.
            labels: (count,), integers in [0, ways); a list will do. Classes may differ in their number of images.
            seed: decides the order in which a learner with an inner loop goes through the images.

        Raises:
            InvalidData: shapes or labels are not what the network takes.
        """
        images, labels = _pixels(images), torch.as_tensor(labels)
        self._require_task(images, labels)
        learner = self._delivered.learner
        images, labels = images.to(self.device, torch.float32), labels.to(self.device)
        order = shuffled_passes(np.random.default_rng(seed), 1, len(images), learner.evaluation_passes)
        support = Support(images[None], labels[None], torch.from_numpy(order).to(self.device))  # one task
        shifts = self.description.recipe.evaluation.shifts
        return Classifier(adapt(learner, self._delivered.state, support, shifts))

    def _require_task(self, images: Tensor, labels: Tensor) -> None:
        described, ways = self.description, self.description.recipe.task.ways
        expected = (len(labels), described.channels, described.side, described.side)
        if tuple(images.shape) != expected:
            raise InvalidData(f"images are {tuple(images.shape)} with {len(labels)} labels; they must be {expected}")
        if not len(labels):
            raise InvalidData("there are no images to learn from; there must be one or more, with a label each")
        lowest, highest = int(labels.min()), int(labels.max())
        if lowest < 0 or highest >= ways:
            raise InvalidData(f"labels are {lowest}..{highest}; they must be 0..{ways - 1}")


class Classifier:
    """A network that has learned one task."""

    def __init__(self, adapted: AdaptedNetwork) -> None:
        """
        Args:
            adapted: to one task.
        """
        self._adapted = adapted

    def logits(self, images: Images, way: Classification = Classification.SUPPORT_STATISTICS) -> Tensor:
        """
        Compute the scores of the classes.

        Args:
            images: (count, channels, side, side), in [0, 1]; one or more.
            way: SUPPORT_STATISTICS and NON_TRANSDUCTIVE classify each image by itself. TRANSDUCTIVE takes all of them
                together, and is more accurate where they are about as many of each class, as in evaluation.

        Returns:
            (count, ways)

        Raises:
            InvalidData: the images' shape is not that of those that were learned from, or they are not in [0, 1].
        """
        images = _pixels(images)
        shape = tuple(self._adapted.support.shape[2:])
        if tuple(images.shape[1:]) != shape or not len(images):
            expected = f"(count, {', '.join(map(str, shape))})"
            raise InvalidData(f"images are {tuple(images.shape)}; they must be {expected}, one or more")
        return self._adapted.logits(images.to(self._adapted.support)[None], way)[0]

    def probabilities(self, images: Images, way: Classification = Classification.SUPPORT_STATISTICS) -> Tensor:
        """Return a probability of each class, (count, ways); see `logits`. They are not calibrated."""
        return self.logits(images, way).softmax(-1)

    def classify(self, images: Images, way: Classification = Classification.SUPPORT_STATISTICS) -> Tensor:
        """Return the labels (count,) of the classes with the highest scores; see `logits`."""
        return self.logits(images, way).argmax(-1)


def _pixels(images: Images) -> Tensor:
    """Return images as a tensor; raises InvalidData where they are not in [0, 1]."""
    given = torch.as_tensor(images)
    if given.numel() and not (given.min() >= 0 and given.max() <= 1):  # NaN is neither
        lowest, highest = given.min().item(), given.max().item()
        raise InvalidData(
            f"pixels reach from {lowest:g} to {highest:g}; they must be in [0, 1], so divide those of 8 bits by 255"
        )
    return given.to(torch.float32)
