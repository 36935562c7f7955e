"""
Keep a local copy of all objects of one kind, in a thread: list, replace, watch, and list again now and then.

Listing finds what vanished while a watch was broken, and what a watch has missed. A copy may be behind the API server;
whatever acts on it must be safe when it is. (`kubernetes.informer` of the official client asks for no bookmarks, has no
timeout for a silent connection, and does not say since when it has seen everything, which leases need here.)
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from metasearch.cluster.api import Api, Expired, Forbidden, Json, Silent
from metasearch.errors import MetaSearchError, StoreUnavailable
from metasearch.kubernetes.names import LABEL_SEARCH, Kind, Resource
from metasearch.retry import Backoff

T = TypeVar("T")

WATCH_SECONDS = 240
"""Duration of one watch, after which the next one goes on from the last version seen."""

RELIST_SECONDS = 600.0
"""Time after which everything is listed again, whatever the watch has reported."""

RETRY_BACKOFF = Backoff(first=0.5, longest=30.0)
"""Pauses after several failures in a row."""

SearchKey = tuple[str, str]
"""The namespace and the name of a search."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry(Generic[T]):
    """An object as it was last seen."""

    value: T
    version: str
    seen_at: float
    """Arrival of this version, on the reflector's clock: deadlines must not depend on other machines' clocks."""


