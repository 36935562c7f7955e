"""Read which worker pods of a search run."""

from __future__ import annotations

from metasearch.cluster.api import Forbidden
from metasearch.kubernetes import names
from metasearch_cli.remote.target import ClusterTarget, user_errors


def running_workers(target: ClusterTarget, name: str) -> list[str] | None:
    """Return the names of the worker pods that run; None where the user may not list pods."""
    selector = f"{names.LABEL_SEARCH}={name},{names.LABEL_COMPONENT}={names.COMPONENT_WORKER}"
    with user_errors():
        try:
            pods, _ = target.api.list_all(names.POD.path(target.namespace), labelSelector=selector)
        except Forbidden:
            return None
    return [
        pod["metadata"]["name"]
        for pod in pods
        if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
    ]
