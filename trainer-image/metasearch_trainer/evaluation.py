"""
Few-shot accuracy, as supervised-reptile measures it: adapt to a task of unseen classes, classify one query of each.

Transductive: the queries of a task are classified in one batch, so batch normalisation sees them together, one of each
class. Non-transductive: each query joins the whole support set alone and only its own prediction is read. The first is
the easier examination; published tables mix the two, so both are measured and always labelled.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from metasearch.search.trials import Accuracies, Accuracy
from metasearch_trainer.adaptation import Moments, adapt
from metasearch_trainer.network import Network
from metasearch_trainer.tasks import DeviceImages, EvaluationTasks, sample_evaluation_tasks

TASKS_AT_ONCE = 25
"""Tasks that are adapted side by side. More is not faster on a CPU (docs/performance.md) and needs more memory."""

NORMAL_95 = 1.959964
"""Two-sided 95% quantile of the normal distribution."""


@dataclass(frozen=True)
class Examination:
    """How to examine: the task's shape and how long to adapt to it."""

    ways: int
    shots: int
    inner_steps: int
    inner_batch_size: int
    learning_rate: float


def evaluate(
    network: Network,
    theta: Tensor,
    moments: Moments,
    images: DeviceImages,
    examination: Examination,
    tasks: int,
    rng: np.random.Generator,
    on_progress: Callable[[], None] = lambda: None,
) -> Accuracies:
    """
    Accuracy on `tasks` sampled tasks.

    Args:
        theta: (size,), left as it is.
        moments: Adam's, (size,), that every task starts from; left as they are.
        on_progress: called now and then; may raise to end the examination.
    """
    correct = []
    for first in range(0, tasks, TASKS_AT_ONCE):
        count = min(TASKS_AT_ONCE, tasks - first)
        sampled = sample_evaluation_tasks(
            rng,
            images.images,
            count,
            examination.ways,
            examination.shots,
            examination.inner_steps,
            examination.inner_batch_size,
        )
        correct.append(_examine(network, theta, moments, images, sampled, examination.learning_rate))
        on_progress()
    transductive, non_transductive = torch.cat(correct, dim=1).double() / examination.ways  # (2, tasks)
    return Accuracies(transductive=accuracy(transductive), non_transductive=accuracy(non_transductive))


def _examine(
    network: Network,
    theta: Tensor,
    moments: Moments,
    images: DeviceImages,
    sampled: EvaluationTasks,
    learning_rate: float,
) -> Tensor:
    """Right answers per task, (2, tasks): transductive and not."""
    tasks, ways = sampled.query_rows.shape
    on_device = images.device
    phi = theta.repeat(tasks, 1).requires_grad_()
    labels = torch.from_numpy(sampled.support.labels).to(on_device)
    adapt(
        network,
        phi,
        moments.for_tasks(tasks),
        images.gather(torch.from_numpy(sampled.support.rows).to(on_device)),
        labels,
        learning_rate,
    )
    with torch.no_grad():
        support = images.gather(torch.from_numpy(sampled.support_rows).to(on_device))
        queries = images.gather(torch.from_numpy(sampled.query_rows).to(on_device))  # (tasks, ways, c, s, s)
        answers = torch.arange(ways, device=on_device)
        together = network(phi, queries).argmax(-1)  # (tasks, ways)
        alone = torch.stack(
            [network(phi, torch.cat([support, queries[:, way : way + 1]], 1))[:, -1].argmax(-1) for way in range(ways)],
            1,
        )
        return torch.stack([(together == answers).sum(1), (alone == answers).sum(1)]).cpu()


def accuracy(per_task: Tensor) -> Accuracy:
    """Mean over tasks of a share in [0, 1], with the half-width of its 95% interval."""
    tasks = len(per_task)
    spread = float(per_task.std(correction=1)) if tasks > 1 else 0.0
    return Accuracy(mean=float(per_task.mean()), interval=NORMAL_95 * spread / math.sqrt(tasks), tasks=tasks)
