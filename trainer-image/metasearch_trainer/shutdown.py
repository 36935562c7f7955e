"""Notice when a worker's process is to end: it gets SIGTERM, or the process that started it is gone."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType

POLL_SECONDS = 0.2


class WorkerShutdown(BaseException):
    """
    Raised in the middle of a trial, or of a wait, when the worker is to end now.

    It is no Exception, because the trainer records those as the trial's failure.
    """


class ShutdownSignal:
    """
    Handles SIGTERM and watches the parent process.

    SIGINT is ignored: Ctrl-C reaches the whole process group, and it is for the parent to end its workers in order.
    """

    def __init__(self, parent: int) -> None:
        """
        Args:
            parent: id of the process without which this one is to end.
        """
        self._parent, self._received = parent, False
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._receive)

    def _receive(self, _signal: int, _frame: FrameType | None) -> None:
        # Only noted. An exception could come at any point, even while a result is being written.
        self._received = True

    def is_due(self) -> bool:
        """Return whether the process is to end."""
        # An orphan gets another parent. PR_SET_PDEATHSIG would send a signal instead, but only on Linux.
        return self._received or os.getppid() != self._parent

    def wait(self, seconds: float) -> bool:
        """Let so much time pass, or less if the process is to end meanwhile; return whether it is."""
        # Not a threading.Event: if a signal's handler sets it, the thread that waits for it may hang.
        until = time.monotonic() + seconds
        while not self.is_due() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, POLL_SECONDS))
        return self.is_due()
