"""
Near duplicates among the images of a data set: pairs whose pixels hardly differ, such as an image and its copy in JPEG.

Two images are near duplicates where the root mean square of their difference is at most `NEAR`. No pair is missed, and
few are compared pixel by pixel: the means of an image over blocks differ by no more than its pixels do (Jensen's
inequality), so images are compared by these first, and only where their means over all pixels are as close.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from metasearch_trainer.data.images import Pixels

NEAR = 0.02
"""The largest difference of near duplicates, in pixel values in [0, 1]: five of 255 grey levels."""

BLOCKS = 8
"""The number of rows and of columns of blocks in which images are compared first."""

ROWS_AT_ONCE = 64
"""The number of images that are compared at once with all that may be near."""

BYTES_AT_ONCE = 2**23
"""The memory that a comparison of pixels may take, about."""

ROUNDING = 1e-5
"""The most by which a squared distance of block means may be wrong in single precision, with a margin."""

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class NearDuplicates:
    """The images that have a near duplicate, (images,) each, in the order of the parts that were compared."""

    anywhere: Flags
    in_other_classes: Flags
    in_other_parts: Flags


def near_duplicates(parts: Sequence[Pixels], classes: Sequence[Integers]) -> NearDuplicates:
    """
    Compare all images of some parts, in each part and between them.

    Args:
        parts: images of one shape.
        classes: the class of each image, (images,) for each part; classes of different parts have different numbers.
    """
    search = _Search(parts, np.concatenate(classes))
    search.run()
    return NearDuplicates(*search.flags)


def identical(parts: Sequence[Pixels]) -> Flags:
    """Tell of each image, (images,), whether another one of any part equals it."""
    digests = [blake2b(image.tobytes(), digest_size=16).digest() for pixels in parts for image in pixels]
    counts = Counter(digests)
    return np.array([counts[digest] > 1 for digest in digests])


class _Search:
    """A comparison of all images, row by row in the order of their mean brightness."""

    def __init__(self, parts: Sequence[Pixels], classes: Integers) -> None:
        self._parts = parts
        self._ends = np.cumsum([len(pixels) for pixels in parts])
        means = np.concatenate([_block_means(pixels) for pixels in parts])
        self._brightness = np.concatenate([_brightness(pixels) for pixels in parts])
        self._order = np.argsort(self._brightness, kind="stable")
        self._brightness, self._means = self._brightness[self._order], means[self._order]
        self._squares = np.einsum("ij,ij->i", self._means, self._means)
        self._class_of = classes
        self._part_of = np.repeat(np.arange(len(parts)), [len(pixels) for pixels in parts])
        self.flags = tuple(np.zeros(len(classes), dtype=np.bool_) for _ in range(3))

    def run(self) -> None:
        for first in range(0, len(self._order), ROWS_AT_ONCE):
            last = min(first + ROWS_AT_ONCE, len(self._order))
            # In double precision, and a little wider, lest rounding leave out a pair on the bound.
            end = int(np.searchsorted(self._brightness, self._brightness[last - 1] + NEAR + 1e-9, side="right"))
            products = self._means[first:last] @ self._means[first:end].T
            distances = self._squares[first:last, None] + self._squares[None, first:end] - 2 * products
            close = np.triu(distances <= NEAR**2 + ROUNDING, k=1)
            if close.any():
                close &= self._is_telling(self._order[first:last, None], self._order[None, first:end])
            rows, others = np.nonzero(close)
            self._compare(self._order[first + rows], self._order[first + others])

    def _compare(self, rows: Integers, others: Integers) -> None:
        """Compare pairs pixel by pixel, and flag those that are near."""
        at_once = max(1, BYTES_AT_ONCE // (4 * self._parts[0][0].size))
        for first in range(0, len(rows), at_once):
            one, other = rows[first : first + at_once], others[first : first + at_once]
            telling = self._is_telling(one, other)
            one, other = one[telling], other[telling]
            if not len(one):
                continue
            difference = self._pixels(one).astype(np.float32) - self._pixels(other)
            near = np.einsum("icyx,icyx->i", difference, difference) <= (255 * NEAR) ** 2 * difference[0].size
            for flags, differ in zip(self.flags, self._differ(one, other), strict=True):
                flags[one[near & differ]] = flags[other[near & differ]] = True

    def _is_telling(self, one: Integers, other: Integers) -> Flags:
        """
        Tell of each pair whether a flag would change if it were near.

        Of many copies of one image, most pairs tell nothing that is not known already.
        """
        changes = [
            differ & ~(flags[one] & flags[other])
            for flags, differ in zip(self.flags, self._differ(one, other), strict=True)
        ]
        return np.asarray(np.logical_or.reduce(changes))

    def _differ(self, one: Integers, other: Integers) -> tuple[Flags, Flags, Flags]:
        """Tell of each pair whether it is two images, of two classes, of two parts, in the order of the flags."""
        return one != other, self._class_of[one] != self._class_of[other], self._part_of[one] != self._part_of[other]

    def _pixels(self, rows: Integers) -> Pixels:
        """Return the images (rows, channels, side, side), wherever they are."""
        found = np.empty((len(rows), *self._parts[0].shape[1:]), dtype=np.uint8)
        start = 0
        for pixels, end in zip(self._parts, self._ends, strict=True):
            here = (rows >= start) & (rows < end)
            found[here] = pixels[rows[here] - start]
            start = end
        return found


def _block_means(pixels: Pixels) -> npt.NDArray[np.float32]:
    """
    Return the mean of each image over each block, in [0, 1], times the root of the block's share of the pixels.

    By that factor, the distance between two rows of the result (images, blocks) is at most that of the images.
    """
    side = pixels.shape[2]
    edges = np.unique(np.arange(BLOCKS) * side // BLOCKS)
    sizes = np.diff([*edges, side])
    rows = np.empty((len(pixels), len(edges) ** 2), dtype=np.float32)
    # A thousand at a time, since sums take eight times the memory of pixels.
    for first in range(0, len(pixels), 1000):
        sums = pixels[first : first + 1000].sum(axis=1, dtype=np.int64)
        sums = np.add.reduceat(np.add.reduceat(sums, edges, axis=1), edges, axis=2)
        areas = np.outer(sizes, sizes)
        means = sums / (255 * pixels.shape[1] * areas) * np.sqrt(areas / side**2)
        rows[first : first + 1000] = means.reshape(len(means), -1)
    return rows


def _brightness(pixels: Pixels) -> npt.NDArray[np.float64]:
    """Return the mean of all pixels of each image, in [0, 1]."""
    return np.asarray(pixels.mean(axis=(1, 2, 3), dtype=np.float64) / 255)
