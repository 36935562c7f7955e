"""
The chart on a real API server: what it renders is taken, what it installs can be upgraded and removed, and who may do
what is as it is written down.

Always a control plane of our own: definitions and policies are the whole cluster's, and are deleted here.
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
from chart import CHART, DEFINITIONS, EDIT, OPERATOR, VIEW, WORKER, Helm, Json, helm_or_skip, only, rights
from cluster.access import Access
from cluster.binaries import Binaries
from cluster.control_plane import open_control_plane
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
def plane(binaries: Binaries, helm: Helm) -> Iterator[Access]:  # noqa: ARG001 # without Helm it would start for nothing
    with open_control_plane(binaries) as ours:
        yield ours.access


@pytest.fixture
def namespace(plane: Access) -> Iterator[str]:
    """A new one, where only pods are taken that are restricted as far as can be; the definitions go with it."""
    name = f"team-{os.urandom(4).hex()}"
    enforce = {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "latest",
    }
    plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": enforce}})
    yield name
    plane.run("delete", "crd", SEARCH.definition, TRIAL.definition, "--ignore-not-found")


def install(helm: Helm, plane: Access, namespace: str, release: str = "metasearch", **values: Any) -> None:
    helm.run("install", release, helm.chart, f"--namespace={namespace}", values=values, access=plane)


def uninstall(helm: Helm, plane: Access, namespace: str, release: str = "metasearch") -> None:
    """Waits until everything is gone, pods of the Deployment too."""
    helm.run("uninstall", release, f"--namespace={namespace}", "--wait", access=plane)


@pytest.fixture
def release(helm: Helm, plane: Access, namespace: str) -> Iterator[Callable[..., str]]:
    """Installs with the values that it is called with, once, and gives the namespace; removed in the end, all of it."""
    made: list[str] = []

    def make(**values: Any) -> str:
        install(helm, plane, namespace, **{"crds": {"keep": False}, **values})
        made.append(namespace)
        return namespace

    yield make
    for each in made:
        uninstall(helm, plane, each)


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
def test_the_api_server_takes_every_object(helm: Helm, plane: Access, namespace: str, values: dict[str, Any]) -> None:
    """And knows every field of it."""
    objects = helm.render(namespace, **values)
    told = plane.run(
        "create", "--dry-run=server", "--validate=strict", "--filename=-", stdin=yaml.safe_dump_all(objects)
    )
    assert told.count("(server dry run)") == len(objects)


def test_the_operators_pod_is_as_restricted_as_can_be(plane: Access, helm: Helm, release: Callable[..., str]) -> None:
    namespace = release(**EVERYTHING)
    template = only(helm.render(namespace, **EVERYTHING), "Deployment")["spec"]["template"]
    pod = {**template, "apiVersion": "v1", "kind": "Pod"}
    pod["metadata"] = {**pod["metadata"], "name": "tried", "namespace": namespace}
    plane.run("create", "--dry-run=server", "--validate=strict", "--filename=-", stdin=yaml.safe_dump(pod))

    looser = copy.deepcopy(pod)
    looser["spec"]["containers"][0]["securityContext"]["capabilities"] = {}
    refused = plane.kubectl("create", "--dry-run=server", "--filename=-", stdin=yaml.safe_dump(looser))
    assert 'violates PodSecurity "restricted:latest"' in refused.stderr


def test_the_deployment_gets_its_pod(plane: Access, release: Callable[..., str]) -> None:
    """Which no node runs: there is none."""
    namespace = release()
    (pod,) = wait_until(lambda: plane.get("pods", f"--namespace={namespace}")["items"])
    assert pod["metadata"]["name"].startswith("metasearch-")


@pytest.mark.parametrize("policy", ["trials", "leases"])
def test_the_api_server_finds_nothing_wrong_with_a_policy(
    plane: Access, release: Callable[..., str], policy: str
) -> None:
    name = f"metasearch-{policy}.{release()}"

    def checked() -> Json | None:
        found = plane.get("validatingadmissionpolicy", name).get("status", {}).get("typeChecking")
        return None if found is None else {"warnings": found.get("expressionWarnings", [])}

    assert wait_until(checked) == {"warnings": []}


# --- install, upgrade, uninstall ----------------------------------------------------------------------------------

PASSING = {"events", "events.events.k8s.io", "leases.coordination.k8s.io"}
"""Kinds of which there are some by the while."""


def everything(plane: Access) -> set[tuple[str, ...]]:
    """All that is in the cluster: kind, namespace and name."""
    known = plane.run("api-resources", "--verbs=list", "--output=name").split()
    kinds = ",".join(sorted(set(known) - PASSING))
    columns = "custom-columns=KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name"
    listed = plane.run("get", kinds, "--all-namespaces", "--no-headers", f"--output={columns}", "--ignore-not-found")
    return {tuple(line.split()) for line in listed.splitlines()}


def names_in(listed: set[tuple[str, ...]]) -> set[str]:
    return {name for _, _, name in listed}


def test_nothing_is_left_over_but_what_is_to_be_kept(helm: Helm, plane: Access, namespace: str) -> None:
    before = everything(plane)
    install(helm, plane, namespace, **EVERYTHING)
    assert len(everything(plane) - before) > 15
    plane.apply(search("mine", namespace))
    uninstall(helm, plane, namespace)
    served = f"{VERSION}.{GROUP}"  # an APIService, as long as there are definitions
    kept = {SEARCH.definition, TRIAL.definition, served, "mine"}
    wait_until(lambda: names_in(everything(plane) - before) <= kept)
    assert names_in(everything(plane) - before) == kept

    # A release of the same name takes over what was kept; one of another name is told whose it is.
    other = helm.call("install", "other", helm.chart, f"--namespace={namespace}", access=plane)
    assert 'must equal "other": current value is "metasearch"' in other.stderr
    install(helm, plane, namespace, crds={"keep": False})
    plane.run("get", "metasearch", "mine", f"--namespace={namespace}")
    uninstall(helm, plane, namespace)
    wait_until(lambda: everything(plane) <= before)


def test_another_release_can_take_over_the_definitions(helm: Helm, plane: Access, namespace: str) -> None:
    install(helm, plane, namespace)
    uninstall(helm, plane, namespace)
    given = {"crds": {"keep": False}}
    command = ("install", "other", helm.chart, f"--namespace={namespace}", "--take-ownership")
    helm.run(*command, values=given, access=plane)
    uninstall(helm, plane, namespace, "other")
    wait_until(lambda: plane.kubectl("get", "crd", SEARCH.definition).returncode != 0)


def test_an_upgrade_brings_new_definitions_and_a_new_configuration(
    helm: Helm, plane: Access, namespace: str, tmp_path: Path
) -> None:
    shutil.copytree(CHART, tmp_path / "old")
    for resource in (SEARCH, TRIAL):
        file = tmp_path / "old" / "templates" / "crds" / f"{resource.plural}.yaml"
        new = file.read_text(encoding="utf-8")
        old = new.replace(f'"{ANNOTATION_CRD_VERSION}" "', f'"{ANNOTATION_CRD_VERSION}" "0')
        assert old != new
        file.write_text(old, encoding="utf-8")

    def versions() -> set[str]:
        kept = [plane.get("crd", resource.definition) for resource in (SEARCH, TRIAL)]
        return {definition["metadata"]["annotations"][ANNOTATION_CRD_VERSION] for definition in kept}

    def template() -> Json:
        deployment = plane.get("deployment", "metasearch", f"--namespace={namespace}")
        return dict(deployment["spec"]["template"])

    install(replace(helm, chart=tmp_path / "old"), plane, namespace)
    old_versions, old_template = versions(), template()
    plane.apply(search("mine", namespace))
    given = {"worker": {"nodeLostSeconds": 31}, "crds": {"keep": False}}
    helm.run("upgrade", "metasearch", helm.chart, f"--namespace={namespace}", values=given, access=plane)
    assert {f"0{version}" for version in versions()} == old_versions
    assert template() != old_template
    plane.run("get", "metasearch", "mine", f"--namespace={namespace}")
    uninstall(helm, plane, namespace)


def test_two_releases_share_a_cluster(helm: Helm, plane: Access, namespace: str, release: Callable[..., str]) -> None:
    release()
    second = f"{namespace}-b"
    plane.run("create", "namespace", second)
    install(helm, plane, second, crds={"enabled": False})
    uninstall(helm, plane, second)
    plane.run("get", "crd", SEARCH.definition)


def test_it_goes_without_helm(helm: Helm, plane: Access, namespace: str) -> None:
    """As docs/install.md says."""
    objects = helm.render(namespace)
    definitions = [each for each in objects if each["kind"] == "CustomResourceDefinition"]
    others = [each for each in objects if each not in definitions]
    for given in (definitions, others):
        plane.run("apply", "--server-side", "--filename=-", stdin=yaml.safe_dump_all(given))
    plane.run("delete", "--filename=-", stdin=yaml.safe_dump_all(objects))


# --- rights -------------------------------------------------------------------------------------------------------


def review(plane: Access, user: str, namespace: str, *groups: str) -> set[tuple[str, str, str, str]]:
    """All that the API server says someone may do with resources there."""
    asked = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    answer = plane.run(
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
    return set(rights({"rules": status["resourceRules"]}))


def account_rights(plane: Access, account: str, home: str, namespace: str) -> set[tuple[str, str, str, str]]:
    """What a service account may do in a namespace, beside what every service account may."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{home}", "system:authenticated")

    def all_of(name: str) -> set[tuple[str, str, str, str]]:
        return review(plane, f"system:serviceaccount:{home}:{name}", namespace, *groups)

    return all_of(account) - all_of("nobody")


