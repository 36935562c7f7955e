"""Near duplicates: every pair that is near by its pixels is found, and no other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from metasearch_trainer.data.images import Pixels
from metasearch_trainer.data.near_duplicates import NEAR, identical, near_duplicates


def families(seed: int, channels: int, side: int) -> Pixels:
    """Make forty pictures in families of four: an original and copies that differ by ever more noise."""
    rng = np.random.default_rng(seed)
    originals = rng.integers(0, 256, (10, 1, channels, side, side)) * rng.random((10, 1, 1, 1, 1))
    noise = rng.normal(0, 1, (10, 4, channels, side, side)) * np.array([0, 2, 4, 8]).reshape(1, 4, 1, 1, 1)
    return np.clip(originals + noise, 0, 255).astype(np.uint8).reshape(40, channels, side, side)


@pytest.mark.parametrize(("seed", "channels", "side"), [(0, 1, 28), (1, 3, 21), (2, 1, 5), (3, 3, 8)])
def test_all_pairs_that_are_near_by_their_pixels_are_found(seed: int, channels: int, side: int) -> None:
    pixels = np.random.default_rng(seed).permutation(families(seed, channels, side))
    parts, classes = [pixels[:25], pixels[25:]], [np.arange(25) // 3, 20 + np.arange(15) // 3]
    labels, part_of = np.concatenate(classes), np.repeat([0, 1], [25, 15])
    expected = np.zeros((3, 40), dtype=bool)
    for one, other in itertools.permutations(range(40), 2):
        difference = (pixels[one].astype(float) - pixels[other].astype(float)) / 255
        if np.sqrt((difference**2).mean()) <= NEAR:
            expected[:, one] |= [True, labels[one] != labels[other], part_of[one] != part_of[other]]
    found = near_duplicates(parts, classes)
    assert np.array_equal(np.stack([found.anywhere, found.in_other_classes, found.in_other_parts]), expected)
    assert 0 < expected[0].sum() < 40


def test_hundreds_of_copies_of_one_image_are_all_found() -> None:
    """They are more than are compared at once; the one image of another class is a double of each of them."""
    pixels = np.full((300, 1, 10, 10), 40, dtype=np.uint8)
    pixels[:, 0, 3, 4] = np.arange(300) % 20  # a pixel of a hundred by 20 levels, 0.008 at most
    classes = np.zeros(300, dtype=np.int64)
    classes[-1] = 1
    found = near_duplicates([pixels], [classes])
    assert found.anywhere.all()
    assert found.in_other_classes.all()
    assert not found.in_other_parts.any()


def test_images_are_identical_only_where_every_pixel_is() -> None:
    pixels = np.zeros((4, 1, 9, 9), dtype=np.uint8)
    pixels[1, 0, 8, 8] = 1
    pixels[3] = pixels[1]
    assert identical([pixels[:3], pixels[3:]]).tolist() == [True, True, True, True]
    assert identical([pixels[:2], pixels[2:3]]).tolist() == [True, False, True]
