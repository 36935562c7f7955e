"""
Resizing images to squares.

The filter is Lanczos, with which Mini-ImageNet is customarily made (Finn's MAML): it is antialiased, and keeps thin
strokes and edges sharper than a box filter, which moreover is nearest-neighbour when an image grows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from metasearch_trainer.data.images import ImageSet, Pixels, Splits

FILTER = Image.Resampling.LANCZOS


def square(image: Image.Image, side: int) -> Image.Image:
    """Cut the largest square from the middle of an image (mode L or RGB), and make it `side` pixels wide."""
    width, height = image.size
    cut = min(width, height)
    left, top = (width - cut) // 2, (height - cut) // 2
    # Cut first, not by resize's own box: the filter would reach beyond it, into pixels that are not wanted.
    return image.crop((left, top, left + cut, top + cut)).resize((side, side), FILTER)


def resized(splits: Splits, image_size: int | None) -> Splits:
    """Make every image `image_size` pixels wide; None leaves them as they are."""
    if image_size is None:
        return splits
    return Splits(*(_resized(images, image_size) for images in (splits.train, splits.validation, splits.test)))


def _resized(images: ImageSet, side: int) -> ImageSet:
    return images if images.side == side else replace(images, pixels=_resized_pixels(images.pixels, side))


def _resized_pixels(pixels: Pixels, side: int) -> Pixels:
    """Resize (N, C, S, S) to (N, C, side, side)."""
    count, channels = pixels.shape[:2]
    # Channel by channel, for data sets may have numbers of channels for which Pillow has no mode.
    result = np.empty((count, channels, side, side), dtype=np.uint8)
    for index in np.ndindex(count, channels):
        result[index] = np.asarray(square(Image.fromarray(pixels[index]), side))
    return result
