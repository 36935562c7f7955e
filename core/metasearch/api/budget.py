"""The limits of a search, and the final training that a share of them is reserved for."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from pydantic import Field

from metasearch.api.base import Rule, SpecModel
from metasearch.api.training import MetaLearning
from metasearch.quantities import DecimalText, Duration, Memory


class Budget(SpecModel):
    """
    The limits of what the search may spend.

    A limit that is reached stops running trials, keeps every result, and leaves the final trials their share.
    """

    max_trials: int = Field(
        default=455,
        ge=1,
        le=100_000,
        description="maxTrials is the number of search trials. Default: 455 (Auto-Meta: 55 + 4 x 100).",
    )
    max_failed_trials: int = Field(
        default=20,
        ge=0,
        le=100_000,
        description="maxFailedTrials is the number of failed trials that is allowed; one more ends the search stage. "
        "Default: 20.",
    )
    max_attempts: int = Field(
        default=2,
        ge=1,
        le=10,
        description="maxAttempts is how often a trial is tried before it counts as failed; losing a worker is not an "
        "attempt, and a diverged trial is not tried again. Default: 2.",
    )
    wall_time: Duration | None = Field(
        default=None,
        description="wallTime is how long the whole search may take, pauses left out, such as 24h. Default: no limit.",
    )
    gpu_hours: DecimalText | None = Field(
        default=None,
        ge=0,
        description="gpuHours is the sum over all attempts, failed and lost ones too, of GPU share x hours from claim "
        'to end, such as "2688". Default: no limit.',
    )
    trial_time: Duration | None = Field(
        default=None,
        description="trialTime is how long one attempt of a trial may take, such as 2h. Default: no limit.",
    )
    trial_memory: Memory | None = Field(
        default=None,
        description="trialMemory is the most memory that the process of a trial may hold, such as 4Gi, PyTorch itself "
        "(about 400Mi on a CPU) included. Default: no limit.",
    )


class Baseline(StrEnum):
    """A hand-made network to train beside the found ones."""

    CONV4 = "Conv4"
    CONV4_MATCHED = "Conv4Matched"
    CONV4_POOLED = "Conv4Pooled"


class Deliver(StrEnum):
    """The networks that a search hands over."""

    BEST = "Best"
    FRONT = "Front"


MAX_DELIVERED = 20
"""The most networks of a delivered front; a status lists them all."""


class Final(SpecModel):
    """Full training of the best cells, scored on the test classes, and delivered."""

    deliver: Deliver = Field(
        default=Deliver.BEST,
        description="deliver is Best (the top best cells are trained in full, and the network with the best score on "
        "the classes of evaluation.split is delivered) or Front (of the cells that no other beats in both score and "
        "parameters at most top are trained in full, best scores first, and so is the best cell; of their networks "
        "those are delivered that, trained in full, no other beats in both). Default: Best.",
    )
    top: int = Field(
        default=10,
        ge=1,
        le=100,
        description=f"top is the number of best cells trained in full; where deliver is Front at least 2 and at most "
        f"{MAX_DELIVERED}. Default: 10.",
    )
    seeds: int = Field(default=3, ge=1, le=20, description="seeds is how often each is trained. Default: 3.")
    meta_iterations: int = Field(
        default=100_000,
        ge=1,
        le=10_000_000,
        description="metaIterations is the number of outer steps of a final trial. Default: 100000, Reptile's.",
    )
    training: MetaLearning | None = Field(
        default=None,
        description="training replaces spec.training in final trials, but for its metaIterations; hyperparameters that "
        "the search has varied are left out too. Default: spec.training.",
    )
    tasks: int = Field(
        default=10_000, ge=2, le=100_000, description="tasks is the number of test tasks. Default: 10000, Reptile's."
    )
    baselines: tuple[Baseline, ...] = Field(
        default=(Baseline.CONV4,),
        max_length=len(Baseline),
        description="baselines are hand-made networks trained beside them with the same seeds and metaIterations: "
        "Conv4 (Reptile's four convolutions with 64 filters and stride 2), Conv4Matched (the same with as many filters "
        "as bring its number of parameters closest to that of the best search trial) and Conv4Pooled (Conv4 with a "
        "classifier on the mean over pixels, as networks of cells have it); [] for none. Default: [Conv4].",
    )
    reserve: DecimalText = Field(
        default=Decimal("0.3"),
        ge=0,
        lt=1,
        description='reserve is the share of wallTime and gpuHours kept for final trials. Default: "0.3".',
    )

    rules = (
        Rule(
            cel="!has(self.deliver) || self.deliver != 'Front' || !has(self.top) || "
            f"(self.top >= 2 && self.top <= {MAX_DELIVERED})",
            message=f"must have a top of 2 to {MAX_DELIVERED} where deliver is Front: one network is no front",
            holds=lambda final: final.deliver is Deliver.BEST or 2 <= final.top <= MAX_DELIVERED,
        ),
        Rule(
            cel="!has(self.baselines) || self.baselines.all(x, self.baselines.exists_one(y, y == x))",
            message="must not name a network twice in baselines",
            holds=lambda final: len(set(final.baselines)) == len(final.baselines),
        ),
    )
