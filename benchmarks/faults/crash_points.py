"""The operator killed with SIGKILL before, or after, one of its writes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from devcluster.api_proxy import ApiAnswer, ApiRequest, ConnectionCut, Fault

from faults.reference import Happening, Run, Stage, what_of

Moment = Literal["before", "after"]


@dataclass
class KillAtWrite(Fault):
    """
    Kills a process at the write of a number, counted from 1.

    Before: the API server never sees the write. After: it has made it, and the process never learns of that.
    """

    number: int
    moment: Moment
    kill: Callable[[], None]
    write: str = ""
    """The write at which the process was killed, once it was."""
    happened: threading.Event = field(default_factory=threading.Event)
    _written: int = 0

    async def on_request(self, request: ApiRequest) -> None:
        if request.is_write:
            self._written += 1
            if self.moment == "before" and self._written == self.number:
                self._kill(request)

    async def on_answer(self, request: ApiRequest, answer: ApiAnswer) -> ApiAnswer:
        # Several threads of a process may write at once: the first answer from the number on is the one.
        if self.moment == "after" and request.is_write and self._written >= self.number:
            self._kill(request)
        return answer

    def _kill(self, request: ApiRequest) -> None:
        if not self.happened.is_set():
            self.kill()
            self.write = what_of(request.method, request.path)
            self.happened.set()
            raise ConnectionCut


class Crash(Happening):
    """The operator is killed at a write, and started again at once."""

    def __init__(self, number: int, moment: Moment) -> None:
        self.group, self.title = f"operator killed {moment} a write", f"write {number}"
        self._number, self._moment = number, moment

    def before(self, stage: Stage) -> None:
        stage.proxy.fault = self._fault = KillAtWrite(self._number, self._moment, stage.operator.kill)

    def during(self, stage: Stage, run: Run) -> str:
        run.search.wait_for(lambda: self._fault.happened.is_set() or run.search.is_over)
        if self._fault.happened.is_set():
            stage.operator.start()
        return self._fault.write
