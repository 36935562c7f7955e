"""
Omniglot (Lake, Salakhutdinov and Tenenbaum 2015): 1,623 handwritten characters, 20 images each.
MIT licence, beside this file.

The images were made 28 x 28 pixels of one bit, ink 1. There are two splits into classes to train on, to choose by and
to report on: by alphabet, 1,028, 172 and 423, as by Vinyals et al. (2016), and at random, 1,100, 100 and 423, as in the
experiments of MAML (Finn et al. 2017; Reptile's have the first two as one). Their very draw was not published with the
paper.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources

import numpy as np

from metasearch_trainer.data.images import ImageSet, Pixels, Splits

SIDE = 28
IMAGES_PER_CLASS = 20

RANDOM_SPLIT_SIZES = (1100, 100, 423)
"""Classes to train on, to choose by and to report on."""
RANDOM_SPLIT_SEED = 0


@cache
def load() -> Splits:
    """Return the images that come with this package, 25 MB unpacked; read once per process."""
    classes = _classes()
    return Splits(*(_subset(classes, f"omniglot_vinyals_{part}.json") for part in ("train", "val", "test")))


@cache
def load_random() -> Splits:
    """Return the same images with their classes split at random, always in the same way."""
    classes = _classes()
    # Sorted first, so that the draw does not depend on the order in the file.
    order = np.random.Generator(np.random.PCG64(RANDOM_SPLIT_SEED)).permutation(np.array(sorted(classes)))
    parts = np.split(order, np.cumsum(RANDOM_SPLIT_SIZES)[:-1])
    return Splits(*(ImageSet.of([(str(name), classes[str(name)]) for name in part]) for part in parts))


def _classes() -> dict[str, Pixels]:
    """Read the images (20, 1, 28, 28) of every class, by its name (set/alphabet/character)."""
    with (
        resources.as_file(resources.files(__package__) / "images.npz") as path,
        np.load(path, allow_pickle=False) as packed,
    ):
        bits, names = packed["bits"], packed["names"]
    # A bit a pixel in the file, which so is small enough to come with the package.
    pixels = np.unpackbits(bits, axis=-1, count=SIDE * SIDE) * np.uint8(255)
    pixels = pixels.reshape(len(names), IMAGES_PER_CLASS, 1, SIDE, SIDE)
    # A name is images_background/Alphabet/character01/0709; the last part only repeats which class it is.
    return {
        str(name).removeprefix("images_").rsplit("/", 1)[0]: images for name, images in zip(names, pixels, strict=True)
    }


def _subset(classes: dict[str, Pixels], file: str) -> ImageSet:
    listed = json.loads((resources.files(__package__) / file).read_text(encoding="utf-8"))
    names = [
        f"{part}/{alphabet}/{character}"
        for part in listed
        for alphabet in listed[part]
        for character in listed[part][alphabet]
    ]
    return ImageSet.of([(name, classes[name]) for name in names])
