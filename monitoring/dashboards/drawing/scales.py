"""The ticks of axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from monitoring.dashboards.model import DisplayUnit

DURATION_STEPS = (60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800)
"""Seconds between two ticks of an axis of durations, from a minute on."""

TIME_STEPS = (1, 2, 5, 10, 30, 60, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400)
"""Seconds between two ticks that people find natural."""


@dataclass(frozen=True)
class Scale:
    """A linear map from values to pixels."""

    first: float
    last: float
    start: float
    """The pixel of the first value."""
    end: float
    """The pixel of the last value."""

    def at(self, value: float) -> float:
        """Return the pixel of a value."""
        return self.start + (value - self.first) / (self.last - self.first) * (self.end - self.start)


def ticks(low: float, high: float, unit: DisplayUnit, count: int = 5) -> Sequence[float]:
    """Return round values from at most the lowest to at least the highest; at least two."""
    step = _step(high - low or abs(high) or 1.0, unit, count)
    begin, end = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(begin, max(end, begin + 1) + 1)]


def _step(span: float, unit: DisplayUnit, count: int) -> float:
    if unit is DisplayUnit.SECONDS and span > DURATION_STEPS[0]:
        return next((each for each in DURATION_STEPS if span / each <= count), DURATION_STEPS[-1])
    if unit is DisplayUnit.BYTES:
        return 2.0 ** math.ceil(math.log2(span / count))
    if unit is DisplayUnit.COUNT:
        span = max(span, count)  # things are whole
    magnitude = 10.0 ** math.floor(math.log10(span / count))
    return next(factor * magnitude for factor in (1, 2, 2.5, 5, 10, 20) if span / (factor * magnitude) <= count)


def time_ticks(start: float, end: float, count: int = 7) -> Sequence[float]:
    """Return round times within a range."""
    step = next((each for each in TIME_STEPS if (end - start) / each <= count), TIME_STEPS[-1])
    return [index * step for index in range(math.ceil(start / step), math.floor(end / step) + 1)]
