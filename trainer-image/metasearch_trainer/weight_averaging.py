"""
A running mean of the meta-learned weights, for any meta-learner.

    mean <- averaging * mean + (1 - averaging) * theta      after every outer step

The weights of a single step carry the noise of its meta-batch; their mean has less of it (Polyak and Juditsky 1992).
It lies in the learner's state beside theta, so that checkpoints keep it.
"""

from __future__ import annotations

from metasearch_trainer.metalearners.base import THETA, State

MEAN_THETA = "mean_theta"
"""The name of the running mean of theta in a state."""


def with_mean(learned: State) -> State:
    """Return a state that also has a running mean of theta."""
    return State({**learned.tensors, MEAN_THETA: learned.theta.clone()}, learned.integers)


def add_to_mean(learned: State, averaging: float, steps: int) -> None:
    """
    Move the running mean towards theta, in place.

    Args:
        averaging: the weight of the past, in (0, 1).
        steps: outer steps so far, at least 1. The mean is shorter at first, or the initial weights would stay in it.
    """
    past = min(averaging, steps / (steps + 9))
    learned.tensors[MEAN_THETA].lerp_(learned.theta, 1 - past)


def trained(learned: State) -> State:
    """Return what a training has to show: its state, with the mean of theta in place of the last where there is one."""
    mean = learned.tensors.get(MEAN_THETA)
    if mean is None:
        return learned
    others = {name: tensor for name, tensor in learned.tensors.items() if name != MEAN_THETA}
    return State({**others, THETA: mean}, learned.integers)
