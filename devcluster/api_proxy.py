"""
A proxy in front of an API server that makes faults: it sees every request, answer and watch event, and may change them.

It speaks plain HTTP on loopback, and HTTPS with the administrator's certificate to the API server. What goes through it
is one client's traffic, so that a fault is that client's alone, and the test sees the cluster as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web
from yarl import URL

from devcluster.access import ClusterAccess, write_kubeconfig
from metasearch.cluster.api import Api

Json = dict[str, Any]

LOOPBACK = "127.0.0.1"
START_SECONDS = 30
CLOSE_SECONDS = 10
"""The longest time in which the API server is waited for to close its connections."""
HOP_BY_HOP = frozenset({"connection", "content-encoding", "content-length", "host", "keep-alive", "transfer-encoding"})
"""Headers of a connection, which a proxy must not pass on; the body is passed on decoded."""


class ConnectionCut(Exception):
    """The client's connection is closed without an answer, or without the rest of one."""


@dataclass(frozen=True)
class ApiRequest:
    """A request as the client sent it."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def is_write(self) -> bool:
        return self.method in ("POST", "PUT", "PATCH", "DELETE")

    @property
    def is_watch(self) -> bool:
        return self.method == "GET" and self.query.get("watch") in ("true", "1")

    @property
    def is_list(self) -> bool:
        return self.method == "GET" and not self.is_watch and ("limit" in self.query or "labelSelector" in self.query)


@dataclass(frozen=True)
class ApiAnswer:
    """An answer with its whole body."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def refusal(code: int, reason: str, message: str, headers: Mapping[str, str] | None = None) -> ApiAnswer:
    """Return an answer with a Status, as an API server refuses a request."""
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}
    body = json.dumps({**status, "reason": reason, "message": message}).encode()
    return ApiAnswer(code, {"Content-Type": "application/json", **(headers or {})}, body)


class Fault:
    """A way in which requests go wrong. This one lets everything pass; others override one method or more."""

    async def on_request(self, request: ApiRequest) -> ApiAnswer | None:  # noqa: ARG002
        """
        Return an answer to give instead of the API server's; None to forward the request.

        Raises:
            ConnectionCut: the API server never sees the request.
        """
        return None

    async def on_answer(self, request: ApiRequest, answer: ApiAnswer) -> ApiAnswer:  # noqa: ARG002
        """
        Return the answer to pass on. The API server has done what the request asks for.

        Raises:
            ConnectionCut: the client gets no answer.
        """
        return answer

    async def on_watch_event(self, request: ApiRequest, event: Json) -> Json | None:  # noqa: ARG002
        """
        Return the event of a watch to pass on, or None to lose it; it may wait.

        Raises:
            ConnectionCut: the watch ends.
        """
        return event


