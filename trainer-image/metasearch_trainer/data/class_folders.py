"""Image files in one folder per class, or wherever a CSV file's rows are found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from metasearch.errors import InvalidData
from metasearch_trainer.data import splits
from metasearch_trainer.data.decoding import FORMATS, decoding
from metasearch_trainer.data.splits import ListedClass, ListedImage

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"})
NEITHER_MODES = frozenset({"I", "F", "LAB"})  # which value is white is not known, or Pillow has no way to grey
DEFAULT_SIDE = 84  # Mini-ImageNet's, for images that are not all of one square size

PATH_RULE = "dataset.folder.path must be a folder with one sub-folder of images per class, or an .npz file"
IMAGE_RULE = "it must be mended, or left out of the data"


@dataclass(frozen=True)
class ClassFolders:
    """Image files in one folder per class, or wherever a CSV file's rows are found."""

    path: Path
    split: Path
    """The split's file or folder, for messages."""

    @cached_property
    def names(self) -> frozenset[str]:
        """The sub-folders. A class is one of them to the letter, though file systems may ignore case and dots."""
        with splits.reading(self.path, PATH_RULE):
            return frozenset(entry.name for entry in self.path.iterdir() if entry.is_dir())

    def items(self, listed: ListedClass) -> Sequence[Path]:
        """Return the image files of a class, in a fixed order; raises InvalidData where one is missing."""
        if listed.images:
            return [self._find(listed.name, image) for image in listed.images]
        if listed.name not in self.names:
            raise InvalidData(
                f"class {listed.name!r} of {self.split} has no folder in {self.path}; "
                f"one of the {len(self.names)} sub-folders there must have that name, to the letter"
            )
        return self._files(self.path / listed.name)

    def _files(self, folder: Path) -> Sequence[Path]:
        """Return the image files of a class folder, sorted by name."""
        with splits.reading(folder, "a class folder must be readable"):
            # Sorted, for a folder's own order differs between file systems, and rows are drawn by number. Hidden files
            # are no images: macOS writes ._a.png beside a.png.
            files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and file.name[0] != ".")
        if not files:
            raise InvalidData(
                f"class folder {folder} has no images; {self.split} lists it, "
                f"so it must hold files named {', '.join(sorted(SUFFIXES))}"
            )
        return files

    def _find(self, label: str, image: ListedImage) -> Path:
        """Find the file of an image that a CSV file lists."""
        # Mini-ImageNet is passed around in these layouts: by class, in one folder of images, or beside the CSV files.
        candidates = [folder / image.filename for folder in (self.path / label, self.path / "images", self.path)]
        for file in candidates:
            with splits.reading(file, "an image must be readable"):
                if file.is_file():
                    return file
        raise InvalidData(f"{image} is not there; it must be {candidates[0]}, {candidates[1]} or {candidates[2]}")

    def open(self, item: Path) -> Image.Image:
        """Read a file, turned as its EXIF says and with 8 bits a channel; raises InvalidData where it is broken."""
        with decoding(f"image {item}", IMAGE_RULE), Image.open(item, formats=FORMATS) as image:
            return _eight_bits(ImageOps.exif_transpose(image))

    def own_side(self, items: Sequence[Path]) -> int:
        """Return the side in pixels that all images share, or `DEFAULT_SIDE` where they are not of one square size."""
        return self.one_side(items) or DEFAULT_SIDE

    def one_side(self, items: Sequence[Path]) -> int | None:
        """Return the side in pixels that all images share; None where they are not of one square size."""
        sizes = set()
        for file in items:
            with (
                decoding(f"image {file}", IMAGE_RULE),
                Image.open(file, formats=FORMATS) as image,
            ):  # reads the header only
                sizes.add(image.size)
            width, height = image.size
            if len(sizes) > 1 or width != height:
                return None
        return width


def _eight_bits(image: Image.Image) -> Image.Image:
    if image.mode in NEITHER_MODES:
        raise ValueError(f"its pixels are of mode {image.mode}, neither greyscale of 8 or 16 bits nor RGB")
    if image.mode.startswith("I;16"):
        # By hand, since Pillow's own conversion makes all above 255 white.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image
