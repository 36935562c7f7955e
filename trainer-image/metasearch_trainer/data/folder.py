"""
The user's own images: a folder of class folders, or an .npz file.

Whatever they are, they become 8-bit squares of one size with one or three channels. Turned as their EXIF says, without
alpha, cut to the square in their middle, then resized. 16-bit greyscale keeps its upper 8 bits.
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from metasearch.errors import InvalidData
from metasearch.spec import Folder
from metasearch_trainer.data import splits
from metasearch_trainer.data.images import ImageSet, Pixels, Splits
from metasearch_trainer.data.resizing import square
from metasearch_trainer.data.splits import ListedClass, ListedImage

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"})
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")  # no others: some of Pillow's readers start programs
GREY_MODES = frozenset({"1", "L", "LA"})  # and 16-bit greyscale, which is L once it is open
NEITHER_MODES = frozenset({"I", "F", "LAB"})  # which value is white is not known, or Pillow has no way to grey
DEFAULT_SIDE = 84  # Mini-ImageNet's, for images that are not all of one square size

PATH_RULE = "dataset.folder.path must be a folder with one sub-folder of images per class, or an .npz file"
IMAGE_RULE = "it must be mended, or left out of the data"
ARCHIVE_RULE = "an .npz file must have images (N,H,W) or (N,H,W,3) uint8, labels (N,) integers and classes (text)"

Item = TypeVar("Item")


class _Source(Protocol[Item]):
    """Images that are opened one by one, from any thread."""

    def items(self, listed: ListedClass) -> Sequence[Item]:
        """What to open for a class, in a fixed order; at least one."""

    def open(self, item: Item) -> Image.Image:
        """One image, whole and upright, in any 8-bit mode."""

    def own_side(self, items: Sequence[Item]) -> int:
        """The side that images get when the user asks for none."""


def load(folder: Folder, image_size: int | None) -> Splits:
    """
    Read the images of a split's classes.

    Args:
        folder: a relative `path` counts from the working directory, a relative `split` from the images' folder.
        image_size: side in pixels; None keeps the images' own, or takes 84 where they are not of one square size.

    Raises:
        InvalidData: says which file, class or row is wrong, and what would be right.
    """
    path = Path(folder.path)
    with splits.reading(path, PATH_RULE):
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    if not is_folder and path.suffix.lower() != ".npz":
        raise InvalidData(f"{path} is neither a folder nor an .npz file; {PATH_RULE}")
    split = splits.read((path if is_folder else path.parent) / folder.split)
    if is_folder:
        return _load(_ClassFolders(path, split.source), split, folder.channels, image_size)
    return _load(_Archive.read(path, split.source), split, folder.channels, image_size)


def _load(source: _Source[Item], split: splits.ClassSplit, channels: int | None, image_size: int | None) -> Splits:
    """Find every image before the first is decoded, so that a mistake shows at once."""
    parts = [[(listed.name, source.items(listed)) for listed in classes] for classes in split.parts]
    items = [item for classes in parts for _, listed in classes for item in listed]
    channels = channels or (1 if source.open(items[0]).mode in GREY_MODES else 3)
    side = image_size or source.own_side(items)
    return Splits(*(_image_set(source, classes, channels, side) for classes in parts))


def _image_set(
    source: _Source[Item], classes: Sequence[tuple[str, Sequence[Item]]], channels: int, side: int
) -> ImageSet:
    """One part: its classes with their items, opened side by side into one array."""
    items = [item for _, listed in classes for item in listed]
    pixels = _room(len(items), channels, side)

    def fill(row: int) -> None:
        pixels[row] = _planes(source.open(items[row]), channels, side)

    with ThreadPoolExecutor() as pool:  # decoding leaves Python's lock
        list(pool.map(fill, range(len(items))))  # in order, so that of several bad images the first is named
    counts = np.array([len(listed) for _, listed in classes], dtype=np.int64)
    return ImageSet(tuple(name for name, _ in classes), counts, pixels)


def _room(images: int, channels: int, side: int) -> Pixels:
    """Memory for the pixels of a part."""
    try:
        return np.empty((images, channels, side, side), dtype=np.uint8)
    except MemoryError as error:
        gigabytes = images * channels * side * side / 1e9
        raise InvalidData(
            f"{images} images of {channels} x {side} x {side} pixels need {gigabytes:.0f} GB of memory; "
            "set a smaller dataset.imageSize"
        ) from error


def _planes(image: Image.Image, channels: int, side: int) -> Pixels:
    """An image as (channels, side, side)."""
    image = square(image.convert("L" if channels == 1 else "RGB"), side)
    return np.asarray(image).reshape(side, side, channels).transpose(2, 0, 1)


@contextmanager
def _decoding(what: str, rule: str) -> Iterator[None]:
    """Turn whatever a broken file leads to into InvalidData, a sentence that ends with what would be right."""
    try:
        yield
    except InvalidData:
        raise
    except Exception as error:  # on broken bytes, decoders raise nearly anything
        why = f"not one of {', '.join(FORMATS)}" if isinstance(error, UnidentifiedImageError) else splits.reason(error)
        raise InvalidData(f"{what} cannot be read ({why}); {rule}") from error


# --- class folders -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _ClassFolders:
    """Image files in one folder per class, or wherever a CSV file's rows are found."""

    path: Path
    split: Path
    """Where the classes are listed, for messages."""

    @cached_property
    def names(self) -> frozenset[str]:
        """The sub-folders. A class is one of them to the letter, whatever the file system thinks of case and dots."""
        with splits.reading(self.path, PATH_RULE):
            return frozenset(entry.name for entry in self.path.iterdir() if entry.is_dir())

    def items(self, listed: ListedClass) -> Sequence[Path]:
        if listed.images:
            return [self._find(listed.name, image) for image in listed.images]
        if listed.name not in self.names:
            raise InvalidData(
                f"class {listed.name!r} of {self.split} has no folder in {self.path}; "
                f"one of the {len(self.names)} sub-folders there must have that name, to the letter"
            )
        return self._files(self.path / listed.name)

    def _files(self, folder: Path) -> Sequence[Path]:
        """The images of a class folder by name."""
        with splits.reading(folder, "a class folder must be readable"):
            files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and file.name[0] != ".")
        if not files:
            raise InvalidData(
                f"class folder {folder} has no images; {self.split} lists it, "
                f"so it must hold files named {', '.join(sorted(SUFFIXES))}"
            )
        return files

    def _find(self, label: str, image: ListedImage) -> Path:
        places = [folder / image.filename for folder in (self.path / label, self.path / "images", self.path)]
        for file in places:
            with splits.reading(file, "an image must be readable"):
                if file.is_file():
                    return file
        raise InvalidData(f"{image} is not there; it must be {places[0]}, {places[1]} or {places[2]}")

    def open(self, item: Path) -> Image.Image:
        with _decoding(f"image {item}", IMAGE_RULE), Image.open(item, formats=FORMATS) as image:
            return _eight_bits(ImageOps.exif_transpose(image))

    def own_side(self, items: Sequence[Path]) -> int:
        sizes = set()
        for file in items:
            with (
                _decoding(f"image {file}", IMAGE_RULE),
                Image.open(file, formats=FORMATS) as image,
            ):  # reads the header only
                sizes.add(image.size)
            width, height = image.size
            if len(sizes) > 1 or width != height:
                return DEFAULT_SIDE
        return width


