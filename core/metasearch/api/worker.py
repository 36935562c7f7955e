"""
The pods that run trials on a cluster. A run on one machine ignores all of this.

`PodTemplate` has some of a pod's fields, not all: the operator creates pods with its own rights, so it takes from a
user only fields that cannot lend those rights to others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from metasearch.api.base import Rule, SpecModel
from metasearch.api.names import (
    LABEL_MAX_LENGTH,
    LABEL_PATTERN,
    LABEL_VALUE_PATTERN,
    QUALIFIED_MAX_LENGTH,
    QUALIFIED_PATTERN,
    SUBDOMAIN_MAX_LENGTH,
    SUBDOMAIN_PATTERN,
)
from metasearch.quantities import DecimalText, Quantity

_LabelValue = Annotated[str, Field(max_length=LABEL_MAX_LENGTH, pattern=LABEL_VALUE_PATTERN)]
_AnnotationValue = Annotated[str, Field(max_length=4096)]

RESERVED_LABELS = (
    "metasearch.dev/",
    "app.kubernetes.io/",
    "batch.kubernetes.io/",
    "kueue.x-k8s.io/",
    "job-name",
    "controller-uid",
)
"""Beginnings of labels by which this operator, the Job controller, Kueue and network policies know pods."""

RESERVED_ANNOTATIONS = (
    "metasearch.dev/",
    "batch.kubernetes.io/",
    "kueue.x-k8s.io/",
    "container.apparmor.security",
    "container.seccomp.security",
    "seccomp.security",
)
"""Beginnings of annotations that controllers write, and of those that have said how a pod is confined."""


class Resources(SpecModel):
    """The requests and limits of a worker pod's container, as in any pod."""

    requests: dict[str, Quantity] = Field(
        default={},
        max_length=16,
        description="requests are the amounts kept for a pod, such as {cpu: 4, memory: 16Gi}. Default: limits.",
    )
    limits: dict[str, Quantity] = Field(
        default={},
        max_length=16,
        description="limits are the amounts that a pod may not exceed, such as {nvidia.com/gpu: 1, memory: 16Gi}. "
        "Default: none, so without a GPU.",
    )


class TolerationOperator(StrEnum):
    """The ways to compare a toleration with a taint."""

    EQUAL = "Equal"
    EXISTS = "Exists"


