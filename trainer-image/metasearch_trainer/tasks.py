"""
N-way K-shot tasks, as rows of an image set. Every random number comes from a generator that the caller passes in.

Rows, not pixels: sampling is cheap index work on the CPU, and the images are gathered where they are used.
"""

from __future__ import annotations

import hashlib
from copy import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metasearch.errors import InvalidData
from metasearch_trainer.data.images import ImageSet

Rows = npt.NDArray[np.int64]


def stream(*parts: object) -> np.random.Generator:
    """Return a random stream that depends on its name alone, so that it is the same in every process."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


# --- sampling -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Passes:
    """The mini-batches in which an inner loop goes through a task's support images."""

    steps: int
    """Number of gradient steps; 0 for a learner without an inner loop."""
    batch: int | None = None
    """Number of images of a step; None for all of the task's."""


@dataclass(frozen=True)
class TaskShape:
    """The shape of tasks to draw."""

    ways: int
    """Number of classes of a task."""
    shots: int
    """Number of support images of a class."""
    queries: int
    """Number of query images of a class; 0 draws the same support images as any other number."""
    passes: Passes
    merged: int = 1
    """Number of tasks, one after another, that have no class in common."""

    @property
    def images(self) -> int:
        """Number of images of a task."""
        return self.ways * (self.shots + self.queries)


@dataclass(frozen=True)
class SampledTasks:
    """Tasks as rows of an image set, sorted by label: the first images are of class 0, and so on."""

    support_rows: Rows
    """(tasks, ways * shots)"""
    order: Rows
    """Indices of the support images that each gradient step reads, (tasks, steps, batch), in [0, ways * shots)."""
    query_rows: Rows
    """(tasks, ways * queries), of other images than the support's."""
    ways: int

    @property
    def arrays(self) -> tuple[Rows, Rows, Rows]:
        """The arguments of `DeviceImages.tasks_at`."""
        return self.support_rows, self.order, self.query_rows


