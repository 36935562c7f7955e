"""What the operator keeps a copy of: trials, Jobs, pods and leases of all searches, each cut to what it looks at."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from metasearch.cluster.api import Api, Json
from metasearch.cluster.reflector import Reflector, Search
from metasearch.kubernetes import names
from metasearch.kubernetes.ownership import is_leaving
from metasearch.kubernetes.times import Time
from metasearch.kubernetes.trial_conversion import trial_of
from metasearch.kubernetes.worker_job import CONTAINER
from metasearch.search.trials import Stage, State, Trial


@dataclass(frozen=True)
class RecordedTrial:
    """A MetaTrial."""

    name: str
    owner: str | None
    """The uid of the search that made it."""
    pod_uid: str | None
    """Of the pod with the last claim."""
    trial: Trial | None
    """None where what it holds is no trial."""


@dataclass(frozen=True)
class WorkerJob:
    """A Job of workers."""

    name: str
    uid: str
    owner: str | None
    created_at: float
    parallelism: int
    is_suspended: bool
    queue: str | None
    """The LocalQueue of Kueue that it is in."""
    failed_at: float | None
    """When it made an end of its own and will start no more pods; None if it did not."""
    failure: str
    is_leaving: bool


@dataclass(frozen=True)
class WorkerPod:
    """A worker's pod."""

    name: str
    uid: str
    phase: str
    is_leaving: bool
    not_scheduled: str | None
    """Why no node takes it."""
    waiting: tuple[str, str] | None
    """Why its container does not start: reason and message."""
    ended: EndedContainer | None

    @property
    def is_over(self) -> bool:
        return self.phase in ("Succeeded", "Failed")


@dataclass(frozen=True)
class WorkerLease:
    """The sign of life of a worker's pod."""

    version: str
    """Another with every renewal."""
    age: float
    """Seconds in which a renewal would have been seen, and was not."""


@dataclass(frozen=True)
class EndedContainer:
    """How a pod's container ended."""

    exit_code: int
    reason: str
    message: str
    at: float


class Copies:
    """All of them. They may be behind."""

    def __init__(
        self,
        api: Api,
        namespaces: Sequence[str],
        on_change: Callable[[Search], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            namespaces: none means all.
            on_change: told of which search something has changed, from another thread.
        """
        self._clock = clock
        places: Sequence[str | None] = list(dict.fromkeys(namespaces)) or [None]
        self._trials = [Reflector(api, names.TRIAL, place, recorded_trial, on_change, clock) for place in places]
        self._jobs = [Reflector(api, names.JOB, place, worker_job, on_change, clock) for place in places]
        workers = f"{names.LABEL_SEARCH},{names.LABEL_COMPONENT}={names.COMPONENT_WORKER}"
        self._pods = [Reflector(api, names.POD, place, worker_pod, on_change, clock, workers) for place in places]
        # Leases change all the time, and nothing is to be done when they do, only when they do not.
        self._leases = [Reflector(api, names.LEASE, place, lease_name, lambda _: None, clock) for place in places]

    def start(self) -> None:
        for reflector in self._all:
            reflector.start()

    def stop(self) -> None:
        for reflector in self._all:
            reflector.stop()

    @property
    def are_synced(self) -> bool:
        return all(reflector.is_synced for reflector in self._all)

    @property
    def are_alive(self) -> bool:
        return all(reflector.is_alive for reflector in self._all)

    def trials(self, search: Search) -> list[RecordedTrial]:
        return [entry.value for reflector in self._trials for entry in reflector.of(search)]

    def jobs(self, search: Search) -> list[WorkerJob]:
        return [entry.value for reflector in self._jobs for entry in reflector.of(search)]

    def pods(self, search: Search) -> list[WorkerPod]:
        return [entry.value for reflector in self._pods for entry in reflector.of(search)]

    def leases(self, search: Search) -> dict[str, WorkerLease]:
        """By the name of the pod."""
        now = self._clock()
        return {
            entry.value: WorkerLease(entry.version, max(0.0, now - max(entry.seen_at, reflector.unbroken_since)))
            for reflector in self._leases
            for entry in reflector.of(search)
        }

    @property
    def _all(self) -> list[Reflector[Any]]:
        return [*self._trials, *self._jobs, *self._pods, *self._leases]


# --- what is kept of an object ------------------------------------------------------------------------------------


def recorded_trial(resource: Json) -> RecordedTrial:
    try:
        trial: Trial | None = trial_of(resource)
    except ValidationError:
        trial = None
    if trial is not None and not _is_sound(trial):
        trial = None
    claim = resource.get("status", {}).get("claim", {})
    return RecordedTrial(resource["metadata"]["name"], _owner(resource), claim.get("podUID"), trial)


def worker_job(resource: Json) -> WorkerJob:
    metadata, spec = resource["metadata"], resource["spec"]
    failed = [
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
        failed_at=Time(failed[0]["lastTransitionTime"]).unix_seconds if failed else None,
        failure=failed[0].get("message", "") if failed else "",
        is_leaving=is_leaving(resource),
    )


def worker_pod(resource: Json) -> WorkerPod:
    metadata, status = resource["metadata"], resource.get("status", {})
    states = [each.get("state", {}) for each in status.get("containerStatuses", []) if each["name"] == CONTAINER]
    state = states[0] if states else {}
    waiting, ended = state.get("waiting"), state.get("terminated")
    refusals = [
        condition.get("message", "")
        for condition in status.get("conditions", [])
        if condition["type"] == "PodScheduled" and condition["status"] == "False"
    ]
    return WorkerPod(
        name=metadata["name"],
        uid=metadata["uid"],
        phase=status.get("phase", "Pending"),
        is_leaving=is_leaving(resource),
        not_scheduled=refusals[0] if refusals else None,
        waiting=(waiting.get("reason", ""), waiting.get("message", "")) if waiting else None,
        ended=_ended(ended) if ended else None,
    )


def lease_name(resource: Json) -> str:
    return str(resource["metadata"]["name"])


def _is_sound(trial: Trial) -> bool:
    """Whether it has what the rules of a trial's life see to; the API server holds its writers to most, not to all."""
    if trial.state is State.RUNNING:
        return bool(trial.attempts) and trial.attempts[-1].epoch == trial.epoch
    is_examined = trial.result is not None and trial.result.test is not None
    return trial.state is not State.SUCCEEDED or trial.spec.stage is Stage.SEARCH or is_examined


def _ended(state: Json) -> EndedContainer:
    return EndedContainer(
        exit_code=state["exitCode"],
        reason=state.get("reason", ""),
        message=state.get("message", "").strip(),
        at=Time(state["finishedAt"]).unix_seconds if state.get("finishedAt") else 0.0,
    )


def _owner(resource: Json) -> str | None:
    owners = [owner["uid"] for owner in resource["metadata"].get("ownerReferences", []) if owner.get("controller")]
    return owners[0] if owners else None
