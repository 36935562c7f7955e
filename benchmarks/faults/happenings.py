"""Every fault that happens to the operator of the reference search, but for its crashes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from devcluster.api_proxy import Fault
from devcluster.operator_process import running_operator

from faults.api_faults import (
    ExpiredWatches,
    Latency,
    LostEvent,
    OldLists,
    Refusals,
    ShiftedClock,
    SilentWatches,
    UnansweredWrites,
)
from faults.reference import Happening, Run, Stage

HOUR = 3600.0


class Loss(Happening):
    """One event of a watch is lost."""

    group = "a watch event lost"

    def __init__(self, number: int) -> None:
        self.title = f"event {number}"
        self._fault = LostEvent(number)

    def before(self, stage: Stage) -> None:
        stage.proxy.fault = self._fault

    def during(self, stage: Stage, run: Run) -> str:  # noqa: ARG002
        run.search.wait_for(lambda: self._fault.what or run.search.is_over)
        return self._fault.what


@dataclass
class Trouble(Happening):
    """Something is wrong with all requests for a while, from the first round on."""

    title: str
    fault: Fault
    seconds: float = 60.0
    group: str = "the connection to the API server"

    def during(self, stage: Stage, run: Run) -> str:
        run.wait_for_first_round()
        with stage.proxy.having(self.fault):
            time.sleep(self.seconds)
        return ""


@dataclass
class OperatorTrouble(Happening):
    """Something is wrong with the operator for a while, from the first round on."""

    title: str
    seconds: float = 60.0
    group: str = "the operator"

    def during(self, stage: Stage, run: Run) -> str:
        run.wait_for_first_round()
        with self._trouble(stage):
            time.sleep(self.seconds)
        return ""

    def _trouble(self, stage: Stage) -> AbstractContextManager[None]:
        raise NotImplementedError


class Paused(OperatorTrouble):
    """It does nothing for a while, and goes on in the middle of what it did."""

    @contextmanager
    def _trouble(self, stage: Stage) -> Iterator[None]:
        stage.operator.pause()
        try:
            yield
        finally:
            stage.operator.resume()


class PausedBesideAnother(OperatorTrouble):
    """It does nothing for a while in which another takes its place, and wakes up when that one is still there."""

    @contextmanager
    def _trouble(self, stage: Stage) -> Iterator[None]:
        stage.operator.pause()
        try:
            with another_operator(stage):
                yield
                stage.operator.resume()
        finally:
            stage.operator.resume()


class Twofold(OperatorTrouble):
    """Another operator runs beside it."""

    @contextmanager
    def _trouble(self, stage: Stage) -> Iterator[None]:
        with another_operator(stage):
            yield


class Away(OperatorTrouble):
    """It is killed, and comes back after a while."""

    @contextmanager
    def _trouble(self, stage: Stage) -> Iterator[None]:
        stage.operator.kill()
        yield
        stage.operator.start()


@contextmanager
def another_operator(stage: Stage) -> Iterator[None]:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_operator(stage.proxy.access, Path(folder), [stage.namespace]),
    ):
        yield


def troubles() -> list[Happening]:
    """Return every fault that lasts."""
    minute = 60.0
    too_many = Refusals(429, "TooManyRequests", retry_after_seconds=1)
    return [
        Trouble("watches silent for a minute, and their connections dead", SilentWatches(), minute),
        Trouble("watches expired (410) at each event for a minute", ExpiredWatches(), minute),
        Trouble("lists a minute old, and no watch", OldLists(), minute),
        Trouble("writes made and not answered for a minute", UnansweredWrites(), minute),
        Trouble("429 with Retry-After for a minute", too_many, minute),
        Trouble("409 to every write for a minute", Refusals(409, "Conflict", only_writes=True), minute),
        Trouble("403 to everything for a minute", Refusals(403, "Forbidden"), minute),
        Trouble("500 to everything for 3 minutes", Refusals(500, "InternalError"), 3 * minute),
        Trouble("503 to everything for 3 minutes", Refusals(503, "ServiceUnavailable"), 3 * minute),
        Trouble("5 s of latency for 2 minutes", Latency(5), 2 * minute),
        Trouble("clock of the API server an hour ahead for a minute", ShiftedClock(HOUR), minute),
        Trouble("clock of the API server an hour behind for a minute", ShiftedClock(-HOUR), minute),
        Away("killed, and back after a minute", minute),
        Paused("suspended for a minute", minute),
        PausedBesideAnother("suspended for a minute in which another does its work", minute),
        Twofold("two at once for a minute", minute),
    ]
