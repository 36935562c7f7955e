"""First-order MAML: its outer gradient is that of the query loss at the adapted parameters, and it learns."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from builders import make_spec
from tiny_trials import SPLITS, ignore, tiny_trial
from torch import Tensor

from metasearch.api import FomamlSettings, Space, Task, Training
from metasearch.search.cells import parse_cell
from metasearch.search.trials import Accuracy
from metasearch_trainer.data import load
from metasearch_trainer.metalearners.base import State
from metasearch_trainer.metalearners.fomaml import FOMAML
from metasearch_trainer.network import CellNetwork
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.storage import LocalStorage
from metasearch_trainer.tasks import DeviceImages, Passes, Tasks, TaskShape, sample_tasks
from metasearch_trainer.trainer import Trainer

CPU = torch.device("cpu")
RECIPE = Recipe(
    task=Task(ways=3),
    training=Training(
        meta_learner="FOMAML",
        fomaml=FomamlSettings(inner_learning_rate=Decimal("0.02"), meta_learning_rate=Decimal("0.01")),
    ),
)
NETWORK = CellNetwork(parse_cell("conv3x3(-1)+avg_pool3x3(-2)"), Space(filters=4, reductions=1), 1, 10, 3)
LEARNER = FOMAML(RECIPE, NETWORK, CPU)


def state() -> State:
    """Return a state in float64."""
    tensors = LEARNER.initial_state(torch.Generator().manual_seed(0)).tensors
    return State({name: tensor.double() for name, tensor in tensors.items()})


def tasks() -> Tasks:
    """Return two tasks in float64, three inner steps each."""
    shape = TaskShape(ways=3, shots=2, queries=5, passes=Passes(3))
    sampled = sample_tasks(np.random.default_rng(0), SPLITS.train, shape, 2)
    return DeviceImages(SPLITS.train, CPU, torch.float64).tasks(sampled)


def query_loss(phi: Tensor, asked: Tasks) -> float:
    """Return the mean over tasks of the mean cross-entropy of their queries."""
    losses = [
        F.cross_entropy(logits, labels)
        for logits, labels in zip(NETWORK(phi, asked.queries), asked.query_labels, strict=True)
    ]
    return float(torch.stack(losses).mean())


@pytest.mark.parametrize("seed", range(5))
def test_the_outer_gradient_is_that_of_the_query_loss_at_the_adapted_parameters(seed: int) -> None:
    """The gradient equals central differences along a random direction."""
    begun, asked = state(), tasks()
    phi = LEARNER.adapt(begun, asked.support)
    direction = torch.randn(phi.shape[1], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    length = 1e-6
    ahead, behind = (query_loss(phi + sign * length * direction, asked) for sign in (1, -1))
    computed = float(LEARNER.outer_gradient(begun, asked) @ direction)
    assert abs(computed) > 1e-3
    assert computed == pytest.approx((ahead - behind) / (2 * length), rel=1e-5)


@pytest.mark.parametrize(("progress", "step_size"), [(0.0, 0.01), (0.75, 0.01 * 0.146447)])
def test_the_first_outer_step_is_adams(progress: float, step_size: float) -> None:
    """The first step is the rate, annealed along a cosine, against the sign of each gradient."""
    moved, asked = state(), tasks()
    theta, gradient = moved.theta.clone(), LEARNER.outer_gradient(moved, asked)
    LEARNER.outer_step(moved, asked, torch.tensor(progress, dtype=torch.float64))
    is_clear = gradient.abs() > 1e-4  # epsilon is 1e-8
    assert int(is_clear.sum()) > 100
    torch.testing.assert_close(
        (moved.theta - theta)[is_clear], -step_size * gradient.sign()[is_clear], rtol=1e-3, atol=0
    )


def accuracy(folder: Path, meta_learning_rate: str) -> Accuracy:
    """Return what 150 meta-iterations learn on small images of Omniglot: five ways, one shot, three inner steps."""
    spec = make_spec(
        dataset={"name": "omniglot", "rotations": 1, "imageSize": 14},
        space={"filters": 8, "filterScale": 1, "maxBlocks": 1},
        training={
            "metaLearner": "FOMAML",
            "fomaml": {
                "metaLearningRate": meta_learning_rate,
                "metaBatchSize": 4,
                "innerSteps": 3,
                "innerLearningRate": "0.05",
            },
        },
        evaluation={"tasks": 100, "curvePoints": 1},
    )
    trainer = Trainer(spec, load(spec), CPU, LocalStorage(folder / "checkpoints", None))
    result = trainer.run(tiny_trial(candidate="conv3x3(-1)+max_pool3x3(-1)", meta_iterations=150), ignore)
    assert result.validation is not None, result.message
    return result.validation.non_transductive


def test_it_learns_to_learn_omniglot(tmp_path: Path) -> None:
    """Accuracy is above chance, and above that of the same adaptation of weights that were never meta-trained."""
    trained, untrained = accuracy(tmp_path / "trained", "0.01"), accuracy(tmp_path / "untrained", "0.000000000001")
    assert trained.mean - trained.interval > 0.2
    assert trained.mean - trained.interval > untrained.mean + untrained.interval
