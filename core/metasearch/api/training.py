"""The meta-training of a trial, and its evaluation."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from types import NoneType
from typing import Annotated, Any, cast, get_args

from pydantic import Field

from metasearch.api import learners
from metasearch.api.base import Rule, SpecModel, only_where
from metasearch.api.names import EXTENSION_MAX_LENGTH, EXTENSION_PATTERN
from metasearch.quantities import DecimalText

MAX_CURVE_POINTS = 50  # each is kept in a trial's record

SETTINGS = {
    "Reptile": "reptile",
    "FOMAML": "fomaml",
    "MAML": "maml",
    "ANIL": "anil",
    "BOIL": "boil",
    "Prototypes": "prototypes",
    "ProtoMAML": "proto_maml",
    "Truncated": "truncated",
    "Implicit": "implicit",
    "Evolution": "evolution",
}
"""The field of `MetaLearning` with the settings of each meta-learner that comes with MetaSearch."""

META_LEARNERS = tuple(SETTINGS)
"""The meta-learners that come with MetaSearch. The operator checks names against it, and it has no PyTorch."""


def _settings(name: str, learner: str) -> Any:
    return Field(default=None, description=f"{name} are the settings of {learner}. Default: its own defaults.")


class MetaLearning(SpecModel):
    """The algorithm that trains a trial, with its settings."""

    meta_learner: str = Field(
        default="Reptile",
        max_length=EXTENSION_MAX_LENGTH,
        pattern=EXTENSION_PATTERN,
        description=f"metaLearner is the algorithm that trains a trial: {', '.join(META_LEARNERS)}, or one that an "
        "installed package adds. Default: Reptile, Auto-Meta's.",
    )
    reptile: learners.ReptileSettings | None = _settings("reptile", "Reptile")
    fomaml: learners.FomamlSettings | None = _settings("fomaml", "FOMAML")
    maml: learners.MamlSettings | None = _settings("maml", "MAML")
    anil: learners.AnilSettings | None = _settings("anil", "ANIL")
    boil: learners.BoilSettings | None = _settings("boil", "BOIL")
    prototypes: learners.PrototypesSettings | None = _settings("prototypes", "Prototypes")
    proto_maml: learners.ProtoMamlSettings | None = _settings("protoMaml", "ProtoMAML")
    truncated: learners.TruncatedSettings | None = _settings("truncated", "Truncated")
    implicit: learners.ImplicitSettings | None = _settings("implicit", "Implicit")
    evolution: learners.EvolutionSettings | None = _settings("evolution", "Evolution")
    averaging: DecimalText = Field(
        default=Decimal("0"),
        ge=0,
        lt=1,
        description='averaging is the weight of the past in a running mean of the network\'s weights, such as "0.99": '
        "the mean over about the last 1 / (1 - averaging) outer steps is evaluated and delivered in place of the last "
        'weights. Default: "0", no mean.',
    )
    options: dict[str, Annotated[str, Field(max_length=253)]] = Field(
        default={},
        max_length=64,
        description="options are the settings of a meta-learner that an installed package adds, by its names for them. "
        "Default: none.",
    )

    rules = (
        *(only_where("meta_learner", learner, field, "Reptile") for learner, field in SETTINGS.items()),
        Rule(
            cel=f"!has(self.options) || size(self.options) == 0 || !((has(self.metaLearner) ? self.metaLearner : "
            f"'Reptile') in {list(META_LEARNERS)})",
            message="must have options only where metaLearner comes with an installed package",
            holds=lambda training: not training.options or training.meta_learner not in META_LEARNERS,
        ),
    )

    @property
    def settings(self) -> learners.LearnerSettings | None:
        """The settings of the meta-learner, with defaults where none are given; None for an installed package's."""
        field = SETTINGS.get(self.meta_learner)
        return None if field is None else getattr(self, field) or settings_class(field)()


def settings_class(field: str) -> type[learners.LearnerSettings]:
    """Return the class of a learner's settings, by the name of its field."""
    (found,) = (each for each in get_args(MetaLearning.model_fields[field].annotation) if each is not NoneType)
    return cast("type[learners.LearnerSettings]", found)


