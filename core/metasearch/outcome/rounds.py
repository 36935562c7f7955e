"""Summarize the rounds of a search, and how well its surrogate has predicted them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import Field

from metasearch.outcome.figures import OutcomeModel
from metasearch.search.cells import parse_cell
from metasearch.search.planner import Search
from metasearch.search.ranking import FEWEST_DRAWN, predictions, ranking_quality, spearman_ceiling
from metasearch.search.trials import State, Trial, count_by_state


class Round(OutcomeModel):
    """One round of the search."""

    round: int = Field(description="counted from 1")
    title: str = Field(description="the strategy's name of it, such as 2 blocks")
    proposed: int
    trained: int = Field(description="ran to their end, beginnings to the end of their part")
    beginnings: int = Field(description="how many of the trained had a part of training.metaIterations only")
    stopped: int = Field(description="given up by early stopping or for lack of budget")
    failed: int
    best: float | None = Field(description="best score of a whole training; null where all were beginnings")
    spearman: float | None = Field(
        description="rank correlation of predictions, made before the round was measured, and scores; null without them"
    )
    ceiling: float | None = Field(
        description="what spearman could be expected to be if predictions were perfect, for the scores' standard "
        "errors; null where one of these is not known or there are fewer than three predictions"
    )
    kendall: float | None = Field(description="tau-b of the same")
    top_recall: float | None = Field(description="share of the measured best quarter that was predicted to be in it")
    predicted_by: str | None = Field(
        description="which surrogates made the predictions, and which have lost their vote; null without predictions"
    )
    depths: dict[int, int] = Field(description="how many of the round's cells have which depth")


class Examination(OutcomeModel):
    """
    The fair examination of the surrogate: predictions and scores of the candidates drawn at random in each round.

    Those that were chosen for their predictions are all alike, so ranking them says little.
    """

    trials: int = Field(description="how many drawn ones were predicted and then measured")
    spearman: float | None = Field(
        description=f"rank correlation over them, all rounds together; null with fewer than {FEWEST_DRAWN}"
    )
    ceiling: float | None = Field(description="as that of a round")


def summarize_round(search: Search, trials: Sequence[Trial]) -> Round:
    """Summarize the trials of one round, of which there is at least one."""
    counts = count_by_state(trials)
    ended = [trial for trial in trials if trial.state is State.SUCCEEDED]
    # The score of a beginning is on another scale than that of a whole training.
    whole = [trial for trial in ended if not trial.spec.is_beginning]
    found = predictions(trials)
    quality = ranking_quality([each.predicted for each in found], [each.measured for each in found])
    depths = [parse_cell(trial.spec.candidate.architecture).depth for trial in trials]
    number = trials[0].spec.round
    return Round(
        round=number,
        title=search.strategy.title(number),
        proposed=len(trials),
        trained=counts[State.SUCCEEDED],
        beginnings=len(ended) - len(whole),
        stopped=counts[State.STOPPED],
        failed=counts[State.FAILED],
        best=max((trial.score for trial in whole if trial.score is not None), default=None),
        spearman=quality.spearman,
        ceiling=spearman_ceiling([each.measured for each in found], [each.error for each in found]),
        kendall=quality.kendall,
        top_recall=quality.top_recall,
        # A round is predicted at once, so all of its trials say the same.
        predicted_by=next((trial.spec.predicted_by for trial in trials if trial.spec.predicted_by), None),
        depths={depth: depths.count(depth) for depth in sorted(set(depths))},
    )


def examine(trials: Iterable[Trial]) -> Examination | None:
    """Examine the surrogate by the drawn trials of a whole search; None where none has been measured."""
    drawn = [each for each in predictions(trials) if each.is_drawn]
    if not drawn:
        return None
    predicted, measured = [each.predicted for each in drawn], [each.measured for each in drawn]
    is_enough = len(drawn) >= FEWEST_DRAWN
    return Examination(
        trials=len(drawn),
        spearman=ranking_quality(predicted, measured).spearman if is_enough else None,
        ceiling=spearman_ceiling(measured, [each.error for each in drawn]) if is_enough else None,
    )
