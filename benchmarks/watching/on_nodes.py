"""
Real faults, of searches on a cluster with nodes and of its operator, and the alerts that are right for them.

Searches with something wrong are applied together, beside one that is well. What concerns the operator happens
afterwards, one after another, while that search goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from devcluster.cluster import Cluster
from devcluster.operator_installation import RELEASE, OperatorInstallation
from devcluster.prometheus import PrometheusServer
from devcluster.searches import SearchHandle, create_search
from monitoring.limits import CACHE_STALE_SECONDS

from metasearch.cluster.api import Api
from metasearch.kubernetes import names

GPU = "example.com/gpu"
OPERATOR = f"deployment/{RELEASE}"

TINY: dict[str, Any] = {
    "task": {"ways": 3},
    "space": {"maxBlocks": 3, "filters": 2, "filterScale": 1, "reductions": 1},
    "search": {"strategy": "Random"},
    "training": {
        "metaIterations": 60,
        "reptile": {"metaBatchSize": 2, "innerSteps": 2, "shots": 2, "innerLearningRate": "0.01", "evaluationSteps": 2},
    },
    "evaluation": {"tasks": 25, "curvePoints": 1},
    "budget": {"maxTrials": 20_000, "maxFailedTrials": 20_000},
    "parallelism": 1,
    "final": {"top": 1, "seeds": 1, "metaIterations": 6, "tasks": 10},
}
"""A search that would go on for hours, in trials of seconds."""


@dataclass(frozen=True)
class Site:
    """A cluster with the installed operator, and a Prometheus that scrapes it."""

    cluster: Cluster
    installation: OperatorInstallation
    prometheus: PrometheusServer

    @cached_property
    def api(self) -> Api:
        return Api.of_kubeconfig(str(self.installation.access.kubeconfig))

    def kubectl(self, *arguments: str) -> str:
        return self.installation.access.run(*arguments, f"--namespace={self.installation.namespace}")

    def apply(self, name: str, **changes: Any) -> SearchHandle:
        """Apply the tiny search with some fields of spec replaced."""
        created = create_search(self.api, self.installation.namespace, name, **{**TINY, **changes})
        return SearchHandle(self.api, created)


@dataclass(frozen=True)
class Scene:
    """A fault that has begun."""

    site: Site
    search: SearchHandle | None
    seconds: float
    """Time since it began."""

    @property
    def pods(self) -> list[dict[str, Any]]:
        """The pods of the search."""
        assert self.search is not None
        return self.search.pods()

    def ended(self, *outcomes: str) -> int:
        """Return how many attempts of the search ended in one of these ways."""
        assert self.search is not None
        attempts = (attempt for trial in self.search.trials() for attempt in trial.attempts)
        return sum(attempt.outcome in outcomes for attempt in attempts)


Visible = Callable[[Scene], bool]
"""Tells whether Kubernetes' own objects, or the operator's metrics, show what an alert is about."""


@dataclass(frozen=True)
class Begun:
    """A thing that was done to a cluster."""

    undo: Callable[[], object]
    search: SearchHandle | None = None
    """The search that was applied."""


@dataclass(frozen=True)
class RealFault:
    """Something that is done to a cluster."""

    title: str
    story: str
    alerts: Mapping[str, Visible]
    """The alerts that are right for it, without their common prefix; none of a normal situation."""
    begin: Callable[[Site], Begun]
    watched_seconds: float = 0.0
    """The time for which a normal situation is watched."""


def at_once(_: Scene) -> bool:
    """Say that it can be seen as soon as it is done."""
    return True


# --- of searches --------------------------------------------------------------------------------------------------


def _has_waiting(reason: str) -> Visible:
    def visible(scene: Scene) -> bool:
        return any(
            reason in status.get("state", {}).get("waiting", {}).get("reason", "")
            for pod in scene.pods
            for status in pod["status"].get("containerStatuses", [])
        )

    return visible


def _is_unschedulable(scene: Scene) -> bool:
    return any(
        condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable"
        for pod in scene.pods
        for condition in pod["status"].get("conditions", [])
    )


def _is_refused(scene: Scene) -> bool:
    assert scene.search is not None
    events, _ = scene.search.api.list_all(names.EVENT.path(scene.search.namespace))
    return any(
        event["reason"] == "FailedCreate" and event["involvedObject"]["name"].startswith(scene.search.name)
        for event in events
    )


def _has_failed(scene: Scene) -> bool:
    return any(
        state["terminated"]["exitCode"]
        for pod in scene.pods
        for status in pod["status"].get("containerStatuses", [])
        for state in (status.get("state", {}), status.get("lastState", {}))
        if "terminated" in state
    )


def _refuse_gpus(site: Site) -> None:
    """Forbid pods with a GPU in the namespace, which is what a quota that is used up does."""
    site.installation.access.apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "gpus", "namespace": site.installation.namespace},
            "spec": {"hard": {f"requests.{GPU}": "0"}},
        }
    )


def _search(name: str, **changes: Any) -> Callable[[Site], Begun]:
    def begin(site: Site) -> Begun:
        search = site.apply(name, **changes)
        return Begun(search.delete, search)

    return begin


def _resources(**resources: Any) -> dict[str, Any]:
    return {"worker": {"template": {"resources": resources}}}


def _of_refused(site: Site) -> Begun:
    _refuse_gpus(site)
    return _search("refused", **_resources(limits={GPU: 1}))(site)


IMAGE = {"worker": {"template": {"image": "localhost/no-such-image:dev"}}}

SEARCH_FAULTS = (
    RealFault(
        "image missing",
        "no node has the image that a search names",
        {"WorkerImageUnavailable": _has_waiting("Image")},
        _search("no-image", **IMAGE),
    ),
    RealFault(
        "workers end before they train",
        "the image has no trainer",
        {"WorkersFailing": lambda scene: _has_failed(scene) or _has_waiting("RunContainerError")(scene)},
        _search("no-trainer", worker={"template": {"image": "localhost/busybox:dev"}}),
    ),
    RealFault(
        "nodes are full",
        "a pod asks for a thousand cores",
        {"WorkersPending": _is_unschedulable},
        _search("no-room", **_resources(requests={"cpu": "1000"})),
    ),
    RealFault(
        "quota refuses the pods",
        "a ResourceQuota allows no GPU, and the search asks for one",
        {"WorkersRefused": _is_refused},
        _of_refused,
    ),
    RealFault(
        "dataset cannot be used",
        "a class of Omniglot has 20 images, and a task takes 26",
        {"SearchInvalid": _has_failed},
        _search("too-many-shots", task={"ways": 3, "shots": 25}),
    ),
    RealFault(
        "out of memory",
        "`budget.trialMemory` is 64Mi, which no trial can do with",
        {"WorkersOutOfMemory": lambda scene: scene.ended("OutOfMemory") >= 2},
        _search("no-memory", budget={**TINY["budget"], "trialMemory": "64Mi"}),
    ),
    RealFault(
        "every trial fails",
        "each takes longer than `budget.trialTime`, 5 s",
        {"TrialsFailing": lambda scene: scene.ended("TimedOut") >= 5},
        _search(
            "too-slow",
            budget={**TINY["budget"], "trialTime": "5s"},
            training={**TINY["training"], "metaIterations": 100_000},
        ),
    ),
)

WELL = RealFault("a search that is well", "trials of seconds, one after another", {}, _search("well"))


# --- of the operator ----------------------------------------------------------------------------------------------


def _take_rights(site: Site) -> Begun:
    found = json.loads(site.kubectl("get", "rolebindings", "--output=json"))["items"]
    taken = [each for each in found if each["roleRef"]["name"] == f"{RELEASE}-operator"]
    assert taken, "the operator has no role binding of its own"
    for each in taken:
        site.kubectl("delete", "rolebinding", each["metadata"]["name"])
    return Begun(lambda: site.installation.access.apply(*map(_as_applied, taken)))


def _as_applied(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object without what the API server adds, so that it can be made again."""
    kept = {key: found["metadata"][key] for key in ("name", "namespace", "labels") if key in found["metadata"]}
    return {**found, "metadata": kept}


