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


class Signs:
    """A clock, and the signs of life that a test gives at its times."""

    def __init__(self) -> None:
        self.time = 0.0
        self.sign: int | None = None

    def pass_time(self, pool: ProcessPool, seconds: int) -> list[EndedProcess]:
        """Look at the processes once a second."""
        ended = []
        for _ in range(seconds):
            self.time += 1
            ended += pool.fill()
        return ended


@pytest.fixture
def signs() -> Signs:
    return Signs()


@pytest.fixture
def watched(launcher: FakeLauncher, signs: Signs) -> ProcessPool:
    pool = ProcessPool(
        "pod",
        lambda worker: Program("m", [], str(worker)),
        [Silence()],
        launcher,
        last_sign=lambda _: signs.sign,
        hung_seconds=60.0,
        clock=lambda: signs.time,
    )
    assert not list(pool.fill())
    return pool


def test_a_process_that_gives_no_sign_of_life_is_killed_and_replaced(
    launcher: FakeLauncher, watched: ProcessPool, signs: Signs
) -> None:
    signs.sign = 1
    assert not signs.pass_time(watched, 60)
    (ended,) = signs.pass_time(watched, 1)
    assert (ended.code, ended.silent_seconds) == (-9, 60.0)
    assert launcher.log == ["start pod.0-1", "kill pod.0-1", "start pod.0-2"]


def test_a_process_in_its_start_is_given_its_time(watched: ProcessPool, signs: Signs) -> None:
    assert not signs.pass_time(watched, 1000)


def test_each_sign_of_life_counts(watched: ProcessPool, signs: Signs) -> None:
    for signs.sign in range(10):
        assert not signs.pass_time(watched, 60)


def test_time_in_which_nobody_looked_does_not_count(watched: ProcessPool, signs: Signs) -> None:
    """As where the whole pod was frozen, or the machine asleep."""
    signs.sign = 1
    assert not signs.pass_time(watched, 30)
    signs.time += 3600.0
    assert not signs.pass_time(watched, 20)
    signs.sign = 2
    assert not signs.pass_time(watched, 60)


def test_a_process_that_cannot_be_killed_ends_the_pool(
    watched: ProcessPool, signs: Signs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeProcess, "kill", lambda _: None)
    signs.sign = 1
    with pytest.raises(PoolFailure, match="a worker hangs for 60 s and cannot be killed"):
        signs.pass_time(watched, 62)
