"""The three ways to classify: what an answer depends on, and that evaluation and delivered network give the same."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
import torch
from torch import Tensor

from metasearch.api import Classification, Evaluation, ReptileSettings, Space, Task, Training
from metasearch.errors import InvalidData
from metasearch.search.cells import parse_cell
from metasearch_trainer.classification import QUERIES_AT_ONCE, AdaptedNetwork, adapt
from metasearch_trainer.data.images import ImageSet
from metasearch_trainer.delivery import Delivered, Description
from metasearch_trainer.evaluation import classify, evaluate
from metasearch_trainer.learner import Classifier, FewShotLearner
from metasearch_trainer.metalearners import build
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import DeviceImages, Passes, Tasks, TaskShape, sample_tasks

WAYS, SHOTS, SIDE = 3, 2, 10
CPU = torch.device("cpu")
ALONE = (Classification.NON_TRANSDUCTIVE, Classification.SUPPORT_STATISTICS)
LEARNERS = ("Reptile", "Prototypes")


def delivered(meta_learner: str, shifts: int = 0) -> Delivered:
    """Return a network as its training begins; it is better than a guess where classes differ plainly."""
    # Every step reads all support images, so that their order is of no consequence.
    reptile = ReptileSettings(
        inner_learning_rate=Decimal("0.02"), evaluation_steps=10, evaluation_batch_size=WAYS * SHOTS
    )
    recipe = Recipe(
        task=Task(ways=WAYS, shots=SHOTS),
        training=Training(meta_learner=meta_learner, reptile=reptile if meta_learner == "Reptile" else None),
        evaluation=Evaluation(shifts=shifts),
    )
    cell = parse_cell("conv3x3(-1)+max_pool3x3(-1)")
    description = Description(cell, Space(filters=6, filter_scale=1, reductions=1), 1, SIDE, recipe)
    learner = build(recipe, description.network(), CPU)
    return Delivered(description, learner, learner.initial_state(torch.Generator().manual_seed(0)))


def bars() -> DeviceImages:
    """Make seven classes that a bar at another height tells apart, with noise in which they nearly drown."""
    rng = np.random.default_rng(0)
    classes = []
    for height in range(7):
        pixels = rng.integers(0, 200, (12, 1, SIDE, SIDE), dtype=np.uint8)
        pixels[:, :, height + 1] += 55
        classes.append((str(height), pixels))
    return DeviceImages(ImageSet.of(classes), CPU)


def some_tasks(count: int, passes: Passes, seed: int = 0) -> Tasks:
    images, shape = bars(), TaskShape(WAYS, SHOTS, 1, passes)
    return images.tasks(sample_tasks(np.random.default_rng(seed), images.images, shape, count))


def adapted(meta_learner: str, shifts: int = 0) -> tuple[AdaptedNetwork, Tensor]:
    """Return a network that has adapted to two tasks, and their queries."""
    network = delivered(meta_learner)
    tasks = some_tasks(2, network.learner.evaluation_passes)
    return adapt(network.learner, network.state, tasks.support, shifts), tasks.queries


# --- the evaluation and the delivered network ---


@pytest.mark.parametrize("shifts", [0, 1])
@pytest.mark.parametrize("meta_learner", LEARNERS)
def test_a_delivered_network_answers_as_the_evaluation_does(meta_learner: str, shifts: int) -> None:
    network = delivered(meta_learner, shifts)
    tasks = some_tasks(20, network.learner.evaluation_passes)
    expected = classify(network.learner, network.state, tasks, shifts).argmax(-1)
    learner = FewShotLearner(network, CPU)
    given = []
    for task in range(20):
        classifier = learner.adapt(tasks.support.images[task], tasks.support.labels[task])
        given.append([classifier.classify(tasks.queries[task], way).tolist() for way in Classification])
    assert expected.transpose(0, 1).tolist() == given
    # Answers that are all one class, or all right, would show little.
    assert [set(answers.flatten().tolist()) for answers in expected] == [set(range(WAYS))] * 3
    assert not torch.equal(expected[0], expected[2])


@pytest.mark.parametrize("meta_learner", LEARNERS)
def test_each_accuracy_is_the_share_of_right_answers_of_its_own_way(meta_learner: str) -> None:
    network = delivered(meta_learner)
    measured = evaluate(
        network.learner, network.state, bars(), network.description.recipe, 20, np.random.default_rng(0)
    ).accuracies
    tasks = some_tasks(20, network.learner.evaluation_passes)  # from an equal stream
    adapted = adapt(network.learner, network.state, tasks.support, 0)
    for way, accuracy in (
        (Classification.TRANSDUCTIVE, measured.transductive),
        (Classification.NON_TRANSDUCTIVE, measured.non_transductive),
        (Classification.SUPPORT_STATISTICS, measured.support_statistics),
    ):
        right = adapted.logits(tasks.queries, way).argmax(-1) == tasks.query_labels
        assert accuracy.mean == pytest.approx(float(right.double().mean()))


def test_a_delivered_network_classifies_by_support_statistics_unless_asked_otherwise() -> None:
    network = delivered("Prototypes")
    tasks = some_tasks(1, network.learner.evaluation_passes)
    classifier = FewShotLearner(network, CPU).adapt(tasks.support.images[0], tasks.support.labels[0])
    by_support = classifier.logits(tasks.queries[0], Classification.SUPPORT_STATISTICS)
    assert torch.equal(classifier.logits(tasks.queries[0]), by_support)
    for way in (Classification.TRANSDUCTIVE, Classification.NON_TRANSDUCTIVE):
        assert not torch.allclose(classifier.logits(tasks.queries[0], way), by_support)


# --- what an answer depends on ---


@pytest.mark.parametrize("shifts", [0, 2])
@pytest.mark.parametrize("way", ALONE)
@pytest.mark.parametrize("meta_learner", LEARNERS)
def test_other_queries_do_not_change_an_answer(meta_learner: str, way: Classification, shifts: int) -> None:
    network, queries = adapted(meta_learner, shifts)
    scores = network.logits(queries, way)
    torch.testing.assert_close(network.logits(queries.flip(1), way), scores.flip(1), rtol=1e-4, atol=1e-4)
    replaced = torch.cat([torch.rand_like(queries), queries[:, 1:2]], 1)
    torch.testing.assert_close(network.logits(replaced, way)[:, -1], scores[:, 1], rtol=1e-4, atol=1e-4)


def test_together_other_queries_do_change_an_answer() -> None:
    network, queries = adapted("Prototypes")
    scores = network.logits(queries, Classification.TRANSDUCTIVE)
    others = torch.cat([queries[:, :1], torch.rand_like(queries)], 1)
    assert not torch.allclose(network.logits(others, Classification.TRANSDUCTIVE)[:, 0], scores[:, 0], rtol=0.01)


def test_many_queries_are_answered_as_a_few_are() -> None:
    network, _ = adapted("Prototypes")
    many = torch.rand(2, QUERIES_AT_ONCE + 3, 1, SIDE, SIDE)
    scores = network.logits(many, Classification.SUPPORT_STATISTICS)
    last = network.logits(many[:, -5:], Classification.SUPPORT_STATISTICS)
    torch.testing.assert_close(scores[:, -5:], last, rtol=1e-4, atol=1e-4)


# --- shifts ---


@pytest.mark.parametrize("meta_learner", LEARNERS)
def test_mean_logits_are_the_logits_of_mean_features(meta_learner: str) -> None:
    network, queries = adapted(meta_learner, shifts=1)
    every_copy = torch.cat([network.support, *_copies_by_hand(queries)], 1)
    features = network.network.features(network.phi, every_copy, network.support.shape[1])
    features = features[:, network.support.shape[1] :].unflatten(1, (5, WAYS)).mean(1)
    *_, weight, bias = network.network.layout.views(network.phi)
    expected = features @ weight.transpose(1, 2) + bias[:, None]
    given = network.logits(queries, Classification.SUPPORT_STATISTICS)
    torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-4)


def _copies_by_hand(queries: Tensor) -> list[Tensor]:
    """Return the queries, and those moved by a pixel to the left, right, top and bottom, the edge repeated."""
    left = torch.cat([queries[..., 1:], queries[..., -1:]], -1)
    right = torch.cat([queries[..., :1], queries[..., :-1]], -1)
    up = torch.cat([queries[..., 1:, :], queries[..., -1:, :]], -2)
    down = torch.cat([queries[..., :1, :], queries[..., :-1, :]], -2)
    return [queries, left, right, up, down]


def test_a_mean_of_log_probabilities_gives_the_same_answers() -> None:
    logits = torch.randn(5, 200, WAYS, generator=torch.Generator().manual_seed(0))  # of five copies of 200 queries
    assert torch.equal(logits.log_softmax(-1).mean(0).argmax(-1), logits.mean(0).argmax(-1))


@pytest.mark.parametrize("way", list(Classification))
def test_images_without_any_contrast_are_scored_as_without_shifts(way: Classification) -> None:
    """A plain image is its own copy, and five times the same images have the same statistics."""
    network = delivered("Prototypes")
    grey = torch.linspace(0, 1, 7)[:, None, None, None].expand(7, 1, SIDE, SIDE)
    tasks = some_tasks(1, network.learner.evaluation_passes)
    support, queries = grey[:6], grey[[0, 3, 6]]
    plain = FewShotLearner(network, CPU).adapt(support, tasks.support.labels[0])
    moved = FewShotLearner(delivered("Prototypes", shifts=2), CPU).adapt(support, tasks.support.labels[0])
    torch.testing.assert_close(moved.logits(queries, way), plain.logits(queries, way), rtol=1e-4, atol=1e-4)


# --- uneven and wrong tasks ---


def uneven() -> tuple[FewShotLearner, Classifier, Tensor, Tensor, Tensor]:
    """Return a learner that has learned from three images of class 0, one of class 2 and none of class 1."""
    learner = FewShotLearner(delivered("Prototypes"), CPU)
    pixels = bars().gather(torch.tensor([0, 1, 2, 24]))
    labels, queries = torch.tensor([0, 0, 0, 2]), bars().gather(torch.tensor([3, 4, 15, 16, 27, 28]))
    return learner, learner.adapt(pixels, labels), pixels, labels, queries


def test_classes_may_differ_in_their_number_of_images() -> None:
    """The nearest class mean, computed from distances, is the answer."""
    network = delivered("Prototypes")
    _, classifier, pixels, labels, queries = uneven()
    features = network.learner.network.features(network.state.theta[None], torch.cat([pixels, queries])[None], 4)[0]
    means = {label: features[:4][labels == label].mean(0) for label in (0, 2)}
    expected = [min(means, key=lambda label: float((each - means[label]).square().sum())) for each in features[4:]]
    assert classifier.classify(queries).tolist() == expected
    assert set(expected) == {0, 2}


@pytest.mark.parametrize("shifts", [0, 1])
@pytest.mark.parametrize("way", list(Classification))
def test_a_class_without_an_image_is_no_answer(way: Classification, shifts: int) -> None:
    learner = FewShotLearner(delivered("Prototypes", shifts), CPU)
    _, _, pixels, labels, queries = uneven()
    scores = learner.adapt(pixels, labels).logits(queries, way)
    assert bool((scores[:, 1] == float("-inf")).all())
    assert bool(scores[:, [0, 2]].isfinite().all())


def test_reptile_learns_from_uneven_classes_too() -> None:
    _, _, pixels, labels, queries = uneven()
    scores = FewShotLearner(delivered("Reptile"), CPU).adapt(pixels, labels).logits(queries)
    assert scores.shape == (6, WAYS)
    assert bool(scores.isfinite().all())


@pytest.mark.parametrize("images", [torch.zeros(0, 1, SIDE, SIDE), torch.zeros(2, 3, SIDE, SIDE), torch.zeros(SIDE)])
def test_images_of_another_shape_are_not_classified(images: Tensor) -> None:
    _, classifier, *_ = uneven()
    with pytest.raises(InvalidData, match=r"images are \(.*\); they must be \(count, 1, 10, 10\), one or more"):
        classifier.classify(images)


def test_there_must_be_images_to_learn_from() -> None:
    learner = FewShotLearner(delivered("Prototypes"), CPU)
    with pytest.raises(InvalidData, match="no images to learn from"):
        learner.adapt(torch.zeros(0, 1, SIDE, SIDE), torch.zeros(0, dtype=torch.int64))
