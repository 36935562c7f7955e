"""
The figures that were measured of cells and networks: one model of each, for `result.json` and for a cluster's status.

Numbers that may have a fraction are of a type that differs: `float` in a file, `NumberText` in a cluster, whose
resources keep no floats. Field descriptions document both (docs/reference/result.md, `kubectl explain`), so they begin
with the field's name.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Generic, TypeVar

from pydantic import ConfigDict, Field

from metasearch.api import MAX_HYPERPARAMETERS, SpecModel
from metasearch.api.names import LABEL_PATTERN, Architecture
from metasearch.quantities import DECIMAL_MAX_LENGTH
from metasearch.search.candidates import Candidate

TRIAL_NAME_MAX_LENGTH = 63
"""As a label's value, so that a trial can be named in one."""

WEIGHTS_MAX_LENGTH = 1280
"""The longest spec.storage.url, and below it namespace, search and trial."""

MAX_SEEDS = 20  # as spec.final.seeds
MAX_BLOCKS = 8  # as spec.space.maxBlocks
MAX_ENDS = 4
"""The last ends of a search, of those that have more."""

Fraction = TypeVar("Fraction", bound=float)
"""The type of numbers that may have a fraction: `float` or `NumberText`."""

Count = Annotated[int, Field(ge=0)]
HyperparameterText = Annotated[
    str, Field(min_length=1, max_length=DECIMAL_MAX_LENGTH + 1, pattern=r"^[-A-Za-z0-9_.]+$")
]
FrontFolder = Annotated[str, Field(min_length=1, max_length=8, pattern=r"^[a-z0-9/]+$")]
FOLDER_DESCRIPTION = (
    "folder is where its files are, in the folder of a run and in an export with --front, such as front/1, which has "
    "the best score."
)
TrialName = Annotated[str, Field(max_length=TRIAL_NAME_MAX_LENGTH, pattern=LABEL_PATTERN)]


class Confidence(StrEnum):
    """The confidence in an estimate of the end of a search; docs/watching.md has the errors measured of each."""

    LOW = "Low"
    """No trial of the largest cells is over."""
    MEDIUM = "Medium"
    HIGH = "High"
    """A final training is over, and of those that are left each is of a kind that one was, or has a pace of its own."""


class OutcomeModel(SpecModel):
    """
    A part of what came out of a search.

    An unknown field is ignored: it was written by a newer version.
    """

    model_config = ConfigDict(extra="ignore")


class TrialCounts(OutcomeModel):
    """Trials of every stage, by state."""

    total: Count = Field(description="total is the number of trials, whatever their state.")
    pending: Count = Field(description="pending is the number of trials that wait for a worker.")
    running: Count = Field(description="running is the number of trials that a worker has claimed.")
    succeeded: Count = Field(description="succeeded is the number of trials that ran to their end.")
    stopped: Count = Field(description="stopped is the number of trials given up, for doing badly or for the budget.")
    failed: Count = Field(description="failed is the number of trials that failed for good.")


class Estimate(OutcomeModel, Generic[Fraction]):
    """A share of correct answers, and how sure it is."""

    accuracy: Fraction = Field(
        ge=0, le=1, description="accuracy is a mean over tasks, and over seeds where there are several, in [0, 1]."
    )
    interval: Fraction = Field(
        ge=0,
        description="interval is the half-width of its 95% interval: over seeds where there are several, at least that "
        "over tasks.",
    )


class CellSummary(OutcomeModel, Generic[Fraction]):
    """
    A cell and what was measured of it in a search trial.

    A figure with the name of a field of `search.trials.TrialResult` is taken from there; see `results.cell_summary`.
    """

    cell: Architecture = Field(description="cell is its text form, canonical.")
    hyperparameters: dict[str, HyperparameterText] = Field(
        default={},
        max_length=MAX_HYPERPARAMETERS,
        description="hyperparameters are those of spec.search.hyperparameters, as text. Default: none.",
    )
    trial: TrialName = Field(description="trial is the name of the one it was measured in; of several, the first.")
    blocks: int = Field(ge=1, le=MAX_BLOCKS, description="blocks is the number of its blocks.")
    depth: int = Field(ge=1, le=MAX_BLOCKS, description="depth is the number of blocks on its longest path.")
    parameter_count: Count = Field(
        description="parameterCount is the number of all that is trained, normalisation and classifier included."
    )
    multiply_adds: Count = Field(description="multiplyAdds is the number of them per image.")
    meta_iterations: Count = Field(
        description="metaIterations is the number of outer steps of that trial, which its score is of."
    )
    is_beginning: bool = Field(
        default=False,
        description="isBeginning says whether the cell was trained for a part of training.metaIterations only. "
        "Default: false.",
    )
    score: Fraction = Field(
        ge=0,
        le=1,
        description="score is what ranks candidates, in [0, 1]: evaluation.score on the classes of evaluation.split; "
        "where isBeginning is true, the likelihood that the training loss stands for. Scores of trainings of different "
        "lengths are not comparable.",
    )
    interval: Fraction = Field(ge=0, description="interval is the half-width of the score's 95% interval.")
    seeds: int = Field(
        default=1,
        ge=1,
        le=MAX_SEEDS,
        description="seeds is the number of trainings that score is the mean of: more than one where the cell was "
        "looked at again for being among the best. Other figures are of the first. Default: 1.",
    )
    accuracy: Fraction | None = Field(
        default=None,
        ge=0,
        le=1,
        description="accuracy is the share of queries classified right there, each query alone; left out for a cell "
        "that was trained for a part of training.metaIterations only, which is not evaluated.",
    )
    latency_ms: Fraction | None = Field(
        ge=0,
        default=None,
        description="latencyMs is the time to classify one task's queries after adaptation, in milliseconds, on the "
        "trial's device.",
    )
    peak_memory_bytes: Count | None = Field(
        default=None,
        description="peakMemoryBytes is the most that its process (on a GPU: the device) held, in bytes.",
    )
    wall_seconds: Fraction | None = Field(
        ge=0, default=None, description="wallSeconds is the time of training and evaluation, in seconds."
    )

    @property
    def candidate(self) -> Candidate:
        """The cell with its hyperparameters."""
        return Candidate(self.cell, self.hyperparameters)


