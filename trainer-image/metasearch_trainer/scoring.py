"""
The score that ranks a candidate, with its standard error.

Of a training that is evaluated it comes from tasks of unseen classes. Of the beginning of a training it comes from the
training loss, which costs nothing more: over random cells, the loss of the first quarter of a search trial's outer
steps ranks as reliably as an accuracy after all of them (docs/strategies.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from metasearch.api import Classification, Evaluation
from metasearch.api import Score as ScoreKind
from metasearch_trainer.evaluation import Answers, standard_error


@dataclass(frozen=True)
class Score:
    """A score in [0, 1] and its standard error."""

    value: float
    error: float


def evaluated_score(answers: Answers, evaluation: Evaluation) -> Score:
    """Return the score of classified queries; its error is that of a mean over tasks."""
    way = list(Classification).index(evaluation.classification)
    if evaluation.score is ScoreKind.ACCURACY:
        return _mean(answers.correct[way])
    return _likelihood(_mean(answers.loss[way]))


def training_score(losses: Tensor) -> Score | None:
    """
    Return the score of a training's losses; None where its meta-learner has no loss.

    Args:
        losses: their number, sum and sum of squares, (3,), as `add_loss` counts them.
    """
    count, total, squares = losses.tolist()
    if count == 0 or not math.isfinite(total):
        return None
    mean = total / count
    variance = max(squares / count - mean**2, 0.0) * count / max(count - 1, 1)
    return _likelihood(Score(mean, math.sqrt(variance / count)))


def no_losses(device: torch.device) -> Tensor:
    """Return the sums of no losses, (3,), in double precision."""
    return torch.zeros(3, dtype=torch.float64, device=device)


def add_loss(losses: Tensor, loss: Tensor) -> None:
    """Count an outer step's loss (), in place; without a wait for the device."""
    added = loss.detach().double()
    losses += torch.stack([torch.ones_like(added), added, added.square()])


def _mean(per_task: Tensor) -> Score:
    return Score(float(per_task.mean()), standard_error(per_task))


def _likelihood(loss: Score) -> Score:
    """Turn a mean loss into exp(-loss), whose error is in proportion to it."""
    value = math.exp(-max(loss.value, 0.0))
    return Score(value, value * loss.error)
