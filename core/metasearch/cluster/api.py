"""
Requests to an API server, in plain JSON.

The official client gives the connection: kubeconfig, service account, certificates, proxies. Its generated models are
left aside, for custom resources have none, and one way to speak of Jobs, Leases and MetaTrials is enough.

Errors are translated here and nowhere else. The type says what to do next.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import urllib3
import yaml
from kubernetes import client, config

from metasearch.errors import MetaSearchError, StoreUnavailable

Json = dict[str, Any]

PAGE = 500
"""Objects per answer of a list; a thousand MetaTrials are a few megabytes."""

REQUEST_SECONDS = (5.0, 20.0)
"""To connect, and to wait for an answer."""

SILENCE_SECONDS = 90.0
"""Bookmarks come about once a minute, so that a watch which is silent for longer is dead."""

JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"


class NotFound(MetaSearchError):
    """There is no such object, or no such kind of object."""


class Conflict(MetaSearchError):
    """The object is there already, or is not what it was when it was read: read again."""


class Expired(MetaSearchError):
    """The version to watch from is forgotten: list again."""


class Refused(MetaSearchError):
    """The API server will not have it, now or later: not allowed, or not valid."""


class Forbidden(Refused):
    """Not allowed, to whoever asks."""


def namespace_of(context: str | None = None) -> str:
    """The namespace of a kubeconfig's context, the current one unless told otherwise."""
    with _kubeconfig_errors():
        contexts, current = config.list_kube_config_contexts()  # type: ignore[no-untyped-call]
        known = {each["name"]: each for each in contexts}
        chosen = known.get(context, {}) if context else current
        return str(chosen.get("context", {}).get("namespace") or "default")


