"""
N-way K-shot tasks, as rows of an image set. Every random number comes from a generator that the caller passes in.

Rows, not pixels: sampling is cheap index work on the CPU, and the images are gathered where they are used.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metasearch_trainer.data.images import ImageSet

Rows = npt.NDArray[np.int64]


def stream(*parts: object) -> np.random.Generator:
    """A random stream that depends on nothing but its name, so that it is the same in whichever process it is drawn."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


@dataclass(frozen=True)
class TrainingTasks:
    """The mini-batches of one meta-batch: rows and labels, both (tasks, steps, batch)."""

    rows: Rows
    labels: Rows


@dataclass(frozen=True)
class EvaluationTasks:
    """Tasks to adapt to and be examined on."""

    support: TrainingTasks
    support_rows: Rows
    """Every support image once, (tasks, ways * shots)."""
    query_rows: Rows
    """One query image per class in the order of the labels, (tasks, ways)."""


def sample_training_tasks(
    rng: np.random.Generator, images: ImageSet, tasks: int, ways: int, shots: int, steps: int, batch: int
) -> TrainingTasks:
    """A meta-batch: `tasks` tasks of `ways` classes with `shots` images each, cut into `steps` mini-batches."""
    rows = _sample_images(rng, images, tasks, ways, shots)  # (tasks, ways, shots)
    return _mini_batches(rng, rows, steps, batch)


def sample_evaluation_tasks(
    rng: np.random.Generator, images: ImageSet, tasks: int, ways: int, shots: int, steps: int, batch: int
) -> EvaluationTasks:
    """Tasks with `shots` support images and one query image per class, no image twice in a task."""
    rows = _sample_images(rng, images, tasks, ways, shots + 1)
    support = rows[:, :, :shots]
    return EvaluationTasks(
        support=_mini_batches(rng, support, steps, batch),
        support_rows=support.reshape(tasks, ways * shots),
        query_rows=rows[:, :, shots],
    )


def _sample_images(rng: np.random.Generator, images: ImageSet, tasks: int, ways: int, per_class: int) -> Rows:
    """Rows (tasks, ways, per_class) of different classes and, within a class, different images."""
    classes = _smallest(rng.random((tasks, len(images.counts))), ways)  # (tasks, ways)
    counts = images.counts[classes]
    ranks = rng.random((tasks, ways, int(images.counts.max())))
    ranks[np.arange(ranks.shape[2]) >= counts[:, :, None]] = np.inf  # classes may differ in size
    return images.starts[classes][:, :, None] + _smallest(ranks, per_class)


def _smallest(values: npt.NDArray[np.float64], count: int) -> Rows:
    """Indices of the `count` smallest along the last axis, smallest first: a draw without replacement."""
    chosen = np.argpartition(values, count - 1, axis=-1)[..., :count]
    order = np.argsort(np.take_along_axis(values, chosen, axis=-1), axis=-1)
    return np.take_along_axis(chosen, order, axis=-1)


def _mini_batches(rng: np.random.Generator, rows: Rows, steps: int, batch: int) -> TrainingTasks:
    """Cut each task's images (tasks, ways, shots) into mini-batches; a label is the place of the class in the task."""
    tasks, ways, shots = rows.shape
    order = shuffled_passes(rng, tasks, ways * shots, steps, batch)
    chosen = np.take_along_axis(rows.reshape(tasks, ways * shots), order.reshape(tasks, -1), axis=1)
    return TrainingTasks(chosen.reshape(order.shape), order // shots)


def shuffled_passes(rng: np.random.Generator, tasks: int, images: int, steps: int, batch: int) -> Rows:
    """
    For each task, one shuffled pass over its images after another, cut into batches: (tasks, steps, batch).

    As in supervised-reptile; a batch may straddle two passes.
    """
    passes = -(-steps * batch // images)
    order = np.argsort(rng.random((tasks, passes, images)), axis=-1)
    return order.reshape(tasks, -1)[:, : steps * batch].reshape(tasks, steps, batch)


class DeviceImages:
    """An image set's pixels where the networks are; 8 bits each until they are used."""

    def __init__(self, images: ImageSet, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        self.images = images
        self.device, self.dtype = device, dtype
        self._pixels = torch.from_numpy(images.pixels).to(device)

    def gather(self, rows: Tensor) -> Tensor:
        """Images (*rows.shape, channels, side, side) in [0, 1]."""
        return self._pixels[rows].to(self.dtype).div_(255)
