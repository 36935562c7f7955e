"""
MetaTrial: a trial as Kubernetes keeps it. `search.trials` says what its parts mean and how they change; the rules here
keep those who may write it from breaking that.
"""

from __future__ import annotations

import re

from pydantic import Field

from metasearch.api import MAX_CURVE_POINTS, MAX_HYPERPARAMETERS, Rule
from metasearch.api.names import HYPERPARAMETER_PATTERN, Architecture
from metasearch.kubernetes.models import INT32_MAX, ClusterModel, Share
from metasearch.kubernetes.times import Time
from metasearch.outcome.figures import TRIAL_NAME_MAX_LENGTH, Count, HyperparameterText
from metasearch.quantities import NumberText
from metasearch.search.baselines import TEXT_PATTERN
from metasearch.search.trials import Reason, Stage, State

MAX_ATTEMPTS = 512
"""The most attempts on record, far more than failures and lost workers can make. None is dropped: their time counts."""

MESSAGE_MAX_LENGTH = 4096

# Python writes a list of texts just as CEL does, so a rule takes it as it is.
_ENDED = [str(state) for state in State if state.is_over]


class CandidateResource(ClusterModel):
    """The architecture and the hyperparameters that a trial trains."""

    architecture: Architecture = Field(
        description="architecture is the cell's text form, or a baseline's: Conv4, Conv4Pooled or Conv4- and a "
        "number of filters."
    )
    hyperparameters: dict[str, HyperparameterText] = Field(
        default={},
        max_length=MAX_HYPERPARAMETERS,
        description='hyperparameters are the values that the search varies, as text such as "0.05" or "adam"; they '
        "replace those of the MetaSearch's spec. Default: none.",
    )

    rules = (
        Rule(
            cel="!has(self.hyperparameters) || "
            f"self.hyperparameters.all(name, name.matches('{HYPERPARAMETER_PATTERN}'))",
            message="must have hyperparameters with names such as metaStepSize",
            holds=lambda candidate: all(
                re.fullmatch(HYPERPARAMETER_PATTERN, name) for name in candidate.hyperparameters
            ),
        ),
    )


class ThresholdResource(ClusterModel):
    """A score below which the trial is stopped early at an iteration."""

    meta_iteration: int = Field(
        ge=0, le=INT32_MAX, description="metaIteration is the outer step at which the score is compared."
    )
    score: NumberText = Field(description='score is the least that the best score so far must be, such as "0.61".')


