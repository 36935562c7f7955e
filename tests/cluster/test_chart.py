"""
The chart on a real API server: every object is accepted, upgrades and removals work, and roles allow what they say.

These tests always start a control plane of their own, since they delete CRDs and policies of the whole cluster.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart import (
    CHART,
    CRD_RIGHTS,
    EDIT_RIGHTS,
    OPERATOR_RIGHTS,
    VIEW_RIGHTS,
    WORKER_RIGHTS,
    Helm,
    Json,
    helm_or_skip,
    rights_of,
    single,
)
from devcluster.access import ClusterAccess
from devcluster.binaries import ControlPlaneBinaries
from devcluster.control_plane import open_control_plane
from local_search import wait_until

from metasearch.kubernetes.names import ANNOTATION_CRD_VERSION, API_VERSION, GROUP, SEARCH, TRIAL, VERSION

EVERYTHING: dict[str, Any] = {
    "commonLabels": {"team": "ml"},
    "commonAnnotations": {"note": "ours"},
    "image": {"pullSecrets": ["registry"]},
    "operator": {
        "env": {"A": "1"},
        "labels": {"tier": "ops"},
        "annotations": {"note": "its own"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "Exists"}]}]
                }
            }
        },
    },
    "monitoring": {"dashboards": {"enabled": True, "annotations": {"note": "its own"}}},
    "worker": {"resources": {"limits": {"nvidia.com/gpu": 1}}, "serviceAccount": {"annotations": {"cloud/role": "a"}}},
    "networkPolicy": {
        "enabled": True,
        "operatorIngress": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "apiServer": {"cidrs": ["10.0.0.1/32"]},
        "workerEgress": [{"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}], "ports": [{"port": 9000}]}],
    },
}


# --- a cluster of our own -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return helm_or_skip(tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="module")
def own_control_plane(binaries: ControlPlaneBinaries, helm: Helm) -> Iterator[ClusterAccess]:  # noqa: ARG001 # Helm first, or it starts for nothing
    with open_control_plane(binaries) as ours:
        yield ours.access


@pytest.fixture
def namespace(own_control_plane: ClusterAccess) -> Iterator[str]:
    """Yield a namespace that accepts only restricted pods; the CRDs are removed with it."""
    name = f"team-{os.urandom(4).hex()}"
    enforce = {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "latest",
    }
    own_control_plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": enforce}})
    yield name
    own_control_plane.run("delete", "crd", SEARCH.definition, TRIAL.definition, "--ignore-not-found")


def install(
    helm: Helm, own_control_plane: ClusterAccess, namespace: str, release: str = "metasearch", **values: Any
) -> None:
    helm.run("install", release, helm.chart, f"--namespace={namespace}", values=values, access=own_control_plane)


def uninstall(helm: Helm, own_control_plane: ClusterAccess, namespace: str, release: str = "metasearch") -> None:
    """Uninstall the chart, and wait until everything is gone, pods of the Deployment too."""
    helm.run("uninstall", release, f"--namespace={namespace}", "--wait", access=own_control_plane)


@pytest.fixture
def release(helm: Helm, own_control_plane: ClusterAccess, namespace: str) -> Iterator[Callable[..., str]]:
    """
    Yield a function that installs the chart once with some values and returns the namespace; all is removed in the end.
    """
    made: list[str] = []

    def make(**values: Any) -> str:
        install(helm, own_control_plane, namespace, **{"crds": {"keep": False}, **values})
        made.append(namespace)
        return namespace

    yield make
    for each in made:
        uninstall(helm, own_control_plane, each)


def search(name: str, namespace: str) -> Json:
    return {
        "apiVersion": API_VERSION,
        "kind": SEARCH.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"dataset": {"name": "omniglot"}},
    }


# --- it is taken --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({}, id="as it comes"),
        pytest.param(EVERYTHING, id="everything"),
        pytest.param({**EVERYTHING, "watch": {"all": True}}, id="all namespaces"),
        pytest.param({**EVERYTHING, "watch": {"namespaces": ["default", "kube-system"]}}, id="some namespaces"),
    ],
)
def test_the_api_server_takes_every_object(
    helm: Helm, own_control_plane: ClusterAccess, namespace: str, values: dict[str, Any]
) -> None:
    """The API server also knows every field of every object."""
    objects = helm.render(namespace, **values)
    printed = own_control_plane.run(
        "create", "--dry-run=server", "--validate=strict", "--filename=-", stdin=yaml.safe_dump_all(objects)
    )
    assert printed.count("(server dry run)") == len(objects)


def test_the_operators_pod_is_as_restricted_as_can_be(
    own_control_plane: ClusterAccess, helm: Helm, release: Callable[..., str]
) -> None:
    namespace = release(**EVERYTHING)
    template = single(helm.render(namespace, **EVERYTHING), "Deployment")["spec"]["template"]
    pod = {**template, "apiVersion": "v1", "kind": "Pod"}
    pod["metadata"] = {**pod["metadata"], "name": "tried", "namespace": namespace}
    own_control_plane.run("create", "--dry-run=server", "--validate=strict", "--filename=-", stdin=yaml.safe_dump(pod))

    looser = copy.deepcopy(pod)
    looser["spec"]["containers"][0]["securityContext"]["capabilities"] = {}
    refused = own_control_plane.kubectl("create", "--dry-run=server", "--filename=-", stdin=yaml.safe_dump(looser))
    assert 'violates PodSecurity "restricted:latest"' in refused.stderr


def test_the_deployment_gets_its_pod(own_control_plane: ClusterAccess, release: Callable[..., str]) -> None:
    """The pod stays pending, since there is no node."""
    namespace = release()
    (pod,) = wait_until(lambda: own_control_plane.get("pods", f"--namespace={namespace}")["items"])
    assert pod["metadata"]["name"].startswith("metasearch-")


@pytest.mark.parametrize("policy", ["trials", "leases"])
def test_the_api_server_finds_nothing_wrong_with_a_policy(
    own_control_plane: ClusterAccess, release: Callable[..., str], policy: str
) -> None:
    name = f"metasearch-{policy}.{release()}"

    def checked() -> Json | None:
        found = own_control_plane.get("validatingadmissionpolicy", name).get("status", {}).get("typeChecking")
        return None if found is None else {"warnings": found.get("expressionWarnings", [])}

    assert wait_until(checked) == {"warnings": []}


# --- install, upgrade, uninstall ----------------------------------------------------------------------------------

PASSING = {"events", "events.events.k8s.io", "leases.coordination.k8s.io"}
"""The kinds of objects that come and go by themselves."""


def everything(own_control_plane: ClusterAccess) -> set[tuple[str, ...]]:
    """List everything in the cluster by kind, namespace and name."""
    known = own_control_plane.run("api-resources", "--verbs=list", "--output=name").split()
    kinds = ",".join(sorted(set(known) - PASSING))
    columns = "custom-columns=KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name"
    listed = own_control_plane.run(
        "get", kinds, "--all-namespaces", "--no-headers", f"--output={columns}", "--ignore-not-found"
    )
    return {tuple(line.split()) for line in listed.splitlines()}


def names_in(listed: set[tuple[str, ...]]) -> set[str]:
    return {name for _, _, name in listed}


def test_nothing_is_left_over_but_what_is_to_be_kept(
    helm: Helm, own_control_plane: ClusterAccess, namespace: str
) -> None:
    before = everything(own_control_plane)
    install(helm, own_control_plane, namespace, **EVERYTHING)
    assert len(everything(own_control_plane) - before) > 15
    own_control_plane.apply(search("mine", namespace))
    uninstall(helm, own_control_plane, namespace)
    served = f"{VERSION}.{GROUP}"  # an APIService, as long as there are definitions
    kept = {SEARCH.definition, TRIAL.definition, served, "mine"}
    wait_until(lambda: names_in(everything(own_control_plane) - before) <= kept)
    assert names_in(everything(own_control_plane) - before) == kept

    # A release of the same name takes over what was kept; one of another name is told whose it is.
    other = helm.call("install", "other", helm.chart, f"--namespace={namespace}", access=own_control_plane)
    assert 'must equal "other": current value is "metasearch"' in other.stderr
    install(helm, own_control_plane, namespace, crds={"keep": False})
    own_control_plane.run("get", "metasearch", "mine", f"--namespace={namespace}")
    uninstall(helm, own_control_plane, namespace)
    wait_until(lambda: everything(own_control_plane) <= before)


def test_another_release_can_take_over_the_definitions(
    helm: Helm, own_control_plane: ClusterAccess, namespace: str
) -> None:
    install(helm, own_control_plane, namespace)
    uninstall(helm, own_control_plane, namespace)
    given = {"crds": {"keep": False}}
    command = ("install", "other", helm.chart, f"--namespace={namespace}", "--take-ownership")
    helm.run(*command, values=given, access=own_control_plane)
    uninstall(helm, own_control_plane, namespace, "other")
    wait_until(lambda: own_control_plane.kubectl("get", "crd", SEARCH.definition).returncode != 0)


def test_an_upgrade_brings_new_definitions_and_a_new_configuration(
    helm: Helm, own_control_plane: ClusterAccess, namespace: str, tmp_path: Path
) -> None:
    shutil.copytree(CHART, tmp_path / "old")
    for resource in (SEARCH, TRIAL):
        file = tmp_path / "old" / "templates" / "crds" / f"{resource.plural}.yaml"
        new = file.read_text(encoding="utf-8")
        old = new.replace(f'"{ANNOTATION_CRD_VERSION}" "', f'"{ANNOTATION_CRD_VERSION}" "0')
        assert old != new
        file.write_text(old, encoding="utf-8")

    def versions() -> set[str]:
        kept = [own_control_plane.get("crd", resource.definition) for resource in (SEARCH, TRIAL)]
        return {definition["metadata"]["annotations"][ANNOTATION_CRD_VERSION] for definition in kept}

    def template() -> Json:
        deployment = own_control_plane.get("deployment", "metasearch", f"--namespace={namespace}")
        return dict(deployment["spec"]["template"])

    install(replace(helm, chart=tmp_path / "old"), own_control_plane, namespace)
    old_versions, old_template = versions(), template()
    own_control_plane.apply(search("mine", namespace))
    given = {"worker": {"nodeLostSeconds": 31}, "crds": {"keep": False}}
    helm.run("upgrade", "metasearch", helm.chart, f"--namespace={namespace}", values=given, access=own_control_plane)
    assert {f"0{version}" for version in versions()} == old_versions
    assert template() != old_template
    own_control_plane.run("get", "metasearch", "mine", f"--namespace={namespace}")
    uninstall(helm, own_control_plane, namespace)


def test_two_releases_share_a_cluster(
    helm: Helm, own_control_plane: ClusterAccess, namespace: str, release: Callable[..., str]
) -> None:
    release()
    second = f"{namespace}-b"
    own_control_plane.run("create", "namespace", second)
    install(helm, own_control_plane, second, crds={"enabled": False})
    uninstall(helm, own_control_plane, second)
    own_control_plane.run("get", "crd", SEARCH.definition)


def test_it_goes_without_helm(helm: Helm, own_control_plane: ClusterAccess, namespace: str) -> None:
    """docs/install.md describes this way."""
    objects = helm.render(namespace)
    definitions = [each for each in objects if each["kind"] == "CustomResourceDefinition"]
    others = [each for each in objects if each not in definitions]
    for given in (definitions, others):
        own_control_plane.run("apply", "--server-side", "--filename=-", stdin=yaml.safe_dump_all(given))
    own_control_plane.run("delete", "--filename=-", stdin=yaml.safe_dump_all(objects))


# --- rights ----------------------------------------------------------------------------------------------------------


def review(own_control_plane: ClusterAccess, user: str, namespace: str, *groups: str) -> set[tuple[str, str, str, str]]:
    """Return everything that the API server says somebody may do with resources in a namespace."""
    asked = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    answer = own_control_plane.run(
        "create",
        "--filename=-",
        "--output=json",
        "--validate=false",  # they may not read the schemas of resources
        f"--as={user}",
        *(f"--as-group={group}" for group in groups),
        stdin=json.dumps(asked),
    )
    status = json.loads(answer)["status"]
    assert not status["incomplete"], status
    return set(rights_of({"rules": status["resourceRules"]}))


def account_rights(
    own_control_plane: ClusterAccess, account: str, home: str, namespace: str
) -> set[tuple[str, str, str, str]]:
    """Return the rights of a service account in a namespace beyond those that every account has."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{home}", "system:authenticated")

    def all_of(name: str) -> set[tuple[str, str, str, str]]:
        return review(own_control_plane, f"system:serviceaccount:{home}:{name}", namespace, *groups)

    return all_of(account) - all_of("nobody")


