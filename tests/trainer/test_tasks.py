"""Sampling tasks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metasearch.errors import InvalidData
from metasearch_trainer.data.images import ImageSet
from metasearch_trainer.tasks import (
    DeviceImages,
    Passes,
    SampledTasks,
    TaskShape,
    sample_tasks,
    shuffled_passes,
    stream,
)

COUNTS = (5, 3, 8, 4, 6, 3)
SHAPE: dict[str, Any] = {"ways": 5, "shots": 1, "queries": 0, "passes": Passes(5, 7)}


def image_set(counts: tuple[int, ...] = COUNTS) -> ImageSet:
    """Classes of differing size; each pixel says which class it is of."""
    return ImageSet.of(
        [(f"class{index}", np.full((count, 1, 2, 2), index, dtype=np.uint8)) for index, count in enumerate(counts)]
    )


def class_of(images: ImageSet, rows: np.ndarray) -> np.ndarray:
    return images.pixels[rows, 0, 0, 0]


def sample(rng: np.random.Generator, images: ImageSet, tasks: int = 4, **changes: Any) -> SampledTasks:
    return sample_tasks(rng, images, TaskShape(**{**SHAPE, **changes}), tasks)


@given(st.integers(0, 2**32), st.integers(2, 6), st.integers(1, 3))
def test_a_task_has_as_many_classes_as_ways_and_labels_say_which(seed: int, ways: int, shots: int) -> None:
    images = image_set()
    sampled = sample(np.random.default_rng(seed), images, ways=ways, shots=shots)
    support = DeviceImages(images, torch.device("cpu")).tasks(sampled).support
    assert (len(support), support.steps) == (4, 5)
    for step in range(support.steps):
        pixels, labels = support.batch(step)
        assert (pixels.shape, labels.shape) == ((4, 7, 1, 2, 2), (4, 7))
        for task in range(4):
            owners = (pixels[task, :, 0, 0, 0] * 255).round().int().tolist()
            of_label = class_of(images, sampled.support_rows[task].reshape(ways, shots))[:, 0]
            assert owners == of_label[labels[task]].tolist()
    for rows in sampled.support_rows:
        assert len(set(rows)) == ways * shots
        assert len(set(class_of(images, rows).tolist())) == ways


@given(st.integers(0, 2**32), st.sampled_from([(1, 1), (1, 2), (2, 1)]))
def test_a_task_never_asks_about_an_image_it_has_shown(seed: int, per_class: tuple[int, int]) -> None:
    images, (shots, queries) = image_set(), per_class
    sampled = sample(np.random.default_rng(seed), images, shots=shots, queries=queries)
    for support, asked in zip(sampled.support_rows, sampled.query_rows, strict=True):
        assert len(set(support)) == 5 * shots
        assert (len(set(asked)), set(support) & set(asked)) == (5 * queries, set())
        classes = class_of(images, support.reshape(5, shots))[:, :1]
        assert (classes == class_of(images, asked.reshape(5, queries))).all()
    assert set(sampled.order.flatten()) <= set(range(5 * shots))


def test_queries_are_drawn_beside_the_same_support_images() -> None:
    """A meta-learner without queries and one with them see the same tasks."""
    without, having = (sample(np.random.default_rng(0), image_set(), queries=count) for count in (0, 2))
    assert (without.support_rows == having.support_rows).all()
    assert (without.order == having.order).all()
    assert (without.query_rows.shape, having.query_rows.shape) == ((4, 0), (4, 10))


def test_query_labels_are_those_of_the_classes() -> None:
    images = image_set()
    sampled = sample(np.random.default_rng(0), images, queries=2)
    tasks = DeviceImages(images, torch.device("cpu")).tasks(sampled)
    support = class_of(images, sampled.support_rows)
    for task in range(4):
        asked = class_of(images, sampled.query_rows[task])
        assert asked.tolist() == support[task][tasks.query_labels[task]].tolist()


def test_a_class_with_fewer_images_than_a_task_takes_is_refused() -> None:
    with pytest.raises(InvalidData, match=r"a class has 3 images and a task takes 4 of each \(shots and queries\)"):
        sample(np.random.default_rng(0), image_set(), shots=3, queries=1)


def test_every_image_is_seen_once_before_any_is_seen_again() -> None:
    order = shuffled_passes(np.random.default_rng(0), tasks=2, images=6, passes=Passes(4, 3))
    for task in order.reshape(2, 2, 6):
        assert all(sorted(one_pass) == list(range(6)) for one_pass in task.tolist())


def test_a_batch_may_straddle_two_passes() -> None:
    order = shuffled_passes(np.random.default_rng(0), tasks=1, images=5, passes=Passes(3, 4)).reshape(-1)
    assert sorted(order[:5]) == sorted(order[5:10]) == list(range(5))


def test_without_a_batch_size_every_step_has_all_images() -> None:
    order = shuffled_passes(np.random.default_rng(0), tasks=2, images=5, passes=Passes(3))
    assert order.shape == (2, 3, 5)
    assert all(sorted(step) == list(range(5)) for step in order.reshape(6, 5).tolist())


def test_without_steps_there_are_no_batches() -> None:
    assert shuffled_passes(np.random.default_rng(0), tasks=2, images=5, passes=Passes(0)).shape == (2, 0, 5)


@given(st.integers(0, 2**32))
def test_merged_tasks_have_no_class_in_common(seed: int) -> None:
    images = image_set()
    sampled = sample(np.random.default_rng(seed), images, ways=2, queries=1, merged=3, tasks=3)
    assert (sampled.support_rows.shape, sampled.query_rows.shape) == ((3, 2), (3, 2))
    classes = class_of(images, sampled.support_rows)
    assert len(set(classes.flatten().tolist())) == 6
    assert (class_of(images, sampled.query_rows) == classes).all()


def test_more_classes_than_there_are_are_refused() -> None:
    with pytest.raises(InvalidData, match="there are 6 classes and tasks take 8 at once"):
        sample(np.random.default_rng(0), image_set(), ways=4, merged=2)


def test_classes_are_drawn_evenly() -> None:
    images = image_set()
    sampled = sample(np.random.default_rng(0), images, tasks=6000, ways=2, passes=Passes(1, 2))
    counts = np.bincount(class_of(images, sampled.support_rows.flatten()), minlength=6)
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
