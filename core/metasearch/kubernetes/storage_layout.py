"""Where a search's files are below `spec.storage`, which many searches may share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CHECKPOINTS, WEIGHTS = "checkpoints", "weights"
"""A search's folders."""


def search_folder(search: Mapping[str, Any]) -> str:
    """
    A search's own, which another search of the same name does not get.

    Args:
        search: the MetaSearch, as read from the cluster.
    """
    metadata = search["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}-{metadata['uid'][:8]}"


def file_name(trial: str) -> str:
    """Of a trial's checkpoint as of its weights."""
    return f"{trial}.safetensors"


def weights_path(folder: str, trial: str) -> str:
    """A trial's weights, from the folder of its search."""
    return f"{folder}/{WEIGHTS}/{file_name(trial)}"


def address_of(url: str, path: str) -> str:
    """Of what is below an object store's folder, whether or not its own address ends with a slash."""
    return f"{url.rstrip('/')}/{path}"