def _stop_api_server(site: Site) -> Begun:
    server = site.cluster.control_plane.api_server
    server.kill()

    def start() -> None:
        server.restart()
        server.wait_until_ready()

    return Begun(start)


def _scale(site: Site, replicas: int) -> None:
    site.kubectl("scale", OPERATOR, f"--replicas={replicas}")


def _stop_operator(site: Site) -> Begun:
    _scale(site, 0)
    return Begun(lambda: _scale(site, 1))


def _delete_operator(site: Site) -> Begun:
    site.kubectl("delete", "pod", site.installation.operator_pod(), "--wait=false")
    return Begun(lambda: None)  # its Deployment makes another


def _is_cache_stale(scene: Scene) -> bool:
    # What was heard last may be a minute older than the fault.
    return (scene.site.prometheus.value("max(metasearch_cache_age_seconds)") or 0) > CACHE_STALE_SECONDS


def _refused_twice(scene: Scene) -> bool:
    count = 'sum(metasearch_api_request_seconds_count{code=~"401|403",resource!~"workloads"})'
    return (scene.site.prometheus.value(count) or 0) >= 2


OPERATOR_FAULTS = (
    RealFault(
        "operator killed, and back at once",
        "its pod is deleted, and the Deployment starts another",
        {},
        _delete_operator,
        watched_seconds=240,
    ),
    RealFault(
        "API server away",
        "its process is killed; nothing can be asked of it, until it is started again",
        {"ApiServerUnavailable": at_once},
        _stop_api_server,
    ),
    RealFault(
        "all rights taken away",
        "the operator's role binding is deleted",
        {"RightsMissing": _refused_twice, "OperatorCacheStale": _is_cache_stale},
        _take_rights,
    ),
    RealFault(
        "operator's pod gone",
        "its Deployment is scaled to zero",
        {"OperatorDown": at_once},
        _stop_operator,
    ),
)
