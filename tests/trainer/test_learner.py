"""A delivered network adapts to new classes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from tiny_trials import SPLITS, final_trial, ignore, tiny_trainer

from metasearch.api import Classification
from metasearch.errors import InvalidData
from metasearch_trainer.checkpoints import write_tensors
from metasearch_trainer.learner import FewShotLearner


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a delivered file, trained long enough to be of use."""
    folder = tmp_path_factory.mktemp("run")
    result = tiny_trainer(folder).run(final_trial(meta_iterations=40), ignore)
    return folder / "weights" / (result.weights or "")


def task(classes: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return one support image and four queries of each test class: (ways, 1, side, side), (ways, 4, 1, side, side)."""
    rows = torch.tensor([[SPLITS.test.starts[index] + image for image in range(5)] for index in classes])
    images = torch.from_numpy(SPLITS.test.pixels)[rows].float() / 255
    return images[:, 0], images[:, 1:]


def test_a_delivered_network_learns_new_classes_from_one_image_each(weights: Path) -> None:
    learner = FewShotLearner.load(weights)
    right = []
    for first in range(4):
        support, queries = task([first, first + 1, first + 2])
        classifier = learner.adapt(support, torch.arange(3))
        for way, images in enumerate(queries):
            right += (classifier.classify(images) == way).tolist()
    assert sum(right) / len(right) > 0.6  # 48 queries at a chance of 1 in 3


def test_adapting_to_one_task_leaves_the_learner_as_it_was(weights: Path) -> None:
    learner = FewShotLearner.load(weights)
    support, queries = task([0, 1, 2])
    before = learner.adapt(support, torch.arange(3)).logits(queries[0])
    learner.adapt(support.flip(0), torch.arange(3))
    torch.testing.assert_close(learner.adapt(support, torch.arange(3)).logits(queries[0]), before)


def test_images_classified_alone_do_not_depend_on_each_other(weights: Path) -> None:
    support, queries = task([0, 1, 2])
    classifier = FewShotLearner.load(weights).adapt(support, torch.arange(3))
    images = queries[:, 0]
    torch.testing.assert_close(classifier.logits(images)[:1], classifier.logits(images[:1]))
    assert not torch.allclose(classifier.logits(images, Classification.TRANSDUCTIVE), classifier.logits(images))


@pytest.mark.parametrize(
    ("images", "labels", "sentence"),
    [
        (torch.zeros(3, 1, 9, 9), torch.arange(3), r"images are \(3, 1, 9, 9\) .* must be \(3, 1, 10, 10\)"),
        (torch.zeros(3, 3, 10, 10), torch.arange(3), r"must be \(3, 1, 10, 10\)"),
        (torch.zeros(2, 1, 10, 10), torch.arange(3), r"images are \(2, .* with 3 labels"),
        (torch.zeros(3, 1, 10, 10), torch.arange(1, 4), r"labels are 1\.\.3; they must be 0\.\.2"),
    ],
)
def test_a_wrong_task_is_refused(weights: Path, images: torch.Tensor, labels: torch.Tensor, sentence: str) -> None:
    with pytest.raises(InvalidData, match=sentence):
        FewShotLearner.load(weights).adapt(images, labels)


def test_arrays_of_numpy_are_taken_and_probabilities_given(weights: Path) -> None:
    support, queries = task([0, 1, 2])
    learner = FewShotLearner.load(weights)
    expected = learner.adapt(support, torch.arange(3)).logits(queries[0])
    classifier = learner.adapt(support.double().numpy(), [0, 1, 2])
    torch.testing.assert_close(classifier.logits(queries[0].numpy()), expected)
    probabilities = classifier.probabilities(queries[0])
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(4))
    assert probabilities.argmax(-1).tolist() == classifier.classify(queries[0]).tolist()


@pytest.mark.parametrize("factor", [255.0, -1.0, float("nan")])
def test_pixels_of_another_scale_are_refused(weights: Path, factor: float) -> None:
    support, queries = task([0, 1, 2])
    learner = FewShotLearner.load(weights)
    with pytest.raises(InvalidData, match=r"pixels reach from .* in \[0, 1\], so divide those of 8 bits by 255"):
        learner.adapt(support * factor, torch.arange(3))
    classifier = learner.adapt(support, torch.arange(3))
    with pytest.raises(InvalidData, match="pixels reach"):
        classifier.classify(queries[0] * factor)


@pytest.mark.parametrize("content", [b"", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_a_file_that_is_no_learner_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(InvalidData, match=r"weights\.safetensors"):
        FewShotLearner.load(path)


def test_a_file_of_an_earlier_version_is_refused(tmp_path: Path, weights: Path) -> None:
    with safe_open(weights, framework="pt") as file:
        header = json.loads(file.metadata()["learner"])
    old = {"learner": json.dumps(header | {"format": "metasearch-learner/1"})}
    write_tensors({"stem.weight": torch.zeros(1)}, old, tmp_path / "old.safetensors")
    with pytest.raises(InvalidData, match=r"'metasearch-learner/1'; it must be 'metasearch-learner/2'"):
        FewShotLearner.load(tmp_path / "old.safetensors")
