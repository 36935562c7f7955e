"""
Reading the user's own images: a folder of class folders, or an .npz file.

Whatever they are, they become 8-bit squares of one size with one or three channels. Turned as their EXIF says, without
alpha, cut to the square in their middle, then resized. 16-bit greyscale keeps its upper 8 bits.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from PIL import Image

from metasearch.api import Folder
from metasearch.errors import InvalidData
from metasearch_trainer.data import splits
from metasearch_trainer.data.archive import Archive
from metasearch_trainer.data.class_folders import PATH_RULE, ClassFolders
from metasearch_trainer.data.images import ImageSet, Pixels, Splits
from metasearch_trainer.data.resizing import square
from metasearch_trainer.data.splits import ListedClass

GREY_MODES = frozenset({"1", "L", "LA"})  # and 16-bit greyscale, which is L once it is open

Item = TypeVar("Item")


class _Source(Protocol[Item]):
    """Images that are opened one by one, from any thread."""

    def items(self, listed: ListedClass) -> Sequence[Item]:
        """Return the images of a class, at least one, in a fixed order."""

    def open(self, item: Item) -> Image.Image:
        """Return an image, whole and upright, in any 8-bit mode."""

    def own_side(self, items: Sequence[Item]) -> int:
        """Return the side in pixels that images get when the user asks for none."""


def load(folder: Folder, image_size: int | None) -> Splits:
    """
    Read the images of a split's classes.

    Args:
        folder: a relative `path` counts from the working directory, a relative `split` from the images' folder.
        image_size: side in pixels; None keeps the images' own, or takes 84 where they are not of one square size.

    Raises:
        InvalidData: says which file, class or row is wrong, and what would be right.
    """
    path = Path(folder.path).expanduser()
    with splits.reading(path, PATH_RULE):
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    if not is_folder and path.suffix.lower() != ".npz":
        raise InvalidData(f"{path} is neither a folder nor an .npz file; {PATH_RULE}")
    split = splits.read((path if is_folder else path.parent) / folder.split)
    if is_folder:
        return _load(ClassFolders(path, split.source), split, folder.channels, image_size)
    return _load(Archive.read(path, split.source), split, folder.channels, image_size)


def _load(source: _Source[Item], split: splits.ClassSplit, channels: int | None, image_size: int | None) -> Splits:
    """Read the images of a split's classes from a source, as `load` does."""
    # Every image is found before the first is decoded, so that a mistake in the split shows at once.
    parts = [[(listed.name, source.items(listed)) for listed in classes] for classes in split.parts]
    items = [item for classes in parts for _, listed in classes for item in listed]
    channels = channels or (1 if source.open(items[0]).mode in GREY_MODES else 3)
    side = image_size or source.own_side(items)
    return Splits(*(_image_set(source, classes, channels, side) for classes in parts))


def _image_set(
    source: _Source[Item], classes: Sequence[tuple[str, Sequence[Item]]], channels: int, side: int
) -> ImageSet:
    """Open the images of one part, given as its classes with their items, side by side into one array."""
    items = [item for _, listed in classes for item in listed]
    # One array from the start: joining single images would need twice the memory.
    pixels = _empty_pixels(len(items), channels, side)

    def fill(row: int) -> None:
        pixels[row] = _planes(source.open(items[row]), channels, side)

    with ThreadPoolExecutor() as pool:  # decoding leaves Python's lock
        list(pool.map(fill, range(len(items))))  # in order, so that of several bad images the first is named
    counts = np.array([len(listed) for _, listed in classes], dtype=np.int64)
    return ImageSet(tuple(name for name, _ in classes), counts, pixels)


def _empty_pixels(images: int, channels: int, side: int) -> Pixels:
    """Allocate memory for the pixels of a part; raises InvalidData where there is not enough."""
    try:
        return np.empty((images, channels, side, side), dtype=np.uint8)
    except MemoryError as error:
        gigabytes = images * channels * side * side / 1e9
        raise InvalidData(
            f"{images} images of {channels} x {side} x {side} pixels need {gigabytes:.0f} GB of memory; "
            "set a smaller dataset.imageSize"
        ) from error


def _planes(image: Image.Image, channels: int, side: int) -> Pixels:
    """Return an image as an array (channels, side, side)."""
    image = square(image.convert("L" if channels == 1 else "RGB"), side)
    return np.asarray(image).reshape(side, side, channels).transpose(2, 0, 1)
