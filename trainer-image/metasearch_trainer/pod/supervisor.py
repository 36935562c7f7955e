"""
The first process of a worker pod. It starts a process in every slot, replaces those that end, and ends with them.

The exit code of a slot's process says what to do:

    75                 start a fresh one
    2, 3               the spec or the data are wrong: so they are for every process, and the pod ends
    5                  the storage, or the pod's disk, cannot be used: the pod ends, unless a result waits to be sent
    SIGKILL            the kernel, for lack of memory, a person, or this process, since it gave no sign of life: the
                       trial is failed or lost, and a fresh one starts
    anything else      a fault; a fresh one starts, but not again and again
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from metasearch.errors import InvalidData, InvalidSpec, StoreUnavailable
from metasearch.exit_codes import EXIT_RESTART
from metasearch.search.trials import INTERRUPTED, LOST, TrialResult
from metasearch.worker_names import WorkerName
from metasearch_trainer.pod.heartbeat import Heartbeat
from metasearch_trainer.pod.oom_kills import OomKills
from metasearch_trainer.pod.release_claims import OUT_OF_MEMORY, ClaimReleaser, EndedWorker
from metasearch_trainer.pod.settings import Pod, Settings
from metasearch_trainer.process_output import RelayedOutput, log
from metasearch_trainer.process_pool import EndedProcess, PoolFailure, ProcessPool, manner_of
from metasearch_trainer.processes import Launcher, Program
from metasearch_trainer.shutdown import ShutdownSignal
from metasearch_trainer.signs_of_life import last_sign
from metasearch_trainer.spool import Spool

SLOT_MODULE = "metasearch_trainer.pod.slot"

POLL_SECONDS = 0.25

SLOTS_SECONDS = 12.0
"""Slots that take longer to end by themselves are killed."""

SHUTDOWN_SECONDS = 22.0
"""The deadline of the whole shutdown; terminationGracePeriodSeconds is 30."""

MENDED_BY_A_PERSON = (InvalidSpec.exit_code, InvalidData.exit_code)
ENDS_IN_ORDER = (0, EXIT_RESTART, StoreUnavailable.exit_code)
"""Exit codes of a process that let go of its trial by itself, so that its attempt does not count as lost."""


class PodFailure(Exception):
    """The pod cannot work; the text is for its termination message."""

    def __init__(self, exit_code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


def open_pool(
    settings: Settings, pod: Pod, launcher: Launcher, clock: Callable[[], float] = time.monotonic
) -> ProcessPool:
    """Return the processes of a pod's slots; none runs yet."""

    def program(worker: WorkerName) -> Program:
        # What an earlier process of the name left: a container that is restarted in place begins to count anew.
        settings.ready(worker).unlink(missing_ok=True)
        settings.alive(worker).unlink(missing_ok=True)
        arguments = [*settings.to_arguments(), "--worker", str(worker)]
        return Program(SLOT_MODULE, arguments, title=f"slot-{worker.slot}-{worker.start}")

    def is_fatal(slot: int, code: int) -> bool:
        if code == StoreUnavailable.exit_code:
            # With a result in there, the next process goes on trying to send it.
            return Spool(settings.spool(slot)).read() is None
        return code in MENDED_BY_A_PERSON

    def sign_of(worker: WorkerName) -> int | None:
        # The images of a large data set take their time to load, during which a process gives no signs.
        return last_sign(settings.alive(worker)) if settings.ready(worker).exists() else None

    return ProcessPool(
        pod.name,
        program,
        [RelayedOutput(f"slot {slot}: ") for slot in range(settings.slots)],
        launcher,
        is_ready=lambda worker: settings.ready(worker).exists(),
        is_fatal=is_fatal,
        last_sign=sign_of,
        hung_seconds=settings.hung_seconds,
        clock=clock,
    )


class Supervisor:
    """Keeps the slots of one pod filled."""

    def __init__(
        self,
        settings: Settings,
        pool: ProcessPool,
        releaser: ClaimReleaser,
        heartbeat: Heartbeat,
        shutdown: ShutdownSignal,
        oom: OomKills,
    ) -> None:
        self._settings, self._pool, self._releaser = settings, pool, releaser
        self._heartbeat, self._shutdown, self._oom = heartbeat, shutdown, oom
        # What the kernel had counted when each slot's process began: it tells whether that process was killed.
        self._oom_kills_at_start = [oom.now()] * len(pool)

    def run(self) -> int:
        """
        Keep slots filled until told to shut down, or the search is gone; return the pod's exit code.

        It is 0 where the search is gone, and EXIT_RESTART where another pod is to go on.

        Raises:
            PodFailure: the slots cannot work here.
        """
        self._releaser.start()
        self._heartbeat.start()
        try:
            self._fill_slots()
            while not (self._shutdown.wait(POLL_SECONDS) or self._heartbeat.is_search_gone):
                self._fill_slots()
            is_gone = self._heartbeat.is_search_gone
            log("the search is gone" if is_gone else "told to shut down")
        except PoolFailure as failure:
            # The code of a process that a signal ended is negative, and nothing can exit with that.
            raise PodFailure(max(failure.code, 1), failure.sentence) from failure
        finally:
            self._stop()
        # A Job with a pod that ended with 0 makes no more, whether somebody deletes it or not.
        return 0 if is_gone else EXIT_RESTART

    def _fill_slots(self) -> None:
        """Start processes where none run, and have the claims of those that ended released."""
        for ended in self._pool.fill():
            outcome = self._outcome(ended)
            self._releaser.add(EndedWorker(str(ended.worker), Spool(self._settings.spool(ended.slot)), outcome))
            manner = f"{manner_of(ended.code)}{_cause(ended, outcome)}"
            log(f"slot {ended.slot}: {ended.worker} ended {manner}; a fresh process takes its place")
            # Counted here, since `fill` starts the successor only when it is resumed after this turn of the loop.
            self._oom_kills_at_start[ended.slot] = self._oom.now()

    def _outcome(self, ended: EndedProcess) -> str | TrialResult:
        """Return how the attempt ended that the process was at."""
        if ended.code in ENDS_IN_ORDER:
            return INTERRUPTED
        if ended.silent_seconds is not None:
            return LOST
        if ended.code == -signal.SIGKILL and self._oom.explain(self._oom_kills_at_start[ended.slot]):
            return OUT_OF_MEMORY
        return LOST

    def _stop(self) -> None:
        """End the slots; then release what they held, and send results that they could not."""
        began = time.monotonic()
        for worker in self._pool.stop(SLOTS_SECONDS):
            spool = Spool(self._settings.spool(worker.slot))
            self._releaser.add(EndedWorker(str(worker), spool, INTERRUPTED, is_last=True))
        self._releaser.wait_until_released(began + SHUTDOWN_SECONDS - time.monotonic())


def _cause(ended: EndedProcess, outcome: str | TrialResult) -> str:
    """Say why a process was killed, where that is known."""
    if ended.silent_seconds is not None:
        return f", for it had given no sign of life for {ended.silent_seconds:.0f} s"
    return ", for lack of memory" if isinstance(outcome, TrialResult) else ""
