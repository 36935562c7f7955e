"""
A fixed number of slots, each with a worker process that is replaced when it ends.

The same for a local run and for a worker pod. The caller gets each process that has ended, and decides what becomes of
the trials that it had claimed. A process that hangs, as a read from a network disk may, is killed (`signs_of_life`).
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from metasearch.exit_codes import EXIT_RESTART
from metasearch.worker_names import WorkerName
from metasearch_trainer.process_output import Output
from metasearch_trainer.processes import Launcher, Process, Program
from metasearch_trainer.signs_of_life import HUNG_SECONDS, Silence

MAX_FAILED_STARTS = 3
"""Processes in a row, of any slots, that fail in their start before the pool gives up. Fewer may be an accident."""

SHORT_LIFE_SECONDS = 20.0
"""A process that fails within so many seconds is taken to have failed in its start."""

KILL_SECONDS = 10.0
"""Time for a process that hangs to be gone once it is killed. One that waits for a disk cannot be killed."""


@dataclass(frozen=True)
class EndedProcess:
    """A process that has ended and is about to be replaced."""

    slot: int
    worker: WorkerName
    code: int
    """Its exit code, less than 0 where a signal ended it."""
    silent_seconds: float | None = None
    """The time without a sign of life for which it was killed; None where it was not."""


class PoolFailure(Exception):
    """Another process would end as the last one did."""

    def __init__(self, code: int, sentence: str, slot: int) -> None:
        """
        Args:
            code: the exit code of the last process, less than 0 where a signal ended it.
            sentence: what is wrong, in the process's own words where it printed any.
            slot: where it ran.
        """
        super().__init__(sentence)
        self.code, self.sentence, self.slot = code, sentence, slot


@dataclass
class _Running:
    worker: WorkerName
    process: Process
    started_at: float
    silence: Silence
    was_hung: bool = field(default=False)


@dataclass
class _Slot:
    index: int
    output: Output
    starts: int = 0
    running: _Running | None = None


class ProcessPool:
    """Starts processes and replaces those that end."""

    def __init__(
        self,
        owner: str,
        program: Callable[[WorkerName], Program],
        outputs: Sequence[Output],
        launcher: Launcher,
        *,
        is_ready: Callable[[WorkerName], bool] = lambda _: True,
        is_fatal: Callable[[int, int], bool] = lambda _slot, _code: False,
        last_sign: Callable[[WorkerName], int | None] = lambda _: None,
        hung_seconds: float = HUNG_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            owner: the first part of the workers' names.
            program: what a worker runs.
            outputs: where processes print, one for each slot.
            is_ready: whether a process has come so far that it can run trials.
            is_fatal: whether a process that ended with this code in this slot tells that all others will too.
            last_sign: a number that changes whenever a process gives a sign of life; None before the first.
            hung_seconds: a process that gives none for so long is killed.
            clock: monotonic, in seconds.
        """
        self._owner, self._program, self._launcher, self._clock = owner, program, launcher, clock
        self._is_ready, self._is_fatal = is_ready, is_fatal
        self._last_sign, self._hung_seconds = last_sign, hung_seconds
        self._slots = [_Slot(index, output) for index, output in enumerate(outputs)]
        self._failed_starts = 0

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def workers(self) -> set[WorkerName]:
        """The names of the processes in the slots."""
        return {slot.running.worker for slot in self._slots if slot.running is not None}

    def fill(self) -> Iterator[EndedProcess]:
        """
        Start a process in every slot that has none running.

        Each that has ended is given before its successor starts, so that what the caller does comes first.

        Raises:
            PoolFailure: there is no use in starting another.
        """
        for slot in self._slots:
            if slot.running is not None:
                running = slot.running
                if (code := running.process.poll()) is None:
                    code = self._killed_if_hung(slot.index, running)
                if code is None:
                    continue
                self._require_hope(slot, running, code)
                silent_seconds = running.silence.seconds if running.was_hung else None
                yield EndedProcess(slot.index, running.worker, code, silent_seconds)
            self._start(slot)

    def stop(self, seconds: float) -> Iterator[WorkerName]:
        """
        End all processes, those that take longer than so many seconds by force.

        Gives each one's name once it has ended; go through all of them.
        """
        all_running = [slot.running for slot in self._slots if slot.running is not None]
        deadline = self._clock() + seconds
        # All get the signal before the first is waited for, so that they end at the same time.
        for running in all_running:
            running.process.terminate()
        for running in all_running:
            if not running.process.wait(max(0.0, deadline - self._clock())):
                running.process.kill()
                running.process.wait(seconds)
            yield running.worker
        for slot in self._slots:
            slot.running = None

    def _start(self, slot: _Slot) -> None:
        slot.starts += 1
        worker, started_at = WorkerName(self._owner, slot.index, slot.starts), self._clock()
        with slot.output.open() as (stdout, stderr):
            process = self._launcher.start(self._program(worker), stdout, stderr)
        slot.running = _Running(worker, process, started_at, Silence(started_at))

    def _killed_if_hung(self, slot: int, running: _Running) -> int | None:
        """Kill a process that has given no sign of life for too long, and return its exit code; None of any other."""
        silence = running.silence
        silence.look(self._last_sign(running.worker), self._clock())
        if silence.seconds < self._hung_seconds:
            return None
        running.was_hung = True
        running.process.kill()
        if not running.process.wait(KILL_SECONDS):
            sentence = f"a worker hangs for {silence.seconds:.0f} s and cannot be killed; see its disks and its GPU"
            raise PoolFailure(-signal.SIGKILL, sentence, slot)
        return running.process.poll()

    def _require_hope(self, slot: _Slot, ended: _Running, code: int) -> None:
        """Raise PoolFailure where the end of a process says that the next one will do no better."""
        if self._is_fatal(slot.index, code):
            raise PoolFailure(code, slot.output.last_line(), slot.index)
        self._failed_starts = self._failed_starts + 1 if self._has_failed_to_start(ended, code) else 0
        if self._failed_starts >= MAX_FAILED_STARTS:
            printed = slot.output.last_line() or "it printed nothing"
            sentence = f"workers end as soon as they are started, the last one {manner_of(code)}: {printed}"
            raise PoolFailure(code, sentence, slot.index)

    def _has_failed_to_start(self, ended: _Running, code: int) -> bool:
        if code == EXIT_RESTART:
            return False
        if not self._is_ready(ended.worker):
            return True
        # A signal comes from the kernel or from a person, and says nothing about the next process.
        return code >= 0 and self._clock() - ended.started_at < SHORT_LIFE_SECONDS


def manner_of(code: int) -> str:
    """Say how a process ended: `with 1`, or `by SIGKILL`."""
    return f"with {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
