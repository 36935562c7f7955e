"""SIGKILL at random moments of a real search: what is found in the end is what a run left alone finds."""

from __future__ import annotations

import hashlib
import itertools
import multiprocessing
import random
import signal
import sqlite3
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from enum import StrEnum
from pathlib import Path

import psutil
import pytest
from builders import make_result, make_trial_spec
from local_search import (
    fork_server_of,
    is_alive,
    metasearch,
    repeatable_part,
    scores_of,
    start,
    trials_in,
    wait_until,
    workers_of,
    write_resource,
)

from metasearch.search.trials import LOST, Stage, State, Trial
from metasearch.stores.sqlite import SqliteStore

SEED = 38
START_SECONDS = 5.0
"""The approximate seconds that a driver or a worker takes to import and load what it needs."""


class Victim(StrEnum):
    """The processes that are killed."""

    DRIVER = "driver"
    WORKER = "worker"
    BOTH = "driver and workers"


class Moment(StrEnum):
    """The moment of a kill, to which a random fraction of a trial is added."""

    STARTING = "while processes start"
    SEARCHING = "while search trials train"
    FINAL = "while final trials train"
    CHECKPOINTED = "while final trials train that have written a checkpoint"


VICTIMS = [Victim.DRIVER] * 5 + [Victim.WORKER] * 10 + [Victim.BOTH] * 5
MOMENTS = [Moment.STARTING] * 4 + [Moment.SEARCHING] * 13
LAST_MOMENTS = [Moment.FINAL, Moment.CHECKPOINTED, Moment.CHECKPOINTED]


def schedule(rng: random.Random) -> list[tuple[Victim, Moment]]:
    moments = [*rng.sample(MOMENTS, len(MOMENTS)), *LAST_MOMENTS]
    return list(zip(rng.sample(VICTIMS, len(VICTIMS)), moments, strict=True))


def write_long_resource(folder: Path) -> Path:
    """Write a resource of 20 search trials of a second, and 2 final ones of several checkpoints."""
    return write_resource(
        folder,
        space={"filters": 4},
        search={"progressive": {"beamWidth": 6}, "surrogate": {"type": "Ridge"}},  # seconds without a trial are few
        training={"metaIterations": 150},
        budget={"maxTrials": 20},
        final={"metaIterations": 1800, "baselines": []},
    )


@pytest.fixture(scope="module")
def long_undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("long-undisturbed")
    ended = metasearch("run", write_long_resource(folder), "--output", folder / "out", "--workers", "2")
    assert ended.returncode == 0, ended.stderr
    return folder / "out"


def kill(worker: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):  # without a driver it ends by itself
        worker.kill()