class Reflector(Generic[T]):
    """A copy of all objects of a kind that carry the label of a search, by search. Safe to read from any thread."""

    def __init__(
        self,
        api: Api,
        kind: Kind | Resource,
        namespace: str | None,
        parse: Callable[[Json], T],
        on_change: Callable[[SearchKey], None],
        clock: Callable[[], float],
        selector: str = LABEL_SEARCH,
        on_break: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        """
        Args:
            namespace: None for all.
            parse: reduces an object to what is kept of it.
            on_change: called with the search of which an object has changed, from the reflector's thread.
            clock: monotonic, in seconds.
            selector: a label selector of the API server. It must select the label of a search among others.
            on_break: called with the plural of the kind and the name of the error where the connection breaks.
        """
        self._api, self._kind, self._path = api, kind, kind.path(namespace)
        self._parse, self._selector = parse, selector
        self._on_change, self._on_break, self._clock = on_change, on_break, clock
        self.plural, self.namespace, self._heard_at = kind.plural, namespace, clock()
        self._refused = False
        self._name = f"{kind.plural} in {namespace or 'all namespaces'}"
        self._entries: dict[SearchKey, dict[str, Entry[T]]] = {}
        self._unbroken_since = math.inf
        self._lock = threading.Lock()
        self._synced = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"reflector of {self._name}", daemon=True)

    def start(self) -> None:
        """Start the thread. It is a daemon, since it may wait for a watch when the process ends."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; a watch that is open ends by itself."""
        self._stopped.set()

    @property
    def is_synced(self) -> bool:
        """True once everything has been listed."""
        return self._synced.is_set()

    @property
    def is_refused(self) -> bool:
        """True if the last answer was that this user may not list; so it is of a namespace that was deleted."""
        return self._refused

    @property
    def is_alive(self) -> bool:
        """True while the thread runs. Only an error in this code ends it, and nothing here starts it again."""
        return self._thread.is_alive()

    @property
    def unbroken_since(self) -> float:
        """Time, on the clock, since which every change has been seen; infinite while the connection is broken."""
        return self._unbroken_since

    @property
    def age_seconds(self) -> float:
        """The time since the API server was last heard of: a list, a change or a bookmark."""
        return self._clock() - self._heard_at

    def of(self, search: SearchKey) -> Sequence[Entry[T]]:
        """Return the objects of a search, in no order."""
        with self._lock:
            return list(self._entries.get(search, {}).values())

    def refresh(self, search: SearchKey) -> bool:
        """
        List the objects of one search, and put right what the watch has missed; return whether it has missed anything.

        Called from any thread; it waits for the API server. The watch goes on meanwhile, and what it has reported that
        is newer than the list is kept.

        Raises:
            StoreUnavailable: the API server cannot be reached now.
        """
        namespace, name = search
        selector = f"{self._selector},{LABEL_SEARCH}={name}"
        known = {entry.version for entry in self.of(search)}
        items, version = self._api.list_all(self._kind.path(namespace), labelSelector=selector)
        listed = {_uid_of(item): self._entry(item) for item in items}
        with self._lock:
            mine = self._entries.get(search, {})
            gone = [uid for uid, entry in mine.items() if uid not in listed and not is_newer(entry.version, version)]
            # An object that was not there before the list, and is in it, may have been deleted since.
            changed = known != {entry.version for entry in mine.values()}
            missed = {
                uid: entry
                for uid, entry in listed.items()
                if (is_newer(entry.version, mine[uid].version) if uid in mine else not changed)
            }
            if not (gone or missed):
                return False
            self._entries[search] = {uid: entry for uid, entry in mine.items() if uid not in gone} | missed
        logger.warning("a watch of %s has missed changes of %s", self._name, "/".join(search))
        self._on_change(search)
        return True

    # --- the thread ---

    def _follow(self) -> None:
        failures = 0
        silence: Silent | None = None
        while not self._stopped.is_set():
            try:
                known = self._versions
                version = self._replace()
                if silence is not None and self._versions != known:
                    self._broke(StoreUnavailable(f"{silence}, and had missed changes"))
                silence = None
                # Listing again on schedule interrupts nothing, so the time moves only after a failure has reset it.
                self._unbroken_since = min(self._unbroken_since, self._clock())
                self._watch(version)
            except Expired:  # not a failure: the server forgets old versions, and to list again is the remedy
                self._stopped.wait(RETRY_BACKOFF.first)
            except Silent as error:
                silence = error  # listed again at once, which shows whether the watch was dead
            except MetaSearchError as error:
                silence = None
                self._refused = isinstance(error, Forbidden)
                # It worked for a while, so this is a new outage.
                if self._clock() - self._unbroken_since > RETRY_BACKOFF.longest:
                    failures = 0
                pause = RETRY_BACKOFF.pause(failures)
                failures += 1
                self._broke(error)
                self._stopped.wait(pause)

    def _broke(self, error: MetaSearchError) -> None:
        """Take note that changes were missed."""
        self._unbroken_since = math.inf
        self._on_break(self.plural, type(error).__name__)
        logger.warning("cannot list and watch %s (%s); trying again", self._name, error)

    @property
    def _versions(self) -> set[tuple[str, str]]:
        """The uid and version of everything in the copy."""
        with self._lock:
            return {(uid, entry.version) for mine in self._entries.values() for uid, entry in mine.items()}

    def _replace(self) -> str:
        """List everything, replace the copy, and return the version from which to watch."""
        items, version = self._api.list_all(self._path, labelSelector=self._selector)
        self._heard_at, self._refused = self._clock(), False
        fresh: dict[SearchKey, dict[str, Entry[T]]] = {}
        for item in items:
            # By uid: an object that is deleted and made anew under its name is another one.
            fresh.setdefault(_search_of(item), {})[_uid_of(item)] = self._entry(item)
        with self._lock:
            before, self._entries = self._entries, fresh
        self._synced.set()
        # Not every search: after a reconnect, thousands of them would be reconciled for nothing.
        for search in before.keys() | fresh.keys():
            if _versions(before.get(search, {})) != _versions(fresh.get(search, {})):
                self._on_change(search)
        return version

    def _watch(self, version: str) -> None:
        """Apply changes from a version on, until it is time to list again."""
        relist_at = self._clock() + RELIST_SECONDS
        while not self._stopped.is_set() and self._clock() < relist_at:
            for kind, item in self._api.watch(self._path, version, WATCH_SECONDS, labelSelector=self._selector):
                version, self._heard_at = item["metadata"]["resourceVersion"], self._clock()
                if kind != "BOOKMARK":  # a bookmark only moves the version on, so that a quiet watch does not expire
                    self._apply(kind, item)
                if self._stopped.is_set():
                    return

    def _apply(self, kind: str, item: Json) -> None:
        search, uid = _search_of(item), _uid_of(item)
        entry = self._entry(item)  # without the lock: `_entry` takes it, and parsing takes time
        with self._lock:
            mine = self._entries.setdefault(search, {})
            if kind == "DELETED":
                mine.pop(uid, None)
            else:
                mine[uid] = entry
            if not mine:  # otherwise searches that are gone would stay as empty entries
                del self._entries[search]
        self._on_change(search)  # without the lock, which a reader takes again

    def _entry(self, item: Json) -> Entry[T]:
        """Return an object's entry: the known one if its version is the same, as its time is that of the change."""
        version = item["metadata"]["resourceVersion"]
        with self._lock:
            known = self._entries.get(_search_of(item), {}).get(_uid_of(item))
        return known if known and known.version == version else Entry(self._parse(item), version, self._clock())


def is_newer(version: str, than: str) -> bool:
    """Return whether one resourceVersion comes after another, of one API server; they are decimal numbers."""
    return int(version) > int(than)


def _search_of(item: Json) -> SearchKey:
    metadata = item["metadata"]
    return metadata["namespace"], metadata["labels"][LABEL_SEARCH]


def _uid_of(item: Json) -> str:
    return str(item["metadata"]["uid"])


def _versions(entries: Mapping[str, Entry[T]]) -> dict[str, str]:
    return {uid: entry.version for uid, entry in entries.items()}
