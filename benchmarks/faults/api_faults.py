"""The connection between operator and API server at fault: what it loses, delays, refuses and repeats."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from devcluster.api_proxy import ApiAnswer, ApiRequest, ConnectionCut, Fault, refusal

from faults.reference import what_of

Json = dict[str, Any]


@dataclass
class LostEvent(Fault):
    """The event of a number, counted from 1 over all watches, is lost, and its watch goes on."""

    number: int
    what: str = ""
    """The event, once it was lost: "MODIFIED metatrials"."""
    _seen: int = 0

    async def on_watch_event(self, request: ApiRequest, event: Json) -> Json | None:
        if event["type"] == "BOOKMARK":
            return event
        self._seen += 1
        if self._seen != self.number:
            return event
        self.what = what_of(event["type"], request.path)
        return None


class SilentWatches(Fault):
    """No watch that is open, or opened, says anything more, and its connection stays."""

    async def on_watch_event(self, request: ApiRequest, event: Json) -> Json | None:  # noqa: ARG002
        return await asyncio.Event().wait() and None


class ExpiredWatches(Fault):
    """Each watch ends at its next event with an error 410, as when its version is too old."""

    async def on_watch_event(self, request: ApiRequest, event: Json) -> Json | None:  # noqa: ARG002
        if "object" in event and event["type"] != "ERROR":
            return {"type": "ERROR", "object": json.loads(refusal(410, "Expired", "too old resource version").body)}
        return event


@dataclass
class OldLists(Fault):
    """Every list is answered as the first time, as by an API server whose cache is behind; watches are silent."""

    _first: dict[tuple[str, str], ApiAnswer] = field(default_factory=dict)

    async def on_answer(self, request: ApiRequest, answer: ApiAnswer) -> ApiAnswer:
        if not request.is_list or answer.status != 200:
            return answer
        return self._first.setdefault((request.path, str(sorted(request.query.items()))), answer)

    async def on_watch_event(self, request: ApiRequest, event: Json) -> Json | None:  # noqa: ARG002
        raise ConnectionCut


class UnansweredWrites(Fault):
    """The API server makes each write, and the connection is cut before its answer."""

    async def on_answer(self, request: ApiRequest, answer: ApiAnswer) -> ApiAnswer:
        if request.is_write:
            raise ConnectionCut
        return answer


@dataclass(frozen=True)
class Refusals(Fault):
    """Every request, or every write, is answered with an error."""

    code: int
    reason: str
    only_writes: bool = False
    retry_after_seconds: int | None = None

    async def on_request(self, request: ApiRequest) -> ApiAnswer | None:
        if self.only_writes and not request.is_write:
            return None
        after = {} if self.retry_after_seconds is None else {"Retry-After": str(self.retry_after_seconds)}
        return refusal(self.code, self.reason, f"refused by a test with {self.code}", after)

    async def on_watch_event(self, request: ApiRequest, event: Json) -> Json | None:  # noqa: ARG002
        # An API server that refuses all requests has let go of its watches, too.
        if self.only_writes:
            return event
        raise ConnectionCut


@dataclass(frozen=True)
class Latency(Fault):
    """Every request waits."""

    seconds: float

    async def on_request(self, request: ApiRequest) -> None:  # noqa: ARG002
        await asyncio.sleep(self.seconds)


@dataclass(frozen=True)
class ShiftedClock(Fault):
    """The API server's clock, which the operator goes by, is wrong."""

    seconds: float

    async def on_answer(self, request: ApiRequest, answer: ApiAnswer) -> ApiAnswer:  # noqa: ARG002
        date = parsedate_to_datetime(answer.headers["Date"]) + timedelta(seconds=self.seconds)
        return replace(answer, headers={**answer.headers, "Date": format_datetime(date, usegmt=True)})