class ApiProxy:
    """A running proxy. `fault` may be replaced at any time; it holds for requests and events that come then."""

    def __init__(self, access: ClusterAccess) -> None:
        self._upstream, self._tls = access.url, _tls_of(access)
        self.fault = Fault()
        self.requests: list[ApiRequest] = []
        """Every request that was received, without bodies; appended to by the proxy's thread."""
        self._ended = asyncio.Event()
        self._port: int | None = None
        self._started = threading.Event()
        self._sockets: list[socket.socket] = []
        """Those to the API server."""
        self._thread = threading.Thread(target=asyncio.run, args=[self._run()], name="API proxy")
        self._thread.start()
        assert self._started.wait(START_SECONDS), "the proxy did not start"
        self.access = _through(access, f"http://{LOOPBACK}:{self._port}")
        """Access to the same cluster, as the same user, through this proxy."""

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    @contextmanager
    def having(self, fault: Fault) -> Iterator[None]:
        """Let a fault happen for as long as the context lasts."""
        self.fault = fault
        try:
            yield
        finally:
            self.fault = Fault()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        no_limit = aiohttp.ClientTimeout(total=None)
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=0, socket_factory=self._socket)
        async with aiohttp.ClientSession(connector=connector, timeout=no_limit) as self._session:
            # As in an API server: a watch whose client is gone ends, instead of waiting for the next event.
            server = web.Server(self._handle, access_log=None, handler_cancellation=True)
            runner = web.ServerRunner(server, shutdown_timeout=0)
            await runner.setup()
            await web.TCPSite(runner, LOOPBACK, 0).start()
            self._port = runner.addresses[0][1]
            self._started.set()
            await self._ended.wait()
            await runner.cleanup()
        await self._wait_until_closed()

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, *_ = address
        created = socket.socket(family, kind, protocol)
        created.setblocking(False)
        self._sockets = [each for each in self._sockets if each.fileno() >= 0] + [created]
        return created

    async def _wait_until_closed(self) -> None:
        """Wait until the API server has taken leave of every connection: aiohttp does not wait for cut watches."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                while any(each.fileno() >= 0 for each in self._sockets):
                    await asyncio.sleep(0.01)

    async def _handle(self, received: web.BaseRequest) -> web.StreamResponse:
        body = await received.read()
        request = ApiRequest(received.method, received.path, dict(received.query), body)
        self.requests.append(replace(request, body=b""))
        fault = self.fault
        try:
            if (instead := await fault.on_request(request)) is not None:
                return _response(instead)
            async with self._send(received, body) as answer:
                if request.is_watch and answer.status == web.HTTPOk.status_code:
                    return await self._pass_events_on(received, request, answer)
                whole = ApiAnswer(answer.status, _end_to_end(answer.headers), await answer.read())
            return _response(await fault.on_answer(request, whole))
        except (ConnectionCut, aiohttp.ClientError):
            # An API server that is away looks to the client as one that cuts the connection.
            if received.transport is not None:
                received.transport.abort()
            return web.Response()

    def _send(self, received: web.BaseRequest, body: bytes) -> Any:
        headers = _end_to_end(received.headers)
        # What a client has encoded must not be decoded and encoded again.
        address = URL(f"{self._upstream}{received.raw_path}", encoded=True)
        return self._session.request(received.method, address, headers=headers, data=body or None)

    async def _pass_events_on(
        self, received: web.BaseRequest, request: ApiRequest, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        stream = web.StreamResponse(status=answer.status, headers=_end_to_end(answer.headers))
        await stream.prepare(received)
        # A client that is gone is no trouble of the proxy's, and neither is an API server that ends the watch.
        with contextlib.suppress(ConnectionError):
            async for line in _lines(answer.content):
                if (event := await self.fault.on_watch_event(request, json.loads(line))) is not None:
                    await stream.write(json.dumps(event).encode() + b"\n")
        return stream


@contextmanager
def api_proxy(access: ClusterAccess) -> Iterator[ApiProxy]:
    """Run a proxy in front of a cluster's API server."""
    proxy = ApiProxy(access)
    try:
        yield proxy
    finally:
        proxy.close()


async def _lines(content: aiohttp.StreamReader) -> Any:
    """Yield whole lines, of any length."""
    rest = b""
    async for chunk in content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line


def _response(answer: ApiAnswer) -> web.Response:
    return web.Response(status=answer.status, headers=answer.headers, body=answer.body)


def _end_to_end(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in HOP_BY_HOP}


def _tls_of(access: ClusterAccess) -> ssl.SSLContext:
    """Return TLS settings with the certificates of a kubeconfig, which the client has written to files."""
    configuration = Api.of_kubeconfig(str(access.kubeconfig)).configuration
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    assert configuration.cert_file is not None, "the administrator of a cluster of ours has a certificate"
    context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context


def _through(access: ClusterAccess, url: str) -> ClusterAccess:
    """Return access by another address, without a certificate: the proxy has one."""
    config = yaml.safe_load(access.kubeconfig.read_text(encoding="utf-8"))
    config["clusters"] = [{"name": each["name"], "cluster": {"server": url}} for each in config["clusters"]]
    config["users"] = [{"name": each["name"], "user": {}} for each in config["users"]]
    path: Path = access.kubeconfig.with_name(f"proxy-{url.rpartition(':')[2]}.kubeconfig")
    return replace(access, url=url, kubeconfig=write_kubeconfig(path, config))
