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
    """The images of some classes, class after class."""

    class_names: tuple[str, ...]
    counts: npt.NDArray[np.int64]
    """Images per class, (classes,)."""
    pixels: Pixels

    @classmethod
    def of(cls, classes: Sequence[tuple[str, Pixels]]) -> ImageSet:
        """Join classes given as (name, images); all images have one shape."""
        counts = np.array([len(pixels) for _, pixels in classes], dtype=np.int64)
        return cls(tuple(name for name, _ in classes), counts, np.concatenate([pixels for _, pixels in classes]))

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        """The row of each class's first image in `pixels`, (classes,)."""
        return np.concatenate(([0], np.cumsum(self.counts)[:-1])).astype(np.int64)

    @property
    def channels(self) -> int:
        """1 for greyscale, 3 for colour."""
        return int(self.pixels.shape[1])

    @property
    def side(self) -> int:
        """The height and width of an image in pixels."""
        return int(self.pixels.shape[2])

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
