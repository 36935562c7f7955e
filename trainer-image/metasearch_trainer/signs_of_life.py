"""
Signs of life of a worker's process: a file that it touches as it gets on, at which its supervisor looks.

The file is touched between two steps of the work, never by a thread of its own, which would go on while a step hangs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

HUNG_SECONDS = 600.0
"""A process that gives no sign of life for so long is killed. No outer step or part of an evaluation takes minutes."""

GIVEN_SECONDS = 1.0
"""Signs are given at most so often: each is a write to the disk."""

LONGEST_LOOK_SECONDS = 5.0
"""The most that counts of the time between two looks: whoever looks may have been stopped, and the machine asleep."""


class SignOfLife:
    """Gives the signs of one process; a disk that is full costs the signs alone."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            clock: monotonic, in seconds.
        """
        self._path, self._clock = path, clock
        self._given = -math.inf

    def give(self) -> None:
        now = self._clock()
        if now - self._given >= GIVEN_SECONDS:
            self._given = now
            with suppress(OSError):
                self._path.touch()


def last_sign(path: Path) -> int | None:
    """Return a number that changes with each sign of life; None where none was given yet."""
    with suppress(OSError):
        return path.stat().st_mtime_ns
    return None


@dataclass
class Silence:
    """Adds up the seconds since the last sign of life of a process, as far as somebody looked."""

    looked_at: float
    """In seconds on a monotonic clock."""
    sign: int | None = None
    seconds: float = 0.0

    def look(self, sign: int | None, now: float) -> None:
        """Take note of the last sign at a time of the same clock. A process that has given none is in its start."""
        is_silent = sign is not None and sign == self.sign
        passed = min(now - self.looked_at, LONGEST_LOOK_SECONDS)
        self.seconds = self.seconds + passed if is_silent else 0.0
        self.sign, self.looked_at = sign, now
