"""
The manifest of the Job that runs a search's trials: worker pods that claim trials through the API server.

The Job's name contains a hash of its pod template, because the template of a Job cannot be changed: a changed spec
makes a Job of another name, which replaces the first. The same holds for its queue, which is fixed while the Job runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from metasearch.api import MetaSearchSpec, ResourceClaim, Resources
from metasearch.exit_codes import EXIT_RESTART
from metasearch.kubernetes import names, restricted
from metasearch.kubernetes.ownership import owner_reference
from metasearch.kubernetes.pod_settings import PodSettings

Json = dict[str, Any]

CONTAINER = "trainer"
"""The name of the workers' container."""

BACKOFF_LIMIT = 6
"""Number of failed pods after which Kubernetes gives the Job up; the operator creates another a minute later."""

GRACE_SECONDS = 30
"""Time for a pod to write checkpoints and release its trials after SIGTERM."""

KEPT_SECONDS = 3600
"""Time that a failed Job is kept for people to look at."""

LEASE_SECONDS = 60
"""Time without a renewal of its lease after which a worker's pod is taken to be lost."""

RENEW_SECONDS = 20.0
"""Time between renewals; a third of a lease, so that one or two may fail."""

DATA = "/var/lib/metasearch/data"
STORAGE = "/var/lib/metasearch/storage"
SCRATCH = "/var/lib/metasearch/scratch"
"""Mount paths of dataset.folder.claim, of spec.storage.claim, and of a volume for files that may be lost."""

BUSY_PROBE: Json = {
    "exec": {"command": ["sh", "-c", f'[ -n "$(ls {SCRATCH}/busy)" ]']},
    "periodSeconds": 5,
    "timeoutSeconds": 5,
    "failureThreshold": 1,
}
"""
The readiness probe outside of queues: a pod is ready while one of its slots has work.

Workers receive no requests. But when a Job is made smaller, Kubernetes removes the pods that are not ready first, which
are the idle ones.
"""

CREDENTIALS = "/var/run/secrets/kubernetes.io/serviceaccount"
"""The path at which programs look for a token, the API server's authority and the namespace."""

TOKEN_VOLUME: Json = {
    "name": "credentials",
    "projected": {
        "sources": [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        ]
    },
}
"""The worker's credentials: a token that is bound to the pod, lasts an hour, and is renewed by the kubelet."""

GPU_SUFFIXES = ("/gpu", "/gpu.shared")
"""Ends of the resource names of whole and shared GPUs, of any vendor."""

TRAINING_VENDORS = ("nvidia.com", "amd.com")
"""The vendors of GPUs that PyTorch trains on; a pod that was given one of theirs and sees none must not train."""


def slots_per_pod(spec: MetaSearchSpec) -> int:
    """Return the number of trials that a pod runs at once: worker.slots, but at most spec.parallelism."""
    return min(spec.worker.slots, spec.parallelism)


def most_pods(spec: MetaSearchSpec) -> int:
    """Return the greatest number of pods; together they never run more than spec.parallelism trials."""
    return spec.parallelism // slots_per_pod(spec)


def worker_image(spec: MetaSearchSpec, settings: PodSettings) -> str:
    """Return the image of the workers: the search's own, or that of the installation."""
    return spec.worker.template.image or settings.image


def gpus_per_pod(resources: Resources, claims: Sequence[ResourceClaim] = ()) -> float:
    """Return the number of GPUs, and of slices of them, of a pod: limits */gpu, */gpu.shared, */mig-*, and claims."""
    # Limits are enough: Kubernetes demands that requests of such resources equal them.
    return float(sum(claim.gpus for claim in claims)) + sum(
        amount.amount
        for name, amount in resources.limits.items()
        if name.endswith(GPU_SUFFIXES) or name.partition("/")[2].startswith("mig-")
    )


def needs_gpu(resources: Resources, claims: Sequence[ResourceClaim] = ()) -> bool:
    """Return whether a pod has a GPU that PyTorch trains on, by its limits or by a claim, which names no vendor."""
    vendors = {name.partition("/")[0] for name in resources.limits}
    has_limit = gpus_per_pod(resources) > 0 and not vendors.isdisjoint(TRAINING_VENDORS)
    return has_limit or any(claim.gpus > 0 for claim in claims)


def worker_job(
    search: Mapping[str, Any], spec: MetaSearchSpec, settings: PodSettings, pods: int, *, in_queue: bool = False
) -> Json:
    """
    Return the Job's manifest.

    Args:
        search: the MetaSearch, as read from the cluster.
        pods: number of pods that should run at once.
        in_queue: whether Kueue has put the search's Job in a queue that the spec does not name.
    """
    name = search["metadata"]["name"]
    queue, priority = spec.worker.queue_name, spec.worker.queue_priority
    template = _template(name, spec, settings)
    if not (queue or in_queue):
        # A queued Job keeps its size, and Kueue may evict one whose pods are not ready all at once (waitForPodsReady).
        template["spec"]["containers"][0]["readinessProbe"] = BUSY_PROBE
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{name}-workers-{_hash(_fixed(template, queue, priority))}",
            "namespace": search["metadata"]["namespace"],
            "labels": _labels(name, settings)
            | ({names.LABEL_QUEUE: queue} if queue else {})
            | ({names.LABEL_QUEUE_PRIORITY: priority} if priority else {}),
            "ownerReferences": [owner_reference(search)],
        },
        "spec": {
            # No completions: pods end with EXIT_RESTART or an error's code, and with 0 only where the search is gone.
            # Then the Job makes no more, which nobody may be there to delete.
            "parallelism": pods,  # may change while the Job runs, so it is no part of the name
            "backoffLimit": BACKOFF_LIMIT,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            # A pod that is terminating may still run its trial: it is replaced only once it is gone.
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    # Evictions, preemptions and lost nodes say nothing about the workers.
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
                    {
                        "action": "Ignore",
                        "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": [EXIT_RESTART]},
                    },
                ]
            },
            **({"suspend": True} if queue else {}),  # until Kueue lets it start
            "template": template,
        },
    }


