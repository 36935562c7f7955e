"""A learner whose unrolled inner loop does not fit into memory is refused before its first outer step."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from builders import make_spec
from small_learners import CPU, SmoothNetwork, make_learner
from tiny_trials import SPLITS, ignore, tiny_trial
from torch import Tensor

from metasearch.search.trials import Reason
from metasearch_trainer.metalearners.unroll_memory import DIFFERENTIABLE_FACTOR, forward_bytes, require_memory
from metasearch_trainer.network import Network
from metasearch_trainer.storage import LocalStorage
from metasearch_trainer.trainer import Trainer

IMAGES = SPLITS.train
TASKS, STEPS = 4, 100


def refuse(name: str, most_bytes: int | None, **settings: Any) -> None:
    learner = make_learner(name, **{"meta_batch_size": TASKS, "inner_steps": STEPS, "shots": 2} | settings)
    require_memory(learner, IMAGES, CPU, most_bytes)


def kept_by(network: Network) -> int:
    return forward_bytes(network, torch.zeros(1, 6, 1, 10, 10))


class Rectified(SmoothNetwork):
    """A network of which it is known what a pass keeps: products keep their factors, ReLU and tanh their outputs."""

    def _features(self, weights: Any, x: Tensor, tasks: int) -> Tensor:
        return F.relu(super()._features(weights, x, tasks))


def test_a_forward_passs_bytes_are_those_of_the_tensors_that_it_keeps() -> None:
    network = Rectified(hidden=7)
    size = network.layout.size
    images, hidden = 6 * 100, 6 * 7
    # The flat parameters once, though several products keep views of them; tanh's and ReLU's outputs.
    assert kept_by(network) == 4 * (size + images + 2 * hidden)


@pytest.mark.parametrize(
    ("name", "settings", "steps"),
    [("MAML", {}, STEPS), ("BOIL", {}, STEPS), ("Truncated", {"window": 10}, 10)],
)
def test_an_exact_unroll_is_refused_with_the_sum(name: str, settings: dict[str, Any], steps: int) -> None:
    needed = int(DIFFERENTIABLE_FACTOR * kept_by(make_learner(name).network) * TASKS * steps)
    refuse(name, needed, **settings)
    mebibytes = f"{needed / 2**20:.0f} MiB"
    with pytest.raises(
        MemoryError, match=f"through {steps} inner steps of 4 tasks keep at least {mebibytes}, and there"
    ):
        refuse(name, needed - 1, **settings)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("FOMAML", {}),
        ("MAML", {"second_order": "FiniteDifference"}),
        ("ANIL", {}),
        ("ProtoMAML", {}),
        ("Implicit", {}),
        ("Evolution", {}),
    ],
)
def test_others_need_no_more_for_more_steps(name: str, settings: dict[str, Any]) -> None:
    refuse(name, 1, **settings)


def test_without_a_limit_it_is_the_machines_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse("MAML", None)
    with pytest.raises(MemoryError, match=r"keep at least \d+\.\d GiB, and there are"):
        refuse("MAML", None, meta_batch_size=256, inner_steps=1000, shots=1000)
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"total": 10 * 2**20}))
    with pytest.raises(MemoryError, match="there are 10 MiB"):
        refuse("MAML", None)


def test_such_a_trial_fails_before_it_trains(tmp_path: Path) -> None:
    """It ends as out of memory, in one sentence that names the limit, the sum and what would need less."""
    spec = make_spec(
        task={"ways": 3},
        space={"filters": 4, "reductions": 1, "maxBlocks": 2},
        training={"metaLearner": "MAML", "maml": {"innerSteps": 1000, "metaBatchSize": 256}},
        budget={"trialMemory": "4Gi"},
    )
    result = Trainer(spec, SPLITS, CPU, LocalStorage(tmp_path, None)).run(tiny_trial(), ignore)
    assert (result.reason, result.meta_iterations) == (Reason.OUT_OF_MEMORY, None)
    assert re.fullmatch(
        r"the trial needs more than budget\.trialMemory \(4Gi\): second derivatives through 1000 inner steps of 256 "
        r"tasks keep at least \d+\.\d GiB, and there are 4\.0 GiB; fewer inner steps or tasks .* FiniteDifference",
        result.message or "",
    )
