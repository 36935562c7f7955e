"""What the commands do with a search on a cluster."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from metasearch.api import MetaSearch
from metasearch.cluster.api import Forbidden, NotFound, Refused
from metasearch.errors import InvalidSpec
from metasearch.kubernetes import names
from metasearch.kubernetes.search_status import READY, ConditionStatus, SearchStatus
from metasearch.kubernetes.timing import timing_of
from metasearch.loading import parse_search
from metasearch.outcome.results import summarize
from metasearch.search.definition import define
from metasearch.search.planner import Plan, standing
from metasearch.stores.kubernetes import KubernetesStore
from metasearch_cli.remote.place import Place, told
from metasearch_cli.remote.weights import Lender
from metasearch_cli.snapshot import Snapshot

MANAGER = "metasearch"
"""Whom the API server takes for the writer of what is only tried."""


def look(place: Place, name: str, image: str | None = None) -> Snapshot:
    """
    Read a search, whether it is under way or over.

    Args:
        image: for the pod that lends the weights on a claim; None for the one that trained them.
    """
    resource = place.search(name)
    spec = parse_search(resource, where=f"the search {name!r} on the cluster").spec
    status = SearchStatus.model_validate(resource.get("status", {}))
    with told():
        trials = KubernetesStore(place.api, resource).trials()
    now = time.time()
    timing = timing_of(status, now)
    at = now if timing.completed_at is None else timing.completed_at
    search = define(name, spec, timing.started_at, timing.paused_seconds(at))
    stands = with_trouble(standing(search, trials, at), status)
    return Snapshot(
        trials,
        summarize(search, trials, stands, at),
        Lender(place, resource, spec, image),
        report=Path(f"{name}.html"),
        best=Path(f"{name}-best"),
    )


def with_trouble(plan: Plan, status: SearchStatus) -> Plan:
    """Where a search is, and why it does not get on, if the operator says so or there is none."""
    if plan.phase.is_over:
        return plan
    ready = status.condition(READY)
    if ready is None:
        return replace(plan, message="no operator has taken it up yet")
    if ready.status is ConditionStatus.FALSE:
        return replace(plan, message=f"{ready.reason}: {ready.message}" if ready.message else ready.reason)
    return plan


def try_out(place: Place, resource: MetaSearch, file: Path) -> None:
    """Ask the API server whether it would take a resource, new or changed; InvalidSpec says why it would not."""
    name, body = resource.metadata.name, as_given(resource)
    path = names.SEARCH.path(place.namespace, name)
    asked: Mapping[str, str] = {"dryRun": "All", "fieldValidation": "Strict", "fieldManager": MANAGER}
    with told():
        try:
            place.api.apply(path, body, **asked)
        except Forbidden:
            raise
        except Refused as error:
            raise InvalidSpec(f"{file}: {' '.join(str(error).split())}") from error
        except NotFound as error:
            if str(error).startswith("namespaces"):
                raise InvalidSpec(f"the cluster has no namespace {place.namespace!r}; give one with -n") from error
            raise


def as_given(resource: MetaSearch) -> dict[str, Any]:
    """What the file said, for a resource as the API server takes it; it fills in the defaults itself."""
    return resource.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
