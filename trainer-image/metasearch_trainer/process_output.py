"""
Printing in processes of ours, and reading the last line that another one printed.

The last line that a process prints is its message to the one that started it: an error that ends it is printed last.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

READ_OUT_SECONDS = 1.0
"""The most seconds to wait, after the end of a process, for its last lines to come through the pipe."""


def log(sentence: object) -> None:
    """Print one line to stderr; a line that cannot be printed is dropped."""
    # Unbuffered, past sys.stderr: a buffer would fail once more when the interpreter flushes it, and turn the exit code
    # into 120. The log may well be on the disk that is full.
    with contextlib.suppress(OSError):
        os.write(sys.stderr.fileno(), f"{sentence}\n".encode())


class Output(Protocol):
    """The place where the processes of one slot print, one after the other."""

    def open(self) -> contextlib.AbstractContextManager[tuple[int, int]]:
        """Open file descriptors for the stdout and stderr of the next process, until it has copies of them."""
        ...

    def last_line(self) -> str:
        """Return what the last process printed last, or nothing; asked after its end."""
        ...


class LogFile:
    """Appends all that processes print to a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = 0

    @contextmanager
    def open(self) -> Iterator[tuple[int, int]]:
        with self.path.open("ab") as file:
            self._start = file.tell()
            yield file.fileno(), file.fileno()

    def last_line(self) -> str:
        # From where the process began, for an earlier one's last line would be taken for its own.
        printed = self.path.read_bytes()[self._start :].decode(errors="replace").strip()
        return printed.splitlines()[-1] if printed else ""


class RelayedOutput:
    """Passes stderr on to our own, line by line, with a prefix that says whose it is; stdout is ours."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._last_line = ""
        self._reader: threading.Thread | None = None

    @contextmanager
    def open(self) -> Iterator[tuple[int, int]]:
        self._last_line = ""
        read_end, write_end = os.pipe()
        reader = threading.Thread(target=self._pass_on, args=(os.fdopen(read_end, "rb"),), daemon=True)
        reader.start()
        self._reader = reader
        try:
            yield sys.stdout.fileno(), write_end
        finally:
            os.close(write_end)  # the process has a copy; with ours open the reader would never see the end

    def last_line(self) -> str:
        if self._reader is not None:
            # The process may be gone before all it printed is read. Not for ever: a child of its own may hold the pipe.
            self._reader.join(READ_OUT_SECONDS)
        return self._last_line

    def _pass_on(self, printed: IO[bytes]) -> None:
        with printed:
            for line in printed:
                if text := line.decode(errors="replace").strip():
                    self._last_line = text
                    log(f"{self._prefix}{text}")
