"""
Small shifts: an image counts as itself and four copies, moved by some pixels to the left, right, top and bottom.

A few-shot learner sees too few images of a class to know that a shift changes nothing. With copies of the support
images it learns that, and with those of a query its prediction is a mean over five.

Pixels that a shift moves in from outside repeat the edge. Zero would be as good on drawings, whose edges are
background, but only where background is zero; on photographs it would make a bar that no image in training had.
"""

from __future__ import annotations

import torch
from torch import Tensor

from metasearch_trainer.tasks import Support

MOVES = ((0, 0), (0, -1), (0, 1), (-1, 0), (1, 0))
"""The moves of the copies, down and right: none, left, right, up, down."""


def copies(pixels: int) -> int:
    """Return how many copies of an image there are, itself included."""
    return len(MOVES) if pixels else 1


def shifted(images: Tensor, pixels: int) -> Tensor:
    """
    Return all images, then all of them moved left, moved right, moved up and moved down.

    Args:
        images: (tasks, count, channels, side, side).
        pixels: the length of a move; 0 for the images alone.

    Returns:
        (tasks, copies * count, channels, side, side)
    """
    if not pixels:
        return images
    last = images.shape[-1] - 1
    place = torch.arange(last + 1, device=images.device)
    moved = []
    for down, right in MOVES:
        rows, columns = (place - pixels * down).clamp(0, last), (place - pixels * right).clamp(0, last)
        moved.append(images[..., rows, :][..., columns])
    return torch.cat(moved, 1)


def shifted_support(support: Support, pixels: int) -> Support:
    """
    Return a task's support images with their copies.

    A gradient step that reads an image reads its copies too, so that the steps go through the images as they would
    without, and every step has the mean gradient over shifts.
    """
    number, count = copies(pixels), support.images.shape[1]
    order = torch.cat([support.order + copy * count for copy in range(number)], -1)
    return Support(shifted(support.images, pixels), support.labels.repeat(1, number), order)
