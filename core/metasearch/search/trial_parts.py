"""The parts of a trial's time, as its worker measures them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Part(StrEnum):
    """A part of a trial, in the order in which they begin."""

    DATA = "data"
    TRAINING = "training"
    EVALUATION = "evaluation"
    WRITING = "writing"


@dataclass(frozen=True, kw_only=True)
class PartSeconds:
    """
    The seconds that the attempt with the result has spent on each part; the fields are named after `Part`.

    They are sums, for parts take turns: a point of the curve is evaluated between two outer steps. Together they are at
    most the attempt's time; the rest is building the network and being claimed and recorded. On a GPU, work counts
    where the process waits for it.
    """

    data: float = 0.0
    """Bringing its checkpoint here, reading it, and drawing the tasks to train on."""
    training: float = 0.0
    """Outer steps."""
    evaluation: float = 0.0
    """Tasks of the curve, the score and the test, and the latency."""
    writing: float = 0.0
    """Checkpoints, weights, and reports of progress to the store."""
