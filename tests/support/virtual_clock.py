"""A fake clock whose time passes only when somebody waits."""

from __future__ import annotations

import random
from collections.abc import Callable

from metasearch.retry import Retry
from metasearch_trainer.process_output import log


class VirtualClock:
    """Monotonic time in seconds, and what was waited for."""

    def __init__(self, at_wait: Callable[[], object] = lambda: None) -> None:
        """
        Start the clock at 100 seconds.

        Args:
            at_wait: called each time that somebody waits.
        """
        self.time, self.waits, self.at_wait = 100.0, list[float](), at_wait
        self._random = random.Random(7)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds
        self.at_wait()

    def retry(self) -> Retry:
        return Retry(lambda: self.time, self.wait, self._random.random, log)
