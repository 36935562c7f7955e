"""
The first process of a worker pod. It starts a process in every slot, replaces those that end, and ends with them.

What a slot's process says by the way it ends:

    75                 a fresh one is to take over
    2, 3               the spec or the data are wrong: so they are for every process, and the pod ends
    5                  the storage, or the pod's disk, cannot be used: the pod ends, unless a result waits to be sent
    SIGKILL            the kernel, for lack of memory, or a person: the trial is failed or lost, and a fresh one starts
    anything else      a fault; a fresh one starts, but not again and again
"""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence

from metasearch.errors import InvalidData, InvalidSpec, StoreUnavailable
from metasearch.search.trials import INTERRUPTED, LOST, TrialResult
from metasearch_trainer.endings import RECYCLED, say
from metasearch_trainer.leaving import Leaving
from metasearch_trainer.pod.claims import OUT_OF_MEMORY, Claims, Ended
from metasearch_trainer.pod.heartbeat import Heartbeat
from metasearch_trainer.pod.kernel import OomKills
from metasearch_trainer.pod.settings import Settings
from metasearch_trainer.pod.slots import Slot
from metasearch_trainer.spool import Spool

LOOK_SECONDS = 0.25

SLOTS_SECONDS = 12.0
"""That slots get to end by themselves."""

LEAVE_SECONDS = 22.0
"""In which everything must be settled; Kubernetes gives 30."""

SHORT_LIFE_SECONDS = 20.0
FAILED_STARTS = 3
"""Processes that may end at once, one after another, before it is taken to be no accident."""

MENDED_BY_A_PERSON = (InvalidSpec.exit_code, InvalidData.exit_code)
ENDS_GENTLY = (0, RECYCLED, StoreUnavailable.exit_code)


class PodEnds(Exception):
    """There is no use in going on; the text is for the pod's termination message."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Supervisor:
    """Keeps the slots of one pod filled."""

    def __init__(
        self,
        settings: Settings,
        slots: Sequence[Slot],
        claims: Claims,
        heartbeat: Heartbeat,
        leaving: Leaving,
        oom: OomKills,
    ) -> None:
        self._settings, self._slots, self._claims = settings, slots, claims
        self._heartbeat, self._leaving, self._oom = heartbeat, leaving, oom
        self._futile = 0

    def run(self) -> int:
        """
        Until told to leave, or the search is gone; returns the pod's exit code.

        Raises:
            PodEnds: the slots cannot work here.
        """
        self._claims.start()
        self._heartbeat.start()
        for slot in self._slots:
            slot.start(self._oom.now())
        try:
            while not (self._leaving.wait(LOOK_SECONDS) or self._heartbeat.is_search_gone):
                for slot in self._slots:
                    if (code := slot.exit_code()) is not None:
                        self._replace(slot, code)
            say("the search is gone" if self._heartbeat.is_search_gone else "told to leave")
        finally:
            self._end_all()
        return RECYCLED

    def _replace(self, slot: Slot, code: int) -> None:
        """Have the claims of a process settled that has ended, and start another in its slot."""
        spool = Spool(self._settings.spool(slot.index))
        self._require_use(slot, code, spool)
        outcome = self._outcome(slot, code)
        self._claims.add(Ended(slot.worker, spool, outcome))
        say(f"slot {slot.index}: {slot.worker} ended {_manner(code, outcome)}; a fresh process takes its place")
        slot.start(self._oom.now())

    def _outcome(self, slot: Slot, code: int) -> str | TrialResult:
        if code in ENDS_GENTLY:
            return INTERRUPTED
        if code == -signal.SIGKILL and self._oom.explain(slot.oom_kills_at_start):
            return OUT_OF_MEMORY
        return LOST

    def _require_use(self, slot: Slot, code: int, spool: Spool) -> None:
        """See that there is any use in another process."""
        if code in MENDED_BY_A_PERSON or (code == StoreUnavailable.exit_code and spool.read() is None):
            raise PodEnds(code, slot.last_words)
        if not _is_futile(slot, code):
            self._futile = 0
            return
        self._futile += 1
        if self._futile >= FAILED_STARTS:
            printed = slot.last_words or "it printed nothing"
            raise PodEnds(max(code, 1), f"slots end as soon as they are started, the last one {_by(code)}: {printed}")

    def _end_all(self) -> None:
        """Gently, then not; then free what they held, and send what they could not."""
        began = time.monotonic()
        for slot in self._slots:
            slot.terminate()
        for slot in self._slots:
            slot.kill_after(began + SLOTS_SECONDS - time.monotonic())
            spool = Spool(self._settings.spool(slot.index))
            self._claims.add(Ended(slot.worker, spool, INTERRUPTED, is_last=True))
        self._claims.wait_until_settled(began + LEAVE_SECONDS - time.monotonic())


def _by(code: int) -> str:
    return f"with {code}" if code >= 0 else f"by {signal.Signals(-code).name}"


def _manner(code: int, outcome: str | TrialResult) -> str:
    """For the log: how a process ended, and how the kernel had its part in it."""
    return f"{_by(code)}, for lack of memory" if isinstance(outcome, TrialResult) else _by(code)


def _is_futile(slot: Slot, code: int) -> bool:
    """Whether a process ended without having come to anything."""
    if code == RECYCLED:
        return False
    if not slot.is_ready:
        return True
    return code >= 0 and slot.age_seconds < SHORT_LIFE_SECONDS
