"""
The status of a MetaSearch: a summary of the search for `kubectl get`, dashboards and people.

It is computed from the trials. Only the times in it (`timing.py`) and whether the search has ended are read back, for
no trial records them. Its size does not grow with the trials: every text has a greatest length and every list a
greatest number of entries, so that it takes at most 100 KiB.

Cells and networks are those of `metasearch.outcome.figures`, as in `result.json`. Times are durations, as in the spec
that limits them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from metasearch.api import MAX_DELIVERED
from metasearch.kubernetes.models import INT32_MAX, ClusterModel, Share
from metasearch.kubernetes.times import Time
from metasearch.outcome.figures import (
    MAX_ENDS,
    CellSummary,
    Confidence,
    Count,
    FoundNetwork,
    FrontNetwork,
    HandMadeNetwork,
    TrialCounts,
)
from metasearch.quantities import DecimalText, Duration, NumberText
from metasearch.search.budget import Limit
from metasearch.search.planner import Phase

MAX_ROUNDS = 16
"""The last ones, of strategies that have more."""

MAX_RANKED = 10
MAX_FRONT = 20
MAX_BASELINES = 3  # as spec.final.baselines

PREDICTED_BY_MAX_LENGTH = 400
"""Characters; longer ones are cut."""

IMAGE_MAX_LENGTH = 512  # as spec.worker.template.image

_Correlation = Annotated[NumberText, Field(ge=-1, le=1)]


class ConditionStatus(StrEnum):
    """The status of a condition, with the values of Kubernetes."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ClusterModel):
    """A condition, as in any Kubernetes resource."""

    type: str = Field(
        min_length=1, max_length=64, pattern=r"^[A-Za-z]+$", description="type names the condition, such as Ready."
    )
    status: ConditionStatus = Field(description="status is True, False or Unknown.")
    reason: str = Field(
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z]+$",
        description="reason says why in one word for programs, such as Searching or InvalidSpec.",
    )
    message: str = Field(max_length=400, description="message says why in a sentence for people; it may be empty.")
    last_transition_time: Time = Field(
        description="lastTransitionTime is when status last changed, in UTC, such as 2026-01-31T12:00:00Z."
    )
    observed_generation: Count | None = Field(
        default=None, description="observedGeneration is the metadata.generation that the condition was computed for."
    )


READY, PROGRESSING, SUSPENDED = "Ready", "Progressing", "Suspended"
SUCCEEDED, FAILED, EXHAUSTED = "Succeeded", "Failed", "BudgetExhausted"
"""The types of a search's conditions."""


class RoundStatus(ClusterModel):
    """One round of the search, and how well the surrogate had ranked it before it was measured."""

    round: int = Field(ge=1, le=INT32_MAX, description="round is its number, counted from 1.")
    proposed: Count = Field(description="proposed is the number of its trials.")
    trained: Count = Field(description="trained is the number of its trials that ran to their end.")
    beginnings: Count = Field(
        default=0,
        description="beginnings is how many of the trained had a part of training.metaIterations only. Default: 0.",
    )
    stopped: Count = Field(description="stopped is the number of its trials that were given up.")
    failed: Count = Field(description="failed is the number of its trials that failed for good.")
    best: Share | None = Field(default=None, description="best is the best score of its whole trainings, in [0, 1].")
    spearman: _Correlation | None = Field(
        default=None, description="spearman is the rank correlation of predictions and scores, in [-1, 1]."
    )
    ceiling: Share | None = Field(
        default=None,
        description="ceiling is what spearman could be expected to be if predictions were perfect, for the scores' "
        "standard errors, in [0, 1].",
    )
    kendall: _Correlation | None = Field(default=None, description="kendall is tau-b of the same, in [-1, 1].")
    top_recall: Share | None = Field(
        default=None,
        description="topRecall is the share of the measured best quarter that was predicted to be in it, in [0, 1].",
    )