def test_rights_for_one_namespace(own_control_plane: ClusterAccess, release: Callable[..., str]) -> None:
    namespace = release()
    wait_until(lambda: account_rights(own_control_plane, "metasearch-worker", namespace, namespace) == WORKER_RIGHTS)
    assert account_rights(own_control_plane, "metasearch", namespace, namespace) == OPERATOR_RIGHTS | CRD_RIGHTS
    assert account_rights(own_control_plane, "metasearch", namespace, "default") == CRD_RIGHTS
    assert account_rights(own_control_plane, "metasearch-worker", namespace, "default") == set()


def test_rights_for_some_namespaces(
    own_control_plane: ClusterAccess, namespace: str, release: Callable[..., str]
) -> None:
    team = f"{namespace}-b"
    own_control_plane.run("create", "namespace", team)
    release(watch={"namespaces": [team]})
    wait_until(lambda: account_rights(own_control_plane, "metasearch-worker", team, team) == WORKER_RIGHTS)
    assert account_rights(own_control_plane, "metasearch", namespace, team) == OPERATOR_RIGHTS | CRD_RIGHTS
    assert account_rights(own_control_plane, "metasearch", namespace, namespace) == CRD_RIGHTS
    own_control_plane.run("delete", "namespace", team, "--wait=false")


