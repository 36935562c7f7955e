"""The workers' Job on a real API server at its strictest: unknown fields and pod security."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from builders import make_spec
from devcluster.resources import create_worker_account, temporary_namespace
from devcluster.searches import create_search
from operator_builders import make_settings

from metasearch.cluster.api import Api, Refused
from metasearch.kubernetes import names
from metasearch.kubernetes.worker_job import SCRATCH, worker_job

Json = dict[str, Any]

STRICT = {"dryRun": "All", "fieldValidation": "Strict"}

EVERYTHING: Json = {
    "dataset": {"folder": {"path": "images", "claim": "photos"}},
    "storage": {"claim": "models"},
    "worker": {
        "slots": 2,
        "queueName": "team-a",
        "queuePriority": "urgent",
        "template": {
            "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "half-a-gpu", "gpus": "0.5"}],
            "image": "mine:2",
            "resources": {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"nvidia.com/gpu": 1, "memory": "8Gi"}},
            "labels": {"cost-center": "vision"},
            "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
            "nodeSelector": {"disk": "fast"},
            "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "volumes": [{"claim": "more", "mountPath": "/more", "readOnly": False}],
        },
    },
}
EVERY_SETTING: Json = {
    "imagePullSecrets": ["registry"],
    "storageSecret": "bucket",
    "labels": {"team": "a"},
    "annotations": {"note": "b"},
    "env": {"HTTPS_PROXY": "http://proxy:3128"},
}


@pytest.fixture(scope="module")
def restricted(client: Api) -> Iterator[str]:
    """Yield a namespace that accepts restricted pods only."""
    labels = {f"pod-security.kubernetes.io/{how}": "restricted" for how in ("enforce", "warn")}
    with temporary_namespace(client, labels) as name:
        create_worker_account(client, name)
        yield name


def job(client: Api, namespace: str, spec: Json, settings: Json) -> Json:
    search = create_search(client, namespace, f"s-{uuid.uuid4().hex[:8]}", **spec)
    return worker_job(search, make_spec(**spec), make_settings(**settings), pods=2)


CASES = pytest.mark.parametrize(
    ("spec", "settings"),
    [
        pytest.param({}, {}, id="as little as can be"),
        pytest.param(EVERYTHING, EVERY_SETTING, id="everything"),
        pytest.param({"storage": {"url": "s3://bucket"}}, {"storageSecret": "bucket"}, id="a bucket"),
    ],
)


@CASES
def test_a_job_is_taken_as_it_is(client: Api, restricted: str, spec: Json, settings: Json) -> None:
    made = job(client, restricted, spec, settings)
    taken = client.create(names.JOB.path(restricted), made, **STRICT)
    assert taken["metadata"]["name"] == made["metadata"]["name"]
    assert taken["spec"]["parallelism"] == 2
    assert taken["spec"].get("completions") is None
    assert taken["spec"].get("suspend", False) is ("worker" in spec)


@CASES
def test_its_pods_are_taken_where_pods_may_have_no_rights(
    client: Api, restricted: str, spec: Json, settings: Json
) -> None:
    template = job(client, restricted, spec, settings)["spec"]["template"]
    pod = {"metadata": {**template["metadata"], "name": "p"}, "spec": template["spec"]}
    taken = client.create(names.POD.path(restricted), pod, **STRICT)
    assert taken["spec"]["serviceAccountName"] == "metasearch-worker"


def test_such_a_namespace_would_refuse_a_pod_with_rights(client: Api, restricted: str) -> None:
    """The test above could not fail without this."""
    template = job(client, restricted, {}, {})["spec"]["template"]
    pod = {"metadata": {"name": "p"}, "spec": {**template["spec"], "securityContext": {}}}
    with pytest.raises(Refused, match="violates PodSecurity"):
        client.create(names.POD.path(restricted), pod, **STRICT)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        pytest.param({"volumes": [{"claim": "a", "mountPath": SCRATCH}]}, "must be unique", id="a path that is ours"),
        pytest.param({"resources": {"limits": {"nvidia.com/gpu": "500m"}}}, "must be an integer", id="half a GPU"),
        pytest.param({"resources": {"requests": {"nvidia.com/gpu": 1}}}, "Limit must be set", id="a GPU without limit"),
    ],
)
def test_what_a_search_must_not_ask_for_is_refused_in_words(
    client: Api, restricted: str, template: Json, words: str
) -> None:
    with pytest.raises(Refused, match=words):
        client.create(
            names.JOB.path(restricted), job(client, restricted, {"worker": {"template": template}}, {}), **STRICT
        )
