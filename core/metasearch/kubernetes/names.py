"""The names by which the operator, its workers and its users find things in a cluster."""

from __future__ import annotations

from dataclasses import dataclass

GROUP = "metasearch.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

CATEGORY = "nas"
"""`kubectl get nas` lists searches and trials. They are not in `all`, where thousands of trials would hide the rest."""


@dataclass(frozen=True)
class Kind:
    """A kind of object, and its place among the API server's paths."""

    api: str
    """Such as /apis/batch/v1."""
    plural: str

    def path(self, namespace: str | None, name: str | None = None) -> str:
        """Return the path of one object, or of all in a namespace; without a namespace, of the whole cluster."""
        place = f"namespaces/{namespace}/" if namespace else ""
        return f"{self.api}/{place}{self.plural}" + (f"/{name}" if name else "")


@dataclass(frozen=True)
class Resource:
    """A custom resource's names."""

    kind: str
    plural: str
    singular: str
    short: str

    @property
    def definition(self) -> str:
        """The name of its CustomResourceDefinition."""
        return f"{self.plural}.{GROUP}"

    def path(self, namespace: str | None, name: str | None = None) -> str:
        """Return the path as `Kind.path` does."""
        return Kind(f"/apis/{API_VERSION}", self.plural).path(namespace, name)


SEARCH = Resource(kind="MetaSearch", plural="metasearches", singular="metasearch", short="msearch")
TRIAL = Resource(kind="MetaTrial", plural="metatrials", singular="metatrial", short="mtrial")

JOB = Kind("/apis/batch/v1", "jobs")
POD = Kind("/api/v1", "pods")
EVENT = Kind("/api/v1", "events")
LEASE = Kind("/apis/coordination.k8s.io/v1", "leases")
DEFINITION = Kind("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions")

WORKLOADS = tuple(Kind(f"/apis/kueue.x-k8s.io/{version}", "workloads") for version in ("v1beta2", "v1beta1"))
"""The objects that Kueue makes of Jobs; releases before 0.15 know the second alone."""

OPERATOR = "metasearch-operator"
"""The source of a search's events."""

PREFIX = GROUP
"""The prefix of labels and annotations that are ours."""

LABEL_SEARCH = f"{PREFIX}/search"
"""The search that an object belongs to."""

LABEL_STAGE = f"{PREFIX}/stage"
"""The stage of a trial: Search, Final or Baseline."""

LABEL_ROUND = f"{PREFIX}/round"
"""The round in which a trial was proposed; 0 for a baseline."""

LABEL_QUEUE = "kueue.x-k8s.io/queue-name"
"""The LocalQueue of Kueue that a Job waits in."""

LABEL_QUEUE_PRIORITY = "kueue.x-k8s.io/priority-class"
"""The WorkloadPriorityClass of Kueue that orders a Job in its queue."""

LABEL_JOB_UID = "kueue.x-k8s.io/job-uid"
"""The Job that Kueue has made a Workload of."""

LABEL_COMPONENT = "app.kubernetes.io/component"
COMPONENT_WORKER = "worker"

METRICS_PORT, METRICS_PORT_NAME = 8081, "metrics"
"""The port at which pods of the operator and of workers answer Prometheus, and its name in their manifests."""
"""The kind of pod, among all that carry a search's label."""

ANNOTATION_CRD_VERSION = f"{PREFIX}/crd-version"
"""The value of `crds.CRD_VERSION` when a CustomResourceDefinition was made."""