class Run:
    """A run that is killed and resumed."""

    def __init__(self, folder: Path, resource: Path) -> None:
        self.folder, self._printed, self._resource = folder / "out", folder / "printed.txt", resource
        self._workers = set[psutil.Process]()
        self.resume()

    def resume(self) -> None:
        self._resumed_at = time.time()
        arguments = ("--output", self.folder, "--workers", "2", "--resume")
        self.driver = start(self._printed, "run", self._resource, *arguments)

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Wait for something while the search is under way."""

        def look() -> object:
            assert self.driver.poll() is None, f"the driver ended by itself: {self._printed.read_text()}"
            return condition()

        wait_until(look)

    def kill(self, victim: Victim, rng: random.Random) -> list[psutil.Process]:
        """Kill the victim; return the workers that must end now, if they have not."""
        if victim is Victim.WORKER:
            self.wait_until(lambda: workers_of(self.driver))
            killed = [rng.choice(workers_of(self.driver))]
        else:
            killed = workers_of(self.driver)
            self.driver.kill()
            self.driver.wait()
        if victim is not Victim.DRIVER:
            for worker in killed:
                kill(worker)
        self._workers.update(killed)
        return killed

    def end(self) -> None:
        """Kill whatever a test that failed has left."""
        self._workers.update(workers_of(self.driver))
        self.driver.kill()
        self.driver.wait()
        for worker in self._workers:
            kill(worker)

    def is_training(self, *stages: Stage) -> bool:
        """Return whether a worker of the last driver trains a trial of one of these stages."""
        return any(
            trial.state is State.RUNNING
            and trial.spec.stage in stages
            and trial.attempts[-1].started_at > self._resumed_at
            for trial in trials_in(self.folder)
        )

    def finished(self) -> dict[str, Trial]:
        return {trial.name: trial for trial in trials_in(self.folder) if trial.state.is_over}

    def has_checkpoint(self) -> bool:
        return any((self.folder / "checkpoints").glob("*.safetensors"))


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[[Path], Run]]:
    begun: list[Run] = []

    def begin_one(resource: Path) -> Run:
        begun.append(Run(tmp_path, resource))
        return begun[-1]

    yield begin_one
    for run in begun:
        run.end()


def test_a_run_killed_20_times_ends_as_one_left_alone(
    long_undisturbed: Path, tmp_path: Path, begin: Callable[[Path], Run]
) -> None:
    rng = random.Random(SEED)
    trial_seconds = mean_trial_seconds(long_undisturbed)
    run = begin(write_long_resource(tmp_path))
    dealt, hit, finished = Counter[Victim](), Counter[Victim](), dict[str, Trial]()
    for victim, moment in schedule(rng):
        match moment:
            case Moment.STARTING:
                time.sleep(rng.uniform(0, START_SECONDS))
            case Moment.SEARCHING:  # all over the stage, whose trials are more than these moments
                due = dealt.total() * MOMENTS.count(moment) // len(MOMENTS)
                run.wait_until(lambda due=due: len(run.finished()) >= due and run.is_training(Stage.SEARCH))
            case Moment.FINAL:
                run.wait_until(lambda: run.is_training(Stage.FINAL))
            case Moment.CHECKPOINTED:
                run.wait_until(lambda: run.has_checkpoint() and run.is_training(Stage.FINAL))
        if moment is not Moment.STARTING:
            time.sleep(rng.uniform(0, trial_seconds))
        ending = run.kill(victim, rng)
        dealt[victim] += 1
        if victim is not Victim.WORKER:
            hit[victim] += run.is_training(*Stage)
            run.resume()
        wait_until(lambda ending=ending: not any(is_alive(worker) for worker in ending))
        assert finished.items() <= run.finished().items(), "a finished trial was lost, or ran again"
        finished = run.finished()
    run.wait_until(lambda: True)  # it is under way: all kills were dealt before its end
    assert run.driver.wait(600) == 0

    trials = trials_in(run.folder)
    hit[Victim.WORKER] = sum(attempt.outcome == LOST for trial in trials for attempt in trial.attempts)
    assert dealt == Counter(VICTIMS)
    assert all(2 * hit[victim] >= dealt[victim] for victim in Victim), hit
    assert any(map(went_on_from_a_checkpoint, trials))
    assert finished.items() <= run.finished().items()
    assert scores_of(run.folder) == scores_of(long_undisturbed)
    assert repeatable_part(run.folder) == repeatable_part(long_undisturbed)
    assert delivered_hash(run.folder) == delivered_hash(long_undisturbed)


def mean_trial_seconds(folder: Path) -> float:
    results = [trial.result for trial in trials_in(folder) if trial.spec.stage is Stage.SEARCH]
    return statistics.mean(result.wall_seconds for result in results if result and result.wall_seconds)


def went_on_from_a_checkpoint(trial: Trial) -> bool:
    """Return whether training took longer than the last attempt; checkpoints are 5 seconds apart."""
    last = trial.attempts[-1]
    assert trial.result is not None
    assert trial.result.wall_seconds is not None
    assert last.ended_at is not None
    return trial.result.wall_seconds - (last.ended_at - last.started_at) > 2.5


def delivered_hash(folder: Path) -> str:
    return hashlib.sha256((folder / "best" / "weights.safetensors").read_bytes()).hexdigest()


def test_a_claim_that_a_killed_drivers_worker_makes_late_is_freed(tmp_path: Path, begin: Callable[[Path], Run]) -> None:
    run = begin(write_resource(tmp_path))
    run.wait_until(lambda: run.is_training(Stage.SEARCH))
    store = SqliteStore(run.folder / "trials.db")
    late = store.claim("a killed driver's worker", time.time(), 0.0)
    store.close()
    assert late is not None
    assert run.driver.wait(300) == 0
    (recorded,) = (trial for trial in trials_in(run.folder) if trial.name == late.name)
    assert [attempt.outcome for attempt in recorded.attempts] == ["Interrupted", "Succeeded"]


def test_a_run_whose_fork_server_is_killed_ends_as_one_left_alone(
    undisturbed: Path, tmp_path: Path, begin: Callable[[Path], Run]
) -> None:
    run = begin(write_resource(tmp_path))
    run.wait_until(lambda: run.is_training(Stage.SEARCH))
    server, workers = fork_server_of(run.driver), workers_of(run.driver)
    assert server is not None
    server.kill()
    run.wait_until(lambda: fork_server_of(run.driver) not in (None, server))
    wait_until(lambda: not any(map(is_alive, workers)))
    assert run.driver.wait(300) == 0
    assert scores_of(run.folder) == scores_of(undisturbed)
    assert repeatable_part(run.folder) == repeatable_part(undisturbed)


# --- the store alone ---


def write_for_ever(path: Path, worker: str, notes: Path) -> None:
    """Propose, claim and complete trials; note each score once the store has it."""
    store = SqliteStore(path)
    with notes.open("a", buffering=1) as noted:
        for number in itertools.count(1):
            store.propose([make_trial_spec(f"{worker}-{number}")])
            if claimed := store.claim(worker, 0.0, 0.0):
                store.complete(claimed, make_result(1 / number), 1.0)
                noted.write(f"{claimed.name} {1 / number}\n")


def notes_in(path: Path) -> dict[str, float]:
    lines = path.read_text().splitlines() if path.exists() else []
    return {name: float(score) for name, score in map(str.split, lines)}


def test_processes_killed_while_they_write_lose_nothing_that_was_recorded(tmp_path: Path) -> None:
    path, rng, noted = tmp_path / "trials.db", random.Random(SEED), dict[str, float]()
    context = multiprocessing.get_context("spawn")
    for round_number in range(5):
        notes = [tmp_path / f"w{round_number}-{index}" for index in range(2)]
        writers = [context.Process(target=write_for_ever, args=(path, each.name, each)) for each in notes]
        for writer in writers:
            writer.start()
        wait_until(lambda notes=notes: all(map(notes_in, notes)))
        time.sleep(rng.uniform(0, 0.1))
        for writer in writers:
            writer.kill()
        for writer in writers:
            writer.join()
            assert writer.exitcode == -signal.SIGKILL
        for each in notes:
            noted |= notes_in(each)
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        with closing(SqliteStore(path)) as store:
            assert noted.items() <= {trial.name: trial.score for trial in store.trials()}.items()


def test_a_store_waits_for_the_process_that_is_making_its_file(tmp_path: Path) -> None:
    path = tmp_path / "trials.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(0.3, other.rollback).start()
        with closing(SqliteStore(path)) as store:
            assert list(store.trials()) == []
