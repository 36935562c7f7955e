"""Add up the parts of spans of time that lie between two times."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate


class Elapsed:
    """Adds up how much of many spans lies between two times; a search may have thousands of both."""

    def __init__(self, spans: Iterable[tuple[float, float]]) -> None:
        """
        Args:
            spans: start and end of each, at least one; they may overlap.
        """
        listed = list(spans)
        # Counted from the first start: sums of Unix times would be too large to be exact.
        self._zero = min(start for start, _ in listed)
        self._starts = sorted(start - self._zero for start, _ in listed)
        self._ends = sorted(end - self._zero for _, end in listed)
        self._sums = [list(accumulate(times, initial=0.0)) for times in (self._starts, self._ends)]

    def between(self, start: float, end: float) -> float:
        """Return the seconds of all spans together that lie between two times."""
        return max(0.0, self._until(end - self._zero) - self._until(start - self._zero))

    def _until(self, time: float) -> float:
        begun, over = bisect_right(self._starts, time), bisect_right(self._ends, time)
        # Each span that has begun counts from its start, less what lies behind its end where it is over.
        return (begun * time - self._sums[0][begun]) - (over * time - self._sums[1][over])
