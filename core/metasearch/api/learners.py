"""
The settings of each meta-learner: what an outer step learns from, and the rates and lengths of its loops.

A learner has a class here and an algorithm of the same name in `metasearch_trainer.metalearners`. Defaults are the
papers', or those that were measured best where a paper is silent (docs/learners.md).
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from pydantic import Field

from metasearch.api.base import Rule, SpecModel
from metasearch.api.data import Task
from metasearch.quantities import DecimalText

MAX_STEPS = 1000
"""The most steps of an inner loop, in training and in evaluation."""


def _meta_batch_size(default: int) -> int:
    description = f"metaBatchSize is the number of tasks per outer step. Default: {default}."
    return Field(default=default, ge=1, le=256, description=description)


def _inner_steps(default: int) -> int:
    description = f"innerSteps is the number of gradient steps on a task in training. Default: {default}."
    return Field(default=default, ge=1, le=MAX_STEPS, description=description)


def _inner_learning_rate(default: str) -> Decimal:
    description = f'innerLearningRate is the step size of gradient descent inside a task. Default: "{default}".'
    return Field(default=Decimal(default), gt=0, le=100, description=description)


def _meta_learning_rate(default: str) -> Decimal:
    description = f'metaLearningRate is the highest step size of the outer optimizer. Default: "{default}".'
    return Field(default=Decimal(default), gt=0, le=10, description=description)


class OptimizerState(StrEnum):
    """The second moment with which the inner optimizer begins a task: the one kept from earlier tasks, or zero."""

    KEPT = "Kept"
    FRESH = "Fresh"


class LearnerSettings(SpecModel):
    """The settings that every meta-learner has."""

    meta_batch_size: int = _meta_batch_size(16)

    def images_per_class(self, task: Task) -> int:
        """Return the number of images that a training task takes of each class, support and query images together."""
        raise NotImplementedError

    def classes(self, task: Task) -> int:
        """Return the number of different classes that a training needs at once."""
        return task.ways


# --- Reptile ------------------------------------------------------------------------------------------------------


class ReptileSettings(LearnerSettings):
    """Reptile (Nichol et al. 2018). Defaults are Auto-Meta's, or supervised-reptile's where that paper is silent."""

    meta_batch_size: int = _meta_batch_size(5)
    shots: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="shots is the number of images per class of a training task, which may exceed task.shots. "
        "Default: 10, supervised-reptile's for Omniglot.",
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
    inner_steps: int = _inner_steps(8)
    inner_batch_size: int = Field(
        default=10, ge=1, le=1000, description="innerBatchSize is the number of images per gradient step. Default: 10."
    )
    inner_learning_rate: DecimalText = Field(
        default=Decimal("0.001"),
        gt=0,
        le=1,
        description='innerLearningRate is the step size of Adam (beta1 = 0) inside a task. Default: "0.001".',
    )
    optimizer_state: OptimizerState = Field(
        default=OptimizerState.KEPT,
        description="optimizerState says whether Adam's second moment lives on from task to task and into evaluation "
        "(Kept, as in supervised-reptile) or starts at zero in each task (Fresh). Default: Kept.",
    )
    evaluation_steps: int = Field(
        default=50,
        ge=1,
        le=MAX_STEPS,
        description="evaluationSteps is the number of gradient steps on a task in evaluation and use. Default: 50.",
    )
    evaluation_batch_size: int = Field(
        default=5,
        ge=1,
        le=1000,
        description="evaluationBatchSize is the number of images per gradient step in evaluation and use. Default: 5.",
    )

    def images_per_class(self, task: Task) -> int:  # noqa: ARG002
        return self.shots


# --- learners that classify query images in training --------------------------------------------------------------


class MetaOptimizer(StrEnum):
    """The outer optimizer of a learner that follows a gradient."""

    ADAM = "Adam"
    SGD = "SGD"


class QuerySettings(LearnerSettings):
    """The settings of learners whose outer loss is that of query images."""

    shots: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="shots is the number of support images per class of a training task. Default: task.shots.",
    )
    queries: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="queries is the number of query images per class of a training task. Default: 1.",
    )
    meta_optimizer: MetaOptimizer = Field(
        default=MetaOptimizer.ADAM,
        description="metaOptimizer is the outer optimizer: Adam, or SGD (gradient descent with momentum 0.9), which "
        "wants another metaLearningRate. Default: Adam.",
    )
    meta_learning_rate: DecimalText = _meta_learning_rate("0.001")
    annealing: DecimalText = Field(
        default=Decimal("1"),
        ge=0,
        le=1,
        description="annealing is the share of the training, at its end, in which the outer step size falls to 0 along "
        'a cosine. A training that a limit cuts short is annealed too. Default: "1", the whole training.',
    )

    def images_per_class(self, task: Task) -> int:
        return (self.shots or task.shots) + self.queries


class InnerLoopSettings(QuerySettings):
    """The settings of learners that take gradient steps on a task's support images, all of them at each step."""

    inner_steps: int = _inner_steps(1)
    inner_learning_rate: DecimalText = _inner_learning_rate("0.4")
    evaluation_steps: int | None = Field(
        default=None,
        ge=1,
        le=MAX_STEPS,
        description="evaluationSteps is the number of gradient steps on a task in evaluation and use. Default: "
        "innerSteps.",
    )

    @property
    def unrolled_steps(self) -> int:
        """The number of inner steps whose passes are kept in memory for exact second derivatives."""
        return 0


