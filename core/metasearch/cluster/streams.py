"""What a command in a pod prints, byte for byte: the API server's `exec`, over a WebSocket."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import websocket
from kubernetes.stream import ws_client

from metasearch.cluster.api import Api, error_of
from metasearch.errors import MetaSearchError, StoreUnavailable

PROTOCOL = "v4.channel.k8s.io"
"""Every message begins with a byte that says which channel it is of; the last one is a Status, on channel 3."""

SILENT_SECONDS = 60
"""A stream on which nothing came for so long is dead."""


class CommandFailed(MetaSearchError):
    """The command ran, and ended with another exit code than 0."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(" ".join(said.split()) or f"it ended with {code}")
        self.code = code


def output_of(api: Api, pod: str, container: str, command: Sequence[str]) -> Iterator[bytes]:
    """
    Run a command in a container, and give its standard output as it comes.

    Args:
        pod: the pod's path at the API server.

    Raises:
        CommandFailed: after all of its output.
        StoreUnavailable: the connection broke.
    """
    said, status = b"", b""
    for channel, data in _messages(api, f"{pod}/exec", container, command):
        if channel == ws_client.STDOUT_CHANNEL:
            yield data
        elif channel == ws_client.STDERR_CHANNEL:
            said += data
        elif channel == ws_client.ERROR_CHANNEL:
            status += data
    if not status:
        raise StoreUnavailable(f"the connection to {pod} ended too early; try again")
    _require_success(json.loads(status), said.decode(errors="replace"))


def _messages(api: Api, path: str, container: str, command: Sequence[str]) -> Iterator[tuple[int, bytes]]:
    """What comes on which channel, until the other side closes the stream."""
    words = [("command", word) for word in command]
    query = [("container", container), ("stdout", "true"), ("stderr", "true"), *words]
    _, address, headers, *_ = api.serialized("GET", path, query, {"sec-websocket-protocol": PROTOCOL})
    try:
        with contextlib.closing(_open(api, address, headers)) as stream:
            stream.settimeout(SILENT_SECONDS)
            while True:
                kind, frame = stream.recv_data_frame(control_frame=True)
                if kind == websocket.ABNF.OPCODE_CLOSE:
                    return
                if kind == websocket.ABNF.OPCODE_BINARY and frame.data:
                    yield frame.data[0], frame.data[1:]
    except websocket.WebSocketBadStatusException as error:
        raise error_of(error.status_code, _status_in(error.resp_body), path) from error
    except (websocket.WebSocketException, OSError) as error:
        raise StoreUnavailable(f"the connection to {path} broke ({error}); try again") from error


def _open(api: Api, address: str, headers: dict[str, str]) -> websocket.WebSocket:
    at = ws_client.get_websocket_url(address)  # type: ignore[no-untyped-call]
    stream: websocket.WebSocket = ws_client.create_websocket(api.configuration, at, headers)  # type: ignore[no-untyped-call]
    return stream


def _status_in(body: bytes | None) -> dict[str, Any]:
    try:
        status: dict[str, Any] = json.loads(body or b"{}")
    except ValueError:
        return {}
    return status


def _require_success(status: dict[str, Any], said: str) -> None:
    if status.get("status") == "Success":
        return
    causes = status.get("details", {}).get("causes", [])
    codes = [int(cause["message"]) for cause in causes if cause.get("reason") == "ExitCode"]
    if not codes:  # it did not run at all
        raise StoreUnavailable(f"the command could not be run ({status.get('message')})")
    raise CommandFailed(codes[0], said)
