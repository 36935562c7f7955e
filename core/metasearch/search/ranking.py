"""How well a level was ranked before it was measured, from predictions made then and scores measured since."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TOP_SHARE = 0.25
"""Top-K recall asks for the best quarter."""

FEWEST = 3
"""Below this many pairs a rank correlation says nothing."""


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
    from scipy import stats  # here, for it takes a second or more that a command without levels need not spend

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)  # answered by None below
        spearman = stats.spearmanr(predicted, measured).statistic
        kendall = stats.kendalltau(predicted, measured).statistic
    return RankingQuality(_number(spearman), _number(kendall), _top_recall(predicted, measured))


def _top_recall(predicted: Sequence[float], measured: Sequence[float]) -> float:
    count = math.ceil(TOP_SHARE * len(measured))
    best_predicted, best_measured = (
        set(np.argsort(np.negative(values), kind="stable")[:count]) for values in (predicted, measured)
    )
    return len(best_predicted & best_measured) / count


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