def test_rights_for_one_namespace(plane: Access, release: Callable[..., str]) -> None:
    namespace = release()
    wait_until(lambda: account_rights(plane, "metasearch-worker", namespace, namespace) == WORKER)
    assert account_rights(plane, "metasearch", namespace, namespace) == OPERATOR | DEFINITIONS
    assert account_rights(plane, "metasearch", namespace, "default") == DEFINITIONS
    assert account_rights(plane, "metasearch-worker", namespace, "default") == set()


def test_rights_for_some_namespaces(plane: Access, namespace: str, release: Callable[..., str]) -> None:
    team = f"{namespace}-b"
    plane.run("create", "namespace", team)
    release(watch={"namespaces": [team]})
    wait_until(lambda: account_rights(plane, "metasearch-worker", team, team) == WORKER)
    assert account_rights(plane, "metasearch", namespace, team) == OPERATOR | DEFINITIONS
    assert account_rights(plane, "metasearch", namespace, namespace) == DEFINITIONS
    plane.run("delete", "namespace", team, "--wait=false")


def test_rights_for_all_namespaces(plane: Access, release: Callable[..., str]) -> None:
    namespace = release(watch={"all": True})
    wait_until(lambda: account_rights(plane, "metasearch-worker", namespace, namespace) == WORKER)
    assert account_rights(plane, "metasearch", namespace, "default") == OPERATOR | DEFINITIONS
    assert account_rights(plane, "metasearch-worker", namespace, "default") == set()


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
"""What the operator of one namespace may do, and what not."""


