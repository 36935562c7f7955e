"""
Say how sure the choice of a cell is: the best beside the second, and whether contenders were trained again.

A candidate's score is the mean over its seeds, with the standard error that `pareto.standard_error` returns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from pydantic import Field

from metasearch.outcome.figures import FoundNetwork, OutcomeModel
from metasearch.search import confirmation, pareto
from metasearch.search.trials import NORMAL_95, Stage, State, Trial


class Difference(OutcomeModel):
    """The best of several candidates beside the second."""

    score_difference: float = Field(description="score of the best less that of the second, both means over seeds")
    standard_error: float | None = Field(
        description="standard error of scoreDifference; null where that of a score is not known"
    )

    @property
    def in_standard_errors(self) -> float | None:
        """The difference, in standard errors of it; None where these are not known."""
        return self.score_difference / self.standard_error if self.standard_error else None

    @property
    def is_settled(self) -> bool:
        """True where the difference is larger than its 95% interval."""
        ratio = self.in_standard_errors
        return ratio is not None and ratio > NORMAL_95


class Certainty(OutcomeModel):
    """The certainty with which the best was told from the second."""

    search: Difference | None = Field(
        description="the two best cells of the search; null where fewer than two had a whole training"
    )
    final: Difference | None = Field(
        description="the delivered network and the next one found, by the score that it was chosen by; null where "
        "fewer than two were trained in full"
    )
    second_looks: int = Field(description="how many cells were trained once more with another seed")


def certainty_of(trials: Sequence[Trial], final: Sequence[FoundNetwork[float]]) -> Certainty:
    """
    Compute how sure the choice is.

    Args:
        trials: those of all stages.
        final: the networks found, the delivered one first.
    """
    searching = [trial for trial in trials if trial.spec.stage is Stage.SEARCH]
    by_name = {trial.name: trial for trial in trials}
    whole = [each for each in pareto.ranked(searching) if not each.trial.spec.is_beginning]
    looks = [trial for trial in confirmation.second_looks(searching) if trial.state is State.SUCCEEDED]
    return Certainty(
        search=_difference([best.seeds for best in whole[:2]]),
        final=_difference([[by_name[name] for name in network.trials] for network in final[:2]]),
        second_looks=len(looks),
    )


def _difference(candidates: Sequence[Sequence[Trial]]) -> Difference | None:
    """Compare two candidates by the trials of their seeds; None where there are not two."""
    if len(candidates) < 2:
        return None
    best, second = (fmean(trial.score or 0.0 for trial in seeds) for seeds in candidates)
    errors = [pareto.standard_error(seeds) for seeds in candidates]
    known = [error for error in errors if error is not None]
    return Difference(
        score_difference=best - second,
        # The errors of independent means add up in squares.
        standard_error=math.hypot(*known) if len(known) == len(errors) else None,
    )