def test_rights_for_all_namespaces(own_control_plane: ClusterAccess, release: Callable[..., str]) -> None:
    namespace = release(watch={"all": True})
    wait_until(lambda: account_rights(own_control_plane, "metasearch-worker", namespace, namespace) == WORKER_RIGHTS)
    assert account_rights(own_control_plane, "metasearch", namespace, "default") == OPERATOR_RIGHTS | CRD_RIGHTS
    assert account_rights(own_control_plane, "metasearch-worker", namespace, "default") == set()


TRIED = {
    ("get", "crd", SEARCH.definition): True,
    ("get", "metasearches"): True,
    ("get", "crd"): False,
    ("get", "namespaces"): False,
    ("get", "metasearches", "--all-namespaces"): False,
    ("get", "pods", "--all-namespaces"): False,
    ("get", "secrets"): False,
    ("delete", "metasearch", "mine"): False,
}
"""Questions about the rights of an operator of one namespace, with the right answers."""


def test_what_the_operator_of_one_namespace_tries(
    own_control_plane: ClusterAccess, release: Callable[..., str]
) -> None:
    namespace = release()
    own_control_plane.run("wait", "--for=condition=Established", "crd", SEARCH.definition)
    operator = f"--as=system:serviceaccount:{namespace}:metasearch"
    wait_until(lambda: own_control_plane.kubectl("get", "jobs", f"--namespace={namespace}", operator).returncode == 0)
    for arguments, allowed in TRIED.items():
        ended = own_control_plane.kubectl(*arguments, f"--namespace={namespace}", operator)
        assert (ended.returncode == 0) == allowed, (arguments, ended.stderr)
        assert allowed or "(Forbidden)" in ended.stderr


