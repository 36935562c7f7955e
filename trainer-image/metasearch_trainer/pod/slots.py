"""The processes of a pod's slots."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import IO

from metasearch_trainer.endings import say
from metasearch_trainer.pod.settings import Pod, Settings, worker_name


class Slot:
    """One place for a process, which is replaced when it ends."""

    def __init__(self, index: int, settings: Settings, pod: Pod, clock: Callable[[], float] = time.monotonic) -> None:
        self.index, self._settings, self._pod, self._clock = index, settings, pod, clock
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._starts = 0
        self._started = 0.0
        self.worker = ""
        self.last_words = ""
        """What the process printed last."""
        self.oom_kills_at_start = 0

    def start(self, oom_kills: int) -> None:
        """
        Begin a process.

        Args:
            oom_kills: what the kernel has counted until now.
        """
        self._starts += 1
        self.worker = worker_name(self._pod, self.index, self._starts)
        self.last_words, self.oom_kills_at_start, self._started = "", oom_kills, self._clock()
        self._settings.ready(self.worker).unlink(missing_ok=True)
        command = [sys.executable, "-m", "metasearch_trainer.pod.slot", *self._settings.to_arguments()]
        command += ["--slot", str(self.index), "--worker", self.worker, "--parent", str(os.getpid())]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},  # said before the process imports anything
        )
        assert self._process.stderr is not None
        self._reader = threading.Thread(target=self._pass_on, args=(self._process.stderr,), daemon=True)
        self._reader.start()

    @property
    def is_ready(self) -> bool:
        """Whether the process has come so far that it can run trials."""
        return self._settings.ready(self.worker).exists()

    @property
    def age_seconds(self) -> float:
        return self._clock() - self._started

    def exit_code(self) -> int | None:
        """None while the process runs; less than 0 where a signal ended it."""
        assert self._process is not None
        code = self._process.poll()
        if code is not None and self._reader is not None:
            self._reader.join(timeout=1.0)  # for its last words
        return code

    def terminate(self) -> None:
        """Ask the process to end."""
        assert self._process is not None
        self._process.terminate()

    def kill_after(self, seconds: float) -> None:
        """Wait until it has ended; end it where it takes too long."""
        assert self._process is not None
        try:
            self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _pass_on(self, printed: IO[bytes]) -> None:
        with printed:
            for line in printed:
                if text := line.decode(errors="replace").strip():
                    self.last_words = text
                    say(f"slot {self.index}: {text}")
