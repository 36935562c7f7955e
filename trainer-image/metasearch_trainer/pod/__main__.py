"""`python -m metasearch_trainer.pod`: a worker pod's first process."""

from __future__ import annotations

import signal
import sys
from types import FrameType

from metasearch.exit_codes import EXIT_RESTART


def _end(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(EXIT_RESTART)


if __name__ == "__main__":
    # Before the other imports, which take seconds: the first process of a container gets SIGTERM only if it has a
    # handler, so that a pod which is told to go while it starts would go on, take trials, and be killed.
    signal.signal(signal.SIGTERM, _end)
    from metasearch_trainer.pod.worker import main

    sys.exit(main())
