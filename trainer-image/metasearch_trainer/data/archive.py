"""Images, labels and classes in an .npz file."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from metasearch.errors import InvalidData
from metasearch_trainer.data.decoding import decoding
from metasearch_trainer.data.splits import ListedClass

ARCHIVE_RULE = "an .npz file must have images (N,H,W) or (N,H,W,3) uint8, labels (N,) integers and classes (text)"


@dataclass(frozen=True)
class Archive:
    """The arrays of an .npz file."""

    path: Path
    split: Path
    """The split's file, for messages."""
    images: npt.NDArray[np.uint8]
    """(N, H, W) or (N, H, W, 3)."""
    rows: dict[str, npt.NDArray[np.intp]]
    """The rows of each class in `images`, by the class's name."""

    @classmethod
    def read(cls, path: Path, split: Path) -> Archive:
        """
        Read a file and check that its arrays fit together.

        Raises:
            InvalidData: an array is missing, of another type or shape, or points to nothing.
        """
        images, labels, classes = _arrays(path)
        if images.ndim == 4 and images.shape[3] == 1:
            images = images[..., 0]  # as some libraries keep grey images
        _check_images(path, images)
        _check_classes(path, classes)
        _check_labels(path, labels, len(images), len(classes))
        rows = {str(name): np.flatnonzero(labels == label) for label, name in enumerate(classes)}
        return cls(path, split, images, rows)

    def items(self, listed: ListedClass) -> Sequence[int]:
        """Return the rows of a class; raises InvalidData where it has none."""
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
        """Return the image of a row."""
        return Image.fromarray(self.images[item])

    def own_side(self, items: Sequence[int]) -> int:  # noqa: ARG002 - they are all of one size
        """Return the images' side in pixels; raises InvalidData where they are not square."""
        height, width = self.images.shape[1:3]
        if height != width:
            raise InvalidData(
                f"the images of {self.path} are {width} pixels wide and {height} high; they must be square, "
                "or dataset.imageSize be set, which cuts and resizes them"
            )
        return int(width)


def _arrays(path: Path) -> list[npt.NDArray[Any]]:
    """Read images, labels and classes as they were stored."""
    # A pickle could run anything. np.load alone would also take an .npy file, and calls whatever else a pickle.
    with decoding(str(path), ARCHIVE_RULE), zipfile.ZipFile(path), np.load(path, allow_pickle=False) as stored:
        return [_array(path, stored, name) for name in ("images", "labels", "classes")]


def _array(path: Path, stored: Mapping[str, Any], name: str) -> npt.NDArray[Any]:
    if name not in stored:
        raise InvalidData(f"{path} has no array {name!r}; {ARCHIVE_RULE}")
    with decoding(f"array {name!r} of {path}", ARCHIVE_RULE):
        return np.asarray(stored[name])


def _check_images(path: Path, images: npt.NDArray[Any]) -> None:
    shape = images.shape
    if images.dtype != np.uint8 or len(shape) not in (3, 4) or shape[3:] not in ((), (3,)) or 0 in shape:
        raise InvalidData(f"images of {path} are {images.dtype} {shape}; they must be uint8 (N,H,W) or (N,H,W,3)")


def _check_classes(path: Path, classes: npt.NDArray[Any]) -> None:
    if classes.dtype.kind != "U" or classes.ndim != 1 or not classes.size:
        raise InvalidData(f"classes of {path} are {classes.dtype} {classes.shape}; they must be a row of names")
    names, counts = np.unique(classes, return_counts=True)
    # With a name twice, the images of its first label would be lost without a word.
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
