"""A kubeconfig that leads nowhere, or to a cluster without MetaSearch, is reported in one sentence."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml
from command_errors import error_sentence
from local_search import metasearch


def kubeconfig(folder: Path, server: str, **context: str) -> str:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", **context}}],
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return str(path)


class _KnowsNothing(BaseHTTPRequestHandler):
    """A server that answers as an API server does for a kind of resource that it does not have."""

    def do_GET(self) -> None:
        self.send_response(404)
        self.end_headers()
        self.wfile.write(b"404 page not found\n")

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@pytest.fixture
def empty_cluster() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _KnowsNothing) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("command", ["status", "export"])
def test_a_cluster_without_our_definitions(empty_cluster: str, tmp_path: Path, command: str) -> None:
    ended = metasearch(command, "mine", "-n", "team-a", KUBECONFIG=kubeconfig(tmp_path, empty_cluster))
    assert error_sentence(ended, code=5) == (
        "the cluster does not know MetaSearch; install its Helm chart, or at least crds/, first"
    )


def test_a_cluster_that_is_off(tmp_path: Path) -> None:
    there = kubeconfig(tmp_path, "http://127.0.0.1:9")
    sentence = error_sentence(metasearch("status", "mine", "-n", "team-a", KUBECONFIG=there), code=5)
    assert sentence.startswith("the API server cannot be reached (")


def test_no_kubeconfig(tmp_path: Path) -> None:
    sentence = error_sentence(metasearch("status", "mine", "-n", "a", KUBECONFIG=str(tmp_path / "none")), code=5)
    assert sentence.startswith("no cluster to talk to (")
    assert sentence.endswith("); set KUBECONFIG, or give --context")


@pytest.mark.parametrize("text", ["hello", "[1, 2]", "clusters: 5", "{", "contexts: [{}]"])
def test_a_kubeconfig_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "kubeconfig").write_text(text, encoding="utf-8")
    sentence = error_sentence(metasearch("status", "mine", "-n", "a", KUBECONFIG=str(tmp_path / "kubeconfig")), code=5)
    assert "; set KUBECONFIG" in sentence


def test_a_context_that_is_not_there(tmp_path: Path) -> None:
    there = kubeconfig(tmp_path, "http://127.0.0.1:9")
    sentence = error_sentence(metasearch("status", "mine", "--context", "elsewhere", KUBECONFIG=there), code=5)
    assert "elsewhere" in sentence
    assert sentence.endswith("; set KUBECONFIG, or give --context")


def test_a_namespace_that_cannot_be_one(tmp_path: Path) -> None:
    there = kubeconfig(tmp_path, "http://127.0.0.1:9")
    sentence = error_sentence(metasearch("status", "mine", "-n", "a/b", KUBECONFIG=there), code=2)
    assert sentence.startswith("'a/b' cannot be a namespace; ")
