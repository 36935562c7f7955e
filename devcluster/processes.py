"""Processes with a temporary folder that all end, with everything they did, when their owner ends in whatever way."""

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

from devcluster import janitor

READY_SECONDS = 120
"""Generous, for machines that do other work besides."""

RETRY_DELAY_SECONDS = 0.5
"""The pause between the end of a process and its next start."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""The PATH of all managed processes; that of the caller may lack the folders for system programs."""


class StartFailed(Exception):
    """A process ended or did not become ready; the message holds the end of its log."""


class ManagedProcess:
    """One process of a `ManagedProcesses`, with a log of its own."""

    def __init__(
        self,
        name: str,
        command: list[str],
        log: Path,
        environment: Mapping[str, str],
        ready: Callable[[], bool],
        start_retries: int = 0,
    ) -> None:
        """
        Start the process.

        Args:
            ready: returns whether the process has become ready.
            start_retries: how often it is started again if it ends before it is ready, as systemd would do.
        """
        self.name, self.log = name, log
        self._command, self._environment, self._ready = command, environment, ready
        self._more_starts = start_retries
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
                start_new_session=True,  # the terminal's Ctrl-C reaches only the owner, which decides what ends when
            )

    def wait_until_ready(self) -> None:
        """
        Poll until the process is ready.

        Raises:
            StartFailed: it ended before, or took longer than READY_SECONDS.
        """
        deadline = time.monotonic() + READY_SECONDS
        while not self._ready():
            if self._running.poll() is not None and self._more_starts:
                time.sleep(RETRY_DELAY_SECONDS)
                self._more_starts -= 1
                self._running = self._launch()
            elif self._running.poll() is not None:
                raise StartFailed(f"{self.name} ended with {self._running.returncode}: {self._end_of_log()}")
            elif time.monotonic() > deadline:
                raise StartFailed(f"{self.name} is not ready after {READY_SECONDS} s: {self._end_of_log()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill the process at once, as when a machine dies."""
        self._running.kill()
        self._running.wait()

    def restart(self) -> None:
        """Start it again after `kill` with the same arguments, and wait until it is ready."""
        self._running = self._launch()
        self.wait_until_ready()

    def _end_of_log(self) -> str:
        return "\n".join(["", *self.log.read_text(errors="replace").splitlines()[-20:]])


class ManagedProcesses:
    """A temporary folder and processes that carry its mark; `managed_processes` opens one."""

    def __init__(self, folder: Path, keeper: subprocess.Popen[str]) -> None:
        self.folder = folder
        self.environment = {"PATH": PATH, "HOME": str(folder), janitor.MARK: str(folder)}
        self._janitor = keeper
        self._processes: list[ManagedProcess] = []
        self._ports: list[socket.socket] = []

    def start(
        self, name: str, *command: str | Path, ready: Callable[[], bool], start_retries: int = 0
    ) -> ManagedProcess:
        """Start a process without waiting until it is ready; its log is NAME.log in the folder."""
        words = [str(part) for part in command]
        process = ManagedProcess(name, words, self.folder / f"{name}.log", self.environment, ready, start_retries)
        self._processes.append(process)
        return process

    def add_cleanup(self, *command: str | Path) -> None:
        """
        Register a command that undoes what the caller does next.

        The command runs at the end even if the caller dies before the deed, so it must do no harm then.
        """
        assert self._janitor.stdin is not None
        self._janitor.stdin.write(json.dumps([str(part) for part in command]) + "\n")
        self._janitor.stdin.flush()

    def reserve_port(self, address: str = "127.0.0.1") -> int:
        """
        Reserve a port that nobody else gets while the processes last.

        The socket stays bound, and a server that sets SO_REUSEADDR, as those in Go do, can listen on the port all the
        same, also after a restart.
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
            process.kill()  # reaps what the janitor has killed, or kills it if the janitor was killed itself
        for port in self._ports:
            port.close()
        assert left == 0, f"the janitor of {self.folder} could not take everything down; what it met is above"


@contextmanager
def managed_processes() -> Iterator[ManagedProcesses]:
    """
    Open a folder for processes; if this process dies before it is closed, by whatever signal, all is taken down too.
    """
    # The janitor starts before the folder exists, so there is no moment at which a crash would leave something behind.
    folder = Path(tempfile.gettempdir(), f"metasearch-cluster-{uuid.uuid4().hex[:12]}")
    keeper = subprocess.Popen(
        # Isolated and without site-packages, the janitor starts in milliseconds and no setting of ours can break it.
        [sys.executable, "-I", "-S", janitor.__file__, folder],
        stdin=subprocess.PIPE,
        text=True,
        cwd="/",
        start_new_session=True,
        # The mark of an outer owner is left out, or that owner's janitor would kill this one before its work.
        env={key: value for key, value in os.environ.items() if key != janitor.MARK},
    )
    processes = ManagedProcesses(folder, keeper)
    try:
        folder.mkdir(mode=0o700)
        yield processes
    finally:
        processes.close()
