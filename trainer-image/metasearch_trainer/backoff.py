"""Pauses that grow from one failure to the next, and differ between those who wait for the same thing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from metasearch.errors import StoreUnavailable
from metasearch_trainer.endings import say

T = TypeVar("T")

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

    def keep_trying(self, act: Callable[[], T], pauses: Backoff, seconds: float = math.inf) -> T:
        """
        Do what needs a store, which may be away; the first time that it is, say so.

        Raises:
            StoreUnavailable: it was away for so many seconds.
        """
        until, failures = self.monotonic() + seconds, 0
        while True:
            try:
                return act()
            except StoreUnavailable as error:
                if self.monotonic() >= until:
                    raise
                if not failures:
                    say(f"{error}; trying again" + (f" for {seconds:.0f} s" if math.isfinite(seconds) else ""))
            self.wait(pauses.pause(failures, self.chance()))
            failures += 1