class FinalNetwork(OutcomeModel, Generic[Fraction]):
    """A network of the final stage, on as many seeds as ran to their end; where none did, on those cut short."""

    seeds: int = Field(ge=1, le=MAX_SEEDS, description="seeds is how many trainings of it the figures are of.")
    parameter_count: Count = Field(
        description="parameterCount is the number of all that is trained, normalisation and classifier included."
    )
    multiply_adds: Count = Field(description="multiplyAdds is the number of them per image.")
    meta_iterations: Count = Field(
        description="metaIterations is the number of outer steps it was trained for; of several seeds cut short, those "
        "of the first, whose weights are delivered."
    )
    cut_short: bool = Field(
        default=False,
        description="cutShort says whether a limit ended its training before final.metaIterations were done. "
        "Default: false.",
    )
    score: Fraction = Field(
        ge=0,
        le=1,
        description="score is the mean over seeds on the classes of evaluation.split, in [0, 1]; the delivered network "
        "is chosen by it.",
    )
    transductive: Estimate[Fraction] = Field(
        description="transductive is measured on the test classes, the queries of a task classified together."
    )
    non_transductive: Estimate[Fraction] = Field(
        description="nonTransductive is measured on the test classes, each query classified alone, in one batch with "
        "the support images."
    )
    support_statistics: Estimate[Fraction] = Field(
        description="supportStatistics is measured on the test classes, each query classified alone, normalised by the "
        "statistics of the support images."
    )
    tasks: Count = Field(
        description="tasks is the number of test tasks per seed, of the seed with the fewest: final.tasks, or where a "
        "limit cut it short evaluation.tasks if that is less."
    )


class FoundNetwork(FinalNetwork[Fraction], Generic[Fraction]):
    """A network of a cell that the search found."""

    cell: Architecture = Field(description="cell is its text form, canonical.")
    hyperparameters: dict[str, HyperparameterText] = Field(
        default={},
        max_length=MAX_HYPERPARAMETERS,
        description="hyperparameters are those of spec.search.hyperparameters, as text. Default: none.",
    )
    trials: tuple[TrialName, ...] = Field(
        max_length=MAX_SEEDS,
        description="trials are the names of those that trained it, one per seed, best score first.",
    )
    weights: str | None = Field(
        default=None,
        min_length=1,
        max_length=WEIGHTS_MAX_LENGTH,
        pattern=r"^[!-~]+$",
        description="weights is where those of the first trial are: on one machine the name of a file in the folder "
        "weights, on a cluster an address below spec.storage.url, or the claim and the path on its volume, such as "
        "models/team-a/omniglot-1b9d6bcd/weights/omniglot-5-0a1b2c3d4e.safetensors. Default: none, they were not kept.",
    )
    folder: FrontFolder | None = Field(
        default=None,
        description=f"{FOLDER_DESCRIPTION} Default: none, it is not of a delivered front (final.deliver).",
    )

    @property
    def candidate(self) -> Candidate:
        """The cell with its hyperparameters."""
        return Candidate(self.cell, self.hyperparameters)


class FrontNetwork(OutcomeModel, Generic[Fraction]):
    """A network of a delivered front, in few words."""

    folder: FrontFolder = Field(description=FOLDER_DESCRIPTION)
    parameter_count: Count = Field(
        description="parameterCount is the number of all that is trained, normalisation and classifier included."
    )
    score: Fraction = Field(
        ge=0, le=1, description="score is the mean over seeds on the classes of evaluation.split, in [0, 1]."
    )
    trial: TrialName = Field(
        description="trial is the name of the one whose weights are delivered: it has the cell, and its weights are "
        "where delivered.weights are, in a file of its name."
    )


class HandMadeNetwork(FinalNetwork[Fraction], Generic[Fraction]):
    """A hand-made network, with which found ones are compared. Its weights are not kept."""

    name: str = Field(
        min_length=1,
        max_length=16,
        pattern=r"^[A-Za-z0-9-]+$",
        description="name says which: Conv4 (64 filters), Conv4- and its number of filters, such as Conv4-30, or "
        "Conv4Pooled.",
    )
