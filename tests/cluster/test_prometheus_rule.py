"""A real API server with the definitions of Prometheus' operator takes the chart's PrometheusRule."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from chart import Helm, Json, helm_or_skip, single
from cluster_fixtures import find_or_skip
from devcluster.access import ClusterAccess
from devcluster.binaries import ControlPlaneBinaries
from devcluster.control_plane import open_control_plane
from devcluster.monitoring_definitions import find_monitoring_definitions, monitoring_definitions_installed

VALUES: Json = {"monitoring": {"rules": {"enabled": True, "labels": {"release": "kube-prometheus-stack"}}}}


@pytest.fixture(scope="module")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return helm_or_skip(tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="module")
def definitions() -> list[Path]:
    return find_or_skip(find_monitoring_definitions)


@pytest.fixture(scope="module")
def own_control_plane(
    binaries: ControlPlaneBinaries,
    helm: Helm,  # noqa: ARG001 # before a control plane starts for nothing
    definitions: list[Path],  # noqa: ARG001
) -> Iterator[ClusterAccess]:
    with open_control_plane(binaries) as ours:
        yield ours.access


def install(helm: Helm, access: ClusterAccess) -> tuple[int, str]:
    ended = helm.call("install", "metasearch", helm.chart, "--namespace=default", values=VALUES, access=access)
    return ended.returncode, ended.stderr


def test_the_chart_is_installed_where_the_definitions_are_and_nowhere_else(
    helm: Helm, own_control_plane: ClusterAccess
) -> None:
    code, message = install(helm, own_control_plane)
    assert code != 0
    assert "monitoring.rules.enabled is true, and the cluster has no PrometheusRule" in message

    with monitoring_definitions_installed(own_control_plane):
        assert install(helm, own_control_plane)[0] == 0
        rendered = single(helm.render("default", **VALUES), "PrometheusRule")
        found = own_control_plane.get("prometheusrule", "metasearch")
        # Nothing was dropped as unknown, or changed.
        assert found["spec"] == rendered["spec"]
        assert found["metadata"]["labels"]["release"] == "kube-prometheus-stack"
        helm.run("uninstall", "metasearch", "--namespace=default", "--wait", access=own_control_plane)


def test_the_api_server_would_refuse_a_rule_that_is_none(helm: Helm, own_control_plane: ClusterAccess) -> None:
    right = single(helm.render("default", **VALUES), "PrometheusRule")
    wrong = copy.deepcopy(right)
    wrong["spec"]["groups"][0]["rules"][0]["for"] = "5 minutes"
    unknown = copy.deepcopy(right)
    unknown["spec"]["groups"][0]["rules"][0]["severity"] = "critical"
    with monitoring_definitions_installed(own_control_plane):
        codes = [
            own_control_plane.kubectl(
                "create", "--dry-run=server", "--validate=strict", "--filename=-", stdin=yaml.safe_dump(each)
            ).returncode
            for each in (right, wrong, unknown)
        ]
    assert codes == [0, 1, 1]
