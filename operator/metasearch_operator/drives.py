"""
Which searches are driven: one task for each that is there.

A search is a resource that may be written by anybody and vanish at any moment. Nothing holds it back: what it owns goes
after it by itself, and a pass that is under way then makes nothing that stays.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from metasearch.cluster.reflector import Search
from metasearch.kubernetes.ownership import is_leaving
from metasearch_operator.driver import Driver

Json = dict[str, Any]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Drive:
    """A search's driver at work."""

    driver: Driver
    task: asyncio.Task[None]


class Drives:
    """All that are under way. Everything here is called from the event loop."""

    def __init__(self, make_driver: Callable[[Json], Driver]) -> None:
        self._make_driver = make_driver
        self._drives: dict[Search, Drive] = {}

    def take_in(self, resource: Json) -> None:
        """A search as it is now: new, changed, or about to go."""
        key = key_of(resource)
        if is_leaving(resource):  # to make more of what it owns might keep it for ever
            self.end(key)
        elif drive := self._drives.get(key):
            drive.driver.take_in(resource)
        else:
            driver = self._make_driver(resource)
            task = asyncio.get_running_loop().create_task(driver.drive(), name=f"drive of {'/'.join(key)}")
            self._drives[key] = Drive(driver, task)
            task.add_done_callback(lambda _: self._drop(key, task))

    def tell(self, key: Search) -> None:
        """Something that belongs to a search has changed."""
        if drive := self._drives.get(key):
            drive.driver.news.set()

    def end(self, key: Search) -> None:
        """The search is gone."""
        if drive := self._drives.pop(key, None):
            drive.task.cancel()

    async def stop(self) -> None:
        """All of them; a pass under way may be cut anywhere."""
        tasks = [drive.task for drive in self._drives.values()]
        for key in list(self._drives):
            self.end(key)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _drop(self, key: Search, task: asyncio.Task[None]) -> None:
        """It has ended by itself: nobody has the search any more, or a driver is broken."""
        if not task.cancelled() and (error := task.exception()):
            logger.error("%s is driven no more until it changes", "/".join(key), exc_info=error)
        if (drive := self._drives.get(key)) and drive.task is task:
            del self._drives[key]


def key_of(resource: Json) -> Search:
    """Of a search, as read from the cluster."""
    return resource["metadata"]["namespace"], resource["metadata"]["name"]
