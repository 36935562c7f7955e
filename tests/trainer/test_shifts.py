"""Shifted copies of images: where pixels go, and what a gradient step reads."""

from __future__ import annotations

import pytest
import torch

from metasearch_trainer.shifts import copies, shifted, shifted_support
from metasearch_trainer.tasks import Support

STAY, LEFT, RIGHT, UP, DOWN = range(5)


def numbered(side: int = 4) -> torch.Tensor:
    """Make one image whose pixels are 0, 1, 2, … row by row: (1, 1, 1, side, side)."""
    return torch.arange(side * side, dtype=torch.float32).view(1, 1, 1, side, side)


def test_no_shift_is_the_images_alone() -> None:
    images = torch.rand(2, 3, 1, 4, 4)
    assert copies(0) == 1
    assert shifted(images, 0) is images


@pytest.mark.parametrize(
    ("copy", "expected"),
    [
        (STAY, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]),
        (LEFT, [[1, 2, 3, 3], [5, 6, 7, 7], [9, 10, 11, 11], [13, 14, 15, 15]]),
        (RIGHT, [[0, 0, 1, 2], [4, 4, 5, 6], [8, 8, 9, 10], [12, 12, 13, 14]]),
        (UP, [[4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15], [12, 13, 14, 15]]),
        (DOWN, [[0, 1, 2, 3], [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]),
    ],
)
def test_a_shift_by_one_pixel_repeats_the_edge(copy: int, expected: list[list[int]]) -> None:
    moved = shifted(numbered(), 1)
    assert moved.shape == (1, 5, 1, 4, 4)
    assert moved[0, copy, 0].tolist() == expected


def test_a_shift_by_more_than_an_image_leaves_its_edge() -> None:
    moved = shifted(numbered(side=3), 4)
    assert moved[0, RIGHT, 0].tolist() == [[0, 0, 0], [3, 3, 3], [6, 6, 6]]


def test_copies_of_a_mirrored_image_mirror_each_other() -> None:
    image = torch.rand(1, 1, 2, 6, 6)
    image = image + image.flip(-1)  # the same from left and right
    moved = shifted(image, 2)
    assert torch.equal(moved[0, LEFT], moved[0, RIGHT].flip(-1))
    assert torch.equal(moved[0, UP], moved[0, UP].flip(-1))


def test_a_plain_image_stays_as_it_is() -> None:
    assert torch.equal(shifted(torch.full((1, 2, 1, 5, 5), 0.5), 3), torch.full((1, 10, 1, 5, 5), 0.5))


def test_copies_follow_each_other_copy_by_copy() -> None:
    images = torch.rand(2, 3, 1, 4, 4)
    moved = shifted(images, 1)
    assert torch.equal(moved[:, :3], images)
    assert torch.equal(moved[:, 3 * DOWN + 1], shifted(images[:, 1:2], 1)[:, DOWN])


def test_a_gradient_step_reads_all_copies_of_its_images() -> None:
    images, labels = torch.rand(1, 3, 1, 4, 4), torch.tensor([[2, 0, 1]])
    support = shifted_support(Support(images, labels, torch.tensor([[[1, 2], [0, 1]]])), 1)
    read, answers = support.batch(0)
    assert torch.equal(read[0, 0::2], shifted(images[:, 1:2], 1)[0])
    assert torch.equal(read[0, 1::2], shifted(images[:, 2:3], 1)[0])
    assert answers.tolist() == [[0, 1] * 5]
    assert support.steps == 2
    assert support.labels.tolist() == [[2, 0, 1] * 5]
