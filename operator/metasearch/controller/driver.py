"""
Drives one search: pass after pass, as long as it is there.

Nothing that matters is kept between passes; what is kept here only says when to look and write again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from metasearch.controller.notes import Note
from metasearch.controller.passes import Outcome, SearchGone
from metasearch.controller.reasons import ReadyReason
from metasearch.controller.troubles import Trouble
from metasearch.errors import MetaSearchError, StoreUnavailable

Json = dict[str, Any]

RESYNC_SECONDS = 15.0
"""How long nothing may happen before a search is looked at all the same, for what a copy may have missed."""

FIGURES_SECONDS = 15.0
"""How often a status is written of which only figures have changed."""

SETTLE_SECONDS = 0.2
"""Time for what happens together to arrive before it is looked at."""

RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Pauses after passes that failed in a row."""

MOST_DEAF_SECONDS = 10.0
"""How much of such a pause no news may cut short."""

logger = logging.getLogger(__name__)

RunInThread = Callable[..., Awaitable[Any]]


@dataclass
class Driver:
    """One search's."""

    pass_over: Callable[[Json], Outcome]
    in_trouble: Callable[[Json, Trouble], Outcome]
    record: Callable[[Json, Json], bool]
    """As the functions of `passes`; each may wait for the API server."""
    news: asyncio.Event
    """Set when something of the search has changed."""
    run_in_thread: RunInThread
    tell: Callable[[Note], None]
    """Post an event of the resource."""
    clock: Callable[[], float]
    """Monotonic, in seconds."""

    failures: int = 0
    written_at: float = float("-inf")

    async def drive(self, resource: Callable[[], Json]) -> None:
        """Until cancelled, or the search is gone; `resource` gives it as it is now."""
        while True:
            self.news.clear()
            try:
                pause = await self.turn(resource())
            except SearchGone:  # with our finalizer taken off by hand, and unseen
                return
            if self.failures:  # news do not cut this short, for failing may itself make news
                await asyncio.sleep(min(pause, MOST_DEAF_SECONDS))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.news.wait(), pause)
            await asyncio.sleep(SETTLE_SECONDS)

    async def turn(self, resource: Json) -> float:
        """One pass; returns how long to wait for the next where nothing happens."""
        try:
            outcome: Outcome = await self.run_in_thread(self.pass_over, resource)
            is_recorded = await self._publish(resource, outcome)
        except SearchGone:
            raise
        except StoreUnavailable as error:
            return self._failed(resource, str(error))
        except Exception as error:
            logger.exception("the pass over %s failed", _named(resource))
            return await self._admit(resource, error)
        self.failures = 0
        return min(RESYNC_SECONDS, outcome.look_again_seconds) if is_recorded else RETRY_SECONDS[0]

    async def _publish(self, resource: Json, outcome: Outcome) -> bool:
        """Write the status where that is due, and tell of it once it is written; False where the search has changed."""
        if outcome.status == resource.get("status", {}):
            return True
        if not outcome.is_news and self.clock() - self.written_at < FIGURES_SECONDS:
            return True
        if not await self.run_in_thread(self.record, resource, outcome.status):
            return False
        self.written_at = self.clock()
        for note in outcome.notes:
            self.tell(note)
        return True

    async def _admit(self, resource: Json, error: Exception) -> float:
        """What was not foreseen is told where people look, and tried again."""
        said = str(error) if isinstance(error, MetaSearchError) else f"{type(error).__name__}: {error}"
        trouble = Trouble(ReadyReason.OPERATOR_ERROR, f"the operator cannot go on for now: {said}")
        try:
            await self._publish(resource, self.in_trouble(resource, trouble))
        except MetaSearchError as unpublished:
            logger.warning("%s: that cannot be written either: %s", _named(resource), unpublished)
        return self._failed(resource, said)

    def _failed(self, resource: Json, message: str) -> float:
        pause = RETRY_SECONDS[min(self.failures, len(RETRY_SECONDS) - 1)]
        self.failures += 1
        logger.warning("%s: %s; trying again in %g s", _named(resource), message, pause)
        return pause


def _named(resource: Json) -> str:
    return f"{resource['metadata']['namespace']}/{resource['metadata']['name']}"
