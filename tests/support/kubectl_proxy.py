"""
A client that sends many requests over one connection to `kubectl proxy`.

A call of kubectl takes a tenth of a second, most of it to start; the tests of the CRDs send thousands of requests.
"""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from devcluster.access import ClusterAccess

from metasearch.kubernetes import names

Json = dict[str, Any]

DRY_RUN = "dryRun=All&fieldValidation=Strict"
"""The query of `kubectl apply --dry-run=server`: validate everything, refuse unknown fields, store nothing."""

WRITE = "fieldValidation=Strict"


@dataclass(frozen=True)
class Answer:
    """The API server's answer: the object, or a Status that says what is wrong."""

    status: int
    body: Json

    @property
    def is_accepted(self) -> bool:
        return self.status in (200, 201)

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))


class ProxyClient:
    """Creates and changes the project's resources in one namespace."""

    def __init__(self, connection: http.client.HTTPConnection, namespace: str) -> None:
        self._connection, self._namespace = connection, namespace

    def create(self, resource: names.Resource, body: Json, how: str = DRY_RUN) -> Answer:
        return self._request("POST", self._path(resource), how, body)

    def replace(self, resource: names.Resource, body: Json, how: str = DRY_RUN) -> Answer:
        return self._request("PUT", f"{self._path(resource)}/{body['metadata']['name']}", how, body)

    def replace_status(self, resource: names.Resource, body: Json, how: str = DRY_RUN) -> Answer:
        return self._request("PUT", f"{self._path(resource)}/{body['metadata']['name']}/status", how, body)

    def list(self, resource: names.Resource, query: str = "") -> list[Json]:
        items: list[Json] = self._request("GET", self._path(resource), query).body["items"]
        return items

    def _path(self, resource: names.Resource) -> str:
        return f"/apis/{names.API_VERSION}/namespaces/{self._namespace}/{resource.plural}"

    def _request(self, method: str, path: str, query: str, body: Json | None = None) -> Answer:
        text = None if body is None else json.dumps(body)
        self._connection.request(method, f"{path}?{query}", text, {"Content-Type": "application/json"})
        with self._connection.getresponse() as response:
            return Answer(response.status, json.loads(response.read()))


@contextmanager
def open_proxy_client(access: ClusterAccess, namespace: str) -> Iterator[ProxyClient]:
    command = access.command("proxy", "--port=0")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(access.environment)) as proxy:
        try:
            assert proxy.stdout is not None
            address = proxy.stdout.readline().split()[-1]  # Starting to serve on 127.0.0.1:34567
            connection = http.client.HTTPConnection(address, timeout=60)
            yield ProxyClient(connection, namespace)
            connection.close()
        finally:
            proxy.terminate()