class InnerRates(StrEnum):
    """The step sizes of the inner loop: all the same, or learned with the weights, one each."""

    FIXED = "Fixed"
    PER_LAYER = "PerLayer"
    PER_LAYER_AND_STEP = "PerLayerAndStep"


class LearnedRatesSettings(InnerLoopSettings):
    """The settings of learners that may learn the step sizes of the inner loop too."""

    inner_rates: InnerRates = Field(
        default=InnerRates.FIXED,
        description="innerRates says whether every step has innerLearningRate (Fixed), or the step sizes begin there "
        "and are learned: one for each tensor of the network that takes inner steps (PerLayer), or for each tensor and "
        "step (PerLayerAndStep, as in MAML++; steps beyond innerSteps have the last one's). Default: Fixed.",
    )


class FomamlSettings(LearnedRatesSettings):
    """First-order MAML (Finn et al. 2017, section 5.2)."""


class SecondOrder(StrEnum):
    """The way to second derivatives: exact, or a difference of two gradients."""

    EXACT = "Exact"
    FINITE_DIFFERENCE = "FiniteDifference"


class MamlSettings(LearnedRatesSettings):
    """MAML (Finn et al. 2017), with the parts of MAML++ (Antoniou et al. 2019) as options."""

    second_order: SecondOrder = Field(
        default=SecondOrder.EXACT,
        description="secondOrder is Exact (back-propagation through the inner loop; memory grows with innerSteps) or "
        "FiniteDifference (Hessian products from two gradients; of an inner step only the weights are kept). "
        "Default: Exact.",
    )
    multi_step_loss: DecimalText = Field(
        default=Decimal("0"),
        ge=0,
        le=1,
        description="multiStepLoss is the share of the training, at its beginning, in which the query loss after every "
        "inner step counts, less and less for the earlier ones. Where it is not 0, an outer step classifies the "
        'queries innerSteps times throughout. Default: "0", only the last step counts.',
    )
    first_order_share: DecimalText = Field(
        default=Decimal("0"),
        ge=0,
        le=1,
        description="firstOrderShare is the share of the training, at its beginning, in which second derivatives count "
        'nothing. It saves no time. Default: "0".',
    )

    @property
    def unrolled_steps(self) -> int:
        return self.inner_steps if self.second_order is SecondOrder.EXACT else 0


class AnilSettings(LearnedRatesSettings):
    """ANIL (Raghu et al. 2020): only the classifier takes inner steps."""

    inner_learning_rate: DecimalText = _inner_learning_rate("5")


