"""
The operator's cache: trials, Jobs, pods and leases of all searches, each reduced to the fields that are used.

It may be behind the API server, by milliseconds or, while a connection is broken, by more. Whatever acts on it must be
safe when it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from metasearch.cluster.api import Api, Forbidden, Json
from metasearch.cluster.reflector import Reflector, SearchKey
from metasearch.errors import StoreUnavailable
from metasearch.kubernetes import names
from metasearch.kubernetes.ownership import is_terminating
from metasearch.kubernetes.times import Time
from metasearch.kubernetes.trial_conversion import OldTrial, trial_of
from metasearch.kubernetes.worker_job import CONTAINER
from metasearch.search.trials import Stage, State, Trial

T = TypeVar("T")


FAILED_PHASE = "Failed"
"""The phase of a pod of which a container has failed."""

PHASES_OVER = ("Succeeded", FAILED_PHASE)
"""The phases of pods that have ended."""


@dataclass(frozen=True)
class CachedTrial:
    """A MetaTrial."""

    name: str
    owner: str | None
    """The uid of the search that controls it."""
    pod_uid: str | None
    """The uid of the pod that made the last claim."""
    trial: Trial | None
    """None where the resource is not a valid trial."""
    is_old: bool = False
    """True if an earlier version made it, so that it cannot be read."""


@dataclass(frozen=True)
class WorkerJob:
    """A Job of workers."""

    name: str
    uid: str
    owner: str | None
    """The uid of the search that controls it."""
    created_at: float
    """Unix time in seconds."""
    parallelism: int
    is_suspended: bool
    queue: str | None
    """The LocalQueue of Kueue that it is in."""
    failed_at: float | None
    """Unix time in seconds at which it ended and stopped to create pods; None while it goes on."""
    failure: str
    is_terminating: bool


@dataclass(frozen=True)
class WorkerPod:
    """A worker's pod."""

    name: str
    uid: str
    phase: str
    node: str | None
    """The node that it was given to."""
    ends_at: float | None
    """The end of its grace as a Unix time in seconds, where it is being deleted; its node has to end it by then."""
    not_scheduled: str | None
    """The scheduler's message, where no node takes it."""
    waiting: tuple[str, str] | None
    """Reason and message, where its container does not start."""
    ended: EndedContainer | None

    @property
    def is_over(self) -> bool:
        return self.phase in PHASES_OVER

    @property
    def is_terminating(self) -> bool:
        return self.ends_at is not None


@dataclass(frozen=True)
class WorkerLease:
    """The heartbeat of a worker's pod."""

    version: str
    """The resourceVersion, which changes with every renewal."""
    age: float
    """Seconds since the last renewal, counting only time in which the operator would have seen one."""


@dataclass(frozen=True)
class EndedContainer:
    """The end of a pod's container."""

    exit_code: int
    reason: str
    message: str
    at: float
    """Unix time in seconds; 0 where the kubelet did not see it."""


