"""Sampling tasks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metasearch_trainer.data.images import ImageSet
from metasearch_trainer.tasks import (
    DeviceImages,
    sample_evaluation_tasks,
    sample_training_tasks,
    shuffled_passes,
    stream,
)

COUNTS = (5, 3, 8, 4, 6, 3)


def image_set(counts: tuple[int, ...] = COUNTS) -> ImageSet:
    """Classes of differing size; each pixel says which class it is of."""
    return ImageSet.of(
        [(f"class{index}", np.full((count, 1, 2, 2), index, dtype=np.uint8)) for index, count in enumerate(counts)]
    )


def class_of(images: ImageSet, rows: np.ndarray) -> np.ndarray:
    return images.pixels[rows, 0, 0, 0]


@given(st.integers(0, 2**32), st.integers(2, 6), st.integers(1, 3))
def test_a_training_task_has_as_many_classes_as_ways_and_labels_say_which(seed: int, ways: int, shots: int) -> None:
    images = image_set()
    tasks = sample_training_tasks(np.random.default_rng(seed), images, 4, ways, shots, steps=5, batch=7)
    assert tasks.rows.shape == tasks.labels.shape == (4, 5, 7)
    for rows, labels in zip(tasks.rows.reshape(4, -1), tasks.labels.reshape(4, -1), strict=True):
        pairs = set(zip(class_of(images, rows).tolist(), labels.tolist(), strict=True))
        assert len({label for _, label in pairs}) == len(pairs) == len({owner for owner, _ in pairs})
        assert labels.max() < ways
        assert max(len(set(rows[labels == label])) for label in labels) <= shots


@given(st.integers(0, 2**32), st.integers(1, 2))
def test_an_evaluation_task_never_asks_about_an_image_it_has_shown(seed: int, shots: int) -> None:
    images = image_set()
    tasks = sample_evaluation_tasks(np.random.default_rng(seed), images, 3, 5, shots, steps=4, batch=5)
    for support, queries in zip(tasks.support_rows, tasks.query_rows, strict=True):
        assert len(set(support)) == 5 * shots
        assert not set(support) & set(queries)
        classes = class_of(images, support.reshape(5, shots))
        assert (classes == class_of(images, queries)[:, None]).all()
    assert set(tasks.support.rows.flatten()) <= set(tasks.support_rows.flatten())


def test_every_image_is_seen_once_before_any_is_seen_again() -> None:
    order = shuffled_passes(np.random.default_rng(0), tasks=2, images=6, steps=4, batch=3)
    for task in order.reshape(2, 2, 6):
        assert all(sorted(one_pass) == list(range(6)) for one_pass in task.tolist())


def test_a_batch_may_straddle_two_passes() -> None:
    order = shuffled_passes(np.random.default_rng(0), tasks=1, images=5, steps=3, batch=4).reshape(-1)
    assert sorted(order[:5]) == sorted(order[5:10]) == list(range(5))


def test_classes_are_drawn_evenly() -> None:
    images = image_set()
    tasks = sample_training_tasks(np.random.default_rng(0), images, 6000, 2, 1, steps=1, batch=2)
    counts = np.bincount(class_of(images, tasks.rows.flatten()), minlength=6)
    assert counts == pytest.approx([2000] * 6, abs=200)  # more than five standard deviations


def test_a_stream_depends_on_its_name_alone() -> None:
    one, same, other = (
        stream(*name).random(3).tolist() for name in ((0, "train", 5), (0, "train", 5), (0, "train", 6))
    )
    assert one == same != other


def test_gathered_images_are_between_0_and_1() -> None:
    images = ImageSet.of([("a", np.array([0, 51, 255], dtype=np.uint8).reshape(3, 1, 1, 1))])
    gathered = DeviceImages(images, torch.device("cpu")).gather(torch.tensor([[2, 1], [0, 0]]))
    assert gathered.flatten().tolist() == pytest.approx([1, 0.2, 0, 0])
    assert gathered.shape == (2, 2, 1, 1, 1)


def test_rotations_make_new_classes_of_turned_images() -> None:
    picture = np.array([[1, 2], [3, 4]], dtype=np.uint8).reshape(1, 1, 2, 2)
    turned = ImageSet.of([("a", picture), ("b", picture)]).rotated(4)
    assert turned.class_names == ("a", "b", "a/90", "b/90", "a/180", "b/180", "a/270", "b/270")
    assert turned.pixels[::2].reshape(4, 4).tolist() == [[1, 2, 3, 4], [2, 4, 1, 3], [4, 3, 2, 1], [3, 1, 4, 2]]
    assert ImageSet.of([("a", picture)]).rotated(2).class_names == ("a", "a/180")
