"""A reflector's copy of the API server's objects, whatever happens in between."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from devcluster.control_plane import ControlPlane
from local_search import wait_until

from metasearch.cluster import reflector as reflector_module
from metasearch.cluster.api import Api, Silent
from metasearch.cluster.reflector import Entry, Reflector, SearchKey
from metasearch.errors import StoreUnavailable
from metasearch.kubernetes import names
from metasearch.kubernetes.names import LABEL_SEARCH

Json = dict[str, Any]


def lease(name: str, search: str | None = "one", holder: str = "first") -> Json:
    labels = {LABEL_SEARCH: search} if search else {}
    return {"metadata": {"name": name, "labels": labels}, "spec": {"holderIdentity": holder}}


def parse(item: Json) -> str:
    return f"{item['metadata']['name']}: {item['spec']['holderIdentity']}"


@dataclass
class WatchedLeases:
    """A reflector of leases, and the searches that it reported as changed."""

    api: Api
    namespace: str
    watched: str | None
    """The namespace that the reflector watches; None for all."""

    reported: list[SearchKey] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ticks = itertools.count()  # no two readings of its clock are the same
        self.reflector = Reflector(
            self.api, names.LEASE, self.watched, parse, self.reported.append, lambda: float(next(self._ticks))
        )
        self.reflector.start()
        wait_until(lambda: self.reflector.is_synced)

    def entries(self, search: str = "one") -> Mapping[str, Entry[str]]:
        return {entry.value: entry for entry in self.reflector.of((self.namespace, search))}

    def wait_for(self, *values: str, search: str = "one") -> None:
        wait_until(lambda: set(self.entries(search)) == set(values), seconds=60)

    def was_reported(self, search: str = "one") -> bool:
        return (self.namespace, search) in self.reported


Watch = Callable[..., WatchedLeases]


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """Return a function that starts reflectors, and stop them in the end."""
    monkeypatch.setattr(reflector_module, "WATCH_SECONDS", 5)
    watches: list[WatchedLeases] = []

    def open_watch(api: Api, namespace: str, everywhere: bool = False) -> WatchedLeases:
        watches.append(WatchedLeases(api, namespace, None if everywhere else namespace))
        return watches[-1]

    yield open_watch
    for leases in watches:
        leases.reflector.stop()


def create(api: Api, namespace: str, body: Json) -> None:
    api.create(names.LEASE.path(namespace), body)


def hand_over(api: Api, namespace: str, name: str, holder: str) -> None:
    api.patch(names.LEASE.path(namespace, name), [{"op": "replace", "path": "/spec/holderIdentity", "value": holder}])


# --- as long as all goes well -------------------------------------------------------------------------------------


def test_what_is_there_is_in_the_copy_from_the_start(client: Api, namespace: str, watch: Watch) -> None:
    create(client, namespace, lease("a"))
    create(client, namespace, lease("b", search="other"))
    create(client, namespace, lease("c", search=None))
    leases = watch(client, namespace)
    assert set(leases.entries()) == {"a: first"}
    assert set(leases.entries("other")) == {"b: first"}
    assert leases.was_reported("one")
    assert leases.was_reported("other")
    assert not leases.entries("another")


def test_what_changes_is_in_the_copy_soon(client: Api, namespace: str, watch: Watch) -> None:
    leases = watch(client, namespace)
    create(client, namespace, lease("a"))
    leases.wait_for("a: first")
    (before,) = leases.entries().values()
    hand_over(client, namespace, "a", "second")
    leases.wait_for("a: second")
    (after,) = leases.entries().values()
    assert after.version != before.version
    assert after.seen_at > before.seen_at
    client.delete(names.LEASE.path(namespace, "a"))
    leases.wait_for()


def test_only_the_search_of_what_has_changed_is_reported(client: Api, namespace: str, watch: Watch) -> None:
    create(client, namespace, lease("a"))
    create(client, namespace, lease("b", search="other"))
    leases = watch(client, namespace)
    leases.reported.clear()
    hand_over(client, namespace, "b", "second")
    leases.wait_for("b: second", search="other")
    wait_until(lambda: leases.was_reported("other"))
    assert not leases.was_reported("one")


def test_one_copy_may_be_of_all_namespaces(client: Api, namespace: str, watch: Watch) -> None:
    create(client, namespace, lease("a"))
    leases = watch(client, namespace, everywhere=True)
    leases.wait_for("a: first")
    assert not leases.reflector.of(("elsewhere", "one"))


def test_a_copy_outlives_its_watches(
    client: Api, namespace: str, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reflector_module, "WATCH_SECONDS", 1)
    watches = Counting(client)
    leases = watch(watches, namespace)
    wait_until(lambda: watches.watched >= 3)
    create(client, namespace, lease("a"))
    leases.wait_for("a: first")
    assert watches.listed == 1


def test_what_is_listed_again_unchanged_keeps_the_time_it_was_seen(
    client: Api, namespace: str, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reflector_module, "WATCH_SECONDS", 1)
    monkeypatch.setattr(reflector_module, "RELIST_SECONDS", 0.0)
    create(client, namespace, lease("a"))
    listing = Counting(client)
    leases = watch(listing, namespace)
    (before,) = leases.entries().values()
    unbroken_since = leases.reflector.unbroken_since
    listed = listing.listed
    wait_until(lambda: listing.listed >= listed + 2)
    assert leases.entries()["a: first"] is before
    assert leases.reported.count((namespace, "one")) == 1
    assert leases.reflector.unbroken_since == unbroken_since


class Passing(Api):
    """Passes every request on to another client; subclasses interfere."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def list_all(self, path: str, **query: str) -> tuple[list[Json], str]:
        return self.api.list_all(path, **query)

    def watch(self, path: str, version: str, seconds: int, **query: str) -> Iterator[tuple[str, Json]]:
        return self.api.watch(path, version, seconds, **query)


