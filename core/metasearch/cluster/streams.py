"""
Run a command in a pod and read its output, byte for byte: the API server's `exec`, over a WebSocket.

Only the connection is the official client's. Its `kubernetes.stream.stream(..., binary=True)` appends each frame to all
output before it, which takes quadratic time and keeps everything in memory: with kubernetes 37.0.1, 32 MiB took 48 s
and 190 MiB, where this module takes 0.2 s and no memory. It also replaces the code of a refused request by 0.
"""

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
"""Subprotocol: the first byte of a message is its channel, and the last message is a Status on channel 3."""

SILENT_SECONDS = 60
"""Time without a message after which a stream is dead."""


class CommandFailed(MetaSearchError):
    """The command ran and ended with an exit code other than 0."""

    def __init__(self, code: int, stderr: str) -> None:
        super().__init__(" ".join(stderr.split()) or f"it ended with {code}")
        self.code = code


def output_of(api: Api, pod: str, container: str, command: Sequence[str]) -> Iterator[bytes]:
    """
    Run a command in a container and yield its standard output as it arrives.

    Args:
        pod: the pod's path at the API server.

    Raises:
        CommandFailed: the command failed; raised after all of its output.
        Refused: the user may not run commands in this pod.
        StoreUnavailable: the connection broke, or the command could not be run.
    """
    stderr, status = b"", b""
    for channel, data in _messages(api, f"{pod}/exec", container, command):
        if channel == ws_client.STDOUT_CHANNEL:
            yield data
        elif channel == ws_client.STDERR_CHANNEL:
            stderr += data
        elif channel == ws_client.ERROR_CHANNEL:
            status += data
    if not status:  # without it nobody knows whether the output is complete
        raise StoreUnavailable(f"the connection to {pod} ended too early; try again")
    _require_success(json.loads(status), stderr.decode(errors="replace"))


def _messages(api: Api, path: str, container: str, command: Sequence[str]) -> Iterator[tuple[int, bytes]]:
    """Yield messages with their channel until the other side closes the stream."""
    words = [("command", word) for word in command]
    query = [("container", container), ("stdout", "true"), ("stderr", "true"), *words]
    _, address, headers, *_ = api.serialized("GET", path, query, {"sec-websocket-protocol": PROTOCOL})
    try:
        with contextlib.closing(_open(api, address, headers)) as stream:
            stream.settimeout(SILENT_SECONDS)
            while True:
                # With control frames: a ping of the server resets the timeout, as the command may be slow to answer.
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


def _require_success(status: dict[str, Any], stderr: str) -> None:
    if status.get("status") == "Success":
        return
    causes = status.get("details", {}).get("causes", [])
    codes = [int(cause["message"]) for cause in causes if cause.get("reason") == "ExitCode"]
    if not codes:  # the command was not started, such as one that does not exist
        raise StoreUnavailable(f"the command could not be run ({status.get('message')})")
    raise CommandFailed(codes[0], stderr)
