"""What belongs to a search, and what is about to go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metasearch.kubernetes import names

Json = dict[str, Any]


def owner_reference(search: Mapping[str, Any]) -> Json:
    """Whatever is made for a search is removed with it."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.SEARCH.kind,
        "name": search["metadata"]["name"],
        "uid": search["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_owned_by(resource: Mapping[str, Any], search: Mapping[str, Any]) -> bool:
    """Whether a search made an object; another search of the same name may have been there before."""
    owners = resource["metadata"].get("ownerReferences", [])
    return any(owner["uid"] == search["metadata"]["uid"] for owner in owners)


def is_leaving(resource: Mapping[str, Any]) -> bool:
    """Whether an object is being deleted, and waits for what it owns or for whoever holds it."""
    return "deletionTimestamp" in resource["metadata"]
