"""
What kopf is told: to watch searches, and to tell of each that it is there, has changed or is gone.

Its daemons, diffs, indexes, progress and status patches are not used: they belong to handlers of single events, and
here every pass looks at all there is. The reasons are in docs/operator.md.
"""

from __future__ import annotations

import asyncio
import functools
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import kopf

from metasearch.cluster.api import Api
from metasearch.cluster.reflector import Search
from metasearch.errors import MetaSearchError
from metasearch.kubernetes import names
from metasearch_operator import probes
from metasearch_operator.config import OperatorConfig
from metasearch_operator.copies import Copies
from metasearch_operator.definitions import require_definitions
from metasearch_operator.driver import Driver
from metasearch_operator.drives import Drives, key_of
from metasearch_operator.notes import Note
from metasearch_operator.offloading import Ranking
from metasearch_operator.passes import Office, in_trouble, pass_over, read, record

PASSES_AT_ONCE = 16
"""They wait for the API server most of the time."""

SYNC_SECONDS = 0.1

Json = dict[str, Any]


class Operator:
    """All that lives as long as the process. Nothing of a search's state is in here."""

    def __init__(self, config: OperatorConfig, api: Api, probes_port: int) -> None:
        self._api, self._port = api, probes_port
        self._drives = Drives(self._driver)
        self._threads = ThreadPoolExecutor(PASSES_AT_ONCE, thread_name_prefix="pass")
        self._copies = Copies(api, config.namespaces, self._note_news)
        self._office = Office(api, self._copies, config.worker, Ranking(), time.time)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: Any = None

    def registry(self) -> kopf.OperatorRegistry:
        """The handlers, for kopf to call."""
        registry = kopf.OperatorRegistry()
        kind: tuple[str, str, str] = (names.GROUP, names.VERSION, names.SEARCH.plural)
        kopf.on.login(registry=registry)(kopf.login_via_client)  # as the official client, which `Api` uses
        kopf.on.startup(registry=registry)(self.start)
        kopf.on.cleanup(registry=registry)(self.stop)
        kopf.on.event(*kind, registry=registry)(cast("Any", self.notice))
        return registry

    async def start(self, settings: kopf.OperatorSettings, **_: Any) -> None:
        """Before any search is seen: what this operator needs of the cluster, and a copy of what is there."""
        configure(settings)
        self._loop = asyncio.get_running_loop()
        try:
            await self._in_thread(require_definitions, self._api)
        except MetaSearchError as error:
            raise kopf.PermanentError(str(error)) from error
        self._server = await probes.serve(lambda: self._copies.are_alive, lambda: self._copies.are_synced, self._port)
        self._copies.start()
        while not self._copies.are_synced:
            await asyncio.sleep(SYNC_SECONDS)

    async def stop(self, **_: Any) -> None:
        """Passes under way end by themselves; a pass may be cut anywhere."""
        await self._drives.stop()
        self._copies.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._server is not None:
            await self._server.cleanup()

    async def notice(self, type: str | None, body: kopf.Body, **_: Any) -> None:
        """A search is there, was edited or written to, or is gone."""
        resource = dict(body)
        if type == "DELETED":
            self._drives.end(key_of(resource))
        else:
            self._drives.take_in(resource)

    def _driver(self, resource: Json) -> Driver:
        return Driver(
            pass_over=functools.partial(pass_over, self._office),
            in_trouble=functools.partial(in_trouble, self._office),
            record=functools.partial(record, self._api),
            read=functools.partial(read, self._api),
            run_in_thread=self._in_thread,
            tell=_tell,
            clock=time.monotonic,
            resource=resource,
        )

    def _note_news(self, key: Search) -> None:
        """From a reflector's thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._drives.tell, key)

    async def _in_thread(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)


def configure(settings: kopf.OperatorSettings) -> None:
    """How kopf behaves; the reasons are in docs/operator.md."""
    settings.scanning.disabled = True  # it would list CustomResourceDefinitions and namespaces
    settings.posting.loggers = False  # events are for people; what is logged is for operators
    settings.posting.reporting_component = names.OPERATOR
    settings.posting.reporting_instance = platform.node()
    settings.posting.event_name_prefix = f"{names.OPERATOR}-"
    settings.networking.request_timeout = 20
    settings.networking.connect_timeout = 5
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.inactivity_timeout = 90


def _tell(resource: Json, note: Note) -> None:
    kopf.event(cast("kopf.Body", resource), type=note.type, reason=note.reason, message=note.message)
