"""
The kopf handlers: one event handler that starts, updates and stops a task per MetaSearch.

kopf's daemons, diffs, indexes, progress and status patches are not used. They belong to handlers of single events,
whereas here every reconcile looks at everything there is; docs/operator.md has the reasons.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import kopf

from metasearch.cluster.api import Api
from metasearch.cluster.reflector import SearchKey
from metasearch.errors import MetaSearchError
from metasearch.kubernetes import names
from metasearch.metrics.server import MetricsServer, all_addresses, serve
from metasearch_operator import probes
from metasearch_operator.cache import Cache
from metasearch_operator.config import OperatorConfig
from metasearch_operator.crd_check import require_crds
from metasearch_operator.event_posting import post
from metasearch_operator.events import Event
from metasearch_operator.metrics import OperatorMetrics
from metasearch_operator.ranking_process import RankingProcess
from metasearch_operator.reconciler import Reconciler, ReconcileResult
from metasearch_operator.resync import keep_reading
from metasearch_operator.search_tasks import SearchLoop, SearchTasks
from metasearch_operator.searches import search_key, write_status

MAX_CONCURRENT_RECONCILES = 16
"""Threads. They wait for the API server most of the time, so that their number says little about load."""

SYNC_SECONDS = 0.1
"""Time between two looks, at the start, whether the cache is filled."""

KOPF_BACKOFF_SECONDS = (1, 1, 2, 3, 5, 8, 13, 21, 30)
"""Pauses after failed requests of kopf's own; after the last, all others are as long as that."""

Json = dict[str, Any]


class EndlessBackoff:
    """The pauses after failed requests of kopf's, in seconds, without an end: where they end, kopf ends the process."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain(KOPF_BACKOFF_SECONDS, itertools.repeat(KOPF_BACKOFF_SECONDS[-1]))


class Operator:
    """The objects that live as long as the process. No search's state is among them."""

    def __init__(self, config: OperatorConfig, api: Api, probes_port: int, metrics_port: int) -> None:
        self._metrics = OperatorMetrics()
        self._api = api.observed_by(self._metrics.request)
        self._namespaces = config.namespaces
        self._probes_port, self._metrics_port, self._tls = probes_port, metrics_port, config.metrics_tls
        self._tasks = SearchTasks(self._make_loop, self._metrics.remove)
        # Not asyncio's default executor, which also resolves host names: waiting reconciles must not hold that up.
        self._threads = ThreadPoolExecutor(MAX_CONCURRENT_RECONCILES, thread_name_prefix="reconcile")
        self._cache = Cache(self._api, config.namespaces, self._on_cache_change, on_break=self._metrics.watch_broke)
        self._metrics.follow_cache(self._cache)
        self._reconciler = Reconciler(
            self._api,
            self._cache,
            config.worker,
            RankingProcess(self._metrics.ranking),
            self._api.clock.now,
            self._metrics.shows,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._resync: asyncio.Task[None] | None = None
        self._server: Any = None
        self._metrics_server: MetricsServer | None = None

    def registry(self) -> kopf.OperatorRegistry:
        """Return the handlers, for kopf to call."""
        registry = kopf.OperatorRegistry()
        kind: tuple[str, str, str] = (names.GROUP, names.VERSION, names.SEARCH.plural)
        kopf.on.login(registry=registry)(kopf.login_via_client)  # the official client's login, which `Api` uses, too
        kopf.on.startup(registry=registry)(self.start)
        kopf.on.cleanup(registry=registry)(self.stop)
        # Only on.event: with handlers of changes, or daemons, kopf writes annotations or finalizers into every search.
        kopf.on.event(*kind, registry=registry)(cast("Any", self.on_event))
        return registry

    async def start(self, settings: kopf.OperatorSettings, **_: Any) -> None:
        """
        Check the definitions, start the probes, and fill the cache.

        kopf watches no search before this returns, so that no reconcile ever sees a cache that is half filled and takes
        a trial that is not listed yet for one that has to be made.
        """
        configure(settings)
        self._loop = asyncio.get_running_loop()
        try:
            await self._run_in_thread(require_crds, self._api)
            self._metrics_server = serve(
                self._metrics.registry, all_addresses(), self._metrics_port, self._tls.tls if self._tls else None
            )
        except MetaSearchError as error:
            raise kopf.PermanentError(str(error)) from error  # otherwise kopf would try again for ever
        self._server = await probes.serve(
            lambda: self._cache.is_alive, lambda: self._cache.is_synced, self._probes_port
        )
        self._cache.start()
        while not self._cache.is_synced:
            await asyncio.sleep(SYNC_SECONDS)
        self._resync = asyncio.create_task(
            keep_reading(self._api, self._namespaces, self._tasks, self._cache.refresh, self._run_in_thread)
        )

    async def stop(self, **_: Any) -> None:
        """Stop everything. A reconcile that runs in a thread is not waited for: it may be cut at any point."""
        if self._resync is not None:
            self._resync.cancel()
        await self._tasks.stop()
        self._cache.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._server is not None:
            await self._server.cleanup()
        if self._metrics_server is not None:
            self._metrics_server.close()

    async def on_event(self, type: str | None, body: kopf.Body, **_: Any) -> None:
        """Hand a search that exists, was changed or was deleted to its task. Does nothing that can fail."""
        resource = dict(body)
        if type == "DELETED":
            self._tasks.remove(search_key(resource))
        else:
            self._tasks.upsert(resource)

    def _make_loop(self, resource: Json) -> SearchLoop:
        return SearchLoop(
            reconcile=self._reconcile,
            report_problem=self._reconciler.report_problem,
            write_status=functools.partial(write_status, self._api),
            run_in_thread=self._run_in_thread,
            post=self._post,
            show=self._show,
            clock=time.monotonic,
            resource=resource,
        )

    def _reconcile(self, resource: Json) -> ReconcileResult:
        with self._metrics.reconcile():
            return self._reconciler.reconcile(resource)

    def _post(self, resource: Json, event: Event) -> None:
        post(self._api, resource, event, self._api.clock.now())

    def _show(self, resource: Json, result: ReconcileResult) -> None:
        self._metrics.show(search_key(resource), result.status.conditions, result.samples)

    def _on_cache_change(self, key: SearchKey) -> None:
        """Wake a search's task. Called from a reflector's thread, and asyncio's objects belong to the event loop's."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._tasks.wake, key)

    async def _run_in_thread(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)


def configure(settings: kopf.OperatorSettings) -> None:
    """Set kopf's settings; docs/operator.md has the reasons."""
    settings.scanning.disabled = True  # it would list CustomResourceDefinitions and namespaces
    settings.posting.enabled = False  # it would make events of log lines, which are for whoever runs the operator
    settings.networking.request_timeout = 20
    settings.networking.connect_timeout = 5
    # One namespace that was deleted, or whose roles were, must not end the service for all others.
    settings.networking.error_backoffs = EndlessBackoff()
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330  # more than the server's, which should end a watch in order
    settings.watching.inactivity_timeout = 90  # bookmarks come once a minute