class BoilSettings(LearnedRatesSettings):
    """BOIL (Oh et al. 2021): all but the classifier takes inner steps."""

    @property
    def unrolled_steps(self) -> int:
        return self.inner_steps


class PrototypesSettings(QuerySettings):
    """
    Prototypical networks (Snell et al. 2017), the tasks of a meta-batch merged into one of more ways.

    No inner loop: the mean features of a class are its weights in the classifier.
    """

    meta_learning_rate: DecimalText = _meta_learning_rate("0.03")
    merged_tasks: int = Field(
        default=16,
        ge=1,
        le=256,
        description="mergedTasks is the number of tasks, of different classes, that are classified as one of so many "
        "times the ways in training; it divides metaBatchSize. 1 is the plain form. Default: 16.",
    )
    symmetric: bool = Field(
        default=True,
        description="symmetric says whether the query images also serve as prototypes for the support images, which "
        "gives twice the answers from the same features. Default: true.",
    )

    rules = (
        Rule(
            cel="(has(self.metaBatchSize) ? self.metaBatchSize : 16) % "
            "(has(self.mergedTasks) ? self.mergedTasks : 16) == 0",
            message="must have a mergedTasks that divides metaBatchSize",
            holds=lambda settings: settings.meta_batch_size % settings.merged_tasks == 0,
        ),
    )

    def classes(self, task: Task) -> int:
        return task.ways * self.merged_tasks


class ProtoMamlSettings(LearnedRatesSettings):
    """Proto-MAML (Triantafillou et al. 2020), first order: MAML whose classifier begins as prototypes."""

    meta_learning_rate: DecimalText = _meta_learning_rate("0.003")
    inner_learning_rate: DecimalText = _inner_learning_rate("0.03")


class TruncatedSettings(LearnedRatesSettings):
    """Truncated back-propagation (Shaban et al. 2019): MAML through the last inner steps only."""

    inner_steps: int = _inner_steps(5)
    window: int = Field(
        default=1,
        ge=1,
        le=MAX_STEPS,
        description="window is the number of inner steps, the last ones, that are differentiated exactly; the "
        "gradients of earlier ones are taken for constants. At most innerSteps. Default: 1.",
    )

    rules = (
        Rule(
            cel="(has(self.window) ? self.window : 1) <= (has(self.innerSteps) ? self.innerSteps : 5)",
            message="must have a window of at most innerSteps",
            holds=lambda settings: settings.window <= settings.inner_steps,
        ),
    )

    @property
    def unrolled_steps(self) -> int:
        return self.window


class ImplicitSettings(InnerLoopSettings):
    """iMAML (Rajeswaran et al. 2019): the gradient at the end of the inner loop, whatever way led there."""

    inner_steps: int = _inner_steps(16)
    inner_learning_rate: DecimalText = _inner_learning_rate("0.1")
    regularization: DecimalText = Field(
        default=Decimal("2.0"),
        gt=0,
        le=1000,
        description="regularization (lambda) is the strength with which the inner loop is held near the meta-learned "
        'weights. Default: "2.0", the paper\'s.',
    )
    conjugate_gradient_steps: int = Field(
        default=5,
        ge=1,
        le=100,
        description="conjugateGradientSteps is the number of steps with which the implicit gradient is solved for. "
        "Default: 5, the paper's.",
    )


class EvolutionSettings(InnerLoopSettings):
    """Evolution strategies (Salimans et al. 2017; ES-MAML, Song et al. 2020): no derivative of the inner loop."""

    meta_learning_rate: DecimalText = _meta_learning_rate("0.01")
    population: int = Field(
        default=16,
        ge=2,
        le=10_000,
        multiple_of=2,
        description="population is the number of perturbed copies of the weights per outer step, in pairs of opposite "
        "signs. Default: 16.",
    )
    noise: DecimalText = Field(
        default=Decimal("0.05"),
        gt=0,
        le=10,
        description='noise is the standard deviation of the perturbations. Default: "0.05".',
    )