class Training(MetaLearning):
    """The meta-training of a search trial."""

    meta_iterations: int = Field(
        default=1000,
        ge=1,
        le=10_000_000,
        description="metaIterations is the number of outer steps of a search trial. Default: 1000, Auto-Meta's.",
    )


class Split(StrEnum):
    """Classes that no training task has seen."""

    VALIDATION = "Validation"
    TEST = "Test"


class Classification(StrEnum):
    """
    The way in which a task's query images are classified: the images whose statistics normalise their batches.

    An accuracy holds for one of them only; papers mix the first two.
    """

    TRANSDUCTIVE = "Transductive"
    """All queries of a task in one batch, so that each sees the others."""
    NON_TRANSDUCTIVE = "NonTransductive"
    """Each query in one batch with the support images, and so with its own statistics too (supervised-reptile)."""
    SUPPORT_STATISTICS = "SupportStatistics"
    """Each query by the statistics of the support images, those that the network has adapted with."""

    @property
    def field(self) -> str:
        """The name of the field that has this accuracy, in a trial's result and in a network's."""
        return self.name.lower()


class Score(StrEnum):
    """The figure of an evaluation that ranks candidates; all are in [0, 1]."""

    LIKELIHOOD = "Likelihood"
    """exp(-loss): the geometric mean of the probability that was given to a query's class."""
    ACCURACY = "Accuracy"
    """The share of queries classified correctly."""


class Evaluation(SpecModel):
    """The evaluation of a trial: it adapts to tasks of unseen classes and classifies one query image per class."""

    split: Split = Field(
        default=Split.VALIDATION,
        description="split names the classes that search scores come from: Validation, or Test as Auto-Meta did. "
        "Default: Validation.",
    )
    score: Score = Field(
        default=Score.LIKELIHOOD,
        description="score is the figure that ranks candidates: Likelihood (exp of minus the mean loss of queries, "
        "which tells candidates apart with a quarter of the tasks that an accuracy needs) or Accuracy. Accuracies are "
        "always measured too, and are what is reported of delivered networks. Default: Likelihood.",
    )
    classification: Classification = Field(
        default=Classification.TRANSDUCTIVE,
        description="classification is the way of classifying queries that score comes from: Transductive (the queries "
        "of a task are classified together, which lets batch normalisation see them), NonTransductive (each query is "
        "classified alone, in one batch with the support images) or SupportStatistics (each query is classified alone, "
        "normalised by the statistics of the support images). All three are always measured. Default: Transductive, "
        "whose scores depend least on the tasks.",
    )
    shifts: int = Field(
        default=0,
        ge=0,
        le=4,
        description="shifts is the number of pixels by which images are moved left, right, up and down in evaluation "
        "and use: a prediction is the mean over an image and its four moved copies, and the support images are learned "
        "from with theirs. That takes five times the time of an evaluation. Default: 0, no copies.",
    )
    folds: int = Field(
        default=1,
        ge=1,
        le=100,
        description="folds is the number of parts into which the training and validation classes, merged, are cut for "
        "cross-validation: a search trial is trained once for each fold, on the classes of all others, and its score "
        "and accuracies are means over the folds that were left out. That takes as many times the time of a trial. "
        "Final trials train on the split as it is. Default: 1, no cross-validation.",
    )
    tasks: int = Field(
        default=200,
        ge=2,
        le=100_000,
        description="tasks is the number of tasks that a search score averages, of each fold. Default: 200.",
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
        description="curveTasks is the number of tasks per earlier point of the curve, of each fold. Default: 50.",
    )

    rules = (
        Rule(
            cel="!has(self.folds) || self.folds == 1 || !has(self.split) || self.split != 'Test'",
            message="must have folds only where split is Validation: no fold has a test class",
            holds=lambda evaluation: evaluation.folds == 1 or evaluation.split is not Split.TEST,
        ),
    )
