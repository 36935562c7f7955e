"""
Starting worker processes, each with PyTorch imported and one thread.

Where the system can fork safely (Linux), they are forks of a server process that has done the imports: a worker is
there at once instead of after seconds, and shares hundreds of MiB of memory with the others (`fork_server`). Elsewhere,
and where the server does not come up, each is an interpreter of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

CHILD_ENVIRONMENT = {"OMP_NUM_THREADS": "1"}
"""Environment variables that are set before a process imports anything: NumPy and PyTorch read them on import."""


@dataclass(frozen=True)
class Program:
    """The program of a process: `python -m module arguments --parent ID`."""

    module: str
    """Has a function `main`, which reads sys.argv and returns the exit code."""
    arguments: Sequence[str]
    title: str
    """The name of a forked process in `ps -e` and `top`; 15 characters at most."""


class Process(Protocol):
    """A process that was started."""

    def poll(self) -> int | None:
        """Return its exit code, less than 0 where a signal ended it; None while it runs."""
        ...

    def terminate(self) -> None:
        """Ask it to end."""
        ...

    def kill(self) -> None: ...

    def wait(self, seconds: float) -> bool:
        """Wait for its end; return whether it has ended."""
        ...


class Launcher(Protocol):
    """Starts processes that end when this process is gone."""

    def start(self, program: Program, stdout: int, stderr: int) -> Process: ...

    def close(self) -> None:
        """Free what was kept for further processes. The caller has ended those that run."""
        ...


class SpawnLauncher:
    """Starts a new interpreter for each process."""

    def start(self, program: Program, stdout: int, stderr: int) -> Process:
        command = [sys.executable, "-m", program.module, *program.arguments, "--parent", str(os.getpid())]
        with interrupts_blocked():
            return SpawnedProcess(
                subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    env={**os.environ, **CHILD_ENVIRONMENT},
                )
            )

    def close(self) -> None:
        """Keep nothing: a spawned process shares nothing with the next."""


class SpawnedProcess:
    """A child of this process."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child

    def poll(self) -> int | None:
        return self._child.poll()

    def terminate(self) -> None:
        self._child.terminate()

    def kill(self) -> None:
        self._child.kill()

    def wait(self, seconds: float) -> bool:
        try:
            self._child.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return False
        return True


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """
    Hold Ctrl-C back while a process is started.

    It reaches the whole process group. A child inherits the block and keeps it, so it never gets a Ctrl-C, not even
    before it can say that it ignores them: to end workers is the driver's part.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
