"""Many requests to an API server in little time: one connection, kept open, by way of `kubectl proxy`."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cluster.access import Access

from metasearch.kubernetes import names

Json = dict[str, Any]

TRY = "dryRun=All&fieldValidation=Strict"
"""As `kubectl apply --dry-run=server` asks: everything but the writing, and no unknown fields."""

WRITE = "fieldValidation=Strict"


@dataclass(frozen=True)
class Answer:
    """What the API server said: the object, or a Status that says what is wrong."""

    status: int
    body: Json

    @property
    def is_accepted(self) -> bool:
        return self.status in (200, 201)

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))


class Api:
    """Our resources in one namespace."""

    def __init__(self, connection: http.client.HTTPConnection, namespace: str) -> None:
        self._connection, self._namespace = connection, namespace

    def create(self, resource: names.Resource, body: Json, how: str = TRY) -> Answer:
        return self._request("POST", self._path(resource), how, body)

    def replace(self, resource: names.Resource, body: Json, how: str = TRY) -> Answer:
        return self._request("PUT", f"{self._path(resource)}/{body['metadata']['name']}", how, body)

    def replace_status(self, resource: names.Resource, body: Json, how: str = TRY) -> Answer:
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
def open_api(access: Access, namespace: str) -> Iterator[Api]:
    command = access.command("proxy", "--port=0")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(access.environment)) as proxy:
        try:
            assert proxy.stdout is not None
            address = proxy.stdout.readline().split()[-1]  # Starting to serve on 127.0.0.1:34567
            connection = http.client.HTTPConnection(address, timeout=60)
            yield Api(connection, namespace)
            connection.close()
        finally:
            proxy.terminate()
