"""
A queue for workers that are far from their store: what was measured outlives an hour without it.

A result is written to the pod's disk before it is sent, and removed once it is on record or void. The process may be
killed in between: the next one in its slot sends it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError

from metasearch.cluster.api import Refused
from metasearch.errors import StoreUnavailable
from metasearch.search.trials import Progress, Reason, StaleClaim, State, Trial, TrialResult, trial_json
from metasearch.stores.base import TrialQueue
from metasearch_trainer.backoff import Backoff, Patience
from metasearch_trainer.endings import say

PATIENCE_SECONDS = 600.0
PAUSES = Backoff(first=0.5, most=30.0)

REFUSALS = 3
"""That are not believed: an API server that has just started may not know yet who may do what."""

REPORTS = Backoff(first=30.0, most=600.0)
"""Between one report on a trial that is written and the next: few, for long trials too, for all workers together."""

LOOK_SECONDS = 5.0
"""Between two looks whether a trial is to stop."""

LOOK_SHARE = 0.1
"""Of a worker's time that it may wait for answers while it has a trial."""

_result_json: TypeAdapter[TrialResult] = TypeAdapter(TrialResult)


class RemoteQueue(TrialQueue, Protocol):
    """What is asked of a store beyond what every queue has."""

    def look(self, claimed: Trial) -> Trial:
        """What has become of a claimed trial; raises StaleClaim where the claim is void."""
        ...

    def held_by(self, worker: str) -> Sequence[Trial]:
        """What a worker has claimed."""
        ...


@dataclass(frozen=True)
class Unsent:
    """A result that is not on record yet."""

    claimed: Trial
    result: TrialResult
    ended_at: float


class Spool:
    """One file for one slot."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, unsent: Unsent) -> None:
        """Keep a result; where the disk is full it is sent all the same."""
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("w", encoding="utf-8") as file:
                file.write(_to_text(unsent))
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.path)
        except OSError as error:
            say(f"{self.path} cannot be written ({error.strerror}), so a result may be lost with its worker")
            with suppress(OSError):
                partial.unlink()

    def read(self) -> Unsent | None:
        """What there is to send; nothing where the file cannot be read."""
        try:
            return _from_text(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError) as error:
            say(f"{self.path} cannot be read ({error}), so the result in it is lost")
            return None

    def clear(self) -> None:
        with suppress(OSError):  # there is none
            self.path.unlink()


class PatientQueue:
    """
    A `TrialQueue` over one that may be out of reach for a while.

    Without it a worker finds no trials, goes on with the one it has, and keeps what it measured.
    """

    def __init__(self, store: RemoteQueue, spool: Spool, patience: Patience) -> None:
        self._store, self._spool, self._patience = store, spool, patience
        self._may_hold = False
        self._watch = _Watch(0.0)

    def claim(self, worker: str, now: float, gpus: float) -> Trial | None:
        try:
            claimed = self._claimed_before(worker) or self._store.claim(worker, now, gpus)
        except StoreUnavailable:
            self._may_hold = True  # the answer may have been lost, and not the claim
            return None
        self._may_hold = False
        self._watch = _Watch(self._patience.monotonic())
        return claimed

    def report(self, claimed: Trial, progress: Progress) -> Trial:
        asked, watch = self._patience.monotonic(), self._watch
        if asked < watch.next_look:
            return claimed
        try:
            if asked >= watch.next_report:
                watch.reported(asked)
                return self._store.report(claimed, progress)
            return self._store.look(claimed)
        except (StoreUnavailable, Refused, ValidationError):  # what is wrong with it is said of the result, if it lasts
            return claimed
        finally:
            watch.looked(asked, self._patience.monotonic())

    def complete(self, claimed: Trial, result: TrialResult, now: float) -> Trial:
        unsent = Unsent(claimed, result, now)
        self._spool.put(unsent)
        return self._send(unsent)

    def send_spooled(self) -> Trial | None:
        """Send what an earlier process of this slot could not; returns the trial where it is on record now."""
        unsent = self._spool.read()
        if unsent is None:
            self._spool.clear()
            return None
        try:
            return self._send(unsent)
        except StaleClaim:
            return None

    def _claimed_before(self, worker: str) -> Trial | None:
        held = self._store.held_by(worker) if self._may_hold else ()
        return held[0] if held else None

    def _send(self, unsent: Unsent) -> Trial:
        """
        Until it is on record, or void.

        Raises:
            StaleClaim: it is void.
            Refused: neither it nor a word that it was refused is accepted.
            StoreUnavailable: there was no answer for so long; it is still in the spool.
        """
        try:
            trial = self._recorded(unsent)
        except (StaleClaim, Refused):
            self._spool.clear()
            raise
        self._spool.clear()
        return trial

    def _recorded(self, unsent: Unsent) -> Trial:
        try:
            return self._patiently(unsent, unsent.result)
        except (Refused, ValidationError) as error:
            refused = _as_refused(unsent.result, error)
            say(f"{unsent.claimed.name}: {refused.message}")
            return self._patiently(unsent, refused)

    def _patiently(self, unsent: Unsent, result: TrialResult) -> Trial:
        until, failures, refusals = self._patience.monotonic() + PATIENCE_SECONDS, 0, 0
        while True:
            try:
                return self._store.complete(unsent.claimed, result, unsent.ended_at)
            except StoreUnavailable as error:
                if self._patience.monotonic() >= until:
                    raise
                if not failures:
                    say(f"the result of {unsent.claimed.name} is not on record yet ({error}); trying again")
            except Refused:
                refusals += 1
                if refusals > REFUSALS:
                    raise
            self._patience.wait(PAUSES.pause(failures, self._patience.chance()))
            failures += 1


class _Watch:
    """When to ask after a trial, and when to say how far it is."""

    def __init__(self, began: float) -> None:
        self._reports = 0
        self.next_look = began + LOOK_SECONDS
        self.next_report = began + REPORTS.first

    def reported(self, now: float) -> None:
        self._reports += 1
        self.next_report = now + REPORTS.pause(self._reports, chance=0.5)

    def looked(self, asked: float, answered: float) -> None:
        """A store that answers late, or not at all, is asked less often."""
        self.next_look = answered + max(LOOK_SECONDS, (answered - asked) / LOOK_SHARE)


def _as_refused(result: TrialResult, error: Exception) -> TrialResult:
    """What is put on record in place of a result that is not accepted; it is tried again as any failure is."""
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


def _to_text(unsent: Unsent) -> str:
    """JSON as Python has it: a result may hold numbers that are none."""
    fields: dict[str, Any] = {
        "claimed": trial_json.dump_python(unsent.claimed, mode="json"),
        "result": _result_json.dump_python(unsent.result, mode="json"),
        "endedAt": unsent.ended_at,
    }
    return json.dumps(fields)


def _from_text(text: str) -> Unsent:
    fields = json.loads(text)
    return Unsent(
        trial_json.validate_python(fields["claimed"]),
        _result_json.validate_python(fields["result"]),
        float(fields["endedAt"]),
    )
