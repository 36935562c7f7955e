"""Evaluation: easy classes are learned, noise is not, and the interval means what it says."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
import torch

from metasearch.api import ReptileSettings, Space, Task, Training
from metasearch.search.cells import parse_cell
from metasearch.search.trials import Accuracies
from metasearch_trainer.data.images import ImageSet
from metasearch_trainer.evaluation import TASKS_AT_ONCE, accuracy, answers, evaluate
from metasearch_trainer.metalearners import build
from metasearch_trainer.network import CellNetwork
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import DeviceImages

RECIPE = Recipe(
    task=Task(ways=3, shots=2),
    training=Training(
        reptile=ReptileSettings(inner_learning_rate=Decimal("0.02"), evaluation_steps=30, evaluation_batch_size=6)
    ),
)
NETWORK = CellNetwork(parse_cell("conv3x3(-1)+max_pool3x3(-1)"), Space(filters=6, reductions=1), 1, 8, 3)
LEARNER = build(RECIPE, NETWORK, torch.device("cpu"))
STATE = LEARNER.initial_state(torch.Generator().manual_seed(0))


def stripes() -> ImageSet:
    """Six classes that a bar at another height tells apart, with noise."""
    rng = np.random.default_rng(0)
    classes = []
    for height in range(6):
        pixels = rng.integers(0, 60, (10, 1, 8, 8), dtype=np.uint8)
        pixels[:, :, height : height + 2] = 250
        classes.append((str(height), pixels))
    return ImageSet.of(classes)


def noise() -> ImageSet:
    rng = np.random.default_rng(0)
    return ImageSet.of([(str(index), rng.integers(0, 255, (10, 1, 8, 8), dtype=np.uint8)) for index in range(6)])


def measure(images: ImageSet, tasks: int = 60, seed: int = 0) -> Accuracies:
    device_images = DeviceImages(images, torch.device("cpu"))
    return evaluate(LEARNER, STATE, device_images, RECIPE, tasks, np.random.default_rng(seed)).accuracies


def test_classes_that_differ_plainly_are_learned_from_two_images() -> None:
    measured = measure(stripes())
    assert measured.transductive.mean > 0.75
    assert measured.non_transductive.mean > 0.75
    assert measured.support_statistics.mean > 0.75


def test_noise_is_classified_at_chance() -> None:
    measured = measure(noise(), tasks=200)
    for each in (measured.transductive, measured.non_transductive, measured.support_statistics):
        assert abs(each.mean - 1 / 3) < 3 * each.interval


def test_an_evaluation_leaves_the_state_as_it_is() -> None:
    before = {name: tensor.clone() for name, tensor in STATE.tensors.items()}
    measure(stripes(), tasks=5)
    assert len(before) == 3
    assert all(torch.equal(before[name], tensor) for name, tensor in STATE.tensors.items())


def test_the_same_stream_asks_the_same_questions() -> None:
    assert measure(stripes(), tasks=10) == measure(stripes(), tasks=10)
    assert measure(stripes(), tasks=10) != measure(stripes(), tasks=10, seed=1)


@pytest.mark.parametrize("tasks", [1, TASKS_AT_ONCE - 1, TASKS_AT_ONCE + 1])
def test_as_many_tasks_are_asked_as_were_wanted(tasks: int) -> None:
    assert measure(stripes(), tasks=tasks).transductive.tasks == tasks


def test_the_interval_is_that_of_a_mean() -> None:
    measured = accuracy(torch.tensor([0.0, 0.5, 1.0, 0.5], dtype=torch.float64))
    assert measured.mean == 0.5
    assert measured.interval == pytest.approx(1.96 * math.sqrt(0.5 / 3) / 2, rel=1e-3)


def test_an_evaluation_can_be_ended_from_outside() -> None:
    device_images = DeviceImages(stripes(), torch.device("cpu"))

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(LEARNER, STATE, device_images, RECIPE, 60, np.random.default_rng(0), stop)


def test_answers_are_compared_task_by_task_and_way_by_way() -> None:
    """A query for which the right class has a probability of a half costs ln 2, whether or not it is right."""
    even, sure = [0.0, 0.0], [0.0, -30.0]
    logits = torch.tensor([[[even, even], [sure, sure]], [[sure, even], [sure, sure]], [[sure, sure], [sure, sure]]])
    compared = answers(logits, torch.tensor([[0, 0], [0, 1]]))
    assert compared.correct.tolist() == [[1.0, 0.5], [1.0, 0.5], [1.0, 0.5]]
    expected = torch.tensor([[math.log(2), 15.0], [math.log(2) / 2, 15.0], [0.0, 15.0]], dtype=torch.float64)
    torch.testing.assert_close(compared.loss, expected, rtol=1e-6, atol=1e-6)