def _eight_bits(image: Image.Image) -> Image.Image:
    if image.mode in NEITHER_MODES:
        raise ValueError(f"its pixels are of mode {image.mode}, neither greyscale of 8 or 16 bits nor RGB")
    if image.mode.startswith("I;16"):
        # Pillow's own conversion makes all above 255 white.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image


# --- .npz --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Archive:
    """The arrays of an .npz file."""

    path: Path
    split: Path
    """Where the classes are listed, for messages."""
    images: npt.NDArray[np.uint8]
    """(N, H, W) or (N, H, W, 3)."""
    rows: dict[str, npt.NDArray[np.intp]]
    """The rows of each class."""

    @classmethod
    def read(cls, path: Path, split: Path) -> _Archive:
        images, labels, classes = _arrays(path)
        _check_images(path, images)
        _check_classes(path, classes)
        _check_labels(path, labels, len(images), len(classes))
        rows = {str(name): np.flatnonzero(labels == label) for label, name in enumerate(classes)}
        return cls(path, split, images, rows)

    def items(self, listed: ListedClass) -> Sequence[int]:
        if listed.name not in self.rows:
            raise InvalidData(
                f"class {listed.name!r} of {self.split} is not in {self.path}; "
                f"it must be one of its {len(self.rows)} classes, to the letter"
            )
        rows: list[int] = self.rows[listed.name].tolist()
        if not rows:
            raise InvalidData(
                f"class {listed.name!r} of {self.split} has no images in {self.path}; a label must point to it"
            )
        return rows

    def open(self, item: int) -> Image.Image:
        return Image.fromarray(self.images[item])

    def own_side(self, items: Sequence[int]) -> int:  # noqa: ARG002 - they are all of one size
        height, width = self.images.shape[1:3]
        if height != width:
            raise InvalidData(
                f"the images of {self.path} are {width} pixels wide and {height} high; they must be square, "
                "or dataset.imageSize be set, which cuts and resizes them"
            )
        return int(width)


def _arrays(path: Path) -> list[npt.NDArray[Any]]:
    """Images, labels and classes as they were stored."""
    # A pickle could run anything. np.load alone would also take an .npy file, and calls whatever else a pickle.
    with _decoding(str(path), ARCHIVE_RULE), zipfile.ZipFile(path), np.load(path, allow_pickle=False) as stored:
        return [_array(path, stored, name) for name in ("images", "labels", "classes")]


def _array(path: Path, stored: Mapping[str, Any], name: str) -> npt.NDArray[Any]:
    if name not in stored:
        raise InvalidData(f"{path} has no array {name!r}; {ARCHIVE_RULE}")
    with _decoding(f"array {name!r} of {path}", ARCHIVE_RULE):
        return np.asarray(stored[name])


def _check_images(path: Path, images: npt.NDArray[Any]) -> None:
    shape = images.shape
    if images.dtype != np.uint8 or len(shape) not in (3, 4) or shape[3:] not in ((), (3,)) or 0 in shape:
        raise InvalidData(f"images of {path} are {images.dtype} {shape}; they must be uint8 (N,H,W) or (N,H,W,3)")


def _check_classes(path: Path, classes: npt.NDArray[Any]) -> None:
    if classes.dtype.kind != "U" or classes.ndim != 1 or not classes.size:
        raise InvalidData(f"classes of {path} are {classes.dtype} {classes.shape}; they must be a row of names")
    names, counts = np.unique(classes, return_counts=True)
    if (counts > 1).any():
        raise InvalidData(f"classes of {path} name {str(names[counts.argmax()])!r} twice; a name must be there once")


def _check_labels(path: Path, labels: npt.NDArray[Any], images: int, classes: int) -> None:
    if labels.dtype.kind not in "iu" or labels.shape != (images,):
        raise InvalidData(f"labels of {path} are {labels.dtype} {labels.shape}; they must be {images} integers")
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise InvalidData(
            f"label {labels[wrong[0]]} of row {wrong[0]} of {path} points to no class; "
            f"it must be 0 to {classes - 1}, as classes has {classes} names"
        )
