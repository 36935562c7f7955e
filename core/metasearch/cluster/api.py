"""
Requests to an API server, in plain JSON.

The official client provides the connection: kubeconfig, service account, certificates, proxies. Its generated models
are not used: custom resources have none, and Jobs, leases and MetaTrials should be handled in one way.

The client's errors are translated here and nowhere else. The type says what to do next.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import urllib3
import yaml
from kubernetes import client, config

from metasearch.cluster.server_clock import ServerClock
from metasearch.errors import ClusterUnusable, MetaSearchError, StoreUnavailable

Json = dict[str, Any]

PAGE_SIZE = 500
"""Objects per answer of a list; a thousand MetaTrials are a few megabytes."""

REQUEST_SECONDS = (5.0, 20.0)
"""Timeouts to connect, and to wait for an answer."""

SILENCE_SECONDS = 90.0
"""Time after which a silent watch may be dead: the API server sends a bookmark about once a minute, but none of a kind
of which there has been no object yet."""

JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"


Observe = Callable[[str, str, str, float], None]
"""Called after a request: its verb (such as GET), the plural of what it is about, the code of the answer (empty where
none came), and the seconds until it came."""


class NotFound(MetaSearchError):
    """The API server has no such object, or no such kind of object."""


class Silent(StoreUnavailable):
    """A watch has told nothing for long: it is dead, or there was nothing to tell, which a list shows."""


class Conflict(MetaSearchError):
    """The object exists already, or has changed since it was read: read it again."""


class Expired(MetaSearchError):
    """The API server has forgotten the version to watch from: list again."""


class Refused(MetaSearchError):
    """The API server refuses the request, now and later: it is not valid, or not allowed."""


class Forbidden(Refused):
    """The connection's user lacks the right, or is not known to the API server."""


def namespace_of(context: str | None = None) -> str:
    """
    Return the namespace of a context of the kubeconfig.

    Args:
        context: None for the current one.

    Raises:
        ClusterUnusable: there is no kubeconfig, or it is not valid.
    """
    with _kubeconfig_errors():
        contexts, current = config.list_kube_config_contexts()  # type: ignore[no-untyped-call]
        known = {each["name"]: each for each in contexts}
        chosen = known.get(context, {}) if context else current
        return str(chosen.get("context", {}).get("namespace") or "default")


