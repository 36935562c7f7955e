"""The driver's worker processes: start them, replace those that die, end them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from metasearch.errors import MetaSearchError, SearchFailed, StoreUnavailable

RECYCLED = 75
"""Exit code of a worker that asks to be replaced."""

FAILED_STARTS = 3
"""Workers that may end at once, one after another, before it is taken to be no accident."""

SHORT_LIFE_SECONDS = 20.0
STOP_SECONDS = 10.0
"""How long a worker gets to end by itself."""


@dataclass(frozen=True)
class Device:
    """Where a worker trains."""

    name: str
    """cpu, or cuda:0 and so on."""
    gpus: float
    """The share of a GPU that one worker has."""


class WorkerPool:
    """A fixed number of slots, each with a process."""

    def __init__(
        self, store: Path, logs: Path, devices: list[Device], session: str, clock: Callable[[], float]
    ) -> None:
        """
        Args:
            devices: one per slot.
            session: tells this driver's workers from an earlier one's.
            clock: monotonic, in seconds.
        """
        self._store, self._logs, self._session, self._clock = store, logs, session, clock
        self._slots = [_Slot(index, device) for index, device in enumerate(devices)]
        self._short_lives = 0

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def workers(self) -> set[str]:
        """The names of the processes in the slots."""
        return {slot.worker for slot in self._slots}

    def replace_dead(self) -> Iterator[str]:
        """
        Start a process in every slot that has none running; gives the names of workers that died.

        Raises:
            MetaSearchError: workers die as soon as they are started; the sentence is the last one's own.
        """
        for slot in self._slots:
            if slot.process is not None and slot.process.poll() is None:
                continue
            if slot.process is not None:
                yield slot.worker
                self._mind_short_life(slot)
            self._start(slot)

    def stop(self) -> list[str]:
        """End all processes, gently and then not; returns the workers' names."""
        running = [slot for slot in self._slots if slot.process is not None]
        for slot in running:
            slot.require_process().terminate()
        deadline = self._clock() + STOP_SECONDS
        for slot in running:
            try:
                slot.require_process().wait(max(0.0, deadline - self._clock()))
            except subprocess.TimeoutExpired:
                slot.require_process().kill()
                slot.require_process().wait()
            slot.process = None
        return [slot.worker for slot in running]

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)

    def _start(self, slot: _Slot) -> None:
        slot.starts += 1
        slot.worker = f"{self._session}-{slot.index}-{slot.starts}"
        slot.started = self._clock()
        slot.log = self._logs / f"worker-{slot.index}.log"
        command = [sys.executable, "-m", "metasearch_trainer.process"]
        command += ["--store", str(self._store), "--name", slot.worker, "--parent", str(os.getpid())]
        command += ["--device", slot.device.name, "--gpus", str(slot.device.gpus)]
        with slot.log.open("ab") as log, _no_interrupt():
            slot.log_start = log.tell()
            # One thread each, said before the process imports anything.
            slot.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"}
            )

    def _mind_short_life(self, slot: _Slot) -> None:
        code = slot.require_process().returncode
        if code == StoreUnavailable.exit_code:
            # However long it lived: the next one would lose its work too.
            raise StoreUnavailable(
                _last_line(slot)
                or f"{self._store.parent} cannot be written; free the disk or mend the folder, then go on with --resume"
            )
        killed = code < 0  # by a signal: the kernel, or a person
        if code == RECYCLED or killed or self._clock() - slot.started > SHORT_LIFE_SECONDS:
            self._short_lives = 0
            return
        self._short_lives += 1
        if self._short_lives >= FAILED_STARTS:
            last_words = _last_line(slot) or "it printed nothing"
            raise _failure(code)(f"workers end as soon as they are started: {last_words} (see {slot.log})")


@dataclass
class _Slot:
    index: int
    device: Device
    process: subprocess.Popen[bytes] | None = None
    worker: str = ""
    log: Path = Path()
    log_start: int = 0
    """Where in the log the process's own lines begin."""
    starts: int = 0
    started: float = 0.0

    def require_process(self) -> subprocess.Popen[bytes]:
        assert self.process is not None
        return self.process


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """
    Hold Ctrl-C back for a moment.

    It reaches the whole group, and a process started meanwhile never gets it: to end workers is the driver's part.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _failure(code: int) -> type[MetaSearchError]:
    """The kind of error that a worker's exit code stands for."""
    kinds = {kind.exit_code: kind for kind in MetaSearchError.__subclasses__()}
    return kinds.get(code, SearchFailed)


def _last_line(slot: _Slot) -> str:
    """What the slot's last process printed last."""
    printed = slot.log.read_bytes()[slot.log_start :].decode(errors="replace").strip()
    return printed.splitlines()[-1] if printed else ""
