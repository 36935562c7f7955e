"""The operator as a process of this machine, which tests kill and start again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from devcluster.access import ClusterAccess

SECONDS = 120
"""Generous, for machines that do other work besides."""


class OperatorProcess:
    """`python -m metasearch_operator` with an administrator's rights, which a test may kill and start again."""

    def __init__(self, access: ClusterAccess, folder: Path, namespaces: list[str], image: str) -> None:
        self.log = folder / f"operator-{time.monotonic_ns()}.log"
        config = folder / "operator.yaml"
        config.write_text(yaml.safe_dump({"namespaces": namespaces, "worker": {"image": image}}))
        # Ports 0 take any that is free: several operators, of tests side by side, run on one machine.
        ports = ["--probes-port=0", "--metrics-port=0"]
        self._command = [sys.executable, "-m", "metasearch_operator", "--config", str(config), *ports]
        self._environment = {**os.environ, **access.mark, "KUBECONFIG": str(access.kubeconfig)}
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """Kill it at once, as when a node dies."""
        self._process.kill()
        self._process.wait()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Kill it, and start it again at the end of the context."""
        self.kill()
        try:
            yield
        finally:
            self.start()

    def pause(self) -> None:
        """Let it do nothing until `resume`, as on a machine that is suspended."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """Terminate it, as when a pod is deleted, and return the exit code."""
        self._process.terminate()
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def require_running(self) -> None:
        """
        Check that the operator has not ended by itself.

        Raises:
            RuntimeError: it has; the message ends with the last lines of its log.
        """
        if (code := self._process.poll()) is not None:
            lines = self.log.read_text().splitlines()[-10:]
            raise RuntimeError("\n".join([f"the operator has ended with {code}:", *lines]))

    def wait(self) -> int:
        """Wait until it ends by itself, and return the exit code."""
        return self._process.wait(SECONDS)


@contextmanager
def running_operator(
    access: ClusterAccess, folder: Path, namespaces: list[str], image: str = "none"
) -> Iterator[OperatorProcess]:
    operator = OperatorProcess(access, folder, namespaces, image)
    try:
        yield operator
    finally:
        operator.stop()
