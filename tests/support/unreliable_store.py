"""A real store behind a fake connection that a test can cut."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from virtual_clock import VirtualClock

from metasearch.cluster.api import Forbidden, Refused
from metasearch.errors import StoreUnavailable
from metasearch.search import trials
from metasearch.search.trials import Progress, Trial, TrialResult
from metasearch.stores.sqlite import SqliteStore


class UnreliableStore(SqliteStore):
    """A SQLite store that fails on demand and records what was written to it."""

    def __init__(self, path: Path, clock: VirtualClock) -> None:
        super().__init__(path, max_attempts=2)
        self._clock = clock
        self.is_cut = self.loses_answers = self.forbids = False
        self.answer_seconds = 0.0
        self.refusals = 0
        self.writes: list[str] = []
        self.looks = 0

    def recorded(self, name: str) -> Trial:
        """Read a trial as it is, whether the line is cut or not."""
        return {trial.name: trial for trial in self.trials()}[name]

    def claim(self, worker: str, now: float, gpus: float) -> Trial | None:
        self._pass("claim")
        claimed = super().claim(worker, now, gpus)
        self._answer()
        return claimed

    def report(self, claimed: Trial, progress: Progress) -> Trial:
        self._pass("report")
        return super().report(claimed, progress)

    def look(self, claimed: Trial) -> Trial:
        self._pass()
        self.looks += 1
        return trials.require_current(self.recorded(claimed.name), claimed.epoch)

    def held_by(self, worker: str) -> Sequence[Trial]:
        self._pass()
        return [trial for trial in self.trials() if trial.holder == worker]

    def release_trial(self, name: str, worker: str, now: float, outcome: str) -> None:
        self._pass("release")
        assert self.recorded(name).holder == worker
        super().release(worker, now, outcome)

    def complete(self, claimed: Trial, result: TrialResult, now: float) -> Trial:
        self._pass("complete")
        if self.refusals or (result.score is not None and result.score != result.score):
            self.refusals = max(0, self.refusals - 1)
            raise Refused("status.result.score must be a number")
        completed = super().complete(claimed, result, now)
        self._answer()
        return completed

    def _pass(self, write: str | None = None) -> None:
        self._clock.time += self.answer_seconds
        if self.is_cut:
            raise StoreUnavailable("cut")
        if self.forbids:
            raise Forbidden("may not")
        if write is not None:
            self.writes.append(write)

    def _answer(self) -> None:
        if self.loses_answers:
            self.loses_answers = False
            raise StoreUnavailable("the answer is lost")
