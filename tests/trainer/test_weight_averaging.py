"""The running mean of weights, alone and in a training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_trials import final_trial, ignore, tiny_trainer

from metasearch.search.trials import State as TrialState
from metasearch_trainer.delivery import load_weights
from metasearch_trainer.metalearners.base import State
from metasearch_trainer.weight_averaging import add_to_mean, trained, with_mean


def test_the_mean_of_weights_that_stay_is_those_weights() -> None:
    learned = with_mean(State({"theta": torch.zeros(3)}))
    learned.theta.fill_(2.0)
    for step in range(1, 200):
        add_to_mean(learned, 0.9, step)
    assert torch.allclose(trained(learned).theta, torch.full((3,), 2.0), atol=1e-6)


def test_a_mean_counted_by_hand() -> None:
    learned = with_mean(State({"theta": torch.zeros(1)}))
    learned.theta.fill_(1.0)
    add_to_mean(learned, 0.5, 1)  # the past weighs 1 / 10 at first
    assert trained(learned).theta.item() == pytest.approx(0.9)
    learned.theta.fill_(3.0)
    add_to_mean(learned, 0.5, 1000)
    assert trained(learned).theta.item() == pytest.approx((0.9 + 3.0) / 2)


def test_a_state_without_a_mean_is_shown_as_it_is() -> None:
    learned = State({"theta": torch.ones(2)})
    assert trained(learned) is learned


def test_what_is_delivered_is_the_mean_and_nothing_else(tmp_path: Path) -> None:
    files = {}
    for name, averaging in (("last", "0"), ("mean", "0.9")):
        trainer = tiny_trainer(tmp_path / name, training={"averaging": averaging})
        result = trainer.run(final_trial(), ignore)
        assert result.state is TrialState.SUCCEEDED, result.message
        files[name] = load_weights(tmp_path / name / "weights" / (result.weights or ""), torch.device("cpu"))
    last, mean = files["last"].state, files["mean"].state
    assert mean.tensors.keys() == last.tensors.keys()
    assert not torch.equal(mean.theta, last.theta)
    assert torch.equal(mean.tensors["second_moment"], last.tensors["second_moment"])  # the training was the same
