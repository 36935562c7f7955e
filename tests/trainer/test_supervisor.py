"""What a supervisor makes of the ways in which its slots' processes end."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from builders import make_result, make_trial

from metasearch.search import trials
from metasearch.search.trials import INTERRUPTED, LOST, TrialResult
from metasearch_trainer.pod.claims import OUT_OF_MEMORY, Ended
from metasearch_trainer.pod.kernel import OomKills
from metasearch_trainer.pod.settings import Places, Settings
from metasearch_trainer.pod.supervisor import PodEnds, Supervisor
from metasearch_trainer.spool import Spool, Unsent


class Process:
    """How one in a slot ends, and how far it came."""

    def __init__(self, code: int | None, ready: bool = True, age: float = 100.0, oom: bool = False) -> None:
        self.code, self.ready, self.age, self.oom = code, ready, age, oom


class Kernel:
    kills = 0


class Slot:
    """A slot whose processes end as the test says; the last one goes on."""

    index, last_words, oom_kills_at_start = 0, "said last", 0

    def __init__(self, kernel: Kernel, *processes: Process) -> None:
        self._kernel, self._processes, self._starts = kernel, [*processes, Process(None)], -1
        self.terminated = False

    @property
    def worker(self) -> str:
        return f"pod.0-{self._starts + 1}"

    @property
    def is_ready(self) -> bool:
        return self._processes[self._starts].ready

    @property
    def age_seconds(self) -> float:
        return self._processes[self._starts].age

    def start(self, oom_kills: int) -> None:
        self._starts += 1
        self.oom_kills_at_start = oom_kills

    def exit_code(self) -> int | None:
        process = self._processes[self._starts]
        if process.oom:
            self._kernel.kills, process.oom = self._kernel.kills + 1, False
        return process.code

    def terminate(self) -> None:
        self.terminated = True

    def kill_after(self, seconds: float) -> None:
        assert 0 < seconds <= 12


class World:
    """Everything around a supervisor: it is to leave once its slots have nothing new to tell."""

    is_search_gone = False

    def __init__(self, looks: int = 20) -> None:
        self._looks = looks
        self.ended: list[Ended] = []

    def wait(self, seconds: float) -> bool:
        assert seconds < 1
        self._looks -= 1
        return self._looks < 0

    def start(self) -> None:
        """Heartbeat and claims do nothing of their own here."""

    def add(self, ended: Ended) -> None:
        self.ended.append(ended)

    def wait_until_settled(self, seconds: float) -> bool:
        assert 0 < seconds <= 22
        return True


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings("search", 1, 0.0, 500, Places(tmp_path, tmp_path, tmp_path))


def supervise(settings: Settings, *processes: Process) -> tuple[int, list[Ended]]:
    world, kernel = World(), Kernel()
    slot = Slot(kernel, *processes)
    supervisor = Supervisor(settings, [slot], world, world, world, OomKills(lambda: kernel.kills))  # type: ignore
    try:
        return supervisor.run(), world.ended
    finally:
        assert slot.terminated


def outcomes(ended: list[Ended]) -> list[tuple[str, str | TrialResult, bool]]:
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
        "told to leave",
    ]


def test_one_count_of_the_kernel_explains_one_end(settings: Settings) -> None:
    _, ended = supervise(settings, Process(KILLED, oom=True), Process(KILLED))
    assert [each.outcome for each in ended] == [OUT_OF_MEMORY, LOST, INTERRUPTED]


@pytest.mark.parametrize("code", [2, 3, 5])
def test_what_a_person_must_mend_ends_the_pod_at_once(settings: Settings, code: int) -> None:
    with pytest.raises(PodEnds, match=r"^said last$") as ended:
        supervise(settings, Process(code))
    assert ended.value.code == code


def test_a_store_away_for_long_is_no_reason_to_end_while_a_result_waits(settings: Settings) -> None:
    claimed = trials.claim(make_trial(), "pod.0-1", 1.0, 0.0)
    Spool(settings.spool(0)).put(Unsent(claimed, make_result(), 2.0))
    assert supervise(settings, Process(5), Process(5))[0] == 75


def test_processes_that_end_at_once_again_and_again_end_the_pod(settings: Settings) -> None:
    with pytest.raises(PodEnds, match=r"end as soon as they are started, the last one with 1: said last") as ended:
        supervise(settings, *[Process(1, age=1.0)] * 3)
    assert ended.value.code == 1


def test_processes_that_are_killed_before_they_can_work_end_the_pod(settings: Settings) -> None:
    with pytest.raises(PodEnds, match=r"the last one by SIGKILL: said last") as ended:
        supervise(settings, *[Process(KILLED, ready=False)] * 3)
    assert ended.value.code == 1


@pytest.mark.parametrize("other", [Process(75, age=1.0), Process(1, age=30.0), Process(KILLED, age=1.0)])
def test_others_that_came_to_something_in_between_are_hope(settings: Settings, other: Process) -> None:
    futile = Process(1, age=1.0)
    assert supervise(settings, futile, futile, other, futile, futile)[0] == 75


def test_a_search_that_is_gone_ends_the_pod(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "is_search_gone", True)
    code, ended = supervise(settings, Process(KILLED))
    assert (code, outcomes(ended)) == (75, [("pod.0-1", INTERRUPTED, True)])
