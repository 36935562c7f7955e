"""The processes and the folder of a cluster, and how it is made sure that nothing of them stays."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cluster import janitor

READY_SECONDS = 120
"""Generous, for machines that do other work besides."""

AGAIN_SECONDS = 0.5
"""Between an end and the next start."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Whatever the tests' own is: a root's shell may lack the places for system programs."""


class StartFailed(Exception):
    """A process ended, or did not become ready; the end of its log is part of the message."""


class Process:
    """One of a household, with a log of its own."""

    def __init__(
        self,
        name: str,
        command: list[str],
        log: Path,
        environment: Mapping[str, str],
        ready: Callable[[], bool],
        more_starts: int = 0,
    ) -> None:
        """
        Args:
            more_starts: how often it is begun anew where it ends before it is ready, as a machine's own keeper does.
        """
        self.name, self.log = name, log
        self._command, self._environment, self._ready = command, environment, ready
        self._more_starts = more_starts
        self._running = self._launch()

    @property
    def pid(self) -> int:
        return self._running.pid

    def _launch(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd=self.log.parent,
                start_new_session=True,  # out of reach of the terminal's Ctrl-C: the owner is told, and decides
            )

    def wait_until_ready(self) -> None:
        """Look again and again; StartFailed if it ends before or takes too long."""
        deadline = time.monotonic() + READY_SECONDS
        while not self._ready():
            if self._running.poll() is not None and self._more_starts:
                time.sleep(AGAIN_SECONDS)
                self._more_starts -= 1
                self._running = self._launch()
            elif self._running.poll() is not None:
                raise StartFailed(f"{self.name} ended with {self._running.returncode}: {self._end_of_log()}")
            elif time.monotonic() > deadline:
                raise StartFailed(f"{self.name} is not ready after {READY_SECONDS} s: {self._end_of_log()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """As a machine dies: at once."""
        self._running.kill()
        self._running.wait()

    def start_again(self) -> None:
        """After `kill`, with the same arguments, and until it is ready."""
        self._running = self._launch()
        self.wait_until_ready()

    def _end_of_log(self) -> str:
        return "\n".join(["", *self.log.read_text(errors="replace").splitlines()[-20:]])


class Household:
    """A folder, and processes that carry its mark; `open_household` makes one."""

    def __init__(self, folder: Path, keeper: subprocess.Popen[str]) -> None:
        self.folder = folder
        self.environment = {"PATH": PATH, "HOME": str(folder), janitor.MARK: str(folder)}
        self._janitor = keeper
        self._processes: list[Process] = []
        self._ports: list[socket.socket] = []

    def start(self, name: str, *command: str | Path, ready: Callable[[], bool], more_starts: int = 0) -> Process:
        """Begin a process, and do not wait until it is ready; its log is NAME.log in the folder."""
        words = [str(part) for part in command]
        process = Process(name, words, self.folder / f"{name}.log", self.environment, ready, more_starts)
        self._processes.append(process)
        return process

    def undo_at_the_end(self, *command: str | Path) -> None:
        """Say how to undo what is done next; it must do no harm where that was not done after all."""
        assert self._janitor.stdin is not None
        self._janitor.stdin.write(json.dumps([str(part) for part in command]) + "\n")
        self._janitor.stdin.flush()

    def free_port(self, address: str = "127.0.0.1") -> int:
        """A port that nobody else is given while the household lasts.

        It stays bound, and a process that listens on it, with SO_REUSEADDR as Go's do, can do so again and again.
        """
        port = socket.socket()
        port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port.bind((address, 0))
        self._ports.append(port)
        return int(port.getsockname()[1])

    def close(self) -> None:
        """Have everything taken down, and wait until it is."""
        assert self._janitor.stdin is not None
        self._janitor.stdin.close()
        left = self._janitor.wait()
        for process in self._processes:
            process.kill()  # all that is left to do is to wait for it, unless the janitor was killed
        for port in self._ports:
            port.close()
        assert left == 0, f"the janitor of {self.folder} could not take everything down; what it met is above"


@contextmanager
def open_household() -> Iterator[Household]:
    """A household for a while. When this process ends before, by whatever signal, it is taken down all the same."""
    # The janitor is there before the folder is, so that there is no moment at which something would stay.
    folder = Path(tempfile.gettempdir(), f"metasearch-cluster-{uuid.uuid4().hex[:12]}")
    keeper = subprocess.Popen(
        [sys.executable, "-I", "-S", janitor.__file__, folder],
        stdin=subprocess.PIPE,
        text=True,
        cwd="/",
        start_new_session=True,
        env={key: value for key, value in os.environ.items() if key != janitor.MARK},
    )
    household = Household(folder, keeper)
    try:
        folder.mkdir(mode=0o700)
        yield household
    finally:
        household.close()
