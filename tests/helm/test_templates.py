"""The installed objects for every value that can be set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from chart import Helm, Json, config, objects_of_kind, single

from metasearch.kubernetes import crds
from metasearch.kubernetes.names import METRICS_PORT
from metasearch.loading import parse_search

EVERYTHING: dict[str, Any] = {"networkPolicy": {"enabled": True}, "watch": {"namespaces": ["team-a", "team-b"]}}


def pod(objects: list[Json]) -> Json:
    template: Json = single(objects, "Deployment")["spec"]["template"]
    return template


def container(objects: list[Json]) -> Json:
    (found,) = pod(objects)["spec"]["containers"]
    return dict(found)


def network_policy(objects: list[Json], name: str, namespace: str = "team-a") -> Json:
    (found,) = [
        each["spec"]
        for each in objects_of_kind(objects, "NetworkPolicy")
        if (each["metadata"]["name"], each["metadata"]["namespace"]) == (name, namespace)
    ]
    return dict(found)


# --- the operator's pod -------------------------------------------------------------------------------------------


def test_one_operator_runs_at_a_time(helm: Helm) -> None:
    spec = single(helm.render(), "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 45


def test_the_operator_runs_as_nobody_and_writes_to_tmp_alone(helm: Helm) -> None:
    objects = helm.render()
    spec = pod(objects)["spec"]
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container(objects)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    mounts = {
        mount["mountPath"]: (mount["name"], mount.get("readOnly")) for mount in container(objects)["volumeMounts"]
    }
    assert mounts == {"/etc/metasearch": ("config", True), "/tmp": ("tmp", None)}  # noqa: S108 # in the container
    assert volumes["config"]["configMap"]["name"] == single(objects, "ConfigMap")["metadata"]["name"]
    assert volumes["tmp"]["emptyDir"] == {}


def test_the_operator_is_asked_how_it_is(helm: Helm) -> None:
    asked = container(helm.render())
    assert asked["ports"] == [
        {"name": "http", "containerPort": 8080},
        {"name": "metrics", "containerPort": METRICS_PORT},
    ]
    probes = {name: asked[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert probes == {
        "startup": {"path": "/healthz", "port": "http"},
        "liveness": {"path": "/healthz", "port": "http"},
        "readiness": {"path": "/readyz", "port": "http"},
    }


def test_the_operator_starts_with_its_configuration_and_anew_when_that_changes(helm: Helm) -> None:
    objects = helm.render()
    assert container(objects)["args"] == ["--config", "/etc/metasearch/config.yaml"]
    marks = {
        pod(each)["metadata"]["annotations"]["checksum/config"]
        for each in (objects, helm.render(), helm.render(worker={"nodeLostSeconds": 31}))
    }
    assert len(marks) == 2


AFFINITY: Json = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}


@pytest.mark.parametrize(
    ("values", "path", "expected"),
    [
        ({"operator": {"priorityClassName": "high"}}, "spec.priorityClassName", "high"),
        ({"operator": {"nodeSelector": {"a": "b"}}}, "spec.nodeSelector", {"a": "b"}),
        ({"operator": {"tolerations": [{"operator": "Exists"}]}}, "spec.tolerations", [{"operator": "Exists"}]),
        ({"operator": {"affinity": AFFINITY}}, "spec.affinity", AFFINITY),
        ({"image": {"pullSecrets": ["a", "b"]}}, "spec.imagePullSecrets", [{"name": "a"}, {"name": "b"}]),
        ({"operator": {"labels": {"team": "a"}}}, "metadata.labels.team", "a"),
        ({"operator": {"annotations": {"note": "a"}}}, "metadata.annotations.note", "a"),
        ({"commonAnnotations": {"note": "b"}}, "metadata.annotations.note", "b"),
        ({"operator": {"serviceAccount": {"name": "mine"}}}, "spec.serviceAccountName", "mine"),
    ],
)
def test_a_value_of_the_operators_pod(helm: Helm, values: dict[str, Any], path: str, expected: Any) -> None:
    def found(objects: list[Json]) -> Any:
        value: Any = pod(objects)
        for key in path.split("."):
            value = value.get(key, {})
        return value

    assert found(helm.render(**values)) == expected
    assert found(helm.render()) != expected


@pytest.mark.parametrize(
    ("values", "key", "expected"),
    [
        (
            {"operator": {"env": {"A": "1", "B": "x y"}}},
            "env",
            [{"name": "A", "value": "1"}, {"name": "B", "value": "x y"}],
        ),
        ({"operator": {"resources": {"limits": {"cpu": 2}}}}, "resources.limits.cpu", 2),
        ({"image": {"pullPolicy": "Always"}}, "imagePullPolicy", "Always"),
        ({"image": {"tag": "1.2"}}, "image", "localhost/metasearch-operator:1.2"),
        ({"image": {"registry": ""}}, "image", "metasearch-operator:dev"),
        ({"image": {"registry": "r:5000/a"}}, "image", "r:5000/a/metasearch-operator:dev"),
        ({"operator": {"image": {"registry": "r", "repository": "a/b", "tag": "3"}}}, "image", "r/a/b:3"),
        (
            {"operator": {"image": {"tag": "3", "digest": f"sha256:{'a' * 64}"}}},
            "image",
            f"localhost/metasearch-operator@sha256:{'a' * 64}",
        ),
    ],
)
def test_a_value_of_the_operators_container(helm: Helm, values: dict[str, Any], key: str, expected: Any) -> None:
    value: Any = container(helm.render(**values))
    for part in key.split("."):
        value = value[part]
    assert value == expected


def test_the_cluster_may_give_the_user(helm: Helm) -> None:
    """OpenShift's restricted-v2 refuses pods that name another than the namespace's."""
    objects = helm.render(podSecurity={"userId": None})
    assert pod(objects)["spec"]["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert config(objects)["worker"]["userId"] is None


# --- the configuration of the operator -----------------------------------------------------------------------------


def test_by_default_the_operator_is_told_to_watch_its_own_namespace(helm: Helm) -> None:
    assert config(helm.render("team-c")) == {
        "namespaces": ["team-c"],
        "worker": {
            "image": "localhost/metasearch-trainer:dev",
            "imagePullPolicy": "IfNotPresent",
            "imagePullSecrets": [],
            "serviceAccount": "metasearch-worker",
            "runtimeClass": None,
            "userId": 65532,
            "priorityClass": None,
            "storageSecret": None,
            "labels": {},
            "annotations": {},
            "env": {},
            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}},
            "nodeLostSeconds": 30,
        },
    }


@pytest.mark.parametrize(
    ("watch", "namespaces"),
    [
        ({"namespaces": ["team-b", "team-a"]}, ["team-a", "team-b"]),
        ({"all": True}, []),
        ({"all": True, "namespaces": ["team-a"]}, []),
    ],
)
def test_the_operator_is_told_where_to_look(helm: Helm, watch: dict[str, Any], namespaces: list[str]) -> None:
    assert config(helm.render("ops", watch=watch))["namespaces"] == namespaces


@pytest.mark.parametrize(
    ("values", "key", "expected"),
    [
        ({"worker": {"image": {"repository": "mine", "tag": "2"}}}, "image", "localhost/mine:2"),
        (
            {"worker": {"image": {"digest": f"sha256:{'b' * 64}"}}},
            "image",
            f"localhost/metasearch-trainer@sha256:{'b' * 64}",
        ),
        ({"image": {"registry": "r", "tag": "2"}}, "image", "r/metasearch-trainer:2"),
        ({"image": {"pullPolicy": "Never"}}, "imagePullPolicy", "Never"),
        ({"image": {"pullSecrets": ["a"]}}, "imagePullSecrets", ["a"]),
        ({"worker": {"serviceAccount": {"name": "w"}}}, "serviceAccount", "w"),
        ({"worker": {"priorityClassName": "low"}}, "priorityClass", "low"),
        ({"worker": {"runtimeClassName": "nvidia"}}, "runtimeClass", "nvidia"),
        ({"podSecurity": {"userId": 1_000_680_000}}, "userId", 1_000_680_000),
        ({"worker": {"storageSecret": "s3"}}, "storageSecret", "s3"),
        ({"worker": {"labels": {"team": "a"}}}, "labels", {"team": "a"}),
        ({"worker": {"annotations": {"note": "a: b"}}}, "annotations", {"note": "a: b"}),
        ({"worker": {"env": {"A": "1"}}}, "env", {"A": "1"}),
        ({"worker": {"resources": {"limits": {"nvidia.com/gpu": 1}}}}, "resources.limits", {"nvidia.com/gpu": 1}),
        ({"worker": {"nodeLostSeconds": 60}}, "nodeLostSeconds", 60),
    ],
)
def test_a_value_of_the_workers(helm: Helm, values: dict[str, Any], key: str, expected: Any) -> None:
    value: Any = config(helm.render(**values))["worker"]
    for part in key.split("."):
        value = value[part]
    assert value == expected


# --- accounts, definitions, policies ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "accounts"),
    [
        ({}, {("ops", "metasearch"), ("ops", "metasearch-worker")}),
        ({"watch": {"namespaces": ["team-a"]}}, {("ops", "metasearch"), ("team-a", "metasearch-worker")}),
        ({"worker": {"serviceAccount": {"name": "w"}}}, {("ops", "metasearch"), ("ops", "w")}),
        ({"worker": {"serviceAccount": {"create": False}}}, {("ops", "metasearch")}),
        ({"operator": {"serviceAccount": {"create": False}}}, {("ops", "metasearch-worker")}),
    ],
)
def test_accounts_are_made_where_they_are_asked_for(
    helm: Helm, values: dict[str, Any], accounts: set[tuple[str, str]]
) -> None:
    made = objects_of_kind(helm.render("ops", **values), "ServiceAccount")
    assert {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in made} == accounts


def test_an_account_can_be_lent_a_role_by_annotation(helm: Helm) -> None:
    objects = helm.render(worker={"serviceAccount": {"annotations": {"cloud/role": "reader"}}})
    annotations = {
        each["metadata"]["name"]: each["metadata"].get("annotations")
        for each in objects_of_kind(objects, "ServiceAccount")
    }
    assert annotations == {"metasearch": None, "metasearch-worker": {"cloud/role": "reader"}}


def test_the_definitions_are_those_of_the_models(helm: Helm) -> None:
    installed = {each["metadata"]["name"]: each for each in objects_of_kind(helm.render(), "CustomResourceDefinition")}
    assert set(installed) == {resource.definition for resource in crds.definitions()}
    for resource, definition in crds.definitions().items():
        given = installed[resource.definition]
        assert given["spec"] == definition["spec"]
        assert definition["metadata"]["annotations"].items() <= given["metadata"]["annotations"].items()


@pytest.mark.parametrize(
    ("values", "policies"),
    [
        ({"enabled": True, "keep": True}, ["keep", "keep"]),
        ({"enabled": True, "keep": False}, [None, None]),
        ({"enabled": False, "keep": True}, []),
    ],
)
def test_the_definitions_can_be_left_out_and_need_not_stay(
    helm: Helm, values: dict[str, bool], policies: list[str | None]
) -> None:
    made = objects_of_kind(helm.render(crds=values), "CustomResourceDefinition")
    assert [each["metadata"]["annotations"].get("helm.sh/resource-policy") for each in made] == policies


def test_the_admission_policies_hold_where_searches_are(helm: Helm) -> None:
    bindings = objects_of_kind(helm.render(**EVERYTHING), "ValidatingAdmissionPolicyBinding")
    assert len(bindings) == 3
    for binding in bindings:
        (selected,) = binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"]
        assert (selected["key"], selected["values"]) == ("kubernetes.io/metadata.name", ["team-a", "team-b"])
    for binding in objects_of_kind(helm.render(watch={"all": True}), "ValidatingAdmissionPolicyBinding"):
        assert "matchResources" not in binding["spec"]


def test_the_admission_policies_are_about_the_workers_account(helm: Helm) -> None:
    policies = objects_of_kind(helm.render(worker={"serviceAccount": {"name": "w"}}), "ValidatingAdmissionPolicy")
    of_workers = [each for each in policies if "searches" not in each["metadata"]["name"]]
    assert (len(of_workers), len(policies)) == (2, 3)
    for policy in of_workers:
        (condition,) = policy["spec"]["matchConditions"]
        assert "endsWith(':w')" in condition["expression"]
        assert policy["spec"]["failurePolicy"] == "Fail"


def test_the_admission_policies_can_be_left_out(helm: Helm) -> None:
    kinds = {each["kind"] for each in helm.render(admissionPolicy={"enabled": False})}
    assert not {kind for kind in kinds if "Admission" in kind}


def test_a_release_can_be_kept_out_of_what_is_the_whole_clusters(helm: Helm) -> None:
    off: Json = {
        "crds": {"enabled": False},
        "rbac": {"create": False, "userRoles": False},
        "admissionPolicy": {"enabled": False},
    }
    assert all("namespace" in each["metadata"] for each in helm.render(**EVERYTHING, **off))


# --- the network --------------------------------------------------------------------------------------------------

DNS: Json = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
API_SERVER: Json = {"ports": [{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}]}


def test_there_are_no_network_policies_unless_asked_for(helm: Helm) -> None:
    assert not objects_of_kind(helm.render(), "NetworkPolicy")


def test_the_operator_speaks_to_dns_and_the_api_server_and_is_asked_how_it_is(helm: Helm) -> None:
    objects = helm.render(**EVERYTHING)
    policy = network_policy(objects, "metasearch-operator")
    assert policy["podSelector"]["matchLabels"].items() <= pod(objects)["metadata"]["labels"].items()
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"] == [{"ports": [{"port": port, "protocol": "TCP"}]} for port in (8080, METRICS_PORT)]
    assert policy["egress"] == [DNS, API_SERVER]


@pytest.mark.parametrize("namespace", ["team-a", "team-b"])
def test_nobody_but_prometheus_speaks_to_a_worker(helm: Helm, namespace: str) -> None:
    policy = network_policy(helm.render(**EVERYTHING), "metasearch-worker", namespace)
    assert policy["podSelector"]["matchLabels"] == {
        "app.kubernetes.io/name": "metasearch",
        "app.kubernetes.io/component": "worker",
    }
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"] == [{"ports": [{"port": METRICS_PORT, "protocol": "TCP"}]}]
    assert policy["egress"] == [DNS, API_SERVER]


STORE: Json = {"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}], "ports": [{"port": 9000}]}
PEERS: list[Json] = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]


@pytest.mark.parametrize(
    ("values", "name", "read", "expected"),
    [
        ({"workerEgress": [STORE]}, "worker", lambda policy: policy["egress"], [DNS, API_SERVER, STORE]),
        ({"workerEgress": [STORE]}, "operator", lambda policy: policy["egress"], [DNS, API_SERVER]),
        ({"operatorIngress": PEERS}, "operator", lambda policy: policy["ingress"][0]["from"], PEERS),
        ({"metricsIngress": PEERS}, "operator", lambda policy: policy["ingress"][1]["from"], PEERS),
        (
            {"dnsPorts": [5353]},
            "worker",
            lambda policy: {each["port"] for each in policy["egress"][0]["ports"]},
            {5353},
        ),
        (
            {"apiServer": {"cidrs": ["10.0.0.1/32"], "ports": [6443]}},
            "operator",
            lambda policy: policy["egress"][1],
            {"ports": [{"port": 6443, "protocol": "TCP"}], "to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}]},
        ),
    ],
)
def test_a_value_of_the_network_policies(
    helm: Helm, values: dict[str, Any], name: str, read: Callable[[Json], Any], expected: Any
) -> None:
    objects = helm.render(networkPolicy={"enabled": True, **values})
    assert read(network_policy(objects, f"metasearch-{name}")) == expected


# --- names and labels ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [{}, {**EVERYTHING, "watch": {"all": True}}, EVERYTHING])
def test_everything_carries_the_usual_labels(helm: Helm, values: dict[str, Any]) -> None:
    values = {**values, "commonLabels": {"team": "ml"}, "commonAnnotations": {"note": "ours"}}
    for each in helm.render(release="a", **values):
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "metasearch"
        assert labels["app.kubernetes.io/instance"] == "a"
        assert labels["app.kubernetes.io/part-of"] == "metasearch"
        assert labels["app.kubernetes.io/component"] in {"operator", "worker", "admission", "definitions", "users"}
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert {"app.kubernetes.io/version", "helm.sh/chart"} <= set(labels)
        assert labels["team"] == "ml"
        assert each["metadata"]["annotations"]["note"] == "ours"


def test_labels_of_ones_own_cannot_take_the_place_of_what_is_relied_on(helm: Helm) -> None:
    taken = {"app.kubernetes.io/name": "other", "app.kubernetes.io/component": "other"}
    objects = helm.render(commonLabels=taken, operator={"labels": taken})
    selector = single(objects, "Deployment")["spec"]["selector"]["matchLabels"]
    assert selector.items() <= pod(objects)["metadata"]["labels"].items()


def identities(objects: list[Json]) -> set[tuple[str, str | None, str]]:
    return {(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in objects}


def test_two_releases_of_one_name_do_not_meet(helm: Helm) -> None:
    one, other = (identities(helm.render(namespace, crds={"enabled": False})) for namespace in ("team-a", "team-b"))
    assert not one & other


@pytest.mark.parametrize(
    ("release", "values", "name"),
    [
        ("metasearch", {}, "metasearch"),
        ("nas", {}, "nas-metasearch"),
        ("nas", {"nameOverride": "search"}, "nas-search"),
        ("nas", {"fullnameOverride": "mine"}, "mine"),
        ("a" * 53, {}, "a" * 50),
    ],
)
def test_names_follow_the_release(helm: Helm, release: str, values: dict[str, Any], name: str) -> None:
    objects = helm.render(release=release, **values)
    assert single(objects, "Deployment")["metadata"]["name"] == name
    assert max(len(each["metadata"]["name"]) for each in objects if "namespace" in each["metadata"]) <= 63


# --- what is said afterwards --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "It looks for searches in team-a."),
        (EVERYTHING, "It looks for searches in team-a, team-b."),
        ({"watch": {"all": True}}, "It looks for searches in every namespace."),
        ({"watch": {"all": True}}, "--clusterrole metasearch-worker.team-a"),
        ({}, "get metasearch first --watch"),
        ({"rbac": {"create": False}}, "No rights were given"),
        ({"admissionPolicy": {"enabled": False}}, "Without the admission policy"),
        ({"crds": {"enabled": False}}, "get crd metasearches.metasearch.dev metatrials.metasearch.dev"),
        (
            {"worker": {"serviceAccount": {"create": False}}},
            "Workers run as metasearch-worker, which you make in team-a.",
        ),
    ],
)
def test_the_notes_say_what_to_do_next(helm: Helm, values: dict[str, Any], sentence: str) -> None:
    notes = helm.run(
        "install", "metasearch", helm.chart, "--namespace=team-a", "--dry-run=client", values=values
    ).partition("NOTES:")[2]
    assert sentence in notes


def test_the_search_in_the_notes_is_a_valid_one(helm: Helm) -> None:
    notes = helm.run("install", "metasearch", helm.chart, "--dry-run=client").partition("NOTES:")[2]
    text = notes.partition("<<END\n")[2].partition("END\n")[0]
    assert parse_search(yaml.safe_load(text)).metadata.name == "first"
