"""How a worker's process ends: an exit code, and last words on stderr."""

from __future__ import annotations

import contextlib
import os
import sys

RECYCLED = 75
"""Start another in its place (sysexits.h: try again). Errors have codes of their own, in `metasearch.errors`."""


def say(sentence: object) -> None:
    """Print to stderr, unbuffered, not to fail again later: the log may be on the disk that is full."""
    with contextlib.suppress(OSError):
        os.write(sys.stderr.fileno(), f"{sentence}\n".encode())