class MetaTrialSpec(ClusterModel):
    """A recipe: one candidate to evaluate at one fidelity and seed. It never changes."""

    stage: Stage = Field(description="stage is what the trial is for: Search, Final or Baseline.")
    candidate: CandidateResource = Field(description="candidate is what to train.")
    blocks: int | None = Field(
        default=None,
        ge=1,
        le=INT32_MAX,
        description="blocks is the number of blocks of the candidate's cell; left out for a baseline.",
    )
    meta_iterations: int = Field(ge=1, le=INT32_MAX, description="metaIterations is the number of outer steps.")
    seed: int = Field(ge=0, le=INT32_MAX, description="seed distinguishes trainings of one candidate.")
    round: int = Field(
        ge=0,
        le=INT32_MAX,
        description="round is the strategy's round that proposed the candidate, from 1; a final trial has that of its "
        "search trial, a baseline 0.",
    )
    round_size: int | None = Field(
        default=None,
        ge=1,
        le=INT32_MAX,
        description="roundSize is the number of trials proposed together with this one. Default: not fixed beforehand.",
    )
    priority: int = Field(
        default=0,
        ge=0,
        le=INT32_MAX,
        description="priority decides which trials of a round workers take first: the lowest. Default: 0.",
    )
    predicted: NumberText | None = Field(
        default=None, description='predicted is the score that the surrogate expects, such as "0.83". Default: none.'
    )
    predicted_by: str | None = Field(
        default=None,
        max_length=MESSAGE_MAX_LENGTH,
        description="predictedBy says which surrogates made the prediction, and which have lost their vote. Default: "
        "none.",
    )
    is_drawn: bool = Field(
        default=False,
        description="isDrawn is true where the candidate was drawn at random beside the best predictions, to examine "
        "the surrogate. Default: false.",
    )
    thresholds: tuple[ThresholdResource, ...] = Field(
        default=(),
        max_length=MAX_CURVE_POINTS,
        description="thresholds are the scores below which the trial is stopped early. Default: none.",
    )
    is_beginning: bool = Field(
        default=False,
        description="isBeginning is true for the beginning of the training that the MetaSearch describes: its rates "
        "are those of the whole, its score comes from the training loss, and its checkpoint is kept, so that another "
        "MetaTrial may go on from there. Default: false.",
    )
    resumes: str | None = Field(
        default=None,
        min_length=1,
        max_length=TRIAL_NAME_MAX_LENGTH,
        description="resumes is the name of the MetaTrial of the same candidate and seed whose checkpoint it goes on "
        "from; where that is gone, it begins anew, with the same end. Default: it begins anew.",
    )
    replaces: str | None = Field(
        default=None,
        min_length=1,
        max_length=TRIAL_NAME_MAX_LENGTH,
        description="replaces is the name of the MetaTrial that a limit of the budget stopped, and whose training this "
        "one does anew under a larger budget. Default: none.",
    )

    rules = (
        Rule(cel="self == oldSelf", message="must not change"),
        Rule(
            # Columns and people read it instead of the cell, so it must not say anything else.
            cel="self.stage == 'Baseline' ? !has(self.blocks) : (has(self.blocks) && "
            "self.candidate.architecture.split('|').size() == self.blocks)",
            message="must have the number of the cell's blocks in blocks, and none for a baseline",
            holds=lambda spec: spec.blocks == blocks_of(spec.stage, spec.candidate.architecture),
        ),
        Rule(
            cel=f"self.stage != 'Baseline' || self.candidate.architecture.matches('{TEXT_PATTERN}')",
            message="must have a baseline's candidate.architecture such as Conv4, Conv4-30 or Conv4Pooled",
            holds=lambda spec: (
                spec.stage is not Stage.BASELINE or re.fullmatch(TEXT_PATTERN, spec.candidate.architecture) is not None
            ),
        ),
    )


def blocks_of(stage: Stage, architecture: str) -> int | None:
    """Count the blocks of a trial's cell; None for a baseline, which is no cell."""
    return None if stage is Stage.BASELINE else architecture.count("|") + 1


class Claim(ClusterModel):
    """The last claim of a trial. It stays when the trial is freed, so that the next one has a higher epoch."""

    worker: str = Field(min_length=1, max_length=253, description="worker is the name of the slot that claimed it.")
    pod_uid: str = Field(
        alias="podUID",
        min_length=1,
        max_length=64,
        description="podUID is the uid of the worker's pod, the only one that may write until the trial is freed.",
    )
    epoch: int = Field(ge=1, description="epoch is the number of this claim, counted from 1; it only grows.")

    rules = (Rule(cel="self.epoch >= oldSelf.epoch", message="must not have a lower epoch than before"),)


class AttemptResource(ClusterModel):
    """One claim of the trial by a worker, with the time that it took."""

    epoch: int = Field(ge=1, description="epoch is the number of the claim, counted from 1.")
    worker: str = Field(min_length=1, max_length=253, description="worker is the name of the slot that claimed it.")
    started_at: Time = Field(description="startedAt is when it was claimed, in UTC, to the microsecond.")
    gpus: NumberText = Field(ge=0, description='gpus is the share of GPUs held, such as "0.25"; "0.0" on a CPU.')
    ended_at: Time | None = Field(
        default=None, description="endedAt is when the attempt was over, in UTC, to the microsecond."
    )
    outcome: str | None = Field(
        default=None,
        max_length=64,
        pattern=r"^[A-Za-z]+$",
        description="outcome is a state, a failure's reason, Lost (the worker died) or Interrupted.",
    )


