"""The chart installs the dashboards where Grafana finds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chart import CHART, Helm, Json, objects_of_kind
from monitoring.dashboards.catalogue import DASHBOARDS

FILES = {path.name: path for path in Path(CHART, "dashboards").iterdir()}


def rendered(helm: Helm, **dashboards: Any) -> list[Json]:
    """Return everything that is installed with these settings of the dashboards, from a release in ops."""
    return helm.render("ops", monitoring={"dashboards": {"enabled": True, **dashboards}})


def config_maps(objects: list[Json]) -> list[Json]:
    return [each for each in objects_of_kind(objects, "ConfigMap") if "-dashboard-" in each["metadata"]["name"]]


def test_the_dashboards_are_installed_only_where_they_are_asked_for(helm: Helm) -> None:
    assert not config_maps(helm.render())
    assert not config_maps(rendered(helm, enabled=False, grafanaOperator={"enabled": True}))
    assert not objects_of_kind(rendered(helm), "GrafanaDashboard")


def test_a_dashboard_arrives_as_it_is(helm: Helm) -> None:
    """Legends have braces that Helm would take for its own."""
    found: dict[str, str] = {}
    for each in config_maps(rendered(helm)):
        found |= each["data"]
    assert set(found) == {f"{dashboard.uid}.json" for dashboard in DASHBOARDS} == set(FILES)
    for name, text in found.items():
        assert text.rstrip() == FILES[name].read_text(encoding="utf-8").rstrip()
    assert any("{{" in text for text in found.values())
    # A ConfigMap holds 1 MiB, and what `kubectl apply` notes down of it 256 KiB.
    assert max(map(len, found.values())) < 200_000


@pytest.mark.parametrize(
    ("values", "labels", "annotations", "namespace"),
    [
        ({}, {"grafana_dashboard": "1"}, {"grafana_folder": "MetaSearch"}, "ops"),
        ({"folder": ""}, {"grafana_dashboard": "1"}, None, "ops"),
        (
            {"folder": "ML", "folderAnnotation": "k8s-sidecar-target-directory"},
            {},
            {"k8s-sidecar-target-directory": "ML"},
            "ops",
        ),
        ({"labels": {"mine": "yes"}}, {"mine": "yes", "grafana_dashboard": "1"}, {}, "ops"),
        ({"annotations": {"a": "b"}}, {}, {"a": "b", "grafana_folder": "MetaSearch"}, "ops"),
        ({"namespace": "monitoring"}, {}, {}, "monitoring"),
    ],
)
def test_the_sidecar_finds_them(
    helm: Helm, values: Json, labels: Json, annotations: Json | None, namespace: str
) -> None:
    for each in config_maps(rendered(helm, **values)):
        metadata = each["metadata"]
        assert metadata["namespace"] == namespace
        assert labels.items() <= metadata["labels"].items()
        assert metadata["labels"]["app.kubernetes.io/component"] == "dashboards"
        assert (
            metadata.get("annotations") == annotations or (annotations or {}).items() <= metadata["annotations"].items()
        )


def test_grafanas_operator_is_told_of_each(helm: Helm) -> None:
    selector = {"matchLabels": {"grafana": "main"}}
    objects = rendered(helm, grafanaOperator={"enabled": True, "instanceSelector": selector}, folder="ML")
    resources = objects_of_kind(objects, "GrafanaDashboard")
    assert {each["apiVersion"] for each in resources} == {"grafana.integreatly.org/v1beta1"}
    maps = {each["metadata"]["name"]: each for each in config_maps(objects)}
    assert len(resources) == len(maps) == len(DASHBOARDS)
    for each in resources:
        reference = each["spec"]["configMapRef"]
        assert reference["key"] in maps[reference["name"]]["data"]
        assert each["metadata"]["namespace"] == maps[reference["name"]]["metadata"]["namespace"]
        assert each["spec"]["folder"] == "ML"
        assert each["spec"]["instanceSelector"]["matchLabels"]["grafana"] == "main"


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"enable": True}, "enable"),
        ({"labels": {"grafana_dashboard": 1}}, "grafana_dashboard"),
        ({"namespace": "Not_A_Name"}, "namespace"),
        ({"folderAnnotation": ""}, "folderAnnotation"),
    ],
)
def test_values_of_another_kind_are_refused(helm: Helm, values: Json, part: str) -> None:
    assert part in helm.render_error({"monitoring": {"dashboards": values}})