def sample_tasks(rng: np.random.Generator, images: ImageSet, shape: TaskShape, tasks: int) -> SampledTasks:
    """
    Draw tasks of different classes and, within a class, of different images.

    Args:
        tasks: how many tasks to draw; a multiple of `shape.merged`.

    Raises:
        InvalidData: there are fewer classes, or images of a class, than tasks take.
    """
    ways, shots, queries = shape.ways, shape.shots, shape.queries
    rows = _sample_images(rng, images, tasks // shape.merged, ways * shape.merged, shots + queries)
    rows = rows.reshape(tasks, ways, shots + queries)
    # The first of a class are its support, so that tasks have the same support whatever the number of queries.
    return SampledTasks(
        support_rows=rows[:, :, :shots].reshape(tasks, ways * shots),
        order=shuffled_passes(rng, tasks, ways * shots, shape.passes),
        query_rows=rows[:, :, shots:].reshape(tasks, ways * queries),
        ways=ways,
    )


def _sample_images(rng: np.random.Generator, images: ImageSet, tasks: int, ways: int, per_class: int) -> Rows:
    """Draw rows (tasks, ways, per_class) of different classes and, within a class, of different images."""
    if (fewest := int(images.counts.min())) < per_class:
        # Not left to indexing, which would quietly take the rows of the next class.
        raise InvalidData(f"a class has {fewest} images and a task takes {per_class} of each (shots and queries)")
    if len(images.counts) < ways:
        raise InvalidData(f"there are {len(images.counts)} classes and tasks take {ways} at once")
    classes = _smallest(rng.random((tasks, len(images.counts))), ways)  # (tasks, ways)
    counts = images.counts[classes]
    ranks = rng.random((tasks, ways, int(images.counts.max())))
    ranks[np.arange(ranks.shape[2]) >= counts[:, :, None]] = np.inf  # classes may differ in size
    return images.starts[classes][:, :, None] + _smallest(ranks, per_class)


def _smallest(values: npt.NDArray[np.float64], count: int) -> Rows:
    """
    Return the indices of the `count` smallest along the last axis, smallest first.

    Of random numbers, that is a draw without replacement.
    """
    # Partitioned first, so that only the few that are taken are sorted, not a thousand classes.
    chosen = np.argpartition(values, count - 1, axis=-1)[..., :count]
    order = np.argsort(np.take_along_axis(values, chosen, axis=-1), axis=-1)
    return np.take_along_axis(chosen, order, axis=-1)


def shuffled_passes(rng: np.random.Generator, tasks: int, images: int, passes: Passes) -> Rows:
    """
    Go through each task's images in one shuffled pass after another, cut into batches: (tasks, steps, batch).

    As in supervised-reptile; a batch may straddle two passes.
    """
    steps, batch = passes.steps, images if passes.batch is None else passes.batch
    whole = -(-steps * batch // images)  # passes that are begun
    order = np.argsort(rng.random((tasks, whole, images)), axis=-1)
    return order.reshape(tasks, -1)[:, : steps * batch].reshape(tasks, steps, batch)


# --- images -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Support:
    """The labelled images of several tasks, and the mini-batches in which an inner loop goes through them."""

    images: Tensor
    """(tasks, ways * shots, channels, side, side), in [0, 1]."""
    labels: Tensor
    """(tasks, ways * shots), integers in [0, ways)."""
    order: Tensor
    """Indices of the images of each gradient step, (tasks, steps, batch)."""

    def __len__(self) -> int:
        """Return the number of tasks."""
        return len(self.images)

    @property
    def steps(self) -> int:
        """The number of mini-batches."""
        return self.order.shape[1]

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return a mini-batch: images (tasks, batch, channels, side, side) and labels (tasks, batch)."""
        task = torch.arange(len(self), device=self.order.device)[:, None]
        chosen = self.order[:, step]
        return self.images[task, chosen], self.labels[task, chosen]


@dataclass(frozen=True)
class Tasks:
    """Several tasks: their support images, to adapt to, and their query images, to be classified afterwards."""

    support: Support
    queries: Tensor
    """(tasks, ways * queries, channels, side, side), in [0, 1]; (tasks, 0, …) for a learner that reads none."""
    query_labels: Tensor
    """(tasks, ways * queries), integers in [0, ways)."""


class DeviceImages:
    """An image set's pixels where the networks are; 8 bits each until they are used."""

    def __init__(self, images: ImageSet, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        self.images = images
        self.device, self.dtype = device, dtype
        self._pixels = torch.from_numpy(images.pixels).to(device)

    def of_classes(self, classes: npt.NDArray[np.int64]) -> DeviceImages:
        """Return some of the classes, given by their indices. Their pixels are shared, not copied."""
        chosen = copy(self)
        chosen.images = self.images.of_classes(classes)
        return chosen

    def gather(self, rows: Tensor) -> Tensor:
        """Return images (*rows.shape, channels, side, side) in [0, 1]."""
        return self._pixels[rows].to(self.dtype).div_(255)

    def tasks(self, sampled: SampledTasks) -> Tasks:
        """Return the images and labels of sampled tasks."""
        support, order, queries = (torch.from_numpy(rows).to(self.device) for rows in sampled.arrays)
        return self.tasks_at(support, order, queries, ways=sampled.ways)

    def tasks_at(self, support_rows: Tensor, order: Tensor, query_rows: Tensor, *, ways: int) -> Tasks:
        """Return the images and labels of tasks whose rows, as in `SampledTasks`, are on the device already."""
        support = Support(self.gather(support_rows), self._labels(support_rows, ways), order)
        return Tasks(support, self.gather(query_rows), self._labels(query_rows, ways))

    def _labels(self, rows: Tensor, ways: int) -> Tensor:
        """Return the labels of rows (tasks, ways * per class) that are sorted by class."""
        tasks, count = rows.shape
        return torch.arange(ways, device=self.device).repeat_interleave(count // ways).expand(tasks, count)
