"""Files by which the processes of a pod tell each other of their state."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """
    Write a file so that a reader finds the old content or the new, never half of one.

    A disk without room leaves the old one: it has sentences of its own, and the state is written again soon.
    """
    new = path.with_suffix(".new")
    with suppress(OSError):
        new.write_bytes(content)
        new.replace(path)
