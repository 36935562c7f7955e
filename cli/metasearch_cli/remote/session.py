"""Read a search on a cluster, and ask the API server whether it would take one."""

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
from metasearch.outcome.ends import stays_ended
from metasearch.outcome.results import summarize
from metasearch.outcome.summary import recorded_ends
from metasearch.search.build import build_search
from metasearch.search.planner import Plan, current_status
from metasearch.stores.kubernetes import KubernetesStore
from metasearch_cli.outcome.snapshot import Snapshot
from metasearch_cli.remote.target import ClusterTarget, user_errors
from metasearch_cli.remote.weights import WeightsDownload

FIELD_MANAGER = "metasearch"
"""The field manager of dry-run applies."""


def load_snapshot(target: ClusterTarget, name: str, image: str | None = None) -> Snapshot:
    """
    Read a search that is under way or over.

    Args:
        image: of the pod that reads weights from a claim; None for that of the search's workers.
    """
    resource = target.search(name)
    spec = parse_search(resource, where=f"the search {name!r} on the cluster").spec
    status = SearchStatus.model_validate(resource.get("status", {}))
    with user_errors():
        trials = KubernetesStore(target.api, resource).trials()
    now = time.time()
    timing = timing_of(status, trials, now)
    # A search that is over is shown as it was then: its wall time must not grow with every look.
    at = now if timing.completed_at is None else timing.completed_at
    search = build_search(name, spec, timing.started_at, timing.paused_seconds(at))
    ends = recorded_ends(status)
    has_ended = timing.completed_at is not None and stays_ended(ends, spec)
    stands = with_trouble(current_status(search, trials, at, has_ended), status)
    return Snapshot(
        trials,
        summarize(search, trials, stands, at, ends),
        WeightsDownload(target, resource, spec, image),
        report=Path(f"{name}.html"),
        trace=Path(f"{name}-trace.json"),
        best=Path(f"{name}-best"),
        front=Path(f"{name}-front"),
    )


def with_trouble(plan: Plan, status: SearchStatus) -> Plan:
    """Add to a plan why the search makes no progress, where the operator says so or there is no operator."""
    # A plan says what should happen. Only the operator's conditions say whether it does.
    if plan.phase.is_over:
        return plan
    ready = status.condition(READY)
    if ready is None:
        return replace(plan, message="no operator has taken it up yet")
    if ready.status is ConditionStatus.FALSE:
        return replace(plan, message=f"{ready.reason}: {ready.message}" if ready.message else ready.reason)
    return plan


def dry_run(target: ClusterTarget, resource: MetaSearch, file: Path) -> None:
    """
    Ask the API server whether it would take a resource, new or changed. Nothing is written.

    Raises:
        InvalidSpec: it would not; the sentence says why.
    """
    name, body = resource.metadata.name, as_given(resource)
    path = names.SEARCH.path(target.namespace, name)
    asked: Mapping[str, str] = {"dryRun": "All", "fieldValidation": "Strict", "fieldManager": FIELD_MANAGER}
    with user_errors():
        try:
            target.api.apply(path, body, **asked)
        # Forbidden is a Refused, but a missing right does not make a resource wrong.
        except Forbidden:
            raise
        except Refused as error:
            raise InvalidSpec(f"{file}: {' '.join(str(error).split())}") from error
        except NotFound as error:
            # Else it is the kind that is not found, for which user_errors has a sentence.
            if str(error).startswith("namespaces"):
                raise InvalidSpec(f"the cluster has no namespace {target.namespace!r}; give one with -n") from error
            raise


def as_given(resource: MetaSearch) -> dict[str, Any]:
    """Return the resource without defaults, as its file had it: the API server fills them in itself."""
    return resource.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
