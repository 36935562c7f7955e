"""Slots are kept filled, whatever their processes do; tests/pod tests how a pod reacts to their ends."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from metasearch.exit_codes import EXIT_RESTART
from metasearch.worker_names import WorkerName
from metasearch_trainer.process_output import LogFile, RelayedOutput
from metasearch_trainer.process_pool import MAX_FAILED_STARTS, EndedProcess, PoolFailure, ProcessPool
from metasearch_trainer.processes import Program


class Silence:
    """An output that nobody prints to."""

    def open(self) -> AbstractContextManager[tuple[int, int]]:
        return nullcontext((1, 2))

    def last_line(self) -> str:
        return ""


class FakeProcess:
    """A process that ends when the test says so, or when it is told to, unless it is stubborn."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self._log = name, log
        self.code: int | None = None
        self.is_stubborn = False

    def poll(self) -> int | None:
        return self.code

    def terminate(self) -> None:
        self._log.append(f"terminate {self.name}")
        if self.code is None and not self.is_stubborn:
            self.code = 0

    def kill(self) -> None:
        self._log.append(f"kill {self.name}")
        self.code = -9

    def wait(self, seconds: float) -> bool:
        assert 0 <= seconds <= 10
        return self.code is not None


class FakeLauncher:
    """A launcher that keeps what was started, by name."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.started: dict[str, FakeProcess] = {}

    def start(self, program: Program, stdout: int, stderr: int) -> FakeProcess:
        assert (stdout, stderr) == (1, 2)
        self.log.append(f"start {program.title}")
        self.started[program.title] = FakeProcess(program.title, self.log)
        return self.started[program.title]

    def close(self) -> None:
        """Do nothing: there is no server to end."""


@pytest.fixture
def launcher() -> FakeLauncher:
    return FakeLauncher()


def make_pool(launcher: FakeLauncher, slots: int = 2, clock: Callable[[], float] = lambda: 0.0) -> ProcessPool:
    return ProcessPool(
        "pod", lambda worker: Program("m", [], str(worker)), [Silence() for _ in range(slots)], launcher, clock=clock
    )


def test_every_slot_gets_a_process(launcher: FakeLauncher) -> None:
    pool = make_pool(launcher)
    assert (len(pool), pool.workers) == (2, set())
    assert list(pool.fill()) == list(pool.fill()) == []
    assert launcher.log == ["start pod.0-1", "start pod.1-1"]
    assert pool.workers == {WorkerName("pod", 0, 1), WorkerName("pod", 1, 1)}


def test_an_end_is_reported_before_the_next_process_starts(launcher: FakeLauncher) -> None:
    pool = make_pool(launcher)
    list(pool.fill())
    launcher.started["pod.1-1"].code = EXIT_RESTART
    for ended in pool.fill():
        assert ended == EndedProcess(1, WorkerName("pod", 1, 1), EXIT_RESTART)
        assert launcher.log[-1] == "start pod.1-1"
    assert launcher.log[-1] == "start pod.1-2"
    assert pool.workers == {WorkerName("pod", 0, 1), WorkerName("pod", 1, 2)}


def test_failures_are_counted_over_all_slots(launcher: FakeLauncher) -> None:
    pool = make_pool(launcher, slots=MAX_FAILED_STARTS)
    list(pool.fill())
    for process in launcher.started.values():
        process.code = 1
    with pytest.raises(PoolFailure, match=r"^workers end as soon as .*with 1: it printed nothing$") as failure:
        list(pool.fill())
    assert (failure.value.code, failure.value.slot) == (1, MAX_FAILED_STARTS - 1)


def test_all_processes_are_told_to_end_before_any_is_waited_for(launcher: FakeLauncher) -> None:
    pool = make_pool(launcher)
    list(pool.fill())
    launcher.started["pod.0-1"].is_stubborn = True
    assert list(pool.stop(10.0)) == [WorkerName("pod", 0, 1), WorkerName("pod", 1, 1)]
    assert launcher.log[2:] == ["terminate pod.0-1", "terminate pod.1-1", "kill pod.0-1"]
    assert pool.workers == set()


def test_a_log_tells_what_the_last_process_printed_last(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log")
    for printed, last in ((b"one\ntwo\n", "two"), (b"", ""), (b"three", "three")):
        with log.open() as (stdout, stderr):
            assert stdout == stderr
            os.write(stderr, printed)
        assert log.last_line() == last
    assert log.path.read_text() == "one\ntwo\nthree"


def test_a_relayed_line_says_whose_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    output = RelayedOutput("slot 3: ")
    for printed, last in ((b"one\n\ntwo\n", "two"), (b"", ""), (b"\xff three", "\ufffd three")):
        with output.open() as (_, stderr):
            os.write(stderr, printed)
        assert output.last_line() == last
    assert capfd.readouterr().err == "slot 3: one\nslot 3: two\nslot 3: \ufffd three\n"