@pytest.mark.parametrize(
    ("role", "added"),
    [("view", VIEW_RIGHTS), ("edit", EDIT_RIGHTS | VIEW_RIGHTS), ("admin", EDIT_RIGHTS | VIEW_RIGHTS)],
)
def test_people_with_the_clusters_own_roles_get_rights(
    own_control_plane: ClusterAccess, release: Callable[..., str], role: str, added: set[tuple[str, str, str, str]]
) -> None:
    namespace = release()
    own_control_plane.run(
        "create", "rolebinding", "someone", f"--clusterrole={role}", "--user=someone", f"--namespace={namespace}"
    )

    def ours() -> set[tuple[str, str, str, str]]:
        found = review(own_control_plane, "someone", namespace, "system:authenticated")
        return {right for right in found if right[0] == "metasearch.dev"}

    wait_until(lambda: ours() == added)
    own_control_plane.run("delete", "rolebinding", "someone", f"--namespace={namespace}")


def test_a_further_namespace_is_prepared_as_the_notes_say(
    own_control_plane: ClusterAccess, release: Callable[..., str]
) -> None:
    namespace = release(watch={"all": True})
    team = f"{namespace}-b"
    own_control_plane.run("create", "namespace", team)
    there = f"--namespace={team}"
    own_control_plane.run("create", "serviceaccount", "metasearch-worker", there)
    role = f"--clusterrole=metasearch-worker.{namespace}"
    own_control_plane.run(
        "create", "rolebinding", "metasearch-worker", role, f"--serviceaccount={team}:metasearch-worker", there
    )
    wait_until(lambda: account_rights(own_control_plane, "metasearch-worker", team, team) == WORKER_RIGHTS)
    own_control_plane.run("delete", "namespace", team, "--wait=false")
