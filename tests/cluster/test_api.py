"""Requests to a real API server: the type of an error tells the caller what to do next."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from devcluster.access import ClusterAccess
from devcluster.control_plane import ControlPlane

from metasearch.cluster import api as api_module
from metasearch.cluster.api import Api, Conflict, Expired, NotFound, Refused, Silent
from metasearch.errors import ClusterUnusable, StoreUnavailable
from metasearch.kubernetes import names

Json = dict[str, Any]


def lease(name: str, **labels: str) -> Json:
    return {"metadata": {"name": name, "labels": labels}, "spec": {"holderIdentity": "somebody"}}


def leases(namespace: str, name: str | None = None) -> str:
    return names.LEASE.path(namespace, name)


# --- what goes well -----------------------------------------------------------------------------------------------


def test_what_is_made_can_be_read_changed_and_removed(client: Api, namespace: str) -> None:
    made = client.create(leases(namespace), lease("a"))
    assert client.get(leases(namespace, "a")) == made
    changed = client.patch(
        leases(namespace, "a"),
        [
            {"op": "test", "path": "/metadata/resourceVersion", "value": made["metadata"]["resourceVersion"]},
            {"op": "replace", "path": "/spec/holderIdentity", "value": "somebody else"},
        ],
    )
    assert changed["spec"]["holderIdentity"] == "somebody else"
    client.delete(leases(namespace, "a"))
    with pytest.raises(NotFound, match='"a" not found'):
        client.get(leases(namespace, "a"))


def test_a_long_list_comes_page_by_page(client: Api, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        client.create(leases(namespace), lease(f"l{number}", parity=str(number % 2)))
    monkeypatch.setattr(api_module, "PAGE_SIZE", 2)
    found, version = client.list_all(leases(namespace))
    assert [item["metadata"]["name"] for item in found] == ["l0", "l1", "l2", "l3", "l4"]
    assert int(version) > 0
    found, _ = client.list_all(leases(namespace), labelSelector="parity=0")
    assert [item["metadata"]["name"] for item in found] == ["l0", "l2", "l4"]
    assert client.list_all(leases(namespace), labelSelector="parity=2")[0] == []


def test_removing_what_is_gone_is_harmless(client: Api, namespace: str) -> None:
    client.delete(leases(namespace, "nothing"))


def test_a_watch_tells_what_happens_from_a_version_on(client: Api, namespace: str) -> None:
    client.create(leases(namespace), lease("before"))
    _, version = client.list_all(leases(namespace))
    client.create(leases(namespace), lease("a"))
    client.patch(leases(namespace, "a"), [{"op": "add", "path": "/metadata/labels", "value": {"x": "y"}}])
    client.delete(leases(namespace, "a"))
    changes = [
        (kind, item["metadata"]["name"])
        for kind, item in client.watch(leases(namespace), version, seconds=1)
        if kind != "BOOKMARK"
    ]
    assert changes == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


# --- errors -------------------------------------------------------------------------------------------------------


def test_what_is_not_there_is_not_found(client: Api, namespace: str) -> None:
    with pytest.raises(NotFound):
        client.patch(leases(namespace, "nothing"), [{"op": "add", "path": "/metadata/labels", "value": {}}])
    with pytest.raises(NotFound):
        client.list_all("/apis/nothing.dev/v1/things")
    with pytest.raises(NotFound):
        client.create(leases("no-such-namespace"), lease("a"))


def test_a_name_that_is_taken_is_a_conflict(client: Api, namespace: str) -> None:
    client.create(leases(namespace), lease("a"))
    with pytest.raises(Conflict, match="already exists"):
        client.create(leases(namespace), lease("a"))


@pytest.mark.parametrize("path", ["/metadata/resourceVersion", "/spec/holderIdentity", "/spec/nothing"])
def test_a_test_that_fails_is_a_conflict(client: Api, namespace: str, path: str) -> None:
    client.create(leases(namespace), lease("a"))
    with pytest.raises(Conflict):
        client.patch(leases(namespace, "a"), [{"op": "test", "path": path, "value": "something else"}])


def test_removing_another_of_the_same_name_is_a_conflict(client: Api, namespace: str) -> None:
    client.create(leases(namespace), lease("a"))
    with pytest.raises(Conflict):
        client.delete(leases(namespace, "a"), preconditions={"uid": "another"})
    assert client.get(leases(namespace, "a"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(lease("NOT A NAME"), "metadata.name", id="a value"),
        pytest.param({**lease("a"), "spec": {"leaseDurationSeconds": -1}}, "leaseDurationSeconds", id="a bound"),
        pytest.param({**lease("a"), "spec": {"leaseDurationSeconds": "long"}}, "cannot be handled", id="a type"),
    ],
)
def test_what_is_not_valid_is_refused(client: Api, namespace: str, body: Json, words: str) -> None:
    with pytest.raises(Refused, match=words):
        client.create(leases(namespace), body)


def test_a_search_that_breaks_a_rule_is_refused(client: Api, namespace: str) -> None:
    body = {
        "apiVersion": names.API_VERSION,
        "kind": names.SEARCH.kind,
        "metadata": {"name": "a"},
        "spec": {"dataset": {}},
    }
    with pytest.raises(Refused, match="must have exactly one of name and folder"):
        client.create(names.SEARCH.path(namespace), body)


def test_what_is_not_allowed_is_refused(client: Api, cluster_with_crds: ClusterAccess, namespace: str) -> None:
    client.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "powerless"}})
    token = cluster_with_crds.run("create", "token", "powerless", f"--namespace={namespace}")
    powerless = Api.of_kubeconfig(str(cluster_with_crds.with_token(token).kubeconfig))
    with pytest.raises(Refused, match=f"system:serviceaccount:{namespace}:powerless"):
        powerless.create(leases(namespace), lease("a"))
    with pytest.raises(Refused, match="forbidden"):
        next(powerless.watch(leases(namespace), "1", seconds=1))


def test_nobody_is_refused(cluster_with_crds: ClusterAccess, namespace: str) -> None:
    nobody = Api.of_kubeconfig(str(cluster_with_crds.with_token("made-up").kubeconfig))
    with pytest.raises(Refused, match="Unauthorized"):
        nobody.list_all(leases(namespace))


def test_a_watch_with_nothing_to_tell_is_silent(client: Api, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, version = client.list_all(leases(namespace))
    monkeypatch.setattr("metasearch.cluster.api.SILENCE_SECONDS", 0.5)
    with pytest.raises(Silent, match=r"was silent for 0\.5 s"):
        list(client.watch(leases(namespace), version, seconds=30))


def test_a_version_that_is_forgotten_has_expired(restartable_control_plane: ControlPlane) -> None:
    restartable_control_plane.api_server.kill()
    restartable_control_plane.api_server.restart()  # it knows nothing of what was before
    api = Api.of_kubeconfig(str(restartable_control_plane.access.kubeconfig))
    with pytest.raises(Expired, match="too old resource version"):
        list(api.watch(leases("default"), "1", seconds=1))


# --- no answer, or none of an API server --------------------------------------------------------------------------


def kubeconfig(path: Path, address: str) -> str:
    entry = {"name": "x", "cluster": {"server": address}, "context": {"cluster": "x", "user": "x"}, "user": {}}
    config = {"clusters": [entry], "contexts": [entry], "users": [entry], "current-context": "x"}
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return str(path)


def test_a_server_that_is_down_cannot_be_reached(tmp_path: Path) -> None:
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody_listens.getsockname()[1]}"
        api = Api.of_kubeconfig(kubeconfig(tmp_path / "config", address))
        with pytest.raises(StoreUnavailable, match=r"^the API server cannot be reached \(.*Connection refused\)$"):
            api.get("/version")
        with pytest.raises(StoreUnavailable):
            next(api.watch("/api/v1/pods", "1", seconds=1))


def test_one_that_hangs_up_is_reported_without_the_clients_words(tmp_path: Path) -> None:
    def hang_up() -> None:
        with suppress(OSError):  # closed, in the end
            while True:
                connection, _ = server.accept()
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=hang_up, daemon=True).start()
        api = Api.of_kubeconfig(kubeconfig(tmp_path / "config", f"http://127.0.0.1:{server.getsockname()[1]}"))
        with pytest.raises(StoreUnavailable, match=r"^the API server cannot be reached \(\[Errno \d+\] [\w ]+\)$"):
            api.get("/version")
        server.shutdown(socket.SHUT_RDWR)


def test_no_kubeconfig_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ClusterUnusable, match=r"^no cluster to talk to .*set KUBECONFIG"):
        Api.of_kubeconfig(str(tmp_path / "nothing"))


class Proxy(BaseHTTPRequestHandler):
    """An HTTP server that answers /CODE with that code and a body that is no Status, and /cut with half of one."""

    def do_GET(self) -> None:
        code, body = (200, b'{"ite') if self.path == "/cut" else (int(self.path[1:]), b"<h1>something is wrong</h1>")
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    server = HTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    yield Api.of_kubeconfig(kubeconfig(tmp_path_factory.mktemp("proxy") / "config", address))
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/404", NotFound),
        ("/409", Conflict),
        ("/410", Expired),
        ("/400", Refused),
        ("/401", Refused),
        ("/403", Refused),
        ("/429", StoreUnavailable),
        ("/500", StoreUnavailable),
        ("/503", StoreUnavailable),
        ("/504", StoreUnavailable),
        ("/cut", StoreUnavailable),
    ],
)
def test_a_proxy_that_answers_instead_is_understood(proxied: Api, path: str, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"something is wrong|no whole answer"):
        proxied.get(path)
