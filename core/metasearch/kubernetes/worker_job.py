"""
The Job that runs a search's trials: worker pods that take trials from the API server until there are none.

Its name has a hash of the pod template in it, so that another template is another Job: a Job's own cannot be changed.
So with its queue, which cannot be changed while it runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from metasearch.api import MetaSearchSpec, Resources
from metasearch.kubernetes import names, restricted
from metasearch.kubernetes.ownership import owner_reference
from metasearch.kubernetes.pod_settings import PodSettings

Json = dict[str, Any]

CONTAINER = "trainer"
LEFT = 75
"""A worker's exit code when it was told to leave; not a failure (sysexits.h: try again)."""

BACKOFF_LIMIT = 6
"""Pods that fail before the Job is given up; the operator makes another after a while."""

GRACE_SECONDS = 30
"""What a pod gets to free its trials, and to write their checkpoints."""

KEPT_SECONDS = 3600
"""How long a Job that failed is kept to be looked at."""

LEASE_SECONDS = 60
RENEW_SECONDS = 20.0
"""A pod that has not renewed its lease for so long is taken to be gone; how often it does, so that one may get lost."""

DATA = "/var/lib/metasearch/data"
STORAGE = "/var/lib/metasearch/storage"
SCRATCH = "/var/lib/metasearch/scratch"
"""Where a worker finds dataset.folder.claim and spec.storage.claim, and where it may write what it can do without."""

BUSY_PROBE: Json = {
    "exec": {"command": ["sh", "-c", f'[ -n "$(ls {SCRATCH}/busy)" ]']},
    "periodSeconds": 5,
    "timeoutSeconds": 5,
    "failureThreshold": 1,
}
"""
A pod is ready while one of its slots has work.

Nobody sends requests to workers. But of a Job that is to have fewer pods, Kubernetes removes those first that are not
ready, and so the idle ones.
"""

GPU_SUFFIXES = ("/gpu", "/gpu.shared")


def slots_per_pod(spec: MetaSearchSpec) -> int:
    """Trials that one pod runs at once; fewer than worker.slots where that would be more than may run in all."""
    return min(spec.worker.slots, spec.parallelism)


def most_pods(spec: MetaSearchSpec) -> int:
    """As many as run `parallelism` trials and no more."""
    return spec.parallelism // slots_per_pod(spec)


def worker_image(spec: MetaSearchSpec, settings: PodSettings) -> str:
    """The search's own, or the one that came with the operator."""
    return spec.worker.template.image or settings.image


def gpus_per_pod(resources: Resources) -> float:
    """GPUs that a pod's limits name, and slices of them: one for each */gpu, */gpu.shared and */mig-*."""
    return sum(
        amount.amount
        for name, amount in resources.limits.items()
        if name.endswith(GPU_SUFFIXES) or name.partition("/")[2].startswith("mig-")
    )


def worker_job(search: Mapping[str, Any], spec: MetaSearchSpec, settings: PodSettings, pods: int) -> Json:
    """
    The Job, as to be created.

    Args:
        search: the MetaSearch, as read from the cluster.
        pods: how many are to run at once.
    """
    name = search["metadata"]["name"]
    template = _template(name, spec, settings)
    queue = spec.worker.queue_name
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{name}-workers-{_hash([template, queue] if queue else template)}",
            "namespace": search["metadata"]["namespace"],
            "labels": _labels(name, settings) | ({names.LABEL_QUEUE: queue} if queue else {}),
            "ownerReferences": [owner_reference(search)],
        },
        "spec": {
            "parallelism": pods,
            "backoffLimit": BACKOFF_LIMIT,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            # A pod that is on its way out may still be at its trial; another takes its place once it is gone.
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
                    {
                        "action": "Ignore",
                        "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": [LEFT]},
                    },
                ]
            },
            **({"suspend": True} if queue else {}),  # until Kueue lets it start
            "template": template,
        },
    }


