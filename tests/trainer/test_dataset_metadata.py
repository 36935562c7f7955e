"""The metadata of a data set, against figures that were worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import make_spec
from image_datasets import write_class_folders

from metasearch.errors import InvalidData
from metasearch_trainer.cross_validation import Images
from metasearch_trainer.data.images import ImageSet, Splits
from metasearch_trainer.dataset_metadata import inspect, log10_tasks, measure


def flat(*greys: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Make an image of 8 x 8 pixels for each grey, all of it of that grey, in one channel."""
    return np.repeat(np.array(greys, dtype=np.uint8), 64).reshape(len(greys), 1, 8, 8)


SPLITS = Splits(
    train=ImageSet.of([("a", flat(0, 50, 50)), ("b", flat(100, 255)), ("c", flat(150, 200))]),
    validation=ImageSet.of([("d", flat(20, 30)), ("e", flat(70, 254))]),
    test=ImageSet.of([("f", flat(120, 130)), ("g", flat(180, 134))]),
)
"""Equal: the 50s. Within 0.02, which is 5.1 greys: 255 and 254, of two splits; 130 and 134, of two classes."""


def spec(**changes: Any) -> Any:
    return make_spec(
        **{
            "dataset": {"name": "omniglot", "rotations": 2},
            "task": {"ways": 2},
            "training": {"reptile": {"shots": 2}},
            **changes,
        }
    )


def test_classes_and_images_are_counted() -> None:
    found = measure(SPLITS, spec())
    assert (found.name, found.channels, found.side, found.refusals) == ("Omniglot", 1, 8, ())
    training, validation = found.training, found.validation
    assert (training.classes, training.task_classes, training.images) == (3, 6, 7)
    assert (training.fewest_images, training.median_images, training.most_images) == (2, 2.0, 3)
    assert (validation.classes, validation.task_classes, validation.images) == (2, 2, 4)


def test_the_median_lies_between_two_classes() -> None:
    splits = Splits(ImageSet.of([("a", flat(0, 50, 50)), ("b", flat(100, 255))]), SPLITS.validation, SPLITS.test)
    assert measure(splits, spec()).training.median_images == 2.5


def test_pixels_are_described_in_shares_of_the_range() -> None:
    """The greys of training are 0, 50, 50, 100, 150, 200, 255: a mean of 115, and squares of deviations of 49,950."""
    training = measure(SPLITS, spec()).training
    assert (training.lowest, training.highest) == (0.0, 1.0)
    assert training.mean == pytest.approx((115 / 255,))
    assert training.standard_deviation == pytest.approx((math.sqrt(49_950 / 7) / 255,))


def test_channels_are_described_one_by_one() -> None:
    red = np.zeros((2, 3, 8, 8), dtype=np.uint8)
    red[0, 0] = 255
    images = ImageSet.of([("a", red), ("b", red)])
    training = measure(Splits(images, images, images), spec()).training
    assert (training.mean, training.standard_deviation) == ((0.5, 0.0, 0.0), (0.5, 0.0, 0.0))


def test_duplicates_are_counted_where_they_are() -> None:
    found = measure(SPLITS, spec())
    training, validation, test = found.training, found.validation, found.test
    assert [part.identical_images for part in (training, validation, test)] == [2, 0, 0]
    assert [part.near_duplicates for part in (training, validation, test)] == [3, 1, 2]
    assert [part.in_other_classes for part in (training, validation, test)] == [1, 1, 2]
    assert [part.in_other_splits for part in (training, validation, test)] == [1, 1, 0]
    assert training.near_duplicate_share == pytest.approx(3 / 7)


def test_different_tasks_are_counted() -> None:
    """
    A task of training takes two images of each of two classes.

    Of the six classes with rotations, two have three images (three choices each) and four have two (one choice each):
    3 * 3 + 2 * 4 * 3 + 6 = 39 tasks. Of validation there is one.
    """
    found = measure(SPLITS, spec())
    assert (found.training.ways, found.training.images_per_task_class) == (2, 2)
    assert found.training.log10_tasks == pytest.approx(math.log10(39))
    assert found.validation.images_per_task_class == 2
    assert found.validation.log10_tasks == pytest.approx(0.0, abs=1e-12)


def test_tasks_are_counted_beyond_any_float() -> None:
    """There are so many that the number has thousands of digits."""
    counts = np.full(400, 1000, dtype=np.int64)
    exact = math.comb(400, 200) * math.comb(1000, 10) ** 200
    assert log10_tasks(counts, 200, 10) == pytest.approx(math.log10(exact), rel=1e-12)


@pytest.mark.parametrize("changes", [{"task": {"ways": 7}}, {"training": {"reptile": {"shots": 3}}}])
def test_no_task_of_training_can_be_drawn(changes: dict[str, Any]) -> None:
    assert measure(SPLITS, spec(**changes)).training.log10_tasks is None


def test_everything_that_would_be_refused_is_listed() -> None:
    refusals = measure(SPLITS, spec(task={"ways": 3, "shots": 2}, training={"reptile": {"shots": 3}})).refusals
    beginnings = [sentence.partition(" and ")[0] for sentence in refusals]
    assert beginnings == [
        "training class 'b' of omniglot has 2 images",
        "omniglot has 2 validation classes",
        "validation class 'd' of omniglot has 2 images",
        "omniglot has 2 test classes",
        "test class 'f' of omniglot has 2 images",
    ]


@pytest.mark.parametrize(("folds", "images"), [(1, 7 * 2 + 4 + 4), (2, (7 + 4) * 2 + 4)])
def test_the_memory_is_what_a_trainer_keeps_on_its_device(folds: int, images: int) -> None:
    folded = spec(evaluation={"folds": folds})
    assert measure(SPLITS, folded).device_bytes == images * 64
    kept = Images.of(SPLITS, folded, torch.device("cpu"))
    parts = [
        kept.train,
        kept.validation,
        kept.test,
        *(part for fold in kept.folds for part in (fold.train, fold.scored)),
    ]
    arrays = {id(part.images.pixels): part.images.pixels.nbytes for part in parts}
    assert sum(arrays.values()) == images * 64


def test_a_part_may_share_its_pixels_with_others() -> None:
    merged = SPLITS.train.merged_with(SPLITS.validation)
    shared = Splits(merged.of_classes(np.array([0, 1, 2])), merged.of_classes(np.array([3, 4])), SPLITS.test)
    found, plain = measure(shared, spec()), measure(SPLITS, spec())
    assert (found.training, found.validation) == (plain.training, plain.validation)


# --- the whole way in ---------------------------------------------------------------------------------------------


def test_a_folder_is_inspected_whatever_tasks_can_be_made_of_it(tmp_path: Path) -> None:
    folder = write_class_folders(tmp_path / "images")
    found = inspect(make_spec(dataset={"folder": {"path": str(folder)}}))
    assert (found.name, found.training.classes, found.test.classes, found.side) == (str(folder), 6, 3, 16)
    assert "3 validation classes and task.ways is 5" in " ".join(found.refusals)


def test_what_cannot_be_read_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"nothing cannot be read"):
        inspect(make_spec(dataset={"folder": {"path": str(tmp_path / "nothing")}}))
