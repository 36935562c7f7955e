"""Ctrl-C and SIGTERM: a driver ends its workers, says nothing it should not, and leaves a folder to go on with."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from builders import make_trial_spec
from command_server import Command
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

from metasearch.search.trials import INTERRUPTED, State
from metasearch.stores.sqlite import SqliteStore

Driver = Command


def press_ctrl_c(driver: Driver) -> None:
    """Send SIGINT to all processes of the group, as a terminal does."""
    os.killpg(driver.pid, signal.SIGINT)


def interrupt(driver: Driver) -> None:
    driver.send_signal(signal.SIGINT)


def terminate(driver: Driver) -> None:
    driver.send_signal(signal.SIGTERM)


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    """Yield the driver of a run that has just begun."""
    arguments = ("--output", tmp_path / "out", "--workers", "2")
    begun = start(tmp_path / "printed.txt", "run", write_resource(tmp_path), *arguments)
    yield begun
    begun.kill()
    begun.wait()


def has_a_result(folder: Path) -> bool:
    """Return whether a trial has succeeded while others still run."""
    states = {trial.state for trial in trials_in(folder)}
    return {State.SUCCEEDED, State.RUNNING} <= states


def is_importing(driver: Driver) -> bool:
    """Return whether the server that forks workers has begun its imports, which take some seconds."""
    server = fork_server_of(driver)
    return server is not None and server.cpu_times().user > 0.5 and not workers_of(driver)


def has_started(driver: Driver) -> bool:
    """Return whether all workers are there; they may still be loading."""
    return len(workers_of(driver)) == 2


def printed_in(folder: Path) -> str:
    """Return everything that the driver and its workers printed."""
    return "\n".join(path.read_text() for path in (folder / "printed.txt", *folder.glob("out/logs/*")))


@pytest.mark.parametrize(("disturb", "code"), [(press_ctrl_c, 130), (interrupt, 130), (terminate, 143)])
def test_a_run_that_is_interrupted_can_be_resumed(
    disturb: Callable[[Driver], None], code: int, driver: Driver, undisturbed: Path, tmp_path: Path
) -> None:
    wait_until(lambda: has_a_result(tmp_path / "out"))
    workers = workers_of(driver)
    disturb(driver)
    assert driver.wait(60) == code
    assert not any(is_alive(worker) for worker in workers)
    assert "Traceback" not in printed_in(tmp_path)
    told = "told to end" if code == 143 else "interrupted"
    assert f"metasearch: {told}; everything recorded is kept, and --resume goes on with it" in printed_in(tmp_path)

    trials = trials_in(tmp_path / "out")
    finished = {trial.name: trial for trial in trials if trial.state.is_over}
    unfinished = [trial for trial in trials if not trial.state.is_over]
    assert {trial.state for trial in unfinished} == {State.PENDING}
    assert any(attempt.outcome == INTERRUPTED for trial in unfinished for attempt in trial.attempts)

    resumed = metasearch("run", write_resource(tmp_path), "--output", tmp_path / "out", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert finished.items() <= {trial.name: trial for trial in trials_in(tmp_path / "out")}.items()
    assert scores_of(tmp_path / "out") == scores_of(undisturbed)
    assert repeatable_part(tmp_path / "out") == repeatable_part(undisturbed)


@pytest.mark.parametrize("moment", [is_importing, has_started])
@pytest.mark.parametrize(("disturb", "code"), [(press_ctrl_c, 130), (terminate, 143)])
def test_a_run_can_be_interrupted_while_its_workers_start(
    disturb: Callable[[Driver], None], code: int, moment: Callable[[Driver], bool], driver: Driver, tmp_path: Path
) -> None:
    wait_until(lambda: moment(driver))
    processes = psutil.Process(driver.pid).children(recursive=True)
    disturb(driver)
    assert driver.wait(60) == code
    assert not any(is_alive(process) for process in processes)
    assert "Traceback" not in printed_in(tmp_path)


def test_workers_leave_ctrl_c_to_their_driver_from_the_start(driver: Driver, tmp_path: Path) -> None:
    wait_until(lambda: is_importing(driver))
    server = fork_server_of(driver)
    assert server is not None
    server.send_signal(signal.SIGINT)
    wait_until(lambda: has_started(driver))
    workers = workers_of(driver)
    for worker in workers:
        worker.send_signal(signal.SIGINT)
    wait_until(lambda: has_a_result(tmp_path / "out"))
    assert workers_of(driver) == workers


def test_ctrl_c_while_another_process_writes_leaves_the_store_usable(tmp_path: Path) -> None:
    path = tmp_path / "trials.db"
    with closing(SqliteStore(path)) as store, closing(sqlite3.connect(path, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")

        def press_and_let_go() -> None:
            time.sleep(0.3)  # till the store waits for the other's transaction
            signal.raise_signal(signal.SIGINT)
            other.rollback()

        def propose_meanwhile() -> None:
            threading.Thread(target=press_and_let_go).start()
            store.propose([make_trial_spec("interrupted")])

        with pytest.raises(KeyboardInterrupt):
            propose_meanwhile()
        store.propose([make_trial_spec("later")])
        assert "later" in {trial.name for trial in store.trials()}
