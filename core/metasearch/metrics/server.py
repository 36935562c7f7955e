"""
Answer scrapes, in threads of its own: a scraper that hangs keeps no other, and nothing else, waiting.

What is answered is kept for a second, so that many scrapes at once cost hardly more than one.
"""

from __future__ import annotations

import gzip
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import ThreadingWSGIServer, choose_encoder, gzip_accepted

from metasearch.errors import InvalidSpec

KEPT_SECONDS = 1.0

MOST_FORMS = 4
"""Forms of an answer that are kept: text or OpenMetrics, compressed or not."""

REQUEST_SECONDS = 10.0
"""Time after which a client that says nothing is given up."""

MOST_CLIENTS = 100
"""Clients at once. With one more, the first of them is given up: a scrape takes milliseconds, so that one hangs."""


class _Application:
    """Answers GET with a registry's metrics; each form that clients ask for is made at most once in KEPT_SECONDS."""

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float]) -> None:
        self._registry, self._clock = registry, clock
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, bool], bytes] = {}
        self._at = float("-inf")

    def __call__(self, environment: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        encode, content_type = choose_encoder(environment.get("HTTP_ACCEPT", ""))
        is_zipped = gzip_accepted(environment.get("HTTP_ACCEPT_ENCODING", ""))
        with self._lock:
            body = self._body(encode, content_type, is_zipped)
        zipped = [("Content-Encoding", "gzip")] if is_zipped else []
        start_response("200 OK", [("Content-Type", content_type), ("Content-Length", str(len(body))), *zipped])
        return [body]

    def _body(self, encode: Callable[[CollectorRegistry], bytes], content_type: str, is_zipped: bool) -> bytes:
        if self._clock() - self._at >= KEPT_SECONDS:
            self._kept, self._at = {}, self._clock()
        key = content_type, is_zipped
        if key not in self._kept:
            made = encode(self._registry)
            made = gzip.compress(made, compresslevel=1) if is_zipped else made
            if len(self._kept) >= MOST_FORMS:
                return made  # whoever asks for ever new forms is not to fill the memory
            self._kept[key] = made
        return self._kept[key]


@dataclass(frozen=True)
class Tls:
    """The files of a server that speaks TLS, PEM, such as those of a secret that cert-manager keeps."""

    certificate: Path
    key: Path
    client_authority: Path | None = None
    """Answers go to clients alone that have a certificate of this authority; None asks for none."""

    def context(self) -> ssl.SSLContext:
        """
        Read the files.

        Raises:
            InvalidSpec: one cannot be read, or is none.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            self.load(context)
            if self.client_authority is not None:
                context.load_verify_locations(self.client_authority)
                context.verify_mode = ssl.CERT_REQUIRED
        except OSError as error:  # of which ssl.SSLError is one
            files = ", ".join(str(file) for file in (self.certificate, self.key, self.client_authority) if file)
            raise InvalidSpec(f"metrics cannot be served over TLS with {files} ({error}); they must be PEM") from error
        return context

    def load(self, context: ssl.SSLContext) -> None:
        """Read certificate and key anew."""
        context.load_cert_chain(self.certificate, self.key)

    @property
    def changed_at(self) -> float:
        """When the certificate was last written, a Unix time in seconds."""
        return self.certificate.stat().st_mtime


class _Server(ThreadingWSGIServer):
    """Answers each request in a thread of its own, its TLS handshake too, so that no client keeps another waiting."""

    request_queue_size = MOST_CLIENTS
    tls: Tls | None = None
    _context: ssl.SSLContext
    _changed_at: float

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._clients: list[socket.socket] = []
        self._clients_lock = threading.Lock()
        super().__init__(*arguments, **named)

    def speak(self, tls: Tls) -> None:
        self.tls, self._context, self._changed_at = tls, tls.context(), tls.changed_at
        self.socket = self._context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def get_request(self) -> tuple[socket.socket, Any]:
        # Certificates are renewed while servers run; what is half written now is read at the next request.
        with suppress(OSError):
            if self.tls is not None and self.tls.changed_at != self._changed_at:
                self.tls.load(self._context)
                self._changed_at = self.tls.changed_at
        return super().get_request()

    def process_request(self, request: Any, client_address: Any) -> None:
        # Each client takes a thread and an open file, of which the process needs some for its own work.
        with self._clients_lock:
            self._clients.append(request)
            if len(self._clients) > MOST_CLIENTS:
                with suppress(OSError):
                    # Not SSLSocket's own, after which its thread could not go on to read that this is the end.
                    socket.socket.shutdown(self._clients.pop(0), socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        # Out of the list before it is closed: the number of a closed file may be that of another soon.
        with self._clients_lock, suppress(ValueError):
            self._clients.remove(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that breaks off: anybody may, and as often as they like."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_SECONDS

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing of a scrape."""


@dataclass(frozen=True)
class MetricsServer:
    """A server that answers scrapes until it is closed."""

    port: int
    close: Callable[[], None]


def all_addresses() -> str:
    """Return the address that stands for all of this machine's, of both versions of IP where there are both."""
    return "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104 (scraped from other machines)


def serve(
    registry: CollectorRegistry,
    host: str,
    port: int,
    tls: Tls | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> MetricsServer:
    """
    Start to answer GET /metrics with a registry's metrics.

    Args:
        host: the address to listen at.
        port: 0 takes any free one.
        tls: None speaks HTTP.
        clock: monotonic, in seconds.

    Raises:
        InvalidSpec: the port is in use, or may not be taken; a file of `tls` is wrong.
    """
    server_class: type[_Server] = _Server6 if ":" in host else _Server
    try:
        server = make_server(host, port, _Application(registry, clock), server_class, _Handler)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidSpec(f"metrics cannot be served on port {port} ({reason}); choose another port") from error
    if tls is not None:
        try:
            server.speak(tls)
        except InvalidSpec:
            server.server_close()
            raise
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return MetricsServer(server.server_port, close)
