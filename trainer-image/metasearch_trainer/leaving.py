"""When a process of a worker is to end: it is asked to, or whoever started it is gone."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType

LOOK_SECONDS = 0.2


class Leaving:
    """SIGTERM is noticed, SIGINT is not: Ctrl-C reaches the whole group, and the parent decides."""

    def __init__(self, parent: int) -> None:
        """
        Args:
            parent: the process without which this one is to end.
        """
        self._parent, self._asked = parent, False
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, _signal: int, _frame: FrameType | None) -> None:
        self._asked = True

    def is_due(self) -> bool:
        return self._asked or os.getppid() != self._parent

    def wait(self, seconds: float) -> bool:
        """Let so much time pass, or less if the end is due meanwhile; returns whether it is."""
        # Not a threading.Event: one that is set by a signal's handler may lock up who waits for it.
        until = time.monotonic() + seconds
        while not self.is_due() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_SECONDS))
        return self.is_due()
