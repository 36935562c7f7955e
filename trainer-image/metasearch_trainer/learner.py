"""
The delivered learner: load a network, show it a few labelled images of new classes, let it classify.

    learner = FewShotLearner.load("runs/omniglot-quick/best/weights.safetensors")
    classifier = learner.adapt(support_images, support_labels)
    classifier.classify(images)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from metasearch.errors import InvalidData
from metasearch_trainer.delivery import Delivered, load_weights
from metasearch_trainer.network import Network
from metasearch_trainer.tasks import Support, shuffled_passes


class FewShotLearner:
    """A meta-trained network, ready to learn a task of `ways` classes from a few images of each."""

    def __init__(self, delivered: Delivered, device: torch.device) -> None:
        self._delivered, self.device = delivered, device
        self.description = delivered.description

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> FewShotLearner:
        """Read a `weights.safetensors`; raises InvalidData where it is none."""
        return cls(load_weights(Path(path), torch.device(device)), torch.device(device))

    def adapt(self, images: Tensor, labels: Tensor, seed: int = 0) -> Classifier:
        """
        Learn a task.

        Args:
            images: (count, channels, side, side), in [0, 1]; the size that the search trained on.
            labels: (count,), integers in [0, ways).
            seed: decides the order in which the images are gone through.

        Raises:
            InvalidData: shapes or labels are not what the network takes.
        """
        self._require_task(images, labels)
        learner = self._delivered.learner
        images, labels = images.to(self.device, torch.float32), labels.to(self.device)
        order = shuffled_passes(np.random.default_rng(seed), 1, len(images), learner.evaluation_passes)
        support = Support(images[None], labels[None], torch.from_numpy(order).to(self.device))  # one task
        phi = learner.adapt(self._delivered.state, support)
        return Classifier(learner.network, phi, images)

    def _require_task(self, images: Tensor, labels: Tensor) -> None:
        described, ways = self.description, self.description.recipe.task.ways
        expected = (len(labels), described.channels, described.side, described.side)
        if tuple(images.shape) != expected:
            raise InvalidData(f"images are {tuple(images.shape)} with {len(labels)} labels; they must be {expected}")
        lowest, highest = int(labels.min()), int(labels.max())
        if lowest < 0 or highest >= ways:
            raise InvalidData(f"labels are {lowest}..{highest}; they must be 0..{ways - 1}")


class Classifier:
    """A network that has learned one task."""

    def __init__(self, network: Network, phi: Tensor, support: Tensor) -> None:
        """
        Args:
            phi: the adapted parameters, (1, size).
            support: the images that were learned from, (count, channels, side, side), in [0, 1].
        """
        self._network, self._phi, self._support = network, phi, support

    @torch.no_grad()
    def logits(self, images: Tensor, together: bool = False) -> Tensor:
        """
        Compute the scores of the classes.

        Args:
            images: (count, channels, side, side), in [0, 1].
            together: classify the images as one batch (transductive: more accurate where the batch holds about as many
                of each class), instead of each alone beside the images that were learned from.

        Returns:
            (count, ways)
        """
        images = images.to(self._support)
        if together:
            return self._network(self._phi, images[None])[0]
        return torch.cat(
            [self._network(self._phi, torch.cat([self._support, image[None]])[None])[:, -1] for image in images]
        )

    def classify(self, images: Tensor, together: bool = False) -> Tensor:
        """Return the labels (count,) of the classes with the highest scores; see `logits`."""
        return self.logits(images, together).argmax(-1)
