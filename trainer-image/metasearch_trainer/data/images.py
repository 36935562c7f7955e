"""Images by class, as plain arrays. Every data set becomes this, whatever it was read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""(images, channels, side, side), 0 to 255."""


@dataclass(frozen=True)
class ImageSet:
    """The images of some classes, each class in one piece."""

    class_names: tuple[str, ...]
    counts: npt.NDArray[np.int64]
    """Images per class, (classes,)."""
    pixels: Pixels
    """May hold images of other classes too, where it is shared with a larger set (`of_classes`)."""
    first_rows: npt.NDArray[np.int64] | None = None
    """The row of each class's first image in `pixels`, (classes,); None where class follows class from row 0."""

    @classmethod
    def of(cls, classes: Sequence[tuple[str, Pixels]]) -> ImageSet:
        """Join classes given as (name, images); all images have one shape."""
        counts = np.array([len(pixels) for _, pixels in classes], dtype=np.int64)
        return cls(tuple(name for name, _ in classes), counts, np.concatenate([pixels for _, pixels in classes]))

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        """The row of each class's first image in `pixels`, (classes,)."""
        if self.first_rows is not None:
            return self.first_rows
        return np.concatenate(([0], np.cumsum(self.counts)[:-1])).astype(np.int64)

    @property
    def own_pixels(self) -> Pixels:
        """The pixels of its classes alone, class after class."""
        if self.first_rows is None:
            return self.pixels
        pieces = zip(self.first_rows, self.counts, strict=True)
        return np.concatenate([self.pixels[first : first + count] for first, count in pieces])

    @property
    def channels(self) -> int:
        """1 for greyscale, 3 for colour."""
        return int(self.pixels.shape[1])

    @property
    def side(self) -> int:
        """The height and width of an image in pixels."""
        return int(self.pixels.shape[2])

    def of_classes(self, classes: npt.NDArray[np.int64]) -> ImageSet:
        """Return some of the classes, given by their indices, in that order. Their pixels are shared, not copied."""
        names = tuple(self.class_names[index] for index in classes)
        return ImageSet(names, self.counts[classes], self.pixels, self.starts[classes])

    def merged_with(self, other: ImageSet) -> ImageSet:
        """Return the classes of both sets, whose images have one shape, this set's first."""
        return ImageSet(
            class_names=self.class_names + other.class_names,
            counts=np.concatenate([self.counts, other.counts]),
            pixels=np.concatenate([self.pixels, other.pixels]),
            first_rows=np.concatenate([self.starts, other.starts + len(self.pixels)]),
        )

    def rotated(self, rotations: int) -> ImageSet:
        """
        Make each class into several, turned by multiples of a full turn / `rotations`.

        Args:
            rotations: 1, 2 or 4.
        """
        turns = [turn * (4 // rotations) for turn in range(rotations)]
        return ImageSet(
            class_names=tuple(
                name if not turn else f"{name}/{90 * turn}" for turn in turns for name in self.class_names
            ),
            counts=np.tile(self.counts, rotations),
            pixels=np.concatenate([np.rot90(self.pixels, turn, axes=(2, 3)) for turn in turns]),
            first_rows=np.concatenate([self.starts + copy * len(self.pixels) for copy in range(rotations)]),
        )


@dataclass(frozen=True)
class Splits:
    """
    A data set: classes to train on, classes that choose between candidates, and classes that are reported on.

    No class is in two of them, since a few-shot learner is judged by classes that it has never seen.
    """

    train: ImageSet
    validation: ImageSet
    test: ImageSet
