"""Small data sets of noise in the forms that users bring: class folders and .npz files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SPLIT = {
    "train": ["ant", "bee", "cat", "dog", "elk", "fox"],
    "validation": ["gnu", "hen", "ibis"],
    "test": ["jay", "koi", "lynx"],
}
"""The split of the twelve classes."""

CLASSES = [name for part in SPLIT.values() for name in part]
IMAGES = 3
"""The number of images of each class."""


def write_class_folders(root: Path) -> Path:
    """Write twelve class folders of three images of noise each, and their split."""
    rng = np.random.default_rng(0)
    for name in CLASSES:
        (root / name).mkdir(parents=True)
        for image in range(IMAGES):
            pixels = rng.integers(0, 256, (16, 16), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{image}.png")
    write_split(root)
    return root


def write_archive(path: Path, **changes: Any) -> Path:
    """Write an .npz file with as many classes and images; keywords replace its arrays."""
    arrays: dict[str, Any] = {
        "images": np.zeros((len(CLASSES) * IMAGES, 16, 16), dtype=np.uint8),
        "labels": np.repeat(np.arange(len(CLASSES)), IMAGES),
        "classes": np.array(CLASSES),
    } | changes
    np.savez(path, **arrays)
    write_split(path.parent)
    return path


def write_split(folder: Path, **changes: list[str]) -> None:
    (folder / "split.json").write_text(json.dumps(SPLIT | changes), encoding="utf-8")
