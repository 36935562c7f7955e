"""
Few-shot accuracy, as supervised-reptile measures it: adapt to a task of unseen classes, classify one query of each.

Transductive: the queries of a task are classified in one batch, so batch normalisation sees them together, one of each
class. Non-transductive: each query joins the whole support set alone and only its own prediction is read. The first is
the easier task; published tables mix the two, so both are measured and always labelled.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from metasearch.search.trials import Accuracies, Accuracy
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
        recipe: gives the tasks' ways and shots.
        tasks: the number of tasks, at least 1.
        on_progress: called after every `TASKS_AT_ONCE`; may raise to end the evaluation.
    """
    shape = TaskShape(recipe.task.ways, recipe.task.shots, 1, learner.evaluation_passes)
    correct = []
    for first in range(0, tasks, TASKS_AT_ONCE):
        sampled = sample_tasks(rng, images.images, shape, min(TASKS_AT_ONCE, tasks - first))
        correct.append(_correct(learner, state, images.tasks(sampled)))
        on_progress()
    # In double precision: a share of 0.6 in single precision would be recorded as 0.6000000238.
    transductive, non_transductive = torch.cat(correct, dim=1).double() / recipe.task.ways  # (2, tasks)
    return Accuracies(transductive=accuracy(transductive), non_transductive=accuracy(non_transductive))


def _correct(learner: MetaLearner, state: State, tasks: Tasks) -> Tensor:
    """Count the right answers of each task, (2, tasks): transductive, then non-transductive."""
    network, phi = learner.network, learner.adapt(state, tasks.support)
    with torch.no_grad():
        together = network(phi, tasks.queries).argmax(-1)  # (tasks, ways)
        # The support set only lends its statistics to batch normalisation; the query is the last image of the batch.
        alone = [
            network(phi, torch.cat([tasks.support.images, query], 1))[:, -1].argmax(-1)
            for query in tasks.queries.split(1, dim=1)
        ]
        answers = tasks.query_labels
        return torch.stack([(together == answers).sum(1), (torch.stack(alone, 1) == answers).sum(1)]).cpu()


def accuracy(per_task: Tensor) -> Accuracy:
    """Return the mean over tasks of a share in [0, 1], with the half-width of its 95% interval."""
    tasks = len(per_task)
    spread = float(per_task.std(correction=1)) if tasks > 1 else 0.0
    return Accuracy(mean=float(per_task.mean()), interval=NORMAL_95 * spread / math.sqrt(tasks), tasks=tasks)
