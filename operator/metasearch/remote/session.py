"""What the commands do with a search on a cluster."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from metasearch.cluster.api import Forbidden, NotFound, Refused
from metasearch.errors import InvalidSpec
from metasearch.kubernetes import names
from metasearch.kubernetes.search_status import Condition, ConditionStatus, SearchStatus
from metasearch.loading import parse_search
from metasearch.remote.place import Place, told
from metasearch.remote.weights import Lender
from metasearch.results import summarize
from metasearch.search.definition import define
from metasearch.search.planner import Plan, standing
from metasearch.snapshot import Snapshot
from metasearch.spec import MetaSearch
from metasearch.stores.kubernetes import KubernetesStore

MANAGER = "metasearch"
"""Whom the API server takes for the writer of what is only tried."""


@dataclass(frozen=True)
class Clock:
    """A search's times, in Unix seconds."""

    started_at: float
    paused_seconds: float
    now: float
    """For a search that is over, its end."""


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
    clock = clock_of(status, time.time())
    search = define(name, spec, clock.started_at, clock.paused_seconds)
    standing_at = with_trouble(standing(search, trials, clock.now), status)
    return Snapshot(
        trials,
        summarize(search, trials, standing_at, clock.now),
        Lender(place, resource, spec, image),
        report=Path(f"{name}.html"),
        best=Path(f"{name}-best"),
    )


def clock_of(status: SearchStatus, now: float) -> Clock:
    """The times that no trial records; a search that has not begun begins now."""
    if status.completion_time is not None:
        now = status.completion_time.unix_seconds
    paused = float(status.suspended_time.seconds) if status.suspended_time else 0.0
    suspended = _condition(status, "Suspended")
    if suspended and suspended.status is ConditionStatus.TRUE:
        paused += max(0.0, now - suspended.last_transition_time.unix_seconds)
    return Clock(status.start_time.unix_seconds if status.start_time else now, paused, now)


def with_trouble(plan: Plan, status: SearchStatus) -> Plan:
    """Where a search is, and why it does not get on, if the operator says so or there is none."""
    if plan.phase.is_over:
        return plan
    ready = _condition(status, "Ready")
    if ready is None:
        return replace(plan, message="no operator has taken it up yet")
    if ready.status is ConditionStatus.FALSE:
        return replace(plan, message=f"{ready.reason}: {ready.message}" if ready.message else ready.reason)
    return plan


def _condition(status: SearchStatus, kind: str) -> Condition | None:
    return next((condition for condition in status.conditions if condition.type == kind), None)


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
