"""Compute standard errors and intervals of means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import stdev

STUDENT_QUANTILES = (
    12.706204736174694,
    4.302652729749462,
    3.1824463052837078,
    2.7764451051977934,
    2.5705818356363146,
    2.4469118511449786,
    2.364624251592784,
    2.306004135204166,
    2.262157162798205,
    2.228138851986274,
    2.200985160091639,
    2.1788128296672284,
    2.1603686564627913,
    2.144786687917804,
    2.131449545559776,
    2.1199052992212546,
    2.1098155778333156,
    2.1009220402410382,
    2.0930240544083087,
)
"""The 97.5% quantiles of Student's t for 1 to 19 degrees of freedom, so for up to the 20 seeds that a spec may ask for.

A table, for SciPy, which has the function, takes most of a second to import. Tests compare both."""


def error_of_mean(errors: Sequence[float]) -> float:
    """Return the standard error of the mean of independent figures; of their intervals, that of the mean."""
    return math.hypot(*errors) / len(errors)  # errors of independent figures add up in squares


def student_interval(values: Sequence[float]) -> float:
    """Return the half-width of Student's 95% interval of the mean of values, two or more."""
    return STUDENT_QUANTILES[len(values) - 2] * stdev(values) / math.sqrt(len(values))
