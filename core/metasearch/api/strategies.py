"""The settings of each strategy that has any: a class per strategy, which is a field of `Search`."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from metasearch.api.base import Rule, SpecModel
from metasearch.quantities import DecimalText


class ProgressiveSearchSettings(SpecModel):
    """The settings of Progressive (PNAS)."""

    first_trials: int = Field(
        default=12,
        ge=1,
        le=2000,
        description="firstTrials is the number of cells of one block that are trained first, drawn at random; no more "
        "than a third of the trials. Auto-Meta trains all 55. Default: 12, from which the surrogates that know the "
        "network learn as much.",
    )
    beam_width: int = Field(
        default=100,
        ge=1,
        le=2000,
        description="beamWidth is the number of cells of each further size that are trained before larger ones. Where "
        "the trials would not suffice for all sizes, those below the largest share half of them. Default: 100, "
        "Auto-Meta's.",
    )
    refit_trials: int | None = Field(
        default=None,
        ge=1,
        le=2000,
        description="refitTrials is the number of trials of the largest size after which the surrogate learns anew, no "
        "more than beamWidth. With fewer than parallelism, workers are idle. Default: 8, or parallelism where that is "
        "more.",
    )
    open_rounds_early: bool = Field(
        default=False,
        description="openRoundsEarly has the next round begin, by what is known then, where half of the last one is "
        "over and a worker would be idle: fewer than parallelism trials run and none waits. The candidates then depend "
        "on the number of workers and on how long trials take. Default: false.",
    )


class EvolutionSearchSettings(SpecModel):
    """The settings of Evolution (regularized evolution, Real et al. 2019)."""

    population: int = Field(
        default=30,
        ge=1,
        le=10_000,
        description="population is the number of cells that are drawn at random at first, and of the latest cells that "
        "may have children from then on. Default: 30 (the paper's 100 is for 20,000 trials).",
    )
    sample: int = Field(
        default=10,
        ge=1,
        le=10_000,
        description="sample is the number of cells drawn from the population of which the best has a child; the more, "
        "the greedier. Default: 10 (the paper's 25 is for 20,000 trials).",
    )

    rules = (
        Rule(
            cel="(has(self.sample) ? self.sample : 10) <= (has(self.population) ? self.population : 30)",
            message="must have a sample of at most population",
            holds=lambda settings: settings.sample <= settings.population,
        ),
    )


class LocalSearchSettings(SpecModel):
    """The settings of LocalSearch (coordinate ascent with restarts)."""

    starts: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="starts is the number of cells from which it climbs side by side; more keep more workers busy, and "
        "fewer get further with the same trials. Default: a quarter of parallelism, from 1 to 16.",
    )


class HalvingSearchSettings(SpecModel):
    """The settings of Halving (asynchronous successive halving, Li et al. 2018)."""

    factor: int = Field(
        default=4,
        ge=2,
        le=16,
        description="factor is how many times more meta-iterations a rung has than the one below; one in so many "
        "trials goes on to it. Default: 4.",
    )
    rungs: int = Field(
        default=3,
        ge=2,
        le=8,
        description="rungs is the number of lengths of training, of which the longest is training.metaIterations. "
        "Default: 3.",
    )


class PrioritySearchSettings(SpecModel):
    """The settings of Priority: a bounded queue in which a child has its parent's score."""

    quantum: DecimalText = Field(
        default=Decimal("0.125"),
        gt=0,
        le=1,
        description="quantum is the share of training.metaIterations for which a new cell is trained before it waits "
        "for its turn to go on, each time for as long again as it was trained so far; with "
        '"1" trainings are not paused. Default: "0.125".',
    )
    children: int = Field(
        default=8,
        ge=1,
        le=1000,
        description="children is the number of cells drawn from those that are one step or one change away from each "
        "cell that was tried. Default: 8.",
    )
    round_trials: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="roundTrials is the number of trainings that are taken from the queue together; no fewer than "
        "parallelism, lest some workers be idle. Default: 8, or parallelism where that is more.",
    )

    capacity: int = Field(
        default=100,
        ge=1,
        le=100_000,
        description="capacity is the most cells that wait in the queue, or roundTrials where that is more; what "
        "overflows is dropped, the least promising first. Default: 100.",
    )
