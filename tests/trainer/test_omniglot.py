"""Omniglot as it comes with the package. Counts are those of the split by Vinyals et al. (2016)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from builders import make_spec

from metasearch.api import Task
from metasearch.errors import InvalidData
from metasearch_trainer import data
from metasearch_trainer.data import ImageSet, omniglot

PARTS = ("train", "validation", "test")
FIRST_OF_RANDOM = ("background/Alphabet_of_the_Magi/character01", "evaluation/Tibetan/character41")
"""The first test classes, as they were drawn when published figures began to be compared with."""


def part_of_omniglot(part: str) -> ImageSet:
    images = getattr(omniglot.load(), part)
    assert isinstance(images, ImageSet)
    return images


@pytest.mark.parametrize(("part", "classes"), [("train", 1028), ("validation", 172), ("test", 423)])
def test_classes_are_as_vinyals_split_them(part: str, classes: int) -> None:
    images = part_of_omniglot(part)
    assert len(images.class_names) == len(images.counts) == classes


@pytest.mark.parametrize("part", PARTS)
def test_every_class_has_twenty_small_drawings(part: str) -> None:
    images = part_of_omniglot(part)
    assert set(images.counts.tolist()) == {20}
    assert images.pixels.shape == (20 * len(images.counts), 1, 28, 28)


@pytest.mark.parametrize("part", PARTS)
def test_pixels_are_ink_or_paper(part: str) -> None:
    pixels = part_of_omniglot(part).pixels
    assert pixels.dtype == np.uint8
    assert np.unique(pixels).tolist() == [0, 255]


def test_the_random_split_has_the_sizes_of_maml_and_the_same_classes_and_mixes_alphabets() -> None:
    by_alphabet, mixed = omniglot.load(), omniglot.load_random()
    sizes = [len(getattr(mixed, part).counts) for part in PARTS]
    assert sizes == [1100, 100, 423]
    names = [set(getattr(mixed, part).class_names) for part in PARTS]
    assert set.union(*names) == {name for part in PARTS for name in getattr(by_alphabet, part).class_names}
    assert len(set.union(*names)) == sum(sizes)
    alphabets = [{name.split("/")[1] for name in part} for part in names]
    assert len(alphabets[0]) == 50  # all of them
    assert alphabets[2] <= alphabets[0]


def test_the_random_split_is_always_the_same() -> None:
    assert omniglot.load_random().test.class_names[:2] == FIRST_OF_RANDOM
    of_class = dict(zip(omniglot.load().train.class_names, omniglot.load().train.pixels[::20], strict=True))
    mixed = omniglot.load_random().train
    shared = [index for index, name in enumerate(mixed.class_names) if name in of_class]
    assert all(np.array_equal(mixed.pixels[20 * index], of_class[mixed.class_names[index]]) for index in shared)


# Measured on the packed file; a wrong order of the bits, or paper for ink, would be far from it.
@pytest.mark.parametrize(("part", "share"), [("train", 0.0782), ("validation", 0.0845), ("test", 0.0844)])
def test_about_a_twelfth_is_ink(part: str, share: float) -> None:
    assert (part_of_omniglot(part).pixels == 255).mean() == pytest.approx(share, abs=1e-4)


def test_no_class_is_in_two_parts() -> None:
    names = [name for part in PARTS for name in part_of_omniglot(part).class_names]
    assert len(set(names)) == len(names) == 1623


def test_no_drawing_is_blank() -> None:
    assert all(part_of_omniglot(part).pixels.any(axis=(1, 2, 3)).all() for part in PARTS)


def test_drawings_of_a_class_are_more_alike_than_those_of_two() -> None:
    """Were images and names out of step, the two would be equal."""
    drawings = part_of_omniglot("train").pixels.reshape(1028, 20, -1) / 255
    within = np.abs(drawings[:, 0] - drawings[:, 1]).mean()
    between = np.abs(drawings[:-1, 0] - drawings[1:, 1]).mean()
    assert within < 0.95 * between


def test_images_are_resized_on_request() -> None:
    assert data.load(make_spec(dataset={"name": "omniglot", "imageSize": 8})).validation.pixels.shape == (
        172 * 20,
        1,
        8,
        8,
    )


def test_as_many_ways_as_the_smallest_part_has_classes_are_allowed() -> None:
    assert data.load(make_spec(task={"ways": 172})).validation.counts.shape == (172,)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        pytest.param({"task": {"ways": 173}}, ["172 validation classes", "task.ways is 173"], id="one way too many"),
        pytest.param(
            {"training": {"reptile": {"shots": 21}}}, ["20 images", "a task of training takes 21"], id="training shots"
        ),
        pytest.param(
            {"final": {"training": {"reptile": {"shots": 21}}}},
            ["20 images", "a task of final.training takes 21"],
            id="final training shots",
        ),
        pytest.param(
            {"training": {"metaLearner": "Prototypes", "prototypes": {"shots": 19, "queries": 2}}},
            ["20 images", "a task of training takes 21"],
            id="shots and queries",
        ),
        pytest.param(
            {"task": {"shots": 20}},
            ["validation class", "20 images", "task.shots", "21"],
            id="no image left to ask for",
        ),
        pytest.param(
            {
                "task": {"ways": 20},
                "training": {"metaLearner": "Prototypes", "prototypes": {"metaBatchSize": 208, "mergedTasks": 208}},
            },
            ["4112 training classes", "training merges 208 tasks of 20 into one of 4160", "must be at most 205"],
            id="more merged classes than there are, rotated ones too",
        ),
    ],
)
def test_a_task_that_omniglot_is_too_small_for_is_reported_in_a_sentence(
    spec: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(InvalidData) as raised:
        data.load(make_spec(**spec))
    assert [word for word in ["omniglot", *words] if word not in str(raised.value)] == []


def test_as_many_tasks_are_merged_as_there_are_classes_for() -> None:
    """The 1,028 classes, turned four times, make 205 tasks of 20 ways that have none in common."""
    settings = {"metaBatchSize": 205, "mergedTasks": 205, "shots": 19}
    training = {"metaLearner": "Prototypes", "prototypes": settings}
    assert len(data.load(make_spec(task={"ways": 20}, training=training)).train.counts) == 1028


def test_more_ways_than_any_search_may_have_are_refused_all_the_same() -> None:
    spec = make_spec()
    many = spec.model_copy(update={"task": Task().model_copy(update={"ways": 500})})
    with pytest.raises(InvalidData, match=r"172 validation classes and task\.ways is 500"):
        data.load(many)
