"""
A task per MetaSearch, which reconciles it again and again for as long as it exists.

Nothing that matters is remembered between two reconciles; what is kept here only decides when to reconcile and when to
write the status.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from metasearch.cluster.reflector import SearchKey, is_newer
from metasearch.errors import MetaSearchError, StoreUnavailable
from metasearch.kubernetes.ownership import is_managed_elsewhere, is_terminating
from metasearch.kubernetes.search_status import SearchStatus
from metasearch.retry import Backoff
from metasearch_operator.conditions import has_ended
from metasearch_operator.diagnosis import Problem
from metasearch_operator.events import Event
from metasearch_operator.reasons import ReadyReason
from metasearch_operator.reconciler import ReconcileResult
from metasearch_operator.searches import SearchGone, recorded_status, search_key, status_json

Json = dict[str, Any]

RESYNC_SECONDS = 15.0
"""Longest time between two reconciles of a search, for changes that the cache may have missed."""

FIGURES_SECONDS = 20.0
"""Shortest time between two writes of a status of which only figures have changed."""

SETTLE_SECONDS = 0.2
"""Time to wait after a change before reconciling, for changes come in bursts: a Job, its pod, the pod's node."""

RETRY_BACKOFF = Backoff(first=1.0, longest=60.0)
"""Pauses after several failed reconciles in a row."""

MIN_RETRY_SECONDS = 10.0
"""Part of such a pause that no change cuts short; pauses that are shorter are not cut short at all."""

logger = logging.getLogger(__name__)

RunInThread = Callable[..., Awaitable[Any]]


@dataclass
class SearchLoop:
    """The reconcile loop of one search."""

    reconcile: Callable[[Json], ReconcileResult]
    report_problem: Callable[[Json, Problem], ReconcileResult]
    """Methods of `Reconciler`. The first waits for the API server."""
    write_status: Callable[[Json, SearchStatus], bool]
    """`searches.write_status` for one API server, which it waits for."""
    run_in_thread: RunInThread
    post: Callable[[Json, Event], None]
    """Posts an event of the search. It waits for the API server, and does not fail."""
    show: Callable[[Json, ReconcileResult], None]
    """Expose the search's metrics."""
    clock: Callable[[], float]
    """Monotonic, in seconds."""
    resource: Json
    """The search as last seen."""

    changed: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    """Set when the search, or anything that belongs to it, has changed."""
    failures: int = field(default=0, init=False)
    """Failed reconciles in a row."""
    written_at: float = field(default=-math.inf, init=False)
    """Time at which a status was last written, on the clock."""

    def update(self, resource: Json) -> None:
        """Take a newer version of the search, and wake the loop."""
        self.resource = resource
        self.changed.set()

    async def run(self) -> None:
        """Reconcile until cancelled, or until the search is gone."""
        with contextlib.suppress(SearchGone):
            while True:
                # Cleared before the reconcile, not after: a change that comes during it must cause another one.
                self.changed.clear()
                pause = await self.reconcile_once()
                if self.failures:
                    # Do not wake early: our own write of the failure triggers a watch event, and with it a hot loop.
                    await asyncio.sleep(min(pause, MIN_RETRY_SECONDS))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.changed.wait(), pause)
                await asyncio.sleep(SETTLE_SECONDS)

    async def reconcile_once(self) -> float:
        """
        Reconcile, write the status and post events; return the seconds to wait for the next time if nothing changes.

        Raises:
            SearchGone: the search no longer exists.
        """
        try:
            resource = self.resource  # one version for all of this: `update` may replace it while a thread works
            result: ReconcileResult = await self.run_in_thread(self.reconcile, resource)
            is_current = await self._publish(resource, result)
        except SearchGone:
            raise
        except StoreUnavailable as error:
            # It passes by itself, and the status could not be written now anyway.
            return self._failed(str(error))
        except MetaSearchError as error:  # such as rights that are gone: its sentence says it all
            return await self._report_error(error)
        except Exception as error:
            logger.exception("the reconcile of %s failed", self._name)
            return await self._report_error(error)
        self.show(resource, result)
        self.failures = 0
        return min(RESYNC_SECONDS, result.requeue_after_seconds) if is_current else RETRY_BACKOFF.first

    async def _publish(self, resource: Json, result: ReconcileResult) -> bool:
        """Write the status where that is due, and then post its events; return False if the search has changed."""
        if status_json(result.status) == resource.get("status", {}):
            return True
        if not result.is_urgent and self.clock() - self.written_at < FIGURES_SECONDS:
            return True
        if not await self.run_in_thread(self.write_status, resource, result.status):
            return False
        self.written_at = self.clock()
        # After the write: events are computed from the status on record, so posting them first would repeat them.
        for event in result.events:
            await self.run_in_thread(self.post, resource, event)
        return True

    async def _report_error(self, error: Exception) -> float:
        """Write an unexpected error to the conditions, where people look; return the seconds until a retry."""
        message = str(error) if isinstance(error, MetaSearchError) else f"{type(error).__name__}: {error}"
        problem = Problem(ReadyReason.OPERATOR_ERROR, f"the operator cannot go on for now: {message}")
        try:
            result = self.report_problem(self.resource, problem)
            self.show(self.resource, result)
            await self._publish(self.resource, result)
        except MetaSearchError as unpublished:
            logger.warning("%s: that cannot be written either: %s", self._name, unpublished)
        return self._failed(message)

    def _failed(self, message: str) -> float:
        pause = RETRY_BACKOFF.pause(self.failures)
        self.failures += 1
        logger.warning("%s: %s; trying again in %g s", self._name, message, pause)
        return pause

    @property
    def _name(self) -> str:
        return "/".join(search_key(self.resource))