def _hash(value: Json | list[Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


def _labels(search: str, settings: PodSettings) -> dict[str, str]:
    return {
        **settings.labels,
        names.LABEL_SEARCH: search,
        "app.kubernetes.io/name": "metasearch",
        names.LABEL_COMPONENT: names.COMPONENT_WORKER,
    }


def _template(search: str, spec: MetaSearchSpec, settings: PodSettings) -> Json:
    labels, wanted = _labels(search, settings), spec.worker.template
    volumes, mounts = _volumes(spec)
    pod: Json = {
        "restartPolicy": "Never",
        "serviceAccountName": settings.service_account,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": restricted.POD,
        "containers": [_container(search, spec, settings, mounts)],
        "volumes": volumes,
        "tolerations": _tolerations(spec, settings),
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {names.LABEL_SEARCH: search}},
            }
        ],
    }
    if wanted.node_selector:
        pod["nodeSelector"] = dict(wanted.node_selector)
    if settings.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": secret} for secret in settings.image_pull_secrets]
    if settings.priority_class:
        pod["priorityClassName"] = settings.priority_class
    metadata: Json = {"labels": labels}
    if settings.annotations:
        metadata["annotations"] = dict(settings.annotations)
    return {"metadata": metadata, "spec": pod}


def _container(search: str, spec: MetaSearchSpec, settings: PodSettings, mounts: list[Json]) -> Json:
    resources = _resources(spec, settings)
    container: Json = {
        "name": CONTAINER,
        "image": worker_image(spec, settings),
        "imagePullPolicy": settings.image_pull_policy,
        "command": ["python", "-m", "metasearch_trainer.pod", *_arguments(search, spec, resources)],
        "env": _environment(settings, resources),
        "resources": resources.model_dump(exclude_defaults=True),
        "volumeMounts": mounts,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "readinessProbe": BUSY_PROBE,
        "securityContext": restricted.CONTAINER,
    }
    if settings.storage_secret:
        container["envFrom"] = [{"secretRef": {"name": settings.storage_secret, "optional": True}}]
    return container


def _resources(spec: MetaSearchSpec, settings: PodSettings) -> Resources:
    wanted = spec.worker.template.resources
    return wanted if wanted.requests or wanted.limits else settings.resources


def _arguments(search: str, spec: MetaSearchSpec, resources: Resources) -> list[str]:
    return [
        *("--search", search),
        *("--slots", str(slots_per_pod(spec))),
        *("--gpus", f"{gpus_per_pod(resources):g}"),
        *("--max-trials", str(spec.worker.max_trials)),
    ]


def _environment(settings: PodSettings, resources: Resources) -> list[Json]:
    fields = {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace", "POD_UID": "metadata.uid"}
    variables: list[Json] = [{"name": name, "value": value} for name, value in settings.env.items()]
    variables += [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()]
    # One thread per process: two with two threads each on two cores run 13 to 40 times slower than with one.
    variables.append({"name": "OMP_NUM_THREADS", "value": "1"})
    if "memory" in resources.limits:
        limit = {"resource": "limits.memory", "divisor": "1"}
        variables.append({"name": "MEMORY_LIMIT_BYTES", "valueFrom": {"resourceFieldRef": limit}})
    return variables


def _volumes(spec: MetaSearchSpec) -> tuple[list[Json], list[Json]]:
    """A pod's volumes, and where its container sees them."""
    volumes: list[Json] = [{"name": "scratch", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]
    mounts: list[Json] = [{"name": "scratch", "mountPath": SCRATCH}, {"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108
    folder, storage = spec.dataset.folder, spec.storage
    claims = [("data", folder.claim, DATA, True)] if folder and folder.claim else []
    claims += [("storage", storage.claim, STORAGE, False)] if storage and storage.claim else []
    claims += [
        (f"volume-{number}", volume.claim, volume.mount_path, volume.read_only)
        for number, volume in enumerate(spec.worker.template.volumes)
    ]
    for name, claim, path, read_only in claims:
        volumes.append({"name": name, "persistentVolumeClaim": {"claimName": claim}})
        mounts.append({"name": name, "mountPath": path, "readOnly": read_only})
    return volumes, mounts


def _tolerations(spec: MetaSearchSpec, settings: PodSettings) -> list[Json]:
    """What the search bears, and of nodes that do not answer, so much as it takes to be sure."""
    wanted = [
        toleration.model_dump(mode="json", by_alias=True, exclude_none=True)
        for toleration in spec.worker.template.tolerations
    ]
    lost = [
        {
            "key": f"node.kubernetes.io/{taint}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": settings.node_lost_seconds,
        }
        for taint in ("not-ready", "unreachable")
    ]
    return [*wanted, *lost]
