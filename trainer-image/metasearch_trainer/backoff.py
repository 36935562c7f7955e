"""Pauses that grow from one failure to the next, and differ between those who wait for the same thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

JITTER = 0.25


@dataclass(frozen=True)
class Backoff:
    """Pauses, in seconds."""

    first: float
    most: float
    growth: float = 2.0

    def pause(self, failures: int, chance: float) -> float:
        """
        How long to wait.

        Args:
            failures: how many there were before the one that is waited for now.
            chance: a random number in [0, 1); pauses differ by a quarter either way.
        """
        steps = min(failures, 64)  # beyond that a power may be too large for a float
        return min(self.most, self.first * self.growth**steps) * (1 - JITTER + 2 * JITTER * chance)


@dataclass(frozen=True)
class Patience:
    """What it takes to try again later: time, randomness, and a way to wait."""

    monotonic: Callable[[], float]
    wait: Callable[[float], None]
    """Let so many seconds pass; raises WorkerLeaves where the process is to end."""
    chance: Callable[[], float]
    """A random number in [0, 1)."""
