"""Owner references, the deletion of what is owned, and who runs a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metasearch.api import OPERATOR_MANAGER
from metasearch.kubernetes import names

Json = dict[str, Any]


def owner_reference(search: Mapping[str, Any]) -> Json:
    """
    Return the reference that makes a search the controller of an object, which is then deleted with the search.

    Args:
        search: the MetaSearch, as read from the cluster.
    """
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.SEARCH.kind,
        "name": search["metadata"]["name"],
        "uid": search["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,  # in a foreground deletion, the search stays until this object is gone
    }


def is_owned_by(resource: Mapping[str, Any], search: Mapping[str, Any]) -> bool:
    """Return whether a search owns an object."""
    # By uid: another search of the same name may have existed before, and its objects may not be gone yet.
    owners = resource["metadata"].get("ownerReferences", [])
    return any(owner["uid"] == search["metadata"]["uid"] for owner in owners)


def is_terminating(resource: Mapping[str, Any]) -> bool:
    """Return whether an object is being deleted and waits for its finalizers, or for what it owns."""
    return "deletionTimestamp" in resource["metadata"]


def is_managed_elsewhere(search: Mapping[str, Any]) -> bool:
    """Return whether another controller runs a search (`spec.managedBy`), so that the operator leaves it alone."""
    return bool(search["spec"].get("managedBy", OPERATOR_MANAGER) != OPERATOR_MANAGER)