class TaintEffect(StrEnum):
    """The effects of a taint on pods that do not tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Toleration(SpecModel):
    """A taint that worker pods tolerate, as in any pod."""

    key: str | None = Field(
        default=None,
        max_length=QUALIFIED_MAX_LENGTH,
        pattern=QUALIFIED_PATTERN,
        description="key is the taint's key. Default: every key.",
    )
    operator: TolerationOperator = Field(
        default=TolerationOperator.EQUAL,
        description="operator is Equal (the taint has this value) or Exists (whatever its value). Default: Equal.",
    )
    value: _LabelValue | None = Field(default=None, description="value is the taint's value. Default: none.")
    effect: TaintEffect | None = Field(
        default=None,
        description="effect is the taint's: NoSchedule, PreferNoSchedule or NoExecute. Default: every effect.",
    )
    toleration_seconds: int | None = Field(
        default=None,
        ge=0,
        le=2**31 - 1,
        description="tolerationSeconds is how long a NoExecute taint is tolerated, in seconds. Default: for ever.",
    )

    # Kubernetes refuses pods with tolerations that break these, but only once the operator creates the Job.
    rules = (
        Rule(
            cel="has(self.key) || (has(self.operator) && self.operator == 'Exists')",
            message="must have operator Exists where key is left out",
            holds=lambda toleration: toleration.key is not None or toleration.operator is TolerationOperator.EXISTS,
        ),
        Rule(
            cel="!has(self.value) || !has(self.operator) || self.operator == 'Equal'",
            message="must have no value where operator is Exists",
            holds=lambda toleration: toleration.value is None or toleration.operator is TolerationOperator.EQUAL,
        ),
        Rule(
            cel="!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            message="must have effect NoExecute where tolerationSeconds is given",
            holds=lambda toleration: (
                toleration.toleration_seconds is None or toleration.effect is TaintEffect.NO_EXECUTE
            ),
        ),
    )


class Volume(SpecModel):
    """A volume that worker pods see."""

    claim: str = Field(
        max_length=SUBDOMAIN_MAX_LENGTH,
        pattern=SUBDOMAIN_PATTERN,
        description="claim is the PersistentVolumeClaim, in the search's namespace, that has the volume.",
    )
    mount_path: str = Field(
        max_length=1024,
        pattern=r"^/[!-9;-~]+$",  # no colon, which Kubernetes refuses in a mount path
        description="mountPath is the absolute path at which workers see it.",
    )
    read_only: bool = Field(default=True, description="readOnly keeps workers from writing to it. Default: true.")


class ResourceClaim(SpecModel):
    """A device that each worker pod gets by dynamic resource allocation (DRA), such as a part of a GPU."""

    name: str = Field(
        max_length=LABEL_MAX_LENGTH, pattern=LABEL_PATTERN, description="name is the claim's within the pod."
    )
    resource_claim_template_name: str = Field(
        max_length=SUBDOMAIN_MAX_LENGTH,
        pattern=SUBDOMAIN_PATTERN,
        description="resourceClaimTemplateName is the ResourceClaimTemplate, in the search's namespace, of which each "
        "pod gets a claim of its own.",
    )
    gpus: DecimalText = Field(
        default=Decimal("1"),
        ge=0,
        le=64,
        description='gpus is the number of GPUs that a claim is counted as in budget.gpuHours, such as "0.5", for the '
        'template does not say; "0" for a device that is no GPU. Default: "1".',
    )


def _unreserved(field: str, reserved: tuple[str, ...], keys: Callable[[PodTemplate], Iterable[str]]) -> Rule:
    """Return the rule that no key of a field begins as one that others know pods by."""
    tests = " || ".join(f"k.startsWith('{each}')" for each in reserved)
    return Rule(
        cel=f"!has(self.{field}) || !self.{field}.exists(k, {tests})",
        message=f"must not have {field} that begin with {', '.join(reserved)}",
        holds=lambda template: not any(key.startswith(reserved) for key in keys(template)),
    )


class PodTemplate(SpecModel):
    """The parts of a worker pod that a user may choose."""

    image: str | None = Field(
        default=None,
        max_length=512,
        pattern=r"^[!-~]+$",
        description="image is the container image of the trainer. Default: the one that came with the operator.",
    )
    resources: Resources = Field(
        default=Resources(), description="resources are the requests and limits of a pod; all its slots share them."
    )
    labels: dict[str, _LabelValue] = Field(
        default={},
        max_length=16,
        description="labels are labels of the pods, such as {cost-center: vision}. Those that the operator and the "
        "installation give pods stay. Default: none.",
    )
    annotations: dict[str, _AnnotationValue] = Field(
        default={},
        max_length=16,
        description="annotations are annotations of the pods, such as {cluster-autoscaler.kubernetes.io/safe-to-evict: "
        '"false"}. Those that the installation gives pods stay. Default: none.',
    )
    node_selector: dict[str, _LabelValue] = Field(
        default={},
        max_length=32,
        description="nodeSelector has the labels that a node must have. Default: none.",
    )
    tolerations: tuple[Toleration, ...] = Field(
        default=(), max_length=32, description="tolerations are the taints that pods tolerate. Default: none."
    )
    volumes: tuple[Volume, ...] = Field(
        default=(),
        max_length=16,
        description="volumes are what pods see beside dataset.folder.claim. Default: none.",
    )
    resource_claims: tuple[ResourceClaim, ...] = Field(
        default=(),
        max_length=16,
        description="resourceClaims are the devices that each pod claims; they need a cluster with DRA (Kubernetes "
        "1.34) and a driver for the devices. Default: none.",
    )

    # Kubernetes refuses two mounts on one path, but only once the operator creates the Job.
    rules = (
        Rule(
            # The API server bounds what a rule may cost by the greatest length of its list, so the list must have one.
            cel="!has(self.volumes) || self.volumes.all(x, self.volumes.exists_one(y, y.mountPath == x.mountPath))",
            message="must not name a mountPath twice in volumes",
            holds=lambda template: len({volume.mount_path for volume in template.volumes}) == len(template.volumes),
        ),
        Rule(
            cel="!has(self.resourceClaims) || "
            "self.resourceClaims.all(x, self.resourceClaims.exists_one(y, y.name == x.name))",
            message="must not name two of resourceClaims alike",
            holds=lambda template: (
                len({claim.name for claim in template.resource_claims}) == len(template.resource_claims)
            ),
        ),
        _unreserved("labels", RESERVED_LABELS, lambda template: template.labels),
        _unreserved("annotations", RESERVED_ANNOTATIONS, lambda template: template.annotations),
    )


class Worker(SpecModel):
    """The pods that run trials on a cluster. A run on one machine ignores this."""

    slots: int = Field(
        default=1,
        ge=1,
        le=64,
        description="slots is the number of trials that a pod runs at once, each in a process of its own. Default: 1.",
    )
    max_trials: int = Field(
        default=500,
        ge=1,
        le=100_000,
        description="maxTrials is the number of trials after which a slot's process makes way for a fresh one. "
        "Default: 500.",
    )
    queue_name: str | None = Field(
        default=None,
        max_length=LABEL_MAX_LENGTH,
        pattern=SUBDOMAIN_PATTERN,
        description="queueName is the Kueue LocalQueue that the workers wait in. Default: none, they start at once.",
    )
    queue_priority: str | None = Field(
        default=None,
        max_length=LABEL_MAX_LENGTH,
        pattern=SUBDOMAIN_PATTERN,
        description="queuePriority is the WorkloadPriorityClass by which Kueue orders the workers in their queue, and "
        "lets them preempt others; it does nothing without a queue. Default: the priority of their pods.",
    )
    template: PodTemplate = Field(default=PodTemplate(), description="template says what the pods are like.")
