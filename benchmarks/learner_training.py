"""A training outside of any search, for as many outer steps or as much CPU time as a benchmark wants."""

from __future__ import annotations

import time

import torch

from metasearch_trainer.metalearners.base import MetaLearner, State
from metasearch_trainer.tasks import DeviceImages, sample_tasks, stream


def train(
    learner: MetaLearner,
    state: State,
    images: DeviceImages,
    seed: int,
    *,
    meta_iterations: int | None = None,
    seconds: float | None = None,
) -> tuple[int, float]:
    """
    Take outer steps until one of the limits is reached, of which exactly one is given.

    What a learner anneals follows the share of the limit, so that every training is a whole one.

    Args:
        seed: of the tasks.
        seconds: CPU time of this process; sampling counts.

    Returns:
        The number of outer steps, and the seconds of CPU time.
    """
    assert (meta_iterations is None) != (seconds is None)
    done, started = 0, time.process_time()
    while True:
        spent = time.process_time() - started
        share = done / meta_iterations if meta_iterations is not None else spent / (seconds or 1)
        if share >= 1:
            return done, spent
        sampled = sample_tasks(
            stream("benchmark", seed, done), images.images, learner.training_tasks, learner.meta_batch_size
        )
        learner.outer_step(state, images.tasks(sampled), torch.tensor(share, dtype=torch.float64))
        done += 1