@contextmanager
def _kubeconfig_errors() -> Iterator[None]:
    """Translate the client's errors about a kubeconfig."""
    try:
        yield
    except config.ConfigException as error:
        reason = str(error).rstrip(".")
        raise ClusterUnusable(f"no cluster to talk to ({reason}); set KUBECONFIG, or give --context") from error
    except (OSError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ClusterUnusable(f"the kubeconfig cannot be used ({reason}); set KUBECONFIG to one that can") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # The client reads the file without checking it, so that any content that is not a kubeconfig ends like this.
        raise ClusterUnusable("the kubeconfig is not valid; set KUBECONFIG to one that is") from error


class Api:
    """A connection to one API server, as one user. Safe to use from several threads."""

    def __init__(
        self, connection: client.ApiClient, observe: Observe = lambda *_: None, clock: ServerClock | None = None
    ) -> None:
        self._connection, self._observe = connection, observe
        self.clock = clock or ServerClock()
        """Set by every answer."""

    def observed_by(self, observe: Observe) -> Api:
        """Return the same connection with a function that is told of each request."""
        return Api(self._connection, observe, self.clock)

    @classmethod
    def of_this_pod(cls) -> Api:
        """Connect as the service account of the pod that this runs in; its token is read again when it is rotated."""
        configuration = client.Configuration()
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        return cls(client.ApiClient(configuration))

    @classmethod
    def of_kubeconfig(cls, path: str | None = None, context: str | None = None) -> Api:
        """
        Connect as the user of a kubeconfig.

        Args:
            path: None for KUBECONFIG or ~/.kube/config.
            context: None for the current one.

        Raises:
            ClusterUnusable: there is no kubeconfig, or it is not valid.
        """
        with _kubeconfig_errors():
            return cls(
                config.new_client_from_config(  # type: ignore[no-untyped-call]
                    config_file=path, context=context, persist_config=False
                )
            )

    @property
    def configuration(self) -> client.Configuration:
        """The client's configuration (certificates, proxies), for streams, which it does not open as requests."""
        configuration: client.Configuration = self._connection.configuration
        return configuration

    # --- requests ---

    def get(self, path: str, **query: str) -> Json:
        """Return one object, or one page of a list."""
        return self._request("GET", path, query)

    def list_all(self, path: str, **query: str) -> tuple[list[Json], str]:
        """Return all objects of a kind, and the version to watch from; `query` has labelSelector and the like."""
        items: list[Json] = []
        following: Mapping[str, str] = {"limit": str(PAGE_SIZE)}
        while True:
            page = self._request("GET", path, {**query, **following})
            items += page["items"]
            if not (token := page["metadata"].get("continue")):
                # All pages show the objects as of the first one, so the version of any of them is that of the list.
                return items, page["metadata"]["resourceVersion"]
            following = {"limit": str(PAGE_SIZE), "continue": token}

    def create(self, path: str, body: Json, **query: str) -> Json:
        """Create an object; raises Conflict where one of that name exists."""
        return self._request("POST", path, query, body)

    def patch(self, path: str, operations: list[Json]) -> Json:
        """Change an object by a JSON patch; raises Conflict where a `test` among the operations fails."""
        return self._request("PATCH", path, {}, operations, JSON_PATCH)

    def apply(self, path: str, body: Json, **query: str) -> Json:
        """Create or change an object, like `kubectl apply --server-side --force-conflicts`."""
        return self._request("PATCH", path, {"force": "true", **query}, body, APPLY)

    def delete(self, path: str, **options: Any) -> None:
        """Delete an object, and its dependents after it. It is no error if there is none."""
        try:
            # The API's default for a Job is to leave its pods running.
            self._request("DELETE", path, {}, {"propagationPolicy": "Background", **options})
        except NotFound:
            return

    def watch(self, path: str, version: str, seconds: int, **query: str) -> Iterator[tuple[str, Json]]:
        """
        Yield changes from a version on: (ADDED, MODIFIED, DELETED or BOOKMARK, object).

        Args:
            path: that of a list.
            version: a resourceVersion.
            seconds: after which the API server ends the watch.

        Raises:
            Expired: the version is too old; list again.
            Silent: nothing came for SILENCE_SECONDS.
            StoreUnavailable: the connection broke.
        """
        # Bookmarks keep the version of a quiet watch recent, and show that its connection still lives.
        asked = {**query, "watch": "true", "allowWatchBookmarks": "true"}
        asked |= {"resourceVersion": version, "timeoutSeconds": str(seconds)}
        response = self._send("GET", path, asked, None, None, timeout=(REQUEST_SECONDS[0], SILENCE_SECONDS))
        # Errors after the start of a watch come as events, because the code of the answer was sent already.
        try:
            for line in _lines(response):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise error_of(event["object"].get("code", 500), event["object"], path)
                yield event["type"], event["object"]
        except urllib3.exceptions.ReadTimeoutError as error:
            raise Silent(f"the watch of {path} was silent for {SILENCE_SECONDS:g} s") from error
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
        """Return a request as the client sends it, with its credentials: (method, address, headers, body, …)."""
        serialized: tuple[str, str, dict[str, str], Any, Any] = self._connection.param_serialize(
            method,
            path,
            query_params=query,
            header_params=dict(headers),
            body=body,
            auth_settings=["BearerToken"],  # the generated classes pass it for each method; without it no token is sent
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
        """Send a request and return its answer, with the body not yet read."""
        headers = {"Accept": "application/json", "Content-Type": kind or "application/json"}
        # `param_serialize` and `call_api` are below the generated classes, which know no custom resources.
        request = self.serialized(method, path, list(query.items()), headers, body)
        began, code = time.monotonic(), ""
        try:
            answer = self._connection.call_api(*request, _request_timeout=timeout)
            response: urllib3.BaseHTTPResponse = answer.response
            code = str(response.status)
            self.clock.heard(response.headers.get("Date"))
            if response.status >= 400:
                raise error_of(response.status, _status_of(response), f"{method} {path}")
        except client.ApiException as error:  # such as TLS trouble, with status 0
            raise StoreUnavailable(f"{method} {path} failed ({error.reason})") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise StoreUnavailable(f"the API server cannot be reached ({_cause(error)})") from error
        finally:
            self._observe("WATCH" if "watch" in query else method, resource_of(path), code, time.monotonic() - began)
        return response


def resource_of(path: str) -> str:
    """Return the plural of what a path is about: "pods" of /api/v1/namespaces/a/pods/b/status."""
    parts = path.strip("/").split("/")
    group_end = 2 if parts[0] == "api" else 3  # /api/v1/…, /apis/GROUP/VERSION/…
    rest = parts[group_end:]
    return rest[2] if rest[:1] == ["namespaces"] and len(rest) > 2 else (rest or parts)[0]


def _status_of(response: urllib3.BaseHTTPResponse) -> Json:
    """Return the Status in an answer; the text of a proxy that answered instead, as one."""
    try:
        status: Json = json.loads(response.data)
    except ValueError:
        return {"message": response.data.decode(errors="replace")[:200]}
    return status


def error_of(code: int, status: Json, request: str) -> MetaSearchError:
    """Translate an answer with an error code."""
    message = status.get("message") or f"{request} was answered with {code}"
    reason = status.get("reason")
    if code == 404:
        return NotFound(message)
    if code == 409:
        return Conflict(message)
    if code == 410 or reason == "Expired":
        return Expired(message)
    if code == 422 and not status.get("details", {}).get("causes"):
        # A `test` of a JSON patch has failed. The same code for an object that is not valid comes with causes.
        return Conflict(message)
    if code in (401, 403):
        return Forbidden(message)
    if code in (400, 405, 413, 415, 422):
        return Refused(message)
    # The rest, such as 429 and the 500s, says nothing against the request: it may succeed later.
    return StoreUnavailable(f"the API server answered {request} with {code}: {message}")


def _cause(error: Exception) -> str:
    """Return the innermost reason of an error, without the client's wrapping."""
    reason = getattr(error, "reason", None) or error
    text = reason.args[-1] if reason.args else reason  # urllib3 puts the connection object before the text
    return str(text).rpartition(": ")[2]


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """Yield the lines of a stream as they arrive."""
    rest = b""
    for chunk in response.stream(2**16):
        # A chunk may end anywhere, also within an event; the rest of it comes with the next chunk.
        *whole, rest = (rest + chunk).split(b"\n")
        yield from filter(None, whole)
