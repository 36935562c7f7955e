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
        with decoding(f"image {item}", IMAGE_RULE), Image.open(item, formats=FORMATS) as image:
            return _eight_bits(ImageOps.exif_transpose(image))

    def own_side(self, items: Sequence[Path]) -> int:
        sizes = set()
        for file in items:
            with (
                decoding(f"image {file}", IMAGE_RULE),
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