def test_what_the_operator_of_one_namespace_tries(plane: Access, release: Callable[..., str]) -> None:
    namespace = release()
    plane.run("wait", "--for=condition=Established", "crd", SEARCH.definition)
    operator = f"--as=system:serviceaccount:{namespace}:metasearch"
    wait_until(lambda: plane.kubectl("get", "jobs", f"--namespace={namespace}", operator).returncode == 0)
    for arguments, allowed in TRIED.items():
        ended = plane.kubectl(*arguments, f"--namespace={namespace}", operator)
        assert (ended.returncode == 0) == allowed, (arguments, ended.stderr)
        assert allowed or "(Forbidden)" in ended.stderr


@pytest.mark.parametrize(("role", "added"), [("view", VIEW), ("edit", EDIT | VIEW), ("admin", EDIT | VIEW)])
def test_people_with_the_clusters_own_roles_get_rights(
    plane: Access, release: Callable[..., str], role: str, added: set[tuple[str, str, str, str]]
) -> None:
    namespace = release()
    plane.run("create", "rolebinding", "someone", f"--clusterrole={role}", "--user=someone", f"--namespace={namespace}")

    def ours() -> set[tuple[str, str, str, str]]:
        found = review(plane, "someone", namespace, "system:authenticated")
        return {right for right in found if right[0] == "metasearch.dev"}

    wait_until(lambda: ours() == added)
    plane.run("delete", "rolebinding", "someone", f"--namespace={namespace}")


def test_a_further_namespace_is_prepared_as_the_notes_say(plane: Access, release: Callable[..., str]) -> None:
    namespace = release(watch={"all": True})
    team = f"{namespace}-b"
    plane.run("create", "namespace", team)
    there = f"--namespace={team}"
    plane.run("create", "serviceaccount", "metasearch-worker", there)
    role = f"--clusterrole=metasearch-worker.{namespace}"
    plane.run("create", "rolebinding", "metasearch-worker", role, f"--serviceaccount={team}:metasearch-worker", there)
    wait_until(lambda: account_rights(plane, "metasearch-worker", team, team) == WORKER)
    plane.run("delete", "namespace", team, "--wait=false")
