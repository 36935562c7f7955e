"""
Few-shot accuracy, as supervised-reptile measures it: adapt to a task of unseen classes, classify one query of each.

There are three ways to classify a query (`classification`), of which some make an easier task than others. Published
tables mix the first two, so all are measured, on the same tasks, and always labelled.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from metasearch.api import Classification
from metasearch.search.trials import Accuracies, Accuracy
from metasearch_trainer.classification import adapt
from metasearch_trainer.metalearners.base import MetaLearner, State
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import DeviceImages, Tasks, TaskShape, sample_tasks

TASKS_AT_ONCE = 25
"""Tasks that are adapted side by side. More is not faster on a CPU (docs/performance.md) and needs more memory."""

NORMAL_95 = 1.959964
"""Two-sided 95% quantile of the normal distribution."""


def evaluate(
    learner: MetaLearner,
    state: State,
    images: DeviceImages,
    recipe: Recipe,
    tasks: int,
    rng: np.random.Generator,
    on_progress: Callable[[], None] = lambda: None,
) -> Accuracies:
    """
    Measure the accuracy on sampled tasks.

    Args:
        state: stays as it is.
        recipe: gives the tasks' ways and shots, and the shifts over which predictions are averaged.
        tasks: the number of tasks, at least 1.
        on_progress: called after every `TASKS_AT_ONCE`; may raise to end the evaluation.
    """
    shape = TaskShape(recipe.task.ways, recipe.task.shots, 1, learner.evaluation_passes)
    correct = []
    for first in range(0, tasks, TASKS_AT_ONCE):
        sampled = sample_tasks(rng, images.images, shape, min(TASKS_AT_ONCE, tasks - first))
        asked = images.tasks(sampled)
        right = predictions(learner, state, asked, recipe.evaluation.shifts) == asked.query_labels
        correct.append(right.sum(-1).cpu())
        on_progress()
    # In double precision: a share of 0.6 in single precision would be recorded as 0.6000000238.
    shares = torch.cat(correct, dim=1).double() / recipe.task.ways  # (3, tasks)
    return Accuracies(**{way.field: accuracy(share) for way, share in zip(Classification, shares, strict=True)})


def predictions(learner: MetaLearner, state: State, tasks: Tasks, shifts: int) -> Tensor:
    """
    Adapt to tasks and classify their queries in each way.

    Args:
        state: stays as it is.
        shifts: pixels, as `evaluation.shifts`.

    Returns:
        Labels (3, tasks, ways * queries), in the order of `Classification`.
    """
    adapted = adapt(learner, state, tasks.support, shifts)
    return torch.stack([adapted.logits(tasks.queries, way).argmax(-1) for way in Classification])


def accuracy(per_task: Tensor) -> Accuracy:
    """Return the mean over tasks of a share in [0, 1], with the half-width of its 95% interval."""
    tasks = len(per_task)
    spread = float(per_task.std(correction=1)) if tasks > 1 else 0.0
    return Accuracy(mean=float(per_task.mean()), interval=NORMAL_95 * spread / math.sqrt(tasks), tasks=tasks)
