"""The settings of an installation for all of its worker pods."""

from __future__ import annotations

from pydantic import Field

from metasearch.api import Resources, SpecModel
from metasearch.kubernetes import restricted
from metasearch.quantities import Quantity


class PodSettings(SpecModel):
    """Settings that all worker pods of an operator share; a search's spec.worker.template takes precedence."""

    image: str = Field(description="image is the trainer's, where a search names none.")
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    service_account: str = "metasearch-worker"
    priority_class: str | None = None
    runtime_class: str | None = None
    user_id: int | None = Field(
        default=restricted.USER,
        description="userId is that of the pods' user and groups; null leaves it to the cluster.",
    )
    storage_secret: str | None = Field(
        default=None, description="storageSecret is a Secret whose keys become variables; it need not exist."
    )
    labels: dict[str, str] = Field(default={})
    annotations: dict[str, str] = Field(default={})
    env: dict[str, str] = Field(default={})
    resources: Resources = Field(
        default=Resources(requests={"cpu": Quantity("1"), "memory": Quantity("1Gi")}),
        description="resources are those of a pod whose search gives none.",
    )
    node_lost_seconds: int = Field(
        default=30, ge=0, description="nodeLostSeconds is how long pods stay on a node that does not answer."
    )