class CurvePointResource(ClusterModel):
    """A point of a learning curve."""

    meta_iteration: int = Field(ge=0, le=INT32_MAX, description="metaIteration is the outer step it was measured at.")
    score: Share = Field(description="score is the score then, in [0, 1].")
    error: NumberText = Field(
        default=0.0, ge=0, description='error is its standard error; "0.0" where it is not known. Default: "0.0".'
    )


class ProgressResource(ClusterModel):
    """The progress of a running trial."""

    meta_iteration: int = Field(
        default=0, ge=0, le=INT32_MAX, description="metaIteration is the last outer step done. Default: 0."
    )
    curve: tuple[CurvePointResource, ...] = Field(
        default=(), max_length=MAX_CURVE_POINTS, description="curve is the learning curve so far. Default: empty."
    )
    started_from: Count = Field(
        default=0,
        description="startedFrom is the outer steps that the attempt found done, in a checkpoint. Default: 0.",
    )
    reported_at: Time | None = Field(
        default=None,
        description="reportedAt is when it was reported, in UTC, such as 2026-01-31T12:00:00Z. Default: not on record.",
    )


class AccuracyResource(ClusterModel):
    """Share of queries classified correctly."""

    mean: Share = Field(description="mean is over tasks, in [0, 1].")
    interval: NumberText = Field(ge=0, description="interval is the half-width of the 95% interval over tasks.")
    tasks: Count = Field(description="tasks is the number of them.")


class AccuraciesResource(ClusterModel):
    """Accuracies by the three ways to classify a task's queries."""

    transductive: AccuracyResource = Field(description="transductive: the queries of a task are classified together.")
    non_transductive: AccuracyResource = Field(
        description="nonTransductive: each query is classified alone, in one batch with the support images."
    )
    support_statistics: AccuracyResource = Field(
        description="supportStatistics: each query is classified alone, normalised by the statistics of the support "
        "images."
    )


class PartSecondsResource(ClusterModel):
    """The parts of the time of the attempt with the result, in seconds: sums, for the parts take turns."""

    data: NumberText = Field(
        default=0.0,
        ge=0,
        description="data is for bringing a checkpoint to the pod, reading it, and drawing the tasks to train on. "
        'Default: "0.0".',
    )
    training: NumberText = Field(default=0.0, ge=0, description='training is for outer steps. Default: "0.0".')
    evaluation: NumberText = Field(
        default=0.0,
        ge=0,
        description="evaluation is for the tasks of the curve, the score and the test, and for the latency. "
        'Default: "0.0".',
    )
    writing: NumberText = Field(
        default=0.0,
        ge=0,
        description='writing is for checkpoints, weights and reports of progress. Default: "0.0".',
    )


class ResultResource(ClusterModel):
    """The end of the trial, its state aside. The first result stays; what was not measured is left out."""

    epoch: Count = Field(description="epoch is that of the claim under which it was measured; 0 where there was none.")
    reason: Reason | None = Field(default=None, description="reason is the reason for an end other than success.")
    message: str | None = Field(
        default=None, max_length=MESSAGE_MAX_LENGTH, description="message says the same in a sentence."
    )
    meta_iterations: Count | None = Field(
        default=None,
        description="metaIterations is the number of outer steps done; fewer than spec.metaIterations where it ended "
        "early.",
    )
    score: Share | None = Field(default=None, description="score is what ranks the candidate, in [0, 1].")
    score_error: NumberText | None = Field(default=None, ge=0, description="scoreError is the score's standard error.")
    training_score: Share | None = Field(
        default=None,
        description="trainingScore is exp(-loss) of training tasks in the second half of the outer steps, in [0, 1].",
    )
    validation: AccuraciesResource | None = Field(
        default=None, description="validation is measured on the classes that scores come from."
    )
    test: AccuraciesResource | None = Field(
        default=None, description="test is measured on the test classes; final and baseline trials only."
    )
    curve: tuple[CurvePointResource, ...] = Field(
        default=(), max_length=MAX_CURVE_POINTS, description="curve is the learning curve; its last point is the score."
    )
    parameter_count: Count | None = Field(
        default=None, description="parameterCount is the number of weights, normalisation and classifier included."
    )
    multiply_adds: Count | None = Field(default=None, description="multiplyAdds is the number of them per image.")
    image_channels: Count | None = Field(
        default=None, description="imageChannels is the number of channels of the images it was trained on."
    )
    image_side: Count | None = Field(
        default=None, description="imageSide is the height and width of those images, in pixels."
    )
    wall_seconds: NumberText | None = Field(
        default=None, ge=0, description="wallSeconds is the time of training and evaluation, in seconds."
    )
    part_seconds: PartSecondsResource | None = Field(
        default=None,
        description="partSeconds is how the attempt with the result has spent its time, as far as it was measured.",
    )
    peak_memory_bytes: Count | None = Field(
        default=None, description="peakMemoryBytes is the most that its process held (on a GPU: the device), in bytes."
    )
    latency_ms: NumberText | None = Field(
        default=None,
        ge=0,
        description="latencyMs is the time to classify one task's queries after adaptation, in milliseconds.",
    )
    device: str | None = Field(default=None, max_length=256, description="device is what it ran on, such as cpu.")
    weights: str | None = Field(
        default=None,
        max_length=253,
        description="weights is the name of the file with them; final trials only, cut short ones too.",
    )

    rules = (Rule(cel="self == oldSelf", message="must not change: the first result stays"),)


