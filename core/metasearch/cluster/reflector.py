"""
A copy of the objects of one kind, kept up by a thread.

List, replace, watch, and list again now and then: what vanished while nobody looked is found by the replacing, and a
watch is not trusted to tell everything. A copy may be behind; whoever acts on it must be safe if it is.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from metasearch.cluster.api import Api, Expired, Json
from metasearch.errors import MetaSearchError
from metasearch.kubernetes.names import LABEL_SEARCH, Kind, Resource

T = TypeVar("T")

WATCH_SECONDS = 240
"""How long one watch lasts."""

RELIST_SECONDS = 600.0
"""After which the copy is made anew, whatever the watch says."""

RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Pauses after failures in a row."""

Search = tuple[str, str]
"""The namespace and the name of a search."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry(Generic[T]):
    """An object as last seen."""

    value: T
    version: str
    seen_at: float
    """When this version came, on the reflector's clock: deadlines do not depend on the clocks of other machines."""


class Reflector(Generic[T]):
    """All objects of a kind that carry a search's label, by search."""

    def __init__(
        self,
        api: Api,
        kind: Kind | Resource,
        namespace: str | None,
        parse: Callable[[Json], T],
        on_change: Callable[[Search], None],
        clock: Callable[[], float],
        selector: str = LABEL_SEARCH,
    ) -> None:
        """
        Args:
            namespace: None for all.
            selector: the labels that objects must have, as the API server takes them; a search's among them.
            parse: what to keep of an object.
            on_change: told of which search something has changed, from the reflector's thread.
            clock: monotonic, in seconds.
        """
        self._api, self._path, self._parse, self._selector = api, kind.path(namespace), parse, selector
        self._on_change, self._clock = on_change, clock
        self._name = f"{kind.plural} in {namespace or 'all namespaces'}"
        self._entries: dict[Search, dict[str, Entry[T]]] = {}
        self._unbroken_since = math.inf
        self._lock = threading.Lock()
        self._synced = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"reflector of {self._name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Soon; a watch under way is left to end by itself."""
        self._stopped.set()

    @property
    def is_synced(self) -> bool:
        """Whether there is a copy at all."""
        return self._synced.is_set()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def unbroken_since(self) -> float:
        """On its clock: since when whatever happens is seen; infinite while nothing is."""
        return self._unbroken_since

    def of(self, search: Search) -> Sequence[Entry[T]]:
        """What a search has, in no order."""
        with self._lock:
            return list(self._entries.get(search, {}).values())

    # --- the thread ---

    def _follow(self) -> None:
        failures = 0
        while not self._stopped.is_set():
            try:
                version = self._replace()
                self._unbroken_since = min(self._unbroken_since, self._clock())
                self._watch(version)
            except Expired:
                self._stopped.wait(RETRY_SECONDS[0])
            except MetaSearchError as error:
                if self._clock() - self._unbroken_since > RETRY_SECONDS[-1]:  # it went well for a while
                    failures = 0
                self._unbroken_since = math.inf
                pause = RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]
                failures += 1
                logger.warning("the copy of %s cannot be kept up (%s); trying again in %s s", self._name, error, pause)
                self._stopped.wait(pause)

    def _replace(self) -> str:
        """Make the copy anew."""
        items, version = self._api.list_all(self._path, labelSelector=self._selector)
        fresh: dict[Search, dict[str, Entry[T]]] = {}
        for item in items:
            fresh.setdefault(_search_of(item), {})[_uid_of(item)] = self._entry(item)
        with self._lock:
            before, self._entries = self._entries, fresh
        self._synced.set()
        for search in before.keys() | fresh.keys():
            if _versions(before.get(search, {})) != _versions(fresh.get(search, {})):
                self._on_change(search)
        return version

    def _watch(self, version: str) -> None:
        """Take in what happens, until it is time to list again."""
        relist_at = self._clock() + RELIST_SECONDS
        while not self._stopped.is_set() and self._clock() < relist_at:
            for kind, item in self._api.watch(self._path, version, WATCH_SECONDS, labelSelector=self._selector):
                version = item["metadata"]["resourceVersion"]
                if kind != "BOOKMARK":
                    self._take_in(kind, item)
                if self._stopped.is_set():
                    return

    def _take_in(self, kind: str, item: Json) -> None:
        search, uid = _search_of(item), _uid_of(item)
        entry = self._entry(item)
        with self._lock:
            mine = self._entries.setdefault(search, {})
            if kind == "DELETED":
                mine.pop(uid, None)
            else:
                mine[uid] = entry
            if not mine:
                del self._entries[search]
        self._on_change(search)

    def _entry(self, item: Json) -> Entry[T]:
        """An object's entry; the one there is, where the object is the same."""
        version = item["metadata"]["resourceVersion"]
        with self._lock:
            known = self._entries.get(_search_of(item), {}).get(_uid_of(item))
        return known if known and known.version == version else Entry(self._parse(item), version, self._clock())


def _search_of(item: Json) -> Search:
    metadata = item["metadata"]
    return metadata["namespace"], metadata["labels"][LABEL_SEARCH]


def _uid_of(item: Json) -> str:
    return str(item["metadata"]["uid"])


def _versions(entries: Mapping[str, Entry[T]]) -> dict[str, str]:
    return {uid: entry.version for uid, entry in entries.items()}
