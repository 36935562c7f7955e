"""Images of another size."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from metasearch_trainer.data import resizing
from metasearch_trainer.data.images import ImageSet, Pixels, Splits


def image_set(pixels: Pixels) -> ImageSet:
    return ImageSet(("ant",), np.array([len(pixels)], dtype=np.int64), pixels)


def splits_of(pixels: Pixels) -> Splits:
    return Splits(image_set(pixels), image_set(pixels), image_set(pixels))


def stripes(side: int, channels: int = 1) -> Pixels:
    """Two images whose columns are 0 and 255 by turns."""
    columns = np.arange(side) % 2 * 255
    return np.broadcast_to(columns, (2, channels, side, side)).astype(np.uint8)


@pytest.mark.parametrize("image_size", [None, 16])
def test_images_of_the_wanted_size_are_left_alone(image_size: int | None) -> None:
    splits = splits_of(stripes(16))
    result = resizing.resized(splits, image_size)
    assert result.train.pixels is splits.train.pixels


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [8, 40])
def test_every_part_gets_the_wanted_size(channels: int, side: int) -> None:
    result = resizing.resized(splits_of(stripes(16, channels)), side)
    assert [part.pixels.shape for part in (result.train, result.validation, result.test)] == [
        (2, channels, side, side)
    ] * 3
    assert result.train.pixels.dtype == np.uint8


def test_classes_stay_as_they_are() -> None:
    splits = splits_of(stripes(16))
    result = resizing.resized(splits, 8)
    assert result.train.class_names == splits.train.class_names
    assert result.train.counts.tolist() == [2]


def test_smaller_images_are_antialiased() -> None:
    inner = resizing.resized(splits_of(stripes(64)), 8).train.pixels[..., 1:-1]
    assert np.abs(inner.astype(int) - 127).max() <= 16


def test_channels_are_not_mixed() -> None:
    pixels = np.zeros((1, 3, 16, 16), dtype=np.uint8)
    pixels[:, 1] = 200
    result = resizing.resized(splits_of(pixels), 8).train.pixels
    assert result.mean(axis=(0, 2, 3)).tolist() == [0, 200, 0]


def test_images_keep_their_order() -> None:
    pixels = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1).repeat(16, axis=2).repeat(16, axis=3)
    assert resizing.resized(splits_of(pixels), 8).train.pixels[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("size", [(20, 10), (10, 20), (21, 10)])
def test_a_square_is_cut_from_the_middle(size: tuple[int, int]) -> None:
    picture = Image.new("L", size, 255)
    left, top = (size[0] - 10) // 2, (size[1] - 10) // 2
    picture.paste(90, (left, top, left + 10, top + 10))
    assert np.unique(np.asarray(resizing.square(picture, 8))).tolist() == [90]
