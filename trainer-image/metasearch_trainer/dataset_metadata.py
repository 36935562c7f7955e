"""Measure the metadata of a search's data set: `metasearch inspect`."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from metasearch.api import MetaSearchSpec
from metasearch.dataset_metadata import DatasetMetadata, SplitMetadata
from metasearch_trainer.data import ImageSet, Splits, read, refusals
from metasearch_trainer.data.images import Pixels
from metasearch_trainer.data.near_duplicates import NearDuplicates, identical, near_duplicates

Flags = npt.NDArray[np.bool_]


def inspect(spec: MetaSearchSpec) -> DatasetMetadata:
    """
    Read the data set of a search and measure it, whatever tasks can be made of it.

    Raises:
        InvalidSpec: no data set of that name is installed.
        InvalidData: a file is missing or cannot be read; the sentence names it.
    """
    return measure(read(spec), spec)


def measure(splits: Splits, spec: MetaSearchSpec) -> DatasetMetadata:
    """Measure a data set that was read for a search."""
    parts = (splits.train, splits.validation, splits.test)
    pixels = [images.own_pixels for images in parts]
    first_class = np.cumsum([0, *(len(images.counts) for images in parts)])
    classes = [
        first + np.repeat(np.arange(len(images.counts)), images.counts)
        for first, images in zip(first_class[:-1], parts, strict=True)
    ]
    copies, near = identical(pixels), near_duplicates(pixels, classes)
    ends = np.cumsum([len(each) for each in pixels])
    settings = spec.training.settings
    # An installed package's learner has settings that only its trials know: a task as in evaluation is the best guess.
    in_evaluation = spec.task.shots + 1
    in_training = in_evaluation if settings is None else settings.images_per_class(spec.task)
    rotations = spec.dataset.training_rotations
    takes = ((in_training, rotations), (in_evaluation, 1), (in_evaluation, 1))
    training, validation, test = (
        _split(images, slice(end - len(own), end), own, copies, near, spec.task.ways, *taken)
        for images, end, own, taken in zip(parts, ends, pixels, takes, strict=True)
    )
    return DatasetMetadata(
        name=spec.dataset.title,
        channels=splits.train.channels,
        side=splits.train.side,
        training=training,
        validation=validation,
        test=test,
        device_bytes=_device_bytes(splits, spec),
        refusals=tuple(refusals(splits, spec)),
    )


def _split(
    images: ImageSet,
    rows: slice,
    pixels: Pixels,
    copies: Flags,
    near: NearDuplicates,
    ways: int,
    per_class: int,
    rotations: int,
) -> SplitMetadata:
    """
    Describe one part.

    Args:
        rows: of the part's images among those of all parts.
        per_class: images that a task takes of each class.
    """
    histogram = _histogram(pixels)
    present = np.flatnonzero(histogram.sum(axis=0)) / 255
    values, shares = np.arange(256) / 255, histogram / histogram.sum(axis=1, keepdims=True)
    mean = shares @ values
    variance = (shares * (values[None] - mean[:, None]) ** 2).sum(axis=1)
    near_here = int(near.anywhere[rows].sum())
    return SplitMetadata(
        classes=len(images.counts),
        task_classes=len(images.counts) * rotations,
        images=len(pixels),
        fewest_images=int(images.counts.min()),
        median_images=float(np.median(images.counts)),
        most_images=int(images.counts.max()),
        lowest=float(present[0]),
        highest=float(present[-1]),
        mean=tuple(mean.tolist()),
        standard_deviation=tuple(np.sqrt(variance).tolist()),
        identical_images=int(copies[rows].sum()),
        near_duplicates=near_here,
        near_duplicate_share=near_here / len(pixels),
        in_other_classes=int(near.in_other_classes[rows].sum()),
        in_other_splits=int(near.in_other_parts[rows].sum()),
        ways=ways,
        images_per_task_class=per_class,
        log10_tasks=log10_tasks(np.tile(images.counts, rotations), ways, per_class),
    )


def _histogram(pixels: Pixels) -> npt.NDArray[np.int64]:
    """Count the pixels of each value, (channels, 256)."""
    counts = np.zeros((pixels.shape[1], 256), dtype=np.int64)
    # A thousand images at a time, since counting takes eight times the memory of what is counted.
    for first in range(0, len(pixels), 1000):
        for channel, found in enumerate(counts):
            found += np.bincount(pixels[first : first + 1000, channel].ravel(), minlength=256)
    return counts


def log10_tasks(counts: npt.NDArray[np.int64], ways: int, per_class: int) -> float | None:
    """
    Return the decimal logarithm of the number of different tasks, by the images that they hold.

    A task has `ways` classes and `per_class` images of each, so that the number is a sum over all sets of classes of
    the products of binomials: an elementary symmetric polynomial, which is summed class by class.

    Args:
        counts: the images of each class, (classes,).

    Returns:
        None where no task can be drawn: there are too few classes, or a class has too few images.
    """
    if len(counts) < ways or counts.min() < per_class:
        return None
    choices = {count: _log_binomial(count, per_class) for count in set(counts.tolist())}
    # Logarithms, since a number may have hundreds of digits; sums[k] counts the sets of k classes so far.
    sums = np.full(ways + 1, -np.inf)
    sums[0] = 0.0
    for count in counts.tolist():
        sums[1:] = np.logaddexp(sums[1:], sums[:-1] + choices[count])
    return float(sums[ways] / math.log(10))


def _log_binomial(of: int, chosen: int) -> float:
    return math.log(math.comb(of, chosen))


def _device_bytes(splits: Splits, spec: MetaSearchSpec) -> int:
    """Return the bytes of the images on a device, as `cross_validation.Images` keeps them."""
    rotations = spec.dataset.training_rotations
    # With folds, any class but those of the test may be trained on.
    of_validation = rotations if spec.evaluation.folds > 1 else 1
    return (
        splits.train.pixels.nbytes * rotations
        + splits.validation.pixels.nbytes * of_validation
        + splits.test.pixels.nbytes
    )
