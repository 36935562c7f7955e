"""How a worker's process ends: an exit code, and last words on stderr."""

from __future__ import annotations

import contextlib
import os
import sys

from metasearch.kubernetes.worker_job import LEFT

RECYCLED = LEFT
"""Start another in its place. Errors have codes of their own, in `metasearch.errors`."""


def say(sentence: object) -> None:
    """Print to stderr, unbuffered, not to fail again later: the log may be on the disk that is full."""
    with contextlib.suppress(OSError):
        os.write(sys.stderr.fileno(), f"{sentence}\n".encode())
