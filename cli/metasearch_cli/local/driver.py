"""
The local driver: observe, plan, apply, until the search is over.

All state is in the folder's store. The driver may be killed at any moment; `--resume` starts another, which frees what
the dead one's workers had claimed and goes on.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from metasearch.api import MetaSearch
from metasearch.outcome.ends import end_of, with_end
from metasearch.outcome.results import SearchResult, summarize
from metasearch.reconcile import Step, reconcile
from metasearch.search.build import build_search
from metasearch.search.planner import Search
from metasearch.search.trials import INTERRUPTED, LOST, Trial
from metasearch.stores.sqlite import SqliteStore
from metasearch_cli.local import gpus
from metasearch_cli.local.folder import RunFolder, open_search, recorded_ends, translated_disk_errors
from metasearch_cli.local.workers import Device, as_error, open_pool
from metasearch_trainer.process_pool import PoolFailure, ProcessPool
from metasearch_trainer.processes import Launcher

TURN_SECONDS = 0.1
LOOK_SECONDS = 1.0
"""The longest time between two plans, whether anything has happened or not. Limits on time are as exact as this."""

TOUCH_SECONDS = 5.0
"""The time between two records that the driver is still at work."""

PAUSE_SECONDS = 30.0
"""A longer time between two turns, in which this process computed nothing, is a pause: it was stopped, the machine was
asleep, or its clock was set."""

STOP_SECONDS = 10.0
"""The time that workers have to end by themselves, before they are killed."""


class Display(Protocol):
    """Shows the progress of a search."""

    def show(self, search: Search, step: Step, now: float) -> None: ...


@dataclass(frozen=True)
class Clock:
    """The clocks of a driver."""

    now: Callable[[], float] = time.time
    """Unix time in seconds."""
    monotonic: Callable[[], float] = time.monotonic
    cpu_seconds: Callable[[], float] = time.process_time
    """The time that this process has computed."""


def run(
    resource: MetaSearch,
    folder: RunFolder,
    workers: int,
    resume: bool,
    display: Display,
    launcher: Launcher,
    clock: Clock = Clock(),
) -> SearchResult:
    """
    Run a search to its end.

    Args:
        workers: processes that train.
        resume: go on with what the folder holds.
        launcher: starts the workers. The caller closes it.

    Raises:
        MetaSearchError: a sentence for the user. Everything recorded stays.
        KeyboardInterrupt: passed on, after the workers have ended; so is SystemExit.
    """
    folder.create()
    with translated_disk_errors(folder.path), folder.locked():
        store, row = open_search(folder, resource, resume, clock.now())
        _free_claims_of_the_dead(store, row.seen_at)
        store.begin_session(clock.now())
        # Read again, for the new session ends the pause since the last one.
        row = store.search() or row
        search = build_search(row.name, resource.spec, row.started_at, row.paused_seconds)
        # New for each driver, so that no claim of an earlier driver's worker is taken for one of ours.
        session = uuid.uuid4().hex[:8]
        pool = open_pool(folder.store, folder.logs, devices(workers), session, launcher, clock.monotonic)
        try:
            result = _Loop(search, store, pool, display, clock).until_over()
            # Of trainings that nothing has gone on from. Should the search go on one day, they are begun anew.
            folder.drop_checkpoints()
            return result
        except PoolFailure as failure:
            raise as_error(failure, folder.store, folder.logs) from failure
        finally:
            # All have ended before the first is released: a release may fail, and none may be left running.
            for worker in list(pool.stop(STOP_SECONDS)):
                store.release(str(worker), clock.now(), INTERRUPTED)
            store.touch_session(clock.now())
            store.close()


def devices(workers: int) -> list[Device]:
    """Return a device per worker: the GPUs in turn, or the CPU."""
    number = gpus.count()
    if number == 0:
        return [Device("cpu", 0.0)] * workers
    # Worker i trains on GPU i modulo their number; a budget in GPU-hours counts its share of that GPU.
    sharing = [len(range(gpu, workers, number)) for gpu in range(number)]
    return [Device(f"cuda:{index % number}", 1 / sharing[index % number]) for index in range(workers)]


class _Loop:
    def __init__(self, search: Search, store: SqliteStore, pool: ProcessPool, display: Display, clock: Clock) -> None:
        self.search, self.store, self.pool, self.display, self.clock = search, store, pool, display, clock
        self._touched = clock.monotonic()
        self._seen, self._computed = clock.now(), clock.cpu_seconds()

    def until_over(self) -> SearchResult:
        """Take turns until the plan says that the search is over."""
        while True:
            # Read before the turn, so that what a worker writes meanwhile ends the wait at once.
            version = self.store.version()
            self.leave_out_pause()
            step = reconcile(self.search, self.store, self.clock.now())
            for worker in _claimants(step.trials) - {str(worker) for worker in self.pool.workers}:
                # A killed driver's worker, on its way out, has claimed once more after all such claims were freed.
                self.store.release(worker, self.clock.now(), INTERRUPTED)
            self.display.show(self.search, step, self.clock.now())
            if step.plan.phase.is_over:
                return self._ended(step, self.clock.now())
            if not step.changed:
                self._wait_for_news(version)

    def leave_out_pause(self) -> None:
        """Leave out of what is spent the time in which this process did not run, as that between two runs is."""
        now, computed = self.clock.now(), self.clock.cpu_seconds()
        # A surrogate may compute for minutes, which does count.
        if now - self._seen - (computed - self._computed) > PAUSE_SECONDS:
            self.store.touch_session(self._seen)
            self.store.begin_session(now)
            if (row := self.store.search()) is not None:
                self.search = replace(self.search, paused_seconds=row.paused_seconds)
        self._seen, self._computed = now, computed

    def _ended(self, step: Step, now: float) -> SearchResult:
        """Record the end of the search, and summarize it."""
        ends = with_end(recorded_ends(self.store), end_of(self.search, step.trials, step.plan, now))
        self.store.replace_ends(each.model_dump_json(by_alias=True) for each in ends)
        return summarize(self.search, step.trials, step.plan, now, ends)

    def _wait_for_news(self, version: int) -> None:
        """Replace dead workers until one has written something, or a limit may have been reached."""
        deadline = self.clock.monotonic() + LOOK_SECONDS
        while True:
            for ended in self.pool.fill():
                self.store.release(str(ended.worker), self.clock.now(), LOST)
            if self.clock.monotonic() - self._touched >= TOUCH_SECONDS:
                self.store.touch_session(self.clock.now())
                self._touched = self.clock.monotonic()
            time.sleep(TURN_SECONDS)
            if self.store.version() != version or self.clock.monotonic() >= deadline:
                return


def _free_claims_of_the_dead(store: SqliteStore, ended_at: float) -> None:
    """
    Free what an earlier driver's workers hold; the folder is ours alone now, so there are no others.

    They count as having worked until that driver was last seen, not through the night that it was off.
    """
    for worker in _claimants(store.trials()):
        store.release(worker, ended_at, INTERRUPTED)


def _claimants(trials: Sequence[Trial]) -> set[str]:
    return {trial.holder for trial in trials if trial.holder is not None}