class ExaminationStatus(ClusterModel):
    """The fair examination of the surrogate, by the trials whose candidates were drawn at random."""

    trials: Count = Field(description="trials is how many drawn ones were predicted and then measured.")
    spearman: _Correlation | None = Field(
        default=None,
        description="spearman is the rank correlation of predictions and scores over them, all rounds together, in "
        "[-1, 1]; left out with fewer than 4.",
    )
    ceiling: Share | None = Field(default=None, description="ceiling is as that of a round.")


class SpentStatus(ClusterModel):
    """The part of the budget that the search has used."""

    share: str = Field(
        pattern=r"^[0-9]{1,3}%$",
        max_length=4,
        description="share is how much of spec.budget is used, of the limit that is nearest, such as 37%.",
    )
    trials: Count = Field(
        description="trials is the number of search trials proposed, without those that a limit stopped."
    )
    failed_trials: Count = Field(description="failedTrials is the number of search trials that failed for good.")
    wall_time: Duration = Field(description="wallTime is the time since the start, suspension left out, such as 5400s.")
    worker_time: Duration = Field(
        description="workerTime is the sum over all attempts, failed and lost ones too, such as 86400s."
    )
    gpu_hours: DecimalText = Field(
        description='gpuHours is GPU share x hours, summed over all attempts, failed and lost ones too, such as "12.5".'
    )


class ProgressStatus(ClusterModel):
    """The share of a search that is over, and its end, estimated from its trials."""

    percentage: int = Field(
        ge=0, le=100, description="percentage is how much of the search's time is over, suspension left out."
    )
    estimated_remaining_seconds: Count = Field(
        description="estimatedRemainingSeconds is the time until the search ends in seconds, rounded to two digits."
    )
    confidence: Confidence = Field(
        description="confidence is Low until a trial of the largest cells is over, High once a final training is, and "
        "Medium between them."
    )


class Left(ClusterModel):
    """The part of the budget that is left; limits that spec.budget does not set are missing."""

    trials: Count = Field(description="trials is the number of search trials that may still be proposed.")
    failed_trials: Count = Field(description="failedTrials is the number of failures that are still allowed.")
    wall_time: Duration | None = Field(default=None, description="wallTime is what is left of it, such as 5400s.")
    gpu_hours: DecimalText | None = Field(default=None, description='gpuHours is what is left of them, such as "12.5".')


class EndStatus(ClusterModel):
    """An end of the search, and what it had used and found by then."""

    completion_time: Time = Field(description="completionTime is when, in UTC, such as 2026-01-31T12:00:00Z.")
    phase: Phase = Field(description="phase is Succeeded or Failed.")
    limit: Limit | None = Field(
        default=None, description="limit is the limit of spec.budget that had ended a stage early. Default: none had."
    )
    trials: Count = Field(description="trials is the number of search trials proposed by then.")
    final_trials: Count = Field(description="finalTrials is the number of final trials by then, baselines' too.")
    wall_time: Duration = Field(description="wallTime is the time from the start, suspension left out, such as 5400s.")
    gpu_hours: DecimalText = Field(description='gpuHours is the GPU share x hours used by then, such as "12.5".')
    best_score: Share | None = Field(
        default=None, description="bestScore is the best search score by then, in [0, 1]. Default: none."
    )
    spec_hash: str = Field(
        max_length=16,
        pattern=r"^[0-9a-f]+$",
        description="specHash is a digest of spec.budget and spec.final as they were. A search that has ended goes on "
        "only after a change of them.",
    )


