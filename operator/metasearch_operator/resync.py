"""
Once a minute, list what watches may have missed: the searches themselves, and what belongs to those that go on.

A watch that breaks is noticed, and everything is listed again. One that loses an event is not, and without this a
search would wait for the next change of the same object, or for ever. The searches are listed one after the other, so
that the load on the API server has a bound.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from metasearch.cluster.api import Api
from metasearch.cluster.reflector import SearchKey
from metasearch.errors import MetaSearchError
from metasearch.kubernetes import names
from metasearch_operator.search_tasks import SearchTasks

Json = dict[str, Any]

REREAD_SECONDS = 60.0
"""Pause between the end of one such listing and the next."""

logger = logging.getLogger(__name__)


async def keep_reading(
    api: Api,
    namespaces: Sequence[str],
    tasks: SearchTasks,
    refresh: Callable[[SearchKey], None],
    run_in_thread: Callable[..., Awaitable[Any]],
) -> None:
    """
    List again and again, until cancelled.

    Args:
        namespaces: empty for all.
        refresh: lists what a search has, for the cache. It waits for the API server.
    """
    while True:
        await asyncio.sleep(REREAD_SECONDS)
        scopes: Sequence[str | None] = namespaces or [None]
        for scope in scopes:
            await _read(api, scope, tasks, run_in_thread)
        for key in tasks.unfinished():
            try:
                await run_in_thread(refresh, key)
            except MetaSearchError as error:  # the next time will do; a watch that broke is mended by its reflector
                logger.warning("%s cannot be listed again: %s", "/".join(key), error)


async def _read(
    api: Api, namespace: str | None, tasks: SearchTasks, run_in_thread: Callable[..., Awaitable[Any]]
) -> None:
    """List the searches of a namespace, and hand on those that have changed unseen."""
    try:
        listed, version = await run_in_thread(api.list_all, names.SEARCH.path(namespace))
    except MetaSearchError as error:
        logger.warning("the searches in %s cannot be listed again: %s", namespace or "all namespaces", error)
        return
    tasks.replace(namespace, listed, version)
