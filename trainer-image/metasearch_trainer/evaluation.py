"""
Few-shot accuracy, as supervised-reptile measures it: adapt to a task of unseen classes, classify one query of each.

There are three ways to classify a query (`classification`), of which some make an easier task than others. Published
tables mix the first two, so all are measured, on the same tasks, and always labelled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from metasearch.api import Classification
from metasearch.search.trials import NORMAL_95, Accuracies, Accuracy
from metasearch_trainer.classification import adapt
from metasearch_trainer.metalearners.base import MetaLearner, State
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import DeviceImages, Tasks, TaskShape, sample_tasks

TASKS_AT_ONCE = 25
"""Tasks that are adapted side by side. More is not faster on a CPU (docs/performance.md) and needs more memory."""


@dataclass(frozen=True)
class Answers:
    """The answers to the queries of some tasks against their labels, in each way, in the order of `Classification`."""

    correct: Tensor
    """Share of each task's queries that were classified correctly, (3, tasks), in double precision."""
    loss: Tensor
    """Mean cross-entropy of each task's queries, (3, tasks), in nats, in double precision."""

    @classmethod
    def of_all(cls, parts: Sequence[Answers]) -> Answers:
        """Join the answers of several evaluations; where each had as many tasks, their means have the same weight."""
        return cls(torch.cat([part.correct for part in parts], dim=1), torch.cat([part.loss for part in parts], dim=1))

    @property
    def accuracies(self) -> Accuracies:
        """The means over tasks."""
        return Accuracies(
            **{way.field: accuracy(share) for way, share in zip(Classification, self.correct, strict=True)}
        )


def evaluate(
    learner: MetaLearner,
    state: State,
    images: DeviceImages,
    recipe: Recipe,
    tasks: int,
    rng: np.random.Generator,
    on_progress: Callable[[], None] = lambda: None,
) -> Answers:
    """
    Classify the queries of sampled tasks.

    Args:
        state: stays as it is.
        recipe: gives the tasks' ways and shots, and the shifts over which predictions are averaged.
        tasks: the number of tasks, at least 1.
        on_progress: called after every `TASKS_AT_ONCE`; may raise to end the evaluation.
    """
    shape = TaskShape(recipe.task.ways, recipe.task.shots, 1, learner.evaluation_passes)
    parts = []
    for first in range(0, tasks, TASKS_AT_ONCE):
        sampled = sample_tasks(rng, images.images, shape, min(TASKS_AT_ONCE, tasks - first))
        asked = images.tasks(sampled)
        parts.append(answers(classify(learner, state, asked, recipe.evaluation.shifts), asked.query_labels))
        on_progress()
    return Answers.of_all(parts)


def answers(logits: Tensor, labels: Tensor) -> Answers:
    """
    Compare classified queries with their labels.

    Args:
        logits: (3, tasks, count, ways).
        labels: (tasks, count).
    """
    # In double precision: a share of 0.6 in single precision would be recorded as 0.6000000238.
    correct = (logits.argmax(-1) == labels).sum(-1).cpu().double() / labels.shape[-1]
    loss = F.cross_entropy(logits.movedim(-1, 1), labels.expand(logits.shape[:-1]), reduction="none")
    return Answers(correct, loss.mean(-1).cpu().double())


def classify(learner: MetaLearner, state: State, tasks: Tasks, shifts: int) -> Tensor:
    """
    Adapt to tasks and classify their queries in each way.

    Args:
        state: stays as it is.
        shifts: pixels, as `evaluation.shifts`.

    Returns:
        The scores of the classes (3, tasks, ways * queries, ways), in the order of `Classification`.
    """
    adapted = adapt(learner, state, tasks.support, shifts)
    return torch.stack([adapted.logits(tasks.queries, way) for way in Classification])


def accuracy(per_task: Tensor) -> Accuracy:
    """Return the mean over tasks of a share in [0, 1], with the half-width of its 95% interval."""
    interval = NORMAL_95 * standard_error(per_task)
    return Accuracy(mean=float(per_task.mean()), interval=interval, tasks=len(per_task))


def standard_error(per_task: Tensor) -> float:
    """Return the standard error of a mean over tasks; 0 of a single task, whose spread is not known."""
    tasks = len(per_task)
    spread = float(per_task.std(correction=1)) if tasks > 1 else 0.0
    return spread / math.sqrt(tasks)