@dataclass(frozen=True)
class SearchTask:
    """A search's loop and the task that runs it."""

    loop: SearchLoop
    task: asyncio.Task[None]


class SearchTasks:
    """
    The tasks of all searches that exist.

    Everything here is called from the event loop, so it needs no lock. A search may be edited or vanish at any moment,
    and has no finalizer to hold it back: what it owns is removed by owner references, with whatever a last reconcile
    still made.
    """

    def __init__(self, make_loop: Callable[[Json], SearchLoop], on_gone: Callable[[SearchKey], None]) -> None:
        """
        Args:
            on_gone: called with a search that is not reconciled any more.
        """
        self._make_loop, self._on_gone = make_loop, on_gone
        self._tasks: dict[SearchKey, SearchTask] = {}

    def upsert(self, resource: Json) -> None:
        """
        Start a search's task, or hand it a newer version of the search; end it if the search is being deleted.

        One that another controller runs has no task: whose it is cannot change.
        """
        key = search_key(resource)
        if is_terminating(resource):
            # A foreground deletion waits for all that the search owns: to make more might hold it up for ever.
            self.remove(key)
        elif is_managed_elsewhere(resource):
            return
        elif known := self._tasks.get(key):
            known.loop.update(resource)
        else:
            loop = self._make_loop(resource)
            task = asyncio.get_running_loop().create_task(loop.run(), name=f"reconcile {'/'.join(key)}")
            self._tasks[key] = SearchTask(loop, task)
            task.add_done_callback(lambda _: self._drop(key, task))

    def replace(self, namespace: str | None, listed: Sequence[Json], version: str) -> None:
        """
        Take over what a list of the searches says that no event has said.

        Args:
            namespace: the one that was listed; None for all.
            version: that of the list. What is newer than this has come since.
        """
        found = {search_key(resource): resource for resource in listed}
        for key, known in list(self._tasks.items()):
            is_listed = key in found or namespace not in (None, key[0])
            if not is_listed and not is_newer(_version(known.loop.resource), version):
                self.remove(key)
        for key, resource in found.items():
            mine = self._tasks.get(key)
            if mine is None or is_newer(_version(resource), _version(mine.loop.resource)):
                self.upsert(resource)

    def unfinished(self) -> Sequence[SearchKey]:
        """Return the searches that go on."""
        return [
            key for key, known in self._tasks.items() if not has_ended(recorded_status(known.loop.resource).conditions)
        ]

    def wake(self, key: SearchKey) -> None:
        """Reconcile a search soon, because something that belongs to it has changed."""
        if known := self._tasks.get(key):
            known.loop.changed.set()

    def remove(self, key: SearchKey) -> None:
        """End the task of a search that is gone."""
        if known := self._tasks.pop(key, None):
            known.task.cancel()
            self._on_gone(key)

    async def stop(self) -> None:
        """End all tasks and wait for them. A reconcile may be cut at any point."""
        tasks = [known.task for known in self._tasks.values()]
        for key in list(self._tasks):
            self.remove(key)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _drop(self, key: SearchKey, task: asyncio.Task[None]) -> None:
        """Forget a task that has ended by itself, so that the next event of its search starts another."""
        if not task.cancelled() and (error := task.exception()):
            logger.error("%s is not reconciled any more until it changes", "/".join(key), exc_info=error)
        # The entry may be that of a later search of the same name.
        if (known := self._tasks.get(key)) and known.task is task:
            del self._tasks[key]
            self._on_gone(key)


def _version(resource: Json) -> str:
    return str(resource["metadata"]["resourceVersion"])
