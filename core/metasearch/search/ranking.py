"""
Rate a ranking of candidates: predictions made before they were measured against the scores measured since.

Both correlations are computed here and not by SciPy, which takes a second to import, since every look at a search
prints them. They are SciPy's `spearmanr` and `kendalltau` to the last digit; tests compare them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metasearch.search.trials import State, Trial

TOP_SHARE = 0.25
"""The share of candidates that count as the best in top-K recall."""

FEWEST = 3
"""Below this many pairs a rank correlation says nothing."""

FEWEST_DRAWN = 4
"""Below this many randomly drawn candidates nothing is said of the surrogate."""


@dataclass(frozen=True)
class Prediction:
    """A score that was predicted, and then measured. Both are in [0, 1]."""

    predicted: float
    measured: float
    error: float | None
    """Standard error of `measured`; None where it is not known."""
    complete: bool
    """True where the trial ran to its end; else `measured` is the score at which it was given up."""
    is_drawn: bool
    """True where the candidate was drawn at random, and not chosen for its prediction."""


def predictions(trials: Iterable[Trial]) -> tuple[Prediction, ...]:
    """
    Return the predictions of trials that have been measured since, all of them of the same kind of score.

    Beginnings of trainings and whole ones have scores of different kinds. A surrogate learns from the shortest
    trainings and predicts their scores, so of trials of several kinds, these are the ones returned.
    """
    found = [
        (
            _kind_of_score(trial),
            Prediction(
                predicted=trial.spec.predicted,
                measured=trial.score,
                error=trial.score_error or None,
                complete=trial.state is State.SUCCEEDED,
                is_drawn=trial.spec.is_drawn,
            ),
        )
        for trial in trials
        if trial.spec.predicted is not None and trial.score is not None
    ]
    shortest = min((kind for kind, _ in found), default=None)
    return tuple(prediction for kind, prediction in found if kind == shortest)


def _kind_of_score(trial: Trial) -> tuple[int, bool]:
    """Return what trials must have in common for their scores to be comparable; the least is of the shortest."""
    return trial.spec.meta_iterations, not trial.spec.is_beginning


@dataclass(frozen=True)
class RankingQuality:
    """Agreement of two rankings. None where there are too few candidates, or all of them tie."""

    spearman: float | None
    """In [-1, 1]."""
    kendall: float | None
    """Tau-b, in [-1, 1]."""
    top_recall: float | None
    """Share of the measured best quarter that was also predicted to be in it, in [0, 1]."""


def ranking_quality(predicted: Sequence[float], measured: Sequence[float]) -> RankingQuality:
    """Compare predictions with measurements of the same candidates."""
    if len(predicted) < FEWEST:
        return RankingQuality(None, None, None)
    return RankingQuality(
        _spearman(predicted, measured), _kendall(predicted, measured), _top_recall(predicted, measured)
    )


def spearman_ceiling(measured: Sequence[float], errors: Sequence[float | None]) -> float | None:
    """
    Return the correlation with measured scores that a perfect prediction could be expected to have, in [0, 1].

    It is sqrt(1 - noise² / sd²), the square root of the share of the scores' variance that is the candidates' own
    (Spearman 1904: a correlation is attenuated by the root of the reliability). It is a figure for linear correlation,
    and about that for ranks.

    Args:
        measured: scores.
        errors: their standard errors. The noise is their root mean square.

    Returns:
        None where there are too few scores, they are all equal, or the error of one is not known; 0 where the scores
        differ by no more than noise.
    """
    known = [error for error in errors if error is not None]
    if len(measured) < FEWEST or len(known) < len(measured):
        return None
    variance = float(np.var(measured, ddof=1))
    if len(set(measured)) == 1 or variance == 0:
        return None
    return math.sqrt(max(0.0, 1 - float(np.mean(np.square(known))) / variance))


def _spearman(predicted: Sequence[float], measured: Sequence[float]) -> float | None:
    """Return the correlation of the two sequences' ranks, in [-1, 1]; None where one of them ties throughout."""
    ranks = np.vstack((_ranks(predicted), _ranks(measured)))
    # Ranks that are all equal have no variance, by which the correlation would be divided.
    if (ranks == ranks[:, :1]).all(axis=1).any():
        return None
    correlations = np.asarray(np.corrcoef(ranks))
    return float(correlations[1, 0])


def _ranks(values: Sequence[float]) -> npt.NDArray[np.float64]:
    """Return the rank of each value from 1; equal values share the mean of their ranks."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    mean_ranks: npt.NDArray[np.float64] = np.cumsum(sizes) - (sizes - 1) / 2
    return mean_ranks[group]


def _kendall(predicted: Sequence[float], measured: Sequence[float]) -> float | None:
    """Return Kendall's tau-b, in [-1, 1]; None where one of the sequences ties throughout."""
    first, second = np.asarray(predicted), np.asarray(measured)
    concordant_less_discordant = untied_first = untied_second = 0
    # A row at a time: all pairs at once would take memory that grows with the square of the candidates.
    for index in range(len(first) - 1):
        signs = np.sign(first[index + 1 :] - first[index]), np.sign(second[index + 1 :] - second[index])
        concordant_less_discordant += int(signs[0] @ signs[1])
        untied_first += int(np.count_nonzero(signs[0]))
        untied_second += int(np.count_nonzero(signs[1]))
    if not untied_first or not untied_second:
        return None
    # Two divisions, as in SciPy: by the root of the product, the last digit could differ.
    tau = concordant_less_discordant / math.sqrt(untied_first) / math.sqrt(untied_second)
    return max(-1.0, min(1.0, tau))  # rounding may lead beyond


def _top_recall(predicted: Sequence[float], measured: Sequence[float]) -> float:
    count = math.ceil(TOP_SHARE * len(measured))
    # A stable sort leaves ties in the order of proposing, so the figure is the same everywhere.
    best_predicted, best_measured = (
        set(np.argsort(np.negative(values), kind="stable")[:count]) for values in (predicted, measured)
    )
    return len(best_predicted & best_measured) / count