class Counting(Passing):
    listed = watched = 0

    def list_all(self, path: str, **query: str) -> tuple[list[Json], str]:
        self.listed += 1
        return super().list_all(path, **query)

    def watch(self, path: str, version: str, seconds: int, **query: str) -> Iterator[tuple[str, Json]]:
        self.watched += 1
        return super().watch(path, version, seconds, **query)


# --- one search listed again --------------------------------------------------------------------------------------


class Losing(Passing):
    """Loses every event of its watches, and lists as of a version that a test chooses."""

    old: tuple[list[Json], str] | None = None
    """An answer that lists get instead."""
    loses = True

    def list_all(self, path: str, **query: str) -> tuple[list[Json], str]:
        return self.old or super().list_all(path, **query)

    def watch(self, path: str, version: str, seconds: int, **query: str) -> Iterator[tuple[str, Json]]:
        for event in super().watch(path, version, seconds, **query):
            if self.loses:
                continue
            yield event


def test_a_refresh_finds_what_a_watch_has_lost(
    client: Api, namespace: str, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("stays", "changes", "vanishes"):
        create(client, namespace, lease(name))
    create(client, namespace, lease("unlike", search="other"))
    leases = watch(Losing(client), namespace)
    leases.wait_for("stays: first", "changes: first", "vanishes: first")
    before = leases.entries()["stays: first"]
    leases.reported.clear()
    client.delete(names.LEASE.path(namespace, "vanishes"))
    hand_over(client, namespace, "changes", "second")
    hand_over(client, namespace, "unlike", "second")
    create(client, namespace, lease("new"))
    assert leases.reflector.refresh((namespace, "one"))
    assert set(leases.entries()) == {"stays: first", "changes: second", "new: first"}
    assert leases.entries()["stays: first"] is before
    assert leases.reported == [(namespace, "one")]
    assert set(leases.entries("other")) == {"unlike: first"}  # it was not asked for
    assert f"has missed changes of {namespace}/one" in caplog.text
    assert not leases.reflector.refresh((namespace, "one"))


def test_a_refresh_that_is_behind_the_watch_changes_nothing(client: Api, namespace: str, watch: Watch) -> None:
    for name in ("changes", "vanishes"):
        create(client, namespace, lease(name))
    losing = Losing(client)
    losing.loses = False
    leases = watch(losing, namespace)
    leases.wait_for("changes: first", "vanishes: first")
    old = client.list_all(names.LEASE.path(namespace), labelSelector=f"{LABEL_SEARCH}=one")
    hand_over(client, namespace, "changes", "second")
    create(client, namespace, lease("new"))
    leases.wait_for("changes: second", "vanishes: first", "new: first")
    losing.old = old
    assert not leases.reflector.refresh((namespace, "one"))
    assert set(leases.entries()) == {"changes: second", "vanishes: first", "new: first"}


# --- what goes wrong ----------------------------------------------------------------------------------------------


class Broken(Counting):
    """Lists but cannot watch, as with a role that lacks the verb."""

    def watch(self, *_: Any, **__: Any) -> Iterator[tuple[str, Json]]:
        self.watched += 1
        raise StoreUnavailable("no")


def test_a_server_that_is_in_trouble_is_asked_less_and_less(
    client: Api, namespace: str, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    broken = Broken(client)
    leases = watch(broken, namespace)
    wait_until(lambda: broken.watched >= 1)
    stopped = leases.reflector._stopped
    monkeypatch.setattr(stopped, "wait", lambda pause: pauses.append(pause) or threading.Event().wait(0.01))
    wait_until(lambda: len(pauses) >= 8)
    assert pauses == sorted(pauses)
    assert pauses[7] == reflector_module.RETRY_BACKOFF.longest


class Falling(Passing):
    """Lists, and watches that fall silent at once."""

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        self.silences = 0
        self.falls = threading.Event()

    def watch(self, *_: Any, **__: Any) -> Iterator[tuple[str, Json]]:
        self.falls.wait(60)
        self.falls.clear()
        self.silences += 1
        raise Silent("the watch was silent")


def test_a_watch_without_anything_to_tell_is_not_taken_for_broken(
    client: Api, namespace: str, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    """In a cluster that never had pods, no bookmark comes within the time after which a silent watch is given up."""
    create(client, namespace, lease("a"))
    falling = Falling(client)
    leases = watch(falling, namespace)
    unbroken_since = leases.reflector.unbroken_since
    for silences in (1, 2, 3):
        falling.falls.set()
        wait_until(lambda: falling.silences == silences)  # noqa: B023
    assert leases.reflector.unbroken_since == unbroken_since
    assert not caplog.records


def test_a_silent_watch_that_has_missed_something_is_broken(
    client: Api, namespace: str, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    create(client, namespace, lease("a"))
    falling = Falling(client)
    leases = watch(falling, namespace)
    unbroken_since = leases.reflector.unbroken_since
    hand_over(client, namespace, "a", "second")
    falling.falls.set()
    leases.wait_for("a: second")
    wait_until(lambda: unbroken_since < leases.reflector.unbroken_since < math.inf)
    assert "cannot list and watch leases" in caplog.text


class Gated(Passing):
    """Lets nobody list while its gate is closed."""

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        self.gate = threading.Event()
        self.gate.set()

    def list_all(self, path: str, **query: str) -> tuple[list[Json], str]:
        self.gate.wait(120)
        return super().list_all(path, **query)


def test_what_happens_while_the_watch_is_broken_is_found(restartable_control_plane: ControlPlane, watch: Watch) -> None:
    api = Api.of_kubeconfig(str(restartable_control_plane.access.kubeconfig))
    for name in ("stays", "changes", "vanishes"):
        create(api, "default", lease(name))
    create(api, "default", lease("alone", search="vanishing"))
    create(api, "default", lease("still", search="quiet"))
    gated = Gated(api)
    leases = watch(gated, "default")
    leases.wait_for("stays: first", "changes: first", "vanishes: first")
    before, unbroken_since = leases.entries()["stays: first"], leases.reflector.unbroken_since
    leases.reported.clear()

    gated.gate.clear()
    restartable_control_plane.api_server.kill()
    restartable_control_plane.api_server.restart()
    for name in ("vanishes", "alone"):
        api.delete(names.LEASE.path("default", name))
    hand_over(api, "default", "changes", "second")
    create(api, "default", lease("new"))
    assert set(leases.entries()) == {"stays: first", "changes: first", "vanishes: first"}
    gated.gate.set()

    leases.wait_for("stays: first", "changes: second", "new: first")
    leases.wait_for(search="vanishing")
    wait_until(lambda: set(leases.reported) == {("default", "one"), ("default", "vanishing")})
    assert leases.entries()["stays: first"] is before
    wait_until(lambda: unbroken_since < leases.reflector.unbroken_since < math.inf, seconds=60)


def test_a_copy_stands_while_nobody_answers(restartable_control_plane: ControlPlane, watch: Watch) -> None:
    api = Api.of_kubeconfig(str(restartable_control_plane.access.kubeconfig))
    create(api, "default", lease("a", search="standing"))
    leases = watch(api, "default")
    restartable_control_plane.api_server.kill()
    with pytest.raises(StoreUnavailable):
        api.get(names.LEASE.path("default", "a"))
    wait_until(lambda: leases.reflector.unbroken_since == math.inf, seconds=60)
    assert set(leases.entries("standing")) == {"a: first"}
    assert leases.reflector.is_alive
    restartable_control_plane.api_server.restart()
    create(api, "default", lease("b", search="standing"))
    leases.wait_for("a: first", "b: first", search="standing")


class Forgetful(Counting):
    """Returns its first list with a version that the server has forgotten."""

    def list_all(self, path: str, **query: str) -> tuple[list[Json], str]:
        items, version = super().list_all(path, **query)
        return items, "1" if self.listed == 1 else version


def test_a_version_that_has_expired_is_listed_again(restartable_control_plane: ControlPlane, watch: Watch) -> None:
    restartable_control_plane.api_server.kill()
    restartable_control_plane.api_server.restart()  # it knows nothing of what was before
    api = Api.of_kubeconfig(str(restartable_control_plane.access.kubeconfig))
    forgetful = Forgetful(api)
    leases = watch(forgetful, "default")
    wait_until(lambda: forgetful.listed == 2, seconds=60)
    create(api, "default", lease("late", search="forgotten"))
    leases.wait_for("late: first", search="forgotten")
