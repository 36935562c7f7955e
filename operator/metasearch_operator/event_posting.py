"""Post the events of a MetaSearch to its API server."""

from __future__ import annotations

import hashlib
import logging
import platform
from typing import Any

from metasearch.cluster.api import Api, Conflict
from metasearch.errors import MetaSearchError
from metasearch.kubernetes import names
from metasearch.kubernetes.times import Time
from metasearch_operator.events import Event

logger = logging.getLogger(__name__)

MESSAGE_MAX_LENGTH = 1024
"""Characters; longer messages are refused by the API for events that has replaced this one."""

Json = dict[str, Any]


def post(api: Api, resource: Json, event: Event, now: float) -> None:
    """
    Post an event of a search, unless it was posted before, by another operator or by this one before it was killed.

    What fails is logged: an event is for people, and its search must go on without it.

    Args:
        resource: the MetaSearch, as read from the cluster.
        now: Unix time in seconds.
    """
    body = event_body(resource, event, now)
    try:
        api.create(names.EVENT.path(body["metadata"]["namespace"]), body)
    except Conflict:
        return
    except MetaSearchError as error:
        logger.warning("the event %s of %s cannot be posted: %s", event.reason, resource["metadata"]["name"], error)


def event_body(resource: Json, event: Event, now: float) -> Json:
    """Return the event as Kubernetes has it, under a name that follows from the search and the event's occasion."""
    metadata, time = resource["metadata"], str(Time.at(now))
    said = f"{metadata['uid']} {event.reason} {event.occasion}"
    message = event.message
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name']}.{hashlib.sha256(said.encode()).hexdigest()[:16]}",
            "namespace": metadata["namespace"],
        },
        "involvedObject": {
            "apiVersion": names.API_VERSION,
            "kind": names.SEARCH.kind,
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
        "type": event.type,
        "reason": event.reason,
        "message": message if len(message) <= MESSAGE_MAX_LENGTH else f"{message[: MESSAGE_MAX_LENGTH - 1]}…",
        "source": {"component": names.OPERATOR, "host": platform.node()},  # the column From of `kubectl describe`
        "reportingComponent": names.OPERATOR,
        "reportingInstance": platform.node(),
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }
