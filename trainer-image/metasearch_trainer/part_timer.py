"""A timer of the parts of a trial."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from metasearch.search.trial_parts import Part, PartSeconds


class PartTimer:
    """Adds up the seconds that are spent in each part. While one part is within another, only the inner one counts."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """
        Args:
            clock: returns seconds, from any start.
        """
        self._clock = clock
        self._seconds = dict.fromkeys(Part, 0.0)
        self._open: list[Part] = []
        self._since = 0.0

    @contextmanager
    def part(self, part: Part) -> Iterator[None]:
        """Count the time of the context as that part's, also where it ends by an exception."""
        self._count()
        self._open.append(part)
        try:
            yield
        finally:
            self._count()
            self._open.pop()

    @property
    def seconds(self) -> PartSeconds:
        """The sums so far; a part that is open counts up to the last change of parts."""
        return PartSeconds(**{str(part): seconds for part, seconds in self._seconds.items()})

    def _count(self) -> None:
        """Add the time since the last change of parts to the innermost part that is open."""
        now = self._clock()
        if self._open:
            self._seconds[self._open[-1]] += now - self._since
        self._since = now
