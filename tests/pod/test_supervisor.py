"""A supervisor replaces processes, releases claims, or ends the pod, by the way in which its slots' processes end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from copy import copy
from functools import partial
from pathlib import Path

import pytest
from builders import make_result, make_trial

from metasearch.search import trials
from metasearch.search.trials import INTERRUPTED, LOST, TrialResult
from metasearch.worker_names import WorkerName
from metasearch_trainer.pod.oom_kills import OomKills
from metasearch_trainer.pod.release_claims import OUT_OF_MEMORY, EndedWorker
from metasearch_trainer.pod.settings import MountPaths, Pod, Settings
from metasearch_trainer.pod.supervisor import PodFailure, Supervisor, open_pool
from metasearch_trainer.processes import Program
from metasearch_trainer.spool import PendingResult, Spool


class Process:
    """A process that ends as the test says; without a code it goes on until it is told to end."""

    def __init__(
        self, code: int | None, ready: bool = True, age: float = 100.0, oom: bool = False, says: str = ""
    ) -> None:
        """
        Args:
            ready: whether it came so far that it could run trials.
            age: seconds after which it ends.
            oom: whether the kernel counts it as killed for lack of memory.
            says: what it prints last.
        """
        self.code, self.ready, self.age, self.oom, self.says = code, ready, age, oom, says
        self.is_terminated = False
        self.end: Callable[[], object] = lambda: None

    def poll(self) -> int | None:
        if self.code is not None:
            self.end()
        return self.code

    def terminate(self) -> None:
        self.is_terminated = True

    def kill(self) -> None:
        raise AssertionError("it ends by itself")

    def wait(self, seconds: float) -> bool:
        assert 0 < seconds <= 12
        return self.is_terminated


class Kernel:
    """A fake kernel that counts kills and keeps the time."""

    kills, time = 0, 0.0


class FakeLauncher:
    """A launcher that starts the given processes one after the other; the last one goes on."""

    def __init__(self, settings: Settings, kernel: Kernel, *processes: Process) -> None:
        self._settings, self._kernel, self._processes = settings, kernel, [*processes, Process(None)]
        self.running: Process | None = None

    def start(self, program: Program, stdout: int, stderr: int) -> Process:
        del stdout
        # A copy, for a case may hold one process twice, or share it with another case.
        process = self.running = copy(self._processes.pop(0))
        process.end = partial(self._end, process, self._kernel.time)
        if process.ready:
            self._settings.ready(WorkerName.parse(program.arguments[-1])).touch()
        os.write(stderr, process.says.encode())
        return process

    def close(self) -> None:
        """Do nothing: there is no server to end."""

    def _end(self, process: Process, started_at: float) -> None:
        self._kernel.time = started_at + process.age
        if process.oom:
            self._kernel.kills, process.oom = self._kernel.kills + 1, False


class FakeSurroundings:
    """A fake heartbeat, releaser and signal: the supervisor is asked to end after so many looks at its slots."""

    is_search_gone = False

    def __init__(self, looks: int = 20) -> None:
        self._looks = looks
        self.ended: list[EndedWorker] = []

    def wait(self, seconds: float) -> bool:
        assert seconds < 1
        self._looks -= 1
        return self._looks < 0

    def start(self) -> None:
        """Do nothing: heartbeat and releaser have no thread here."""

    def add(self, ended: EndedWorker) -> None:
        self.ended.append(ended)

    def wait_until_released(self, seconds: float) -> bool:
        assert 0 < seconds <= 22
        return True


POD = Pod("team-a", "pod", "uid", None)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings("search", 1, 0.0, False, 500, MountPaths(tmp_path, tmp_path, tmp_path))
    made.make_scratch()
    return made


def supervise(settings: Settings, *processes: Process) -> tuple[int, list[EndedWorker]]:
    surroundings, kernel = FakeSurroundings(), Kernel()
    launcher = FakeLauncher(settings, kernel, *processes)
    pool = open_pool(settings, POD, launcher, clock=lambda: kernel.time)
    supervisor = Supervisor(settings, pool, surroundings, surroundings, surroundings, OomKills(lambda: kernel.kills))  # type: ignore
    try:
        return supervisor.run(), surroundings.ended
    finally:
        assert launcher.running is not None
        assert launcher.running.is_terminated


def outcomes(ended: list[EndedWorker]) -> list[tuple[str, str | TrialResult, bool]]:
    return [(each.worker, each.outcome, each.is_last) for each in ended]


KILLED = -int(signal.SIGKILL)


@pytest.mark.parametrize(
    ("process", "outcome"),
    [
        (Process(75), INTERRUPTED),
        (Process(0), INTERRUPTED),
        (Process(KILLED), LOST),
        (Process(KILLED, oom=True), OUT_OF_MEMORY),
        (Process(-int(signal.SIGSEGV)), LOST),
        (Process(1), LOST),
    ],
)
def test_a_process_that_ends_is_replaced_and_its_claims_are_settled(
    settings: Settings, process: Process, outcome: str | TrialResult
) -> None:
    code, ended = supervise(settings, process)
    assert code == 75
    assert outcomes(ended) == [("pod.0-1", outcome, False), ("pod.0-2", INTERRUPTED, True)]


def test_the_log_says_how_a_process_ended(settings: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    supervise(settings, Process(KILLED, oom=True), Process(75))
    assert capfd.readouterr().err.splitlines() == [
        "slot 0: pod.0-1 ended by SIGKILL, for lack of memory; a fresh process takes its place",
        "slot 0: pod.0-2 ended with 75; a fresh process takes its place",
        "told to shut down",
    ]


def test_one_count_of_the_kernel_explains_one_end(settings: Settings) -> None:
    _, ended = supervise(settings, Process(KILLED, oom=True), Process(KILLED))
    assert [each.outcome for each in ended] == [OUT_OF_MEMORY, LOST, INTERRUPTED]


@pytest.mark.parametrize("code", [2, 3, 5])
def test_what_a_person_must_mend_ends_the_pod_at_once(settings: Settings, code: int) -> None:
    with pytest.raises(PodFailure, match=r"^said last$") as ended:
        supervise(settings, Process(code, says="said last"))
    assert ended.value.exit_code == code


def test_a_store_away_for_long_is_no_reason_to_end_while_a_result_waits(settings: Settings) -> None:
    claimed = trials.claim(make_trial(), "pod.0-1", 1.0, 0.0)
    Spool(settings.spool(0)).put(PendingResult(claimed, make_result(), 2.0))
    assert supervise(settings, Process(5), Process(5))[0] == 75


def test_processes_that_end_at_once_again_and_again_end_the_pod(settings: Settings) -> None:
    with pytest.raises(PodFailure, match=r"end as soon as they are started, the last one with 1: said last") as ended:
        supervise(settings, *[Process(1, age=1.0, says="said last")] * 3)
    assert ended.value.exit_code == 1


def test_processes_that_are_killed_before_they_can_work_end_the_pod(settings: Settings) -> None:
    with pytest.raises(PodFailure, match=r"the last one by SIGKILL: said last") as ended:
        supervise(settings, *[Process(KILLED, ready=False, says="said last")] * 3)
    assert ended.value.exit_code == 1


@pytest.mark.parametrize("other", [Process(75, age=1.0), Process(1, age=30.0), Process(KILLED, age=1.0)])
def test_others_that_came_to_something_in_between_are_hope(settings: Settings, other: Process) -> None:
    futile = Process(1, age=1.0)
    assert supervise(settings, futile, futile, other, futile, futile)[0] == 75


def test_a_search_that_is_gone_ends_the_pod(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeSurroundings, "is_search_gone", True)
    code, ended = supervise(settings, Process(KILLED))
    # With 0, after which a Job makes no more pods: one that nobody deletes would replace them for ever.
    assert (code, outcomes(ended)) == (0, [("pod.0-1", INTERRUPTED, True)])
