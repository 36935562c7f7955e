"""The chart's policy on a real API server: what a search may ask for, as far as an installation allows it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml
from chart import Json, helm_or_skip
from devcluster.access import ClusterAccess
from devcluster.searches import create_search
from local_search import wait_until

from metasearch.cluster.api import Api, Forbidden
from metasearch.kubernetes import names

NARROW = {
    "images": ["registry.example.com/team/*", "exact:1"],
    "claims": ["team-*"],
    "mountPaths": ["/mnt/*"],
    "labels": ["team"],
    "annotations": ["example.com/*"],
    "nodeLabels": ["gpu"],
    "tolerations": ["nvidia.com/*"],
    "storageUrls": ["s3://team/*"],
}
TOO_MUCH = {"worker": {"template": {"image": "evil:1"}}}


@contextmanager
def policy(
    access: ClusterAccess, client: Api, helm: Any, namespace: str, allowed: Json | None = None
) -> Iterator[None]:
    """Install the policy of a release that serves a namespace, and wait until it is enforced."""
    values = {"searches": {"allowed": allowed}} if allowed else {}
    objects = [each for each in helm.render(namespace, **values) if _is_of_searches(each)]
    access.apply(*objects)
    try:
        wait_until(lambda: refusal(client, namespace, TOO_MUCH) != "")
        yield
    finally:
        access.run("delete", "--filename=-", stdin=yaml.safe_dump_all(objects))


def _is_of_searches(resource: Json) -> bool:
    return resource["kind"].startswith("ValidatingAdmissionPolicy") and "searches" in resource["metadata"]["name"]


def refusal(api: Api, namespace: str, spec: Json) -> str:
    """Create a search and delete it again; return why it is refused, or nothing."""
    try:
        create_search(api, namespace, "test", **spec)
    except Forbidden as error:
        return str(error)
    api.delete(names.SEARCH.path(namespace, "test"))
    return ""


@pytest.fixture
def helm(tmp_path: Any) -> Any:
    return helm_or_skip(tmp_path)


def template(**fields: Any) -> Json:
    return {"worker": {"template": fields}}


def volume(claim: str = "team-a", path: str = "/mnt/a") -> Json:
    return template(volumes=[{"claim": claim, "mountPath": path}])


ALLOWED = [
    {},
    template(image="registry.example.com/team/trainer:2"),
    template(image="exact:1"),
    volume(),
    {"dataset": {"folder": {"path": "images", "claim": "team-a"}}},
    {"storage": {"claim": "team-a"}},
    {"storage": {"url": "s3://team/runs"}},
    template(labels={"team": "a"}, annotations={"example.com/note": "a"}),
    template(nodeSelector={"gpu": "a100"}),
    template(tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists"}]),
]

REFUSED = [
    (
        template(image="registry.example.com/other:1"),
        "spec.worker.template.image is registry.example.com/other:1, which",
    ),
    (
        template(image="exact:12"),
        "allowed are registry.example.com/team/*, exact:1 (searches.allowed.images of the chart)",
    ),
    (volume(claim="other"), "allowed are team-* (searches.allowed.claims of the chart)"),
    ({"dataset": {"folder": {"path": "images", "claim": "other"}}}, "searches.allowed.claims"),
    ({"storage": {"claim": "other"}}, "searches.allowed.claims"),
    (volume(path="/var/run/secrets/kubernetes.io"), "searches.allowed.mountPaths"),
    (volume(path="/mnt/../var/run"), "searches.allowed.mountPaths"),
    (
        template(nodeSelector={"gpu": "a100", "node-role.kubernetes.io/control-plane": ""}),
        "searches.allowed.nodeLabels",
    ),
    (template(labels={"team": "a", "other": "b"}), "a key of spec.worker.template.labels is none"),
    (template(annotations={"iam.amazonaws.com/role": "admin"}), "searches.allowed.annotations"),
    (template(tolerations=[{"operator": "Exists"}]), "searches.allowed.tolerations"),
    (template(tolerations=[{"key": "other", "operator": "Exists"}]), "searches.allowed.tolerations"),
    ({"storage": {"url": "s3://teams/runs"}}, "spec.storage.url is s3://teams/runs, which this installation does not"),
]


def test_a_search_gets_what_is_allowed_and_no_more(
    cluster_with_crds: ClusterAccess, client: Api, namespace: str, helm: Any
) -> None:
    with policy(cluster_with_crds, client, helm, namespace, NARROW):
        assert [refusal(client, namespace, spec) for spec in ALLOWED] == [""] * len(ALLOWED)
        for spec, words in REFUSED:
            assert words in refusal(client, namespace, spec)


def test_by_default_a_search_names_no_image_of_its_own_and_mounts_nothing_over_the_system(
    cluster_with_crds: ClusterAccess, client: Api, namespace: str, helm: Any
) -> None:
    with policy(cluster_with_crds, client, helm, namespace):
        assert "none is allowed (searches.allowed.images of the chart)" in refusal(client, namespace, TOO_MUCH)
        assert "searches.allowed.annotations" in refusal(client, namespace, template(annotations={"any": "note"}))
        assert "searches.allowed.mountPaths" in refusal(client, namespace, volume(path="/usr/lib"))
        assert "searches.allowed.tolerations" in refusal(
            client, namespace, template(tolerations=[{"operator": "Exists"}])
        )
        for spec in (
            volume(path="/data"),
            {"storage": {"claim": "any"}},
            template(nodeSelector={"any": "label"}, labels={"any": "label"}),
        ):
            assert refusal(client, namespace, spec) == ""


def test_what_was_let_in_can_still_be_changed_in_other_ways(
    cluster_with_crds: ClusterAccess, client: Api, namespace: str, helm: Any
) -> None:
    create_search(client, namespace, "earlier", **TOO_MUCH)
    path = names.SEARCH.path(namespace, "earlier")
    with policy(cluster_with_crds, client, helm, namespace, NARROW):
        client.patch(path, [{"op": "add", "path": "/spec/suspend", "value": True}])
        with pytest.raises(Forbidden, match="which this installation does not allow"):
            client.patch(path, [{"op": "replace", "path": "/spec/worker/template/image", "value": "evil:2"}])
        client.delete(path)
