"""The meta-training of a trial, and its evaluation."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from pydantic import Field

from metasearch.api.base import SpecModel
from metasearch.api.names import EXTENSION_MAX_LENGTH, EXTENSION_PATTERN
from metasearch.quantities import DecimalText

MAX_CURVE_POINTS = 50  # each is kept in a trial's record


META_LEARNERS = ("Reptile", "FOMAML")
"""The meta-learners that come with MetaSearch. The operator checks names against it, and it has no PyTorch."""


class OptimizerState(StrEnum):
    """The second moment with which the inner optimizer begins a task: the one kept from earlier tasks, or zero."""

    KEPT = "Kept"
    FRESH = "Fresh"


class Training(SpecModel):
    """The meta-training of a trial. Defaults are Auto-Meta's, or supervised-reptile's where that paper is silent."""

    meta_learner: str = Field(
        default="Reptile",
        max_length=EXTENSION_MAX_LENGTH,
        pattern=EXTENSION_PATTERN,
        description="metaLearner is the algorithm that trains a trial: one of MetaSearch's own, such as Reptile, or "
        "one that an installed package adds. Default: Reptile.",
    )
    meta_iterations: int = Field(
        default=1000,
        ge=1,
        le=10_000_000,
        description="metaIterations is the number of outer steps of a search trial. Default: 1000, Auto-Meta's.",
    )
    meta_batch_size: int = Field(
        default=5, ge=1, le=256, description="metaBatchSize is the number of tasks per outer step. Default: 5."
    )
    meta_step_size: DecimalText = Field(
        default=Decimal("1.0"),
        ge=0,
        le=1,
        description="metaStepSize is the first outer step size (epsilon), dimensionless; it falls in a line to "
        'finalMetaStepSize. Default: "1.0".',
    )
    final_meta_step_size: DecimalText = Field(
        default=Decimal("0"), ge=0, le=1, description='finalMetaStepSize is the last outer step size. Default: "0".'
    )
    inner_steps: int = Field(
        default=8, ge=1, le=1000, description="innerSteps is the number of gradient steps on a task. Default: 8."
    )
    inner_batch_size: int = Field(
        default=10, ge=1, le=1000, description="innerBatchSize is the number of images per gradient step. Default: 10."
    )
    inner_learning_rate: DecimalText = Field(
        default=Decimal("0.001"),
        gt=0,
        le=1,
        description='innerLearningRate is the step size of Adam (beta1 = 0) inside a task. Default: "0.001".',
    )
    shots: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="shots is the number of images per class of a training task, which may exceed task.shots. "
        "Default: 10, supervised-reptile's for Omniglot.",
    )
    optimizer_state: OptimizerState = Field(
        default=OptimizerState.KEPT,
        description="optimizerState says whether Adam's second moment lives on from task to task and into evaluation "
        "(Kept, as in supervised-reptile) or starts at zero in each task (Fresh). Default: Kept.",
    )


class Split(StrEnum):
    """Classes that no training task has seen."""

    VALIDATION = "Validation"
    TEST = "Test"


class Score(StrEnum):
    """Which accuracy ranks candidates."""

    TRANSDUCTIVE = "Transductive"
    NON_TRANSDUCTIVE = "NonTransductive"


class Evaluation(SpecModel):
    """The evaluation of a trial: it adapts to tasks of unseen classes and classifies one query image per class."""

    split: Split = Field(
        default=Split.VALIDATION,
        description="split names the classes that search scores come from: Validation, or Test as Auto-Meta did. "
        "Default: Validation.",
    )
    score: Score = Field(
        default=Score.NON_TRANSDUCTIVE,
        description="score is the accuracy that ranks candidates: NonTransductive (each query is classified with the "
        "support images alone) or Transductive (the queries of a task are classified together, which lets batch "
        "normalisation see them). Both are always measured. Default: NonTransductive.",
    )
    tasks: int = Field(
        default=200,
        ge=2,
        le=100_000,
        description="tasks is the number of tasks that a search score averages. Default: 200.",
    )
    inner_steps: int = Field(
        default=50, ge=1, le=1000, description="innerSteps is the number of gradient steps on a task. Default: 50."
    )
    inner_batch_size: int = Field(
        default=5, ge=1, le=1000, description="innerBatchSize is the number of images per gradient step. Default: 5."
    )
    curve_points: int = Field(
        default=5,
        ge=1,
        le=MAX_CURVE_POINTS,
        description="curvePoints is the number of points of the learning curve, evenly spaced; the last is the score. "
        "Default: 5.",
    )
    curve_tasks: int = Field(
        default=50,
        ge=2,
        le=10_000,
        description="curveTasks is the number of tasks per earlier point of the curve. Default: 50.",
    )