class SearchStatus(ClusterModel):
    """The progress of the search and its results so far."""

    observed_generation: Count | None = Field(
        default=None, description="observedGeneration is the metadata.generation that this status was computed for."
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=8,
        description="conditions are Ready, Progressing, Succeeded, Failed, Suspended and BudgetExhausted; Ready's "
        "reason says how far the search is.",
        # As Kubernetes' API conventions have it: server-side apply merges conditions by their type.
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    start_time: Time | None = Field(
        default=None,
        description="startTime is when the first trials were created, in UTC, such as 2026-01-31T12:00:00Z.",
    )
    suspended_time: Duration | None = Field(
        default=None,
        description="suspendedTime is the time since the start in which the search was suspended, such as 5400s; a "
        "suspension that goes on, since the condition Suspended became True, comes on top of it.",
    )
    completion_time: Time | None = Field(
        default=None, description="completionTime is when the search ended, in UTC, such as 2026-01-31T12:00:00Z."
    )
    ends: tuple[EndStatus, ...] = Field(
        default=(),
        max_length=MAX_ENDS,
        description="ends are those that the search has come to, in order, at most the last 4; after all but the last "
        "it went on under a larger budget.",
    )
    round: int | None = Field(
        default=None,
        ge=0,
        le=INT32_MAX,
        description="round is the strategy's round that is under way, counted from 1; 0 before the first.",
    )
    trials: TrialCounts | None = Field(default=None, description="trials counts the search's trials by state.")
    trials_done: str | None = Field(
        default=None,
        pattern=r"^[0-9]+/[0-9]+$",
        max_length=21,
        description="trialsDone is how many search trials are over, of those that spec.budget.maxTrials allows, such "
        "as 12/30.",
    )
    final_trials: Count | None = Field(
        default=None, description="finalTrials is the number of final trials so far, baselines' too."
    )
    rounds: tuple[RoundStatus, ...] = Field(
        default=(),
        max_length=MAX_ROUNDS,
        description="rounds are those that were begun, the last 16, in order.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["round"]},
    )
    examination: ExaminationStatus | None = Field(
        default=None, description="examination is how well the surrogate predicts candidates drawn at random."
    )
    predicted_by: str | None = Field(
        default=None,
        max_length=PREDICTED_BY_MAX_LENGTH,
        description="predictedBy says which surrogates made the last predictions, and which have lost their vote.",
    )
    spent: SpentStatus | None = Field(default=None, description="spent is what the search has used.")
    left: Left | None = Field(default=None, description="left is what the search may still use.")
    progress: ProgressStatus | None = Field(
        default=None,
        description="progress is how far the search is and when it will end, as estimated; left out while nothing can "
        "be told, such as before the first trial is over or while no worker is at work.",
    )
    best_score: str | None = Field(
        default=None,
        pattern=r"^[01]\.[0-9]{4}$",
        max_length=6,
        description="bestScore is the best score of a whole training in the search so far, in [0, 1], rounded; ranked "
        "has it as it was measured.",
    )
    ranked: tuple[CellSummary[NumberText], ...] = Field(
        default=(),
        max_length=MAX_RANKED,
        description="ranked are the cells with the best scores, best score first; at most 10.",
    )
    front: tuple[CellSummary[NumberText], ...] = Field(
        default=(),
        max_length=MAX_FRONT,
        description="front are the cells that no other beats in score and parameters, best score first; at most 20.",
    )
    delivered: FoundNetwork[NumberText] | None = Field(
        default=None, description="delivered is the network that the search hands over, once one is trained in full."
    )
    delivered_front: tuple[FrontNetwork[NumberText], ...] | None = Field(
        default=None,
        max_length=MAX_DELIVERED,
        description="deliveredFront are the networks that the search hands over where final.deliver is Front, best "
        f"score first; at most {MAX_DELIVERED}.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["folder"]},
    )
    baselines: tuple[HandMadeNetwork[NumberText], ...] = Field(
        default=(),
        max_length=MAX_BASELINES,
        description="baselines are the hand-made networks of spec.final.baselines, once they are trained, best score "
        "first; at most 3.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    worker_image: str | None = Field(
        default=None,
        min_length=1,
        max_length=IMAGE_MAX_LENGTH,
        pattern=r"^[!-~]+$",
        description="workerImage is the container image of the workers, which reads their weights where they are on a "
        "volume.",
    )

    def condition(self, type: str) -> Condition | None:
        """Return the condition of a type, or None."""
        return next((condition for condition in self.conditions if condition.type == type), None)
