"""
The time by an API server's clock, which all programs of a cluster can read.

A machine's own clock may be hours ahead, or be set while a search runs. Then a search would end at once for lack of
time, or a lost attempt count as hours of a GPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

TOLERANCE_SECONDS = 5.0
"""The difference of two clocks that is let be: an answer says the whole second alone, and may be late."""


class ServerClock:
    """Tells the time by the API server's answers; by this machine's clock until there was one. Safe to share."""

    def __init__(self, own: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            own: this machine's clock: a Unix time in seconds.
            monotonic: in seconds; between two answers the time goes on by it, for the machine's clock may be set.
        """
        self._monotonic = monotonic
        self._offset = own() - monotonic()

    def now(self) -> float:
        """Return the Unix time in seconds."""
        return self._monotonic() + self._offset

    def heard(self, date: str | None) -> None:
        """Take note of the header Date of an answer that came just now; a proxy may send none, or nonsense."""
        try:
            answered = parsedate_to_datetime(date or "")
        except ValueError:
            return
        if answered.tzinfo is None:  # "-0000" says that it is UTC, and nothing of where the server is
            answered = answered.replace(tzinfo=UTC)
        server = answered.timestamp() + 0.5
        if abs(server - self.now()) > TOLERANCE_SECONDS:
            self._offset = server - self._monotonic()
