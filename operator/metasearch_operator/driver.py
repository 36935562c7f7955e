"""
Drives one search: pass after pass, as long as it is there.

Nothing that matters is kept between passes; what is kept here only says when to look and write again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from metasearch.errors import MetaSearchError, StoreUnavailable
from metasearch_operator.notes import Note
from metasearch_operator.passes import Outcome, SearchGone
from metasearch_operator.reasons import ReadyReason
from metasearch_operator.troubles import Trouble

Json = dict[str, Any]

RESYNC_SECONDS = 15.0
"""How long nothing may happen before a search is looked at all the same, for what a copy may have missed."""

FIGURES_SECONDS = 20.0
"""How often a status is written of which only figures have changed."""

SETTLE_SECONDS = 0.2
"""Time for what happens together to arrive before it is looked at."""

REREAD_SECONDS = 300.0
"""After which a search that nobody told of is read: it may have gone, or changed, while nobody was watching."""

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
    read: Callable[[Json], Json]
    """The search as it is now; raises SearchGone."""
    run_in_thread: RunInThread
    tell: Callable[[Json, Note], None]
    """Post an event of the search."""
    clock: Callable[[], float]
    """Monotonic, in seconds."""
    resource: Json
    """The search as last seen."""

    news: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    """Set when something of the search has changed."""
    seen_at: float = field(init=False)
    failures: int = field(default=0, init=False)
    written_at: float = field(default=-math.inf, init=False)

    def __post_init__(self) -> None:
        self.seen_at = self.clock()

    def take_in(self, resource: Json) -> None:
        """The search was edited or written to."""
        self.resource, self.seen_at = resource, self.clock()
        self.news.set()

    async def drive(self) -> None:
        """Until cancelled, or the search is gone."""
        with contextlib.suppress(SearchGone):
            while True:
                self.news.clear()
                pause = await self.turn()
                if self.failures:  # news do not cut this short, for failing may itself make news
                    await asyncio.sleep(min(pause, MOST_DEAF_SECONDS))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.news.wait(), pause)
                await asyncio.sleep(SETTLE_SECONDS)

    async def turn(self) -> float:
        """
        One pass; returns how long to wait for the next where nothing happens.

        Raises:
            SearchGone: there is nothing to drive any more.
        """
        try:
            if self.clock() - self.seen_at >= REREAD_SECONDS:
                self.resource, self.seen_at = await self.run_in_thread(self.read, self.resource), self.clock()
            resource = self.resource  # another may come while this one is looked at
            outcome: Outcome = await self.run_in_thread(self.pass_over, resource)
            is_recorded = await self._publish(resource, outcome)
        except SearchGone:
            raise
        except StoreUnavailable as error:
            return self._failed(str(error))
        except Exception as error:
            logger.exception("the pass over %s failed", self._name)
            return await self._admit(error)
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
            self.tell(resource, note)
        return True

    async def _admit(self, error: Exception) -> float:
        """What was not foreseen is told where people look, and tried again."""
        said = str(error) if isinstance(error, MetaSearchError) else f"{type(error).__name__}: {error}"
        trouble = Trouble(ReadyReason.OPERATOR_ERROR, f"the operator cannot go on for now: {said}")
        try:
            await self._publish(self.resource, self.in_trouble(self.resource, trouble))
        except MetaSearchError as unpublished:
            logger.warning("%s: that cannot be written either: %s", self._name, unpublished)
        return self._failed(said)

    def _failed(self, message: str) -> float:
        pause = RETRY_SECONDS[min(self.failures, len(RETRY_SECONDS) - 1)]
        self.failures += 1
        logger.warning("%s: %s; trying again in %g s", self._name, message, pause)
        return pause

    @property
    def _name(self) -> str:
        return f"{self.resource['metadata']['namespace']}/{self.resource['metadata']['name']}"