class MetaTrialStatus(ClusterModel):
    """The state of the trial, and its result."""

    state: State = Field(
        default=State.PENDING,
        description="state is Pending, Running, Succeeded, Stopped or Failed. Default: Pending.",
    )
    claim: Claim | None = Field(default=None, description="claim is the last one by a worker.")
    attempts: tuple[AttemptResource, ...] = Field(
        default=(), max_length=MAX_ATTEMPTS, description="attempts are all claims so far, in order. Default: none."
    )
    stop_requested: bool = Field(
        default=False,
        description="stopRequested is true once the worker is to stop the trial at its next report. Default: false.",
    )
    progress: ProgressResource | None = Field(default=None, description="progress is what its worker last reported.")
    result: ResultResource | None = Field(default=None, description="result is how it ended.")

    rules = (
        Rule(
            cel=f"has(self.result) == (has(self.state) && self.state in {_ENDED})",
            message="must have a result exactly where state is Succeeded, Stopped or Failed",
            holds=lambda status: (status.result is not None) == status.state.is_over,
        ),
        Rule(
            cel="!has(self.state) || self.state != 'Running' || has(self.claim)",
            message="must have a claim where state is Running",
            holds=lambda status: status.state is not State.RUNNING or status.claim is not None,
        ),
        Rule(
            # 0: a limit ends pending trials too, which no worker has claimed.
            cel="!has(self.result) || self.result.epoch == (has(self.claim) ? self.claim.epoch : 0)",
            message="must have a result with the epoch of the claim, for later claims make earlier ones void",
            holds=lambda status: (
                status.result is None or status.result.epoch == (status.claim.epoch if status.claim else 0)
            ),
        ),
        Rule(
            # Rankings and summaries read these of every trial that succeeded.
            cel="!has(self.state) || self.state != 'Succeeded' || !has(self.result) || "
            "(has(self.result.score) && has(self.result.parameterCount) && has(self.result.multiplyAdds))",
            message="must have a result with score, parameterCount and multiplyAdds where Succeeded",
            holds=lambda status: (
                status.state is not State.SUCCEEDED
                or status.result is None
                or None
                not in (
                    status.result.score,
                    status.result.parameter_count,
                    status.result.multiply_adds,
                )
            ),
        ),
        Rule(
            cel="!has(oldSelf.result) || (has(self.result) && self.state == oldSelf.state)",
            message="must keep its result and state: the first result stays",
        ),
        Rule(cel="!has(oldSelf.claim) || has(self.claim)", message="must keep its claim, for epochs only grow"),
        Rule(
            cel="!has(oldSelf.attempts) || (has(self.attempts) && self.attempts.size() >= oldSelf.attempts.size())",
            message="must keep its attempts, for their time counts",
        ),
        Rule(
            cel="!has(oldSelf.stopRequested) || !oldSelf.stopRequested || self.stopRequested",
            message="must not take back stopRequested",
        ),
    )
