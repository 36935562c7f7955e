"""
A queue for workers that reach their store through a network: what was measured outlives an hour without it.

A local run has no need of it: its store is a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pydantic import ValidationError

from metasearch.cluster.api import Forbidden, Refused
from metasearch.errors import StoreUnavailable
from metasearch.retry import Backoff, Retry
from metasearch.search.trials import Progress, Reason, StaleClaim, State, Trial, TrialResult
from metasearch.stores.base import TrialQueue
from metasearch_trainer.process_output import log
from metasearch_trainer.spool import PendingResult, Spool

SEND_SECONDS = 600.0
"""Seconds for which one process tries to send a result. Then it ends, and the next one in its slot goes on."""

SEND_BACKOFF = Backoff(first=0.5, longest=30.0, jitter=0.25)

MAX_REFUSALS = 3
"""Retries after an answer that a result is not valid (422). One that the worker may not write (403) says nothing of the
result: rights that are missing now may be given back, as a server that is away comes back."""

REPORT_BACKOFF = Backoff(first=30.0, longest=600.0)
"""Pauses between written reports on one trial. They grow, so that a long trial costs few writes: all workers of all
searches write to one API server."""

STOP_CHECK_SECONDS = 5.0
"""The least seconds between two reads of whether a trial is to stop."""

MAX_WAITING_SHARE = 0.1
"""The share of a trial's time that its worker may wait for answers."""


class RemoteQueue(TrialQueue, Protocol):
    """The queue of a store that is reached through a network. It can also list the trials that a worker holds."""

    def look(self, claimed: Trial) -> Trial:
        """Read a claimed trial; raises StaleClaim where the claim is void."""
        ...

    def held_by(self, worker: str) -> Sequence[Trial]:
        """Return the trials that a worker has claimed."""
        ...


class RetryingQueue:
    """
    A `TrialQueue` over one that may be out of reach for a while.

    Meanwhile a worker finds no trials, goes on with the one it has, and keeps what it measured.
    """

    def __init__(self, store: RemoteQueue, spool: Spool, retry: Retry) -> None:
        self._store, self._spool, self._retry = store, spool, retry
        self._may_hold_claim = False
        self._refused_since: float | None = None
        self._schedule = ReportSchedule(0.0)

    def claim(self, worker: str, now: float, gpus: float) -> Trial | None:
        try:
            claimed = self._claimed_before(worker) or self._store.claim(worker, now, gpus)
        except StoreUnavailable:
            self._may_hold_claim = True  # the answer may have been lost, and not the claim
            return None
        except Forbidden as error:
            # Not at once the end of this process: three that end so end the pod, with what its other slots train.
            if not self._bears(error):
                raise
            return None
        self._may_hold_claim, self._refused_since = False, None
        self._schedule = ReportSchedule(self._retry.monotonic())
        return claimed

    def report(self, claimed: Trial, progress: Progress) -> Trial:
        asked, schedule = self._retry.monotonic(), self._schedule
        if asked < schedule.next_check:
            return claimed
        try:
            if asked >= schedule.next_report:
                schedule.reported(asked)  # before the request, so that one that fails is not repeated at once
                return self._store.report(claimed, progress)
            return self._store.look(claimed)
        except (StoreUnavailable, Refused, ValidationError):
            # Progress is only for people to watch. If what is wrong with it lasts, it is said of the result.
            return claimed
        finally:
            schedule.answered(asked, self._retry.monotonic())

    def complete(self, claimed: Trial, result: TrialResult, now: float) -> Trial:
        pending = PendingResult(claimed, result, now)
        self._spool.put(pending)
        return self._send(pending)

    def send_spooled(self) -> Trial | None:
        """Send what an earlier process of this slot could not; return the trial where it is on record now."""
        pending = self._spool.read()
        if pending is None:
            self._spool.clear()  # what cannot be read would be found unreadable by every process after this one
            return None
        try:
            return self._send(pending)
        except StaleClaim:
            return None

    def _bears(self, refusal: Forbidden) -> bool:
        """Return whether to wait for rights that are missing, for as long as one process tries to send a result."""
        now = self._retry.monotonic()
        if self._refused_since is None:
            self._refused_since = now
            log(f"no trial can be claimed ({refusal}); trying again for {SEND_SECONDS:.0f} s")
        return now - self._refused_since < SEND_SECONDS

    def _claimed_before(self, worker: str) -> Trial | None:
        # Only where a claim may have been made and its answer lost, since a list of trials is a costly request.
        held = self._store.held_by(worker) if self._may_hold_claim else ()
        return held[0] if held else None

    def _send(self, pending: PendingResult) -> Trial:
        """
        Send a result until it is on record, or void.

        Raises:
            StaleClaim: it is void.
            Refused: neither it nor a record that it was refused is accepted as valid.
            StoreUnavailable: there was no answer, or no right to write it, for so long; it is still in the spool.
        """
        try:
            trial = self._record(pending)
        except (StaleClaim, Refused):
            self._spool.clear()
            raise
        self._spool.clear()
        return trial

    def _record(self, pending: PendingResult) -> Trial:
        try:
            return self._complete(pending, pending.result)
        except (Refused, ValidationError) as error:
            refused = _as_refused(pending.result, error)
            log(f"{pending.claimed.name}: {refused.message}")
            return self._complete(pending, refused)

    def _complete(self, pending: PendingResult, result: TrialResult) -> Trial:
        # Not Retry.until_available: refusals are retried as well, on the same ladder of pauses.
        until, failures, refusals = self._retry.monotonic() + SEND_SECONDS, 0, 0
        while True:
            try:
                return self._store.complete(pending.claimed, result, pending.ended_at)
            except (StoreUnavailable, Forbidden) as error:
                if self._retry.monotonic() >= until:
                    raise StoreUnavailable(str(error)) from error
                if not failures:
                    log(f"the result of {pending.claimed.name} is not on record yet ({error}); trying again")
            except Refused:
                refusals += 1
                if refusals > MAX_REFUSALS:
                    raise
            self._retry.sleep(SEND_BACKOFF.pause(failures, self._retry.random()))
            failures += 1


class ReportSchedule:
    """Says when to read whether one trial is to stop, and when to write how far it is."""

    def __init__(self, began: float) -> None:
        """
        Args:
            began: when the trial was claimed, in seconds on a monotonic clock, as all times here.
        """
        self._reports = 0
        self.next_check = began + STOP_CHECK_SECONDS
        self.next_report = began + REPORT_BACKOFF.pause(0)

    def reported(self, now: float) -> None:
        self._reports += 1
        self.next_report = now + REPORT_BACKOFF.pause(self._reports)

    def answered(self, asked: float, answered: float) -> None:
        """Ask less often where answers are late, or do not come at all."""
        self.next_check = answered + max(STOP_CHECK_SECONDS, (answered - asked) / MAX_WAITING_SHARE)


def _as_refused(result: TrialResult, error: Exception) -> TrialResult:
    """Return what is recorded in place of a result that is not accepted; it is tried again as any failure is."""
    why = (
        "; ".join(f"{'.'.join(map(str, each['loc']))} {each['msg']}" for each in error.errors())
        if isinstance(error, ValidationError)
        else str(error)
    )
    return TrialResult(
        state=State.FAILED,
        reason=Reason.ERROR,
        message=f"the result was refused ({why})",
        device=result.device,
    )
