"""Read the fields of a MetaSearch and write its status."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from metasearch.cluster.api import Api, Conflict, NotFound
from metasearch.cluster.reflector import SearchKey
from metasearch.kubernetes import names
from metasearch.kubernetes.search_status import SearchStatus

Json = dict[str, Any]


class SearchGone(Exception):
    """The search no longer exists, or is being deleted. Not an error: its task ends."""


def search_key(resource: Json) -> SearchKey:
    """Return the namespace and the name of a MetaSearch."""
    return resource["metadata"]["namespace"], resource["metadata"]["name"]


def write_status(api: Api, resource: Json, status: SearchStatus) -> bool:
    """
    Write a search's status unless the search has changed since it was read; return whether it was written.

    Raises:
        SearchGone: the search no longer exists.
    """
    namespace, name = search_key(resource)
    operations = [
        # A status computed from an old spec must not overwrite the one that another operator computed from a newer one.
        {"op": "test", "path": "/metadata/resourceVersion", "value": resource["metadata"]["resourceVersion"]},
        # `add` rather than `replace`: a new search has no status, and `add` replaces one that exists.
        {"op": "add", "path": "/status", "value": status_json(status)},
    ]
    try:
        api.patch(f"{names.SEARCH.path(namespace, name)}/status", operations)
    except NotFound as error:
        raise SearchGone(name) from error
    except Conflict:  # the `test` of the resourceVersion failed
        return False
    return True


def recorded_status(resource: Json) -> SearchStatus:
    """Return the status on record; an empty one where it is not valid, so that the next write repairs it."""
    try:
        return SearchStatus.model_validate(resource.get("status", {}))
    except ValidationError:
        return SearchStatus()


def status_json(status: SearchStatus) -> Json:
    """Return a status as the API server stores it."""
    # Kubernetes drops null fields: with them, a status would never equal the one that was read back.
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)