class Cache:
    """The reflectors of all four kinds, per namespace."""

    def __init__(
        self,
        api: Api,
        namespaces: Sequence[str],
        on_change: Callable[[SearchKey], None],
        clock: Callable[[], float] = time.monotonic,
        on_break: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        """
        Args:
            namespaces: empty for all.
            on_change: called with the search of which an object has changed, from a reflector's thread.
            clock: monotonic, in seconds.
            on_break: called with the plural of a kind and the name of the error where a watch breaks.
        """
        self._clock = clock
        scopes: Sequence[str | None] = list(dict.fromkeys(namespaces)) or [None]

        def follow(
            kind: names.Kind | names.Resource,
            parse: Callable[[Json], T],
            on_change: Callable[[SearchKey], None] = on_change,
            selector: str = names.LABEL_SEARCH,
        ) -> list[Reflector[T]]:
            return [Reflector(api, kind, scope, parse, on_change, clock, selector, on_break) for scope in scopes]

        self._trials, self._jobs = follow(names.TRIAL, cached_trial), follow(names.JOB, worker_job)
        # `metasearch export` starts pods with a search's label, too; they are none of its workers.
        workers = f"{names.LABEL_SEARCH},{names.LABEL_COMPONENT}={names.COMPONENT_WORKER}"
        self._pods = follow(names.POD, worker_pod, selector=workers)
        # Renewals come every few seconds and need no reconcile: only a lease that is not renewed does.
        self._leases = follow(names.LEASE, lease_name, on_change=lambda _: None)

    def start(self) -> None:
        """Start to fill the cache, in threads."""
        for reflector in self._all:
            reflector.start()

    def stop(self) -> None:
        """Ask the threads to end."""
        for reflector in self._all:
            reflector.stop()

    @property
    def is_synced(self) -> bool:
        """True once every kind has been listed in every namespace that may be read; one may be deleted, or closed."""
        return all(reflector.is_synced or reflector.is_refused for reflector in self._all)

    def require_synced(self, namespace: str) -> None:
        """
        Make sure that every kind has been listed in a namespace, so that none of its trials is taken to be missing.

        Raises:
            Forbidden: the operator may not list them.
            StoreUnavailable: it has yet to list them.
        """
        for reflector in self._all:
            if reflector.namespace in (None, namespace) and not reflector.is_synced:
                if reflector.is_refused:
                    raise Forbidden(f"the operator may not list {reflector.plural} in the namespace {namespace}")
                raise StoreUnavailable(f"the {reflector.plural} of the namespace {namespace} have not been listed yet")

    def refresh(self, search: SearchKey) -> None:
        """
        List what a search has, and put right what the watches have missed of it.

        Raises:
            StoreUnavailable: the API server cannot be reached now.
            Forbidden: the operator may not list it.
        """
        for reflector in self._all:
            if reflector.namespace in (None, search[0]):
                reflector.refresh(search)

    @property
    def is_alive(self) -> bool:
        """False once a reflector's thread has died; only a restart helps then."""
        return all(reflector.is_alive for reflector in self._all)

    def age_seconds(self, plural: str) -> float:
        """Return the time since the API server was last heard of a kind, in the namespace where that is longest."""
        return max(reflector.age_seconds for reflector in self._all if reflector.plural == plural)

    @property
    def plurals(self) -> Sequence[str]:
        """The kinds that are followed."""
        return list(dict.fromkeys(reflector.plural for reflector in self._all))

    def trials(self, search: SearchKey) -> list[CachedTrial]:
        """Return the search's trials, in no order."""
        return [entry.value for reflector in self._trials for entry in reflector.of(search)]

    def jobs(self, search: SearchKey) -> list[WorkerJob]:
        """Return the search's Jobs, in no order."""
        return [entry.value for reflector in self._jobs for entry in reflector.of(search)]

    def pods(self, search: SearchKey) -> list[WorkerPod]:
        """Return the search's worker pods, in no order."""
        return [entry.value for reflector in self._pods for entry in reflector.of(search)]

    def leases(self, search: SearchKey) -> dict[str, WorkerLease]:
        """Return the leases of the search's workers, by the name of the pod."""
        now = self._clock()
        return {
            # Age is judged by our own clock, and starts anew after an outage: a worker that could not renew because
            # the API server was away must not be taken for lost the moment it is back.
            entry.value: WorkerLease(entry.version, max(0.0, now - max(entry.seen_at, reflector.unbroken_since)))
            for reflector in self._leases
            for entry in reflector.of(search)
        }

    @property
    def _all(self) -> list[Reflector[Any]]:
        return [*self._trials, *self._jobs, *self._pods, *self._leases]


# --- from resources -----------------------------------------------------------------------------------------------


def cached_trial(resource: Json) -> CachedTrial:
    """Reduce a MetaTrial. One that is not valid is kept without its trial, so that the status can name it."""
    is_old = False
    try:
        trial: Trial | None = trial_of(resource)
    except OldTrial:
        trial, is_old = None, True
    except ValidationError:
        trial = None
    if trial is not None and not _is_sound(trial):
        trial = None
    claim = resource.get("status", {}).get("claim", {})
    return CachedTrial(resource["metadata"]["name"], _owner(resource), claim.get("podUID"), trial, is_old)


def worker_job(resource: Json) -> WorkerJob:
    """Reduce a Job."""
    metadata, spec = resource["metadata"], resource["spec"]
    # Complete is an end like Failed: a worker that found no search exits with 0, and its Job starts no more pods.
    ended = [
        condition
        for condition in resource.get("status", {}).get("conditions", [])
        if condition["type"] in ("Failed", "Complete") and condition["status"] == "True"
    ]
    return WorkerJob(
        name=metadata["name"],
        uid=metadata["uid"],
        owner=_owner(resource),
        created_at=Time(metadata["creationTimestamp"]).unix_seconds,
        parallelism=spec.get("parallelism", 1),
        is_suspended=spec.get("suspend", False),
        queue=metadata.get("labels", {}).get(names.LABEL_QUEUE),
        failed_at=Time(ended[0]["lastTransitionTime"]).unix_seconds if ended else None,
        failure=ended[0].get("message", "") if ended else "",
        is_terminating=is_terminating(resource),
    )


def worker_pod(resource: Json) -> WorkerPod:
    """Reduce a worker's pod to what is known of it and of its container."""
    metadata, status = resource["metadata"], resource.get("status", {})
    # By name: webhooks of the cluster may have put other containers beside ours.
    states = [each.get("state", {}) for each in status.get("containerStatuses", []) if each["name"] == CONTAINER]
    state = states[0] if states else {}
    waiting, ended = state.get("waiting"), state.get("terminated")
    unscheduled = [
        condition.get("message", "")
        for condition in status.get("conditions", [])
        if condition["type"] == "PodScheduled" and condition["status"] == "False"
    ]
    return WorkerPod(
        name=metadata["name"],
        uid=metadata["uid"],
        phase=status.get("phase", "Pending"),
        node=resource.get("spec", {}).get("nodeName"),
        ends_at=Time(metadata["deletionTimestamp"]).unix_seconds if is_terminating(resource) else None,
        not_scheduled=unscheduled[0] if unscheduled else None,
        waiting=(waiting.get("reason", ""), waiting.get("message", "")) if waiting else None,
        ended=_ended(ended) if ended else None,
    )


def lease_name(resource: Json) -> str:
    """Reduce a lease to its name; its version and its age come from the reflector's entry."""
    return str(resource["metadata"]["name"])


def _is_sound(trial: Trial) -> bool:
    """Return whether a trial keeps the rules that its definition cannot express, and that planning relies on."""
    if trial.state is State.RUNNING:
        return bool(trial.attempts) and trial.attempts[-1].epoch == trial.epoch
    has_test = trial.result is not None and trial.result.test is not None
    return trial.state is not State.SUCCEEDED or trial.spec.stage is Stage.SEARCH or has_test


def _ended(state: Json) -> EndedContainer:
    return EndedContainer(
        exit_code=state["exitCode"],
        reason=state.get("reason", ""),
        message=state.get("message", "").strip(),
        at=Time(state["finishedAt"]).unix_seconds if state.get("finishedAt") else 0.0,
    )


def _owner(resource: Json) -> str | None:
    """Return the uid of the controller; other owners only share in keeping an object."""
    owners = [owner["uid"] for owner in resource["metadata"].get("ownerReferences", []) if owner.get("controller")]
    return owners[0] if owners else None
