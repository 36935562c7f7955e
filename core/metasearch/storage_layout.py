"""
Names of the folders and files that hold checkpoints and trained weights.

The same below a local run's folder, in a pod's scratch and below `spec.storage`, which many searches may share. Folders
of delivered networks are below a local run's folder and where an export writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CHECKPOINTS, WEIGHTS = "checkpoints", "weights"
"""The folders that every search has."""

FRONT = "front"
"""The folder of the networks of a delivered front, each in a folder of its own: 1 for the best score, 2, ..."""


def front_folder(number: int) -> str:
    """Return the path of a network of a delivered front; the best score has the number 1."""
    return f"{FRONT}/{number}"


def search_folder(search: Mapping[str, Any]) -> str:
    """
    Return the search's own folder below `spec.storage`.

    The uid is part of it: a search that is deleted and made anew under its name must not find the old one's weights.

    Args:
        search: the MetaSearch, as read from the cluster.
    """
    metadata = search["metadata"]
    # Eight hex digits distinguish the few searches that ever have one name.
    return f"{metadata['namespace']}/{metadata['name']}-{metadata['uid'][:8]}"


def file_name(trial: str) -> str:
    """Return the name of a trial's checkpoint, which is also that of its weights."""
    return f"{trial}.safetensors"


def weights_path(folder: str, trial: str) -> str:
    """Return the path of a trial's weights, given the folder of its search."""
    return f"{folder}/{WEIGHTS}/{file_name(trial)}"


def address_of(url: str, path: str) -> str:
    """Return the URL of a path below an object store's folder, whether or not the folder's URL ends with a slash."""
    return f"{url.rstrip('/')}/{path}"
