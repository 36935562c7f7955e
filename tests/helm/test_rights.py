"""The roles grant exactly the rights that `chart` lists; one verb more is one too many."""

from __future__ import annotations

from typing import Any

import pytest
from chart import (
    CRD_RIGHTS,
    EDIT_RIGHTS,
    OPERATOR_RIGHTS,
    VIEW_RIGHTS,
    WORKER_RIGHTS,
    Helm,
    Json,
    objects_of_kind,
    rights_of,
    single,
)

from metasearch.kubernetes.names import SEARCH, TRIAL

OPERATOR_ACCOUNT = {"kind": "ServiceAccount", "name": "metasearch", "namespace": "ops"}


def by_name(objects: list[Json], kind: str) -> dict[tuple[str | None, str], Json]:
    return {
        (each["metadata"].get("namespace"), each["metadata"]["name"]): each for each in objects_of_kind(objects, kind)
    }


def bound(objects: list[Json], kind: str) -> dict[tuple[str | None, str], tuple[str, list[Json]]]:
    """Return the bindings of a kind: the role, and its subjects."""
    return {
        where: (f"{each['roleRef']['kind']}/{each['roleRef']['name']}", each["subjects"])
        for where, each in by_name(objects, kind).items()
    }


def test_for_named_namespaces_the_operator_has_a_role_in_each(helm: Helm) -> None:
    objects = helm.render("ops", watch={"namespaces": ["team-a", "team-b"]}, rbac={"userRoles": False})
    roles = by_name(objects, "Role")
    assert set(roles) == {
        (team, f"metasearch-{who}") for team in ("team-a", "team-b") for who in ("operator", "worker")
    }
    bindings = bound(objects, "RoleBinding")
    for team in ("team-a", "team-b"):
        assert set(rights_of(roles[team, "metasearch-operator"])) == OPERATOR_RIGHTS
        assert set(rights_of(roles[team, "metasearch-worker"])) == WORKER_RIGHTS
        assert bindings[team, "metasearch-operator"] == ("Role/metasearch-operator", [OPERATOR_ACCOUNT])
        worker = {"kind": "ServiceAccount", "name": "metasearch-worker", "namespace": team}
        assert bindings[team, "metasearch-worker"] == ("Role/metasearch-worker", [worker])
    assert len(bindings) == 4


def test_for_named_namespaces_the_cluster_lets_it_read_two_definitions_and_no_more(helm: Helm) -> None:
    objects = helm.render("ops", watch={"namespaces": ["team-a", "team-b"]}, rbac={"userRoles": False})
    assert set(rights_of(single(objects, "ClusterRole"))) == CRD_RIGHTS
    assert {name for _, _, name, _ in CRD_RIGHTS} == {SEARCH.definition, TRIAL.definition}
    assert bound(objects, "ClusterRoleBinding") == {
        (None, "metasearch-definitions.ops"): ("ClusterRole/metasearch-definitions.ops", [OPERATOR_ACCOUNT])
    }


def test_for_all_namespaces_the_operator_has_the_same_rights_everywhere(helm: Helm) -> None:
    objects = helm.render("ops", watch={"all": True, "namespaces": ["team-a"]}, rbac={"userRoles": False})
    roles = {name: set(rights_of(role)) for (_, name), role in by_name(objects, "ClusterRole").items()}
    assert roles == {
        "metasearch-definitions.ops": CRD_RIGHTS,
        "metasearch-operator.ops": OPERATOR_RIGHTS,
        "metasearch-worker.ops": WORKER_RIGHTS,
    }
    assert not objects_of_kind(objects, "Role")
    bindings = bound(objects, "ClusterRoleBinding")
    assert bindings[None, "metasearch-operator.ops"] == ("ClusterRole/metasearch-operator.ops", [OPERATOR_ACCOUNT])
    assert set(bindings) == {(None, "metasearch-operator.ops"), (None, "metasearch-definitions.ops")}


def test_workers_have_rights_only_where_they_were_given_an_account(helm: Helm) -> None:
    objects = helm.render("ops", watch={"all": True, "namespaces": ["team-a"]})
    worker = {"kind": "ServiceAccount", "name": "metasearch-worker", "namespace": "team-a"}
    assert bound(objects, "RoleBinding") == {
        ("team-a", "metasearch-worker"): ("ClusterRole/metasearch-worker.ops", [worker])
    }
    accounts = set(by_name(objects, "ServiceAccount"))
    assert accounts == {("ops", "metasearch"), ("team-a", "metasearch-worker")}


def test_people_get_rights_with_the_clusters_own_roles(helm: Helm) -> None:
    roles = {
        name.partition(".")[0]: role
        for (_, name), role in by_name(helm.render(), "ClusterRole").items()
        if "definitions" not in name
    }
    assert {name: set(rights_of(role)) for name, role in roles.items()} == {
        "metasearch-edit": EDIT_RIGHTS,
        "metasearch-view": VIEW_RIGHTS,
    }
    aggregated = {
        name: {label.rpartition("-")[2] for label in role["metadata"]["labels"] if "/aggregate-to-" in label}
        for name, role in roles.items()
    }
    assert aggregated == {"metasearch-edit": {"admin", "edit"}, "metasearch-view": {"admin", "edit", "view"}}


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        ({"rbac": {"create": False}}, {"ClusterRole"}),
        ({"rbac": {"create": False, "userRoles": False}}, set()),
        ({"rbac": {"userRoles": False}}, {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}),
    ],
)
def test_rights_can_be_left_to_others(helm: Helm, values: dict[str, Any], kinds: set[str]) -> None:
    objects = helm.render(**values)
    assert {each["kind"] for each in objects if each["apiVersion"] == "rbac.authorization.k8s.io/v1"} == kinds