def _fixed(template: Json, queue: str | None, priority: str | None) -> Json | list[Any]:
    """Return what cannot be changed of a Job that runs."""
    if priority:
        return [template, queue, priority]
    # As before there were priorities: an upgrade must not replace the Jobs that run.
    return [template, queue] if queue else template


def _hash(value: Json | list[Any]) -> str:
    # Sorted, so that equal templates give one name in whatever order they were put together.
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
        "restartPolicy": "Never",  # a pod per start: its uid signs its claims, and podFailurePolicy asks for it
        "serviceAccountName": settings.service_account,
        # The token is mounted below, for an hour and in one container; sidecars that are put in have none of it.
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,  # thousands of services would make an environment that no process starts with
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": restricted.pod_security(settings.user_id),
        "containers": [_container(search, spec, settings, mounts)],
        "volumes": volumes,
        "tolerations": _tolerations(spec, settings),
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",  # a hint: spreading must not keep a pod from running
                "labelSelector": {"matchLabels": {names.LABEL_SEARCH: search}},
            }
        ],
    }
    if wanted.resource_claims:
        pod["resourceClaims"] = [
            {"name": claim.name, "resourceClaimTemplateName": claim.resource_claim_template_name}
            for claim in wanted.resource_claims
        ]
    if wanted.node_selector:
        pod["nodeSelector"] = dict(wanted.node_selector)
    if settings.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": secret} for secret in settings.image_pull_secrets]
    if settings.runtime_class:
        pod["runtimeClassName"] = settings.runtime_class
    if settings.priority_class:
        pod["priorityClassName"] = settings.priority_class
    metadata: Json = {"labels": {**wanted.labels, **labels}}
    if annotations := {**wanted.annotations, **settings.annotations}:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": pod}


def _container(search: str, spec: MetaSearchSpec, settings: PodSettings, mounts: list[Json]) -> Json:
    resources = _resources(spec, settings)
    container: Json = {
        "name": CONTAINER,
        "image": worker_image(spec, settings),
        "imagePullPolicy": settings.image_pull_policy,
        "command": ["python", "-m", "metasearch_trainer.pod", *_arguments(search, spec, resources)],
        "env": _environment(settings, resources),
        "ports": [{"name": names.METRICS_PORT_NAME, "containerPort": names.METRICS_PORT}],
        "resources": _container_resources(spec, resources),
        "volumeMounts": mounts,
        # The operator shows the last line of the log as the cause of a failure.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": restricted.CONTAINER,
    }
    if settings.storage_secret:
        # Optional, because the service account may give the credentials instead.
        container["envFrom"] = [{"secretRef": {"name": settings.storage_secret, "optional": True}}]
    return container


def _resources(spec: MetaSearchSpec, settings: PodSettings) -> Resources:
    wanted = spec.worker.template.resources
    return wanted if wanted.requests or wanted.limits else settings.resources


def _container_resources(spec: MetaSearchSpec, resources: Resources) -> Json:
    found: Json = resources.model_dump(exclude_defaults=True)
    if claims := spec.worker.template.resource_claims:
        found["claims"] = [{"name": claim.name} for claim in claims]
    return found


def _arguments(search: str, spec: MetaSearchSpec, resources: Resources) -> list[str]:
    claims = spec.worker.template.resource_claims
    return [
        *("--search", search),
        *("--slots", str(slots_per_pod(spec))),
        *("--gpus", f"{gpus_per_pod(resources, claims):g}"),
        *(["--needs-gpu"] if needs_gpu(resources, claims) else []),
        *("--max-trials", str(spec.worker.max_trials)),
    ]


def _environment(settings: PodSettings, resources: Resources) -> list[Json]:
    fields = {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace", "POD_UID": "metadata.uid"}
    # The installation's first: of two variables of one name the later counts, and those below must be right.
    variables: list[Json] = [{"name": name, "value": value} for name, value in settings.env.items()]
    variables += [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()]
    # One thread per process: two processes with two threads each on two cores run 13 to 40 times slower than with one.
    variables.append({"name": "OMP_NUM_THREADS", "value": "1"})
    if "memory" in resources.limits:
        limit = {"resource": "limits.memory", "divisor": "1"}
        variables.append({"name": "MEMORY_LIMIT_BYTES", "valueFrom": {"resourceFieldRef": limit}})
    return variables


def _volumes(spec: MetaSearchSpec) -> tuple[list[Json], list[Json]]:
    """Return a pod's volumes and the mounts of its container."""
    # The root file system is read-only, so everything that is written needs a volume; libraries write to /tmp.
    volumes: list[Json] = [{"name": "scratch", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}, TOKEN_VOLUME]
    mounts: list[Json] = [
        {"name": "scratch", "mountPath": SCRATCH},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        {"name": TOKEN_VOLUME["name"], "mountPath": CREDENTIALS, "readOnly": True},
    ]
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
    """Return the search's tolerations, and those that limit the time that pods stay on a node that does not answer."""
    wanted = [
        toleration.model_dump(mode="json", by_alias=True, exclude_none=True)
        for toleration in spec.worker.template.tolerations
    ]
    # Kubernetes would add both with 300 seconds, for which the search would be a pod short.
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
