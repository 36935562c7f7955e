"""
Retries with pauses that grow from one failure to the next.

A policy (`Backoff`) is a constant. What it takes to follow it, time, sleep and randomness, is handed in (`Retry`), so
that tests do not wait.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from metasearch.errors import StoreUnavailable

T = TypeVar("T")


@dataclass(frozen=True)
class Backoff:
    """
    A ladder of pauses in seconds: `first`, then `factor` times as long after each failure, `longest` at most.

    >>> [Backoff(first=1.0, longest=5.0).pause(failures) for failures in range(4)]
    [1.0, 2.0, 4.0, 5.0]
    """

    first: float
    longest: float
    factor: float = 2.0
    jitter: float = 0.0
    """The share of a pause, in [0, 1), by which it may be shorter or longer: many who wait for one server must not come
    back at the same moment."""

    def pause(self, failures: int, random: float = 0.5) -> float:
        """
        Return how long to wait.

        Args:
            failures: how many failures in a row came before the one that is waited for now.
            random: a number in [0, 1); 0.5 gives the pause without jitter.
        """
        steps = min(failures, 64)  # a higher power may be too large for a float
        return min(self.longest, self.first * self.factor**steps) * (1 - self.jitter + 2 * self.jitter * random)


@dataclass(frozen=True)
class Retry:
    """Runs a function again until it succeeds, with the clock, the sleep and the randomness that it is given."""

    monotonic: Callable[[], float]
    """The time in seconds, on a clock that never goes back."""
    sleep: Callable[[float], None]
    """Let so many seconds pass; may raise to give up, such as when the process is to shut down."""
    random: Callable[[], float]
    """A random number in [0, 1)."""
    log: Callable[[str], None]

    def until_available(self, act: Callable[[], T], backoff: Backoff, seconds: float = math.inf) -> T:
        """
        Call a function again and again until it does not raise StoreUnavailable, and return its value.

        Only the first failure is logged: an outage of an hour should be one line, not hundreds.

        Args:
            act: something that is safe to do twice.
            seconds: how long to go on; 0 tries once.

        Raises:
            StoreUnavailable: the last attempt, begun no earlier than after so many seconds, failed too.
        """
        until, failures = self.monotonic() + seconds, 0
        while True:
            try:
                return act()
            except StoreUnavailable as error:
                if self.monotonic() >= until:
                    raise
                if not failures:
                    self.log(f"{error}; trying again" + (f" for {seconds:.0f} s" if math.isfinite(seconds) else ""))
            self.sleep(backoff.pause(failures, self.random()))
            failures += 1