@contextmanager
def _kubeconfig_errors() -> Iterator[None]:
    """What is wrong with a kubeconfig, as a sentence."""
    try:
        yield
    except config.ConfigException as error:
        reason = str(error).rstrip(".")
        raise StoreUnavailable(f"no cluster to talk to ({reason}); set KUBECONFIG, or give --context") from error
    except (OSError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise StoreUnavailable(f"the kubeconfig cannot be used ({reason}); set KUBECONFIG to one that can") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # the client does not look before it leaps
        raise StoreUnavailable("the kubeconfig is none; set KUBECONFIG to one that can be used") from error


class Api:
    """One API server, as one user. Safe to use from several threads."""

    def __init__(self, connection: client.ApiClient) -> None:
        self._connection = connection

    @classmethod
    def of_this_pod(cls) -> Api:
        """As the service account of the pod that this runs in; its token is read anew as it is rotated."""
        configuration = client.Configuration()
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        return cls(client.ApiClient(configuration))

    @classmethod
    def of_kubeconfig(cls, path: str | None = None, context: str | None = None) -> Api:
        """As the user of a kubeconfig: KUBECONFIG or ~/.kube/config, and its current context, unless told otherwise."""
        with _kubeconfig_errors():
            return cls(
                config.new_client_from_config(  # type: ignore[no-untyped-call]
                    config_file=path, context=context, persist_config=False
                )
            )

    @property
    def configuration(self) -> client.Configuration:
        """Certificates, proxies and the like; for streams, which are no requests."""
        configuration: client.Configuration = self._connection.configuration
        return configuration

    # --- requests ---

    def get(self, path: str, **query: str) -> Json:
        """One object, or one page of a list."""
        return self._request("GET", path, query)

    def list_all(self, path: str, **query: str) -> tuple[list[Json], str]:
        """All objects of a kind, page by page, and the version of the whole; `query` has labelSelector and the like."""
        items: list[Json] = []
        following: Mapping[str, str] = {"limit": str(PAGE)}
        while True:
            page = self._request("GET", path, {**query, **following})
            items += page["items"]
            if not (token := page["metadata"].get("continue")):
                return items, page["metadata"]["resourceVersion"]
            following = {"limit": str(PAGE), "continue": token}

    def create(self, path: str, body: Json, **query: str) -> Json:
        """Make an object; Conflict where there is one of that name."""
        return self._request("POST", path, query, body)

    def patch(self, path: str, operations: list[Json]) -> Json:
        """
        Change an object by a JSON patch.

        Conflict where a `test` among the operations fails.
        """
        return self._request("PATCH", path, {}, operations, JSON_PATCH)

    def apply(self, path: str, body: Json, **query: str) -> Json:
        """Make an object or change the one there is, as `kubectl apply --server-side --force-conflicts`."""
        return self._request("PATCH", path, {"force": "true", **query}, body, APPLY)

    def delete(self, path: str, **options: Any) -> None:
        """Have an object removed, and its dependents after it; no matter if it is gone already."""
        try:
            self._request("DELETE", path, {}, {"propagationPolicy": "Background", **options})
        except NotFound:
            return

    def watch(self, path: str, version: str, seconds: int, **query: str) -> Iterator[tuple[str, Json]]:
        """
        What happens from a version on: (ADDED, MODIFIED, DELETED or BOOKMARK, object), for so many seconds at most.

        Raises:
            Expired: the version is too old, so list again.
            StoreUnavailable: the connection broke, or nothing came for longer than it should.
        """
        asked = {**query, "watch": "true", "allowWatchBookmarks": "true"}
        asked |= {"resourceVersion": version, "timeoutSeconds": str(seconds)}
        response = self._send("GET", path, asked, None, None, timeout=(REQUEST_SECONDS[0], SILENCE_SECONDS))
        try:
            for line in _lines(response):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise error_of(event["object"].get("code", 500), event["object"], path)
                yield event["type"], event["object"]
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise StoreUnavailable(f"the watch of {path} broke ({error})") from error
        finally:
            response.close()

    def serialized(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        body: object = None,
    ) -> tuple[str, str, dict[str, str], Any, Any]:
        """A request as the client sends it, with whatever says who asks: (method, address, headers, body, …)."""
        serialized: tuple[str, str, dict[str, str], Any, Any] = self._connection.param_serialize(
            method,
            path,
            query_params=query,
            header_params=dict(headers),
            body=body,
            auth_settings=["BearerToken"],
        )
        return serialized

    def _request(
        self, method: str, path: str, query: Mapping[str, str], body: object = None, kind: str | None = None
    ) -> Json:
        response = self._send(method, path, query, body, kind, REQUEST_SECONDS)
        try:
            answer: Json = json.loads(response.data)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise StoreUnavailable(f"{method} {path} got no whole answer ({error})") from error
        return answer

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: object,
        kind: str | None,
        timeout: tuple[float, float],
    ) -> urllib3.BaseHTTPResponse:
        """The answer to a request, its body not yet read."""
        headers = {"Accept": "application/json", "Content-Type": kind or "application/json"}
        request = self.serialized(method, path, list(query.items()), headers, body)
        try:
            answer = self._connection.call_api(*request, _request_timeout=timeout)
            response: urllib3.BaseHTTPResponse = answer.response
            if response.status >= 400:
                raise error_of(response.status, _status_of(response), f"{method} {path}")
        except client.ApiException as error:  # such as TLS trouble, with status 0
            raise StoreUnavailable(f"{method} {path} failed ({error.reason})") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise StoreUnavailable(f"the API server cannot be reached ({_cause(error)})") from error
        return response


def _status_of(response: urllib3.BaseHTTPResponse) -> Json:
    """The API server's Status; what a proxy says instead, as one."""
    try:
        status: Json = json.loads(response.data)
    except ValueError:
        return {"message": response.data.decode(errors="replace")[:200]}
    return status


def error_of(code: int, status: Json, request: str) -> MetaSearchError:
    """What an answer other than a good one means."""
    message = status.get("message") or f"{request} was answered with {code}"
    reason = status.get("reason")
    if code == 404:
        return NotFound(message)
    if code == 409:
        return Conflict(message)
    if code == 410 or reason == "Expired":
        return Expired(message)
    if code == 422 and not status.get("details", {}).get("causes"):
        return Conflict(message)  # a test in a JSON patch failed; what is not valid comes with causes
    if code in (401, 403):
        return Forbidden(message)
    if code in (400, 405, 413, 415, 422):
        return Refused(message)
    return StoreUnavailable(f"the API server answered {request} with {code}: {message}")


def _cause(error: Exception) -> str:
    """What went wrong at the bottom, without the client's wrapping."""
    reason = getattr(error, "reason", None) or error
    said = reason.args[-1] if reason.args else reason  # before it comes the connection that it happened to
    return str(said).rpartition(": ")[2]


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """The lines of a stream as they come."""
    rest = b""
    for chunk in response.stream(2**16):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from filter(None, whole)
