"""Prometheus finds what there is to scrape, however it looks for it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from chart import Helm, Json, config, objects_of_kind, single
from devcluster.access import ClusterAccess
from devcluster.binaries import MissingProgram
from devcluster.monitoring_definitions import monitoring_definitions_installed

from metasearch.kubernetes.names import METRICS_PORT

POD_MONITORS: Json = {"podMonitor": {"enabled": True, "labels": {"release": "kube-prometheus-stack"}}}
SERVICE_MONITOR: Json = {"serviceMonitor": {"enabled": True, "labels": {"release": "kube-prometheus-stack"}}}
TLS: Json = {"secret": "metasearch-tls", "clientAuthority": True, "clientConfig": {"serverName": "metasearch"}}
MONITORS = ("PodMonitor", "ServiceMonitor")


def named(objects: list[Json], kind: str, name: str) -> Json:
    (found,) = [each for each in objects_of_kind(objects, kind) if each["metadata"]["name"] == name]
    return found


def operator_pod(objects: list[Json]) -> Json:
    template: Json = single(objects, "Deployment")["spec"]["template"]
    return template


def test_there_is_nothing_of_prometheus_unless_asked_for(helm: Helm) -> None:
    objects = helm.render()
    assert not {each["kind"] for each in objects} & {*MONITORS, "Service"}
    assert not any(key.startswith("prometheus.io") for key in operator_pod(objects)["metadata"]["annotations"])


def test_pod_monitors_select_the_operator_and_its_workers(helm: Helm) -> None:
    objects = helm.render(monitoring=POD_MONITORS, watch={"namespaces": ["team-a", "team-b"]})
    operator, worker = (named(objects, "PodMonitor", f"metasearch-{part}")["spec"] for part in ("operator", "worker"))
    selected = operator["selector"]["matchLabels"].items()
    assert selected <= operator_pod(objects)["metadata"]["labels"].items()
    assert "namespaceSelector" not in operator  # its own namespace, which is the operator's
    assert worker["selector"]["matchLabels"] == {
        "app.kubernetes.io/name": "metasearch",
        "app.kubernetes.io/component": "worker",
    }
    assert worker["namespaceSelector"] == {"matchNames": ["team-a", "team-b"]}
    # Without honorLabels, the namespace of a search would be replaced by that of the operator's pod.
    endpoint = {"port": "metrics", "path": "/metrics", "interval": "30s", "honorLabels": True}
    assert operator["podMetricsEndpoints"] == worker["podMetricsEndpoints"] == [endpoint]


def test_workers_of_all_namespaces_are_scraped_where_all_are_watched(helm: Helm) -> None:
    objects = helm.render(monitoring=POD_MONITORS, watch={"all": True})
    assert named(objects, "PodMonitor", "metasearch-worker")["spec"]["namespaceSelector"] == {"any": True}


def test_workers_may_be_left_out(helm: Helm) -> None:
    monitoring = {"podMonitor": {"enabled": True, "workers": False}}
    assert single(helm.render(monitoring=monitoring), "PodMonitor")["metadata"]["name"] == "metasearch-operator"


def test_a_service_monitor_selects_the_service_that_selects_the_operator(helm: Helm) -> None:
    objects = helm.render(monitoring=SERVICE_MONITOR)
    service, monitor = single(objects, "Service"), single(objects, "ServiceMonitor")["spec"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert service["spec"]["selector"].items() <= operator_pod(objects)["metadata"]["labels"].items()
    assert [port["name"] for port in service["spec"]["ports"]] == [monitor["endpoints"][0]["port"]]
    assert monitor["endpoints"][0]["honorLabels"]


@pytest.mark.parametrize("monitoring", [POD_MONITORS, SERVICE_MONITOR])
def test_a_monitor_has_the_labels_by_which_a_prometheus_selects_it(helm: Helm, monitoring: Json) -> None:
    monitors = [each for each in helm.render(monitoring=monitoring) if each["kind"] in MONITORS]
    assert monitors
    for each in monitors:
        assert each["metadata"]["labels"]["release"] == "kube-prometheus-stack"
        assert each["metadata"]["labels"]["app.kubernetes.io/part-of"] == "metasearch"


@pytest.mark.parametrize(("tls", "scheme"), [({}, "http"), (TLS, "https")])
def test_annotations_say_where_to_scrape(helm: Helm, tls: Json, scheme: str) -> None:
    objects = helm.render(monitoring={"podAnnotations": True, "tls": tls}, worker={"annotations": {"note": "ours"}})
    where = {"prometheus.io/scrape": "true", "prometheus.io/port": str(METRICS_PORT), "prometheus.io/path": "/metrics"}
    annotations = operator_pod(objects)["metadata"]["annotations"]
    assert (where | {"prometheus.io/scheme": scheme}).items() <= annotations.items()
    worker = config(objects)["worker"]["annotations"]
    assert worker == where | {"prometheus.io/scheme": "http", "note": "ours"}


def test_tls_is_that_of_a_secret(helm: Helm) -> None:
    objects = helm.render(monitoring={**POD_MONITORS, "tls": TLS})
    pod = operator_pod(objects)["spec"]
    (volume,) = [each for each in pod["volumes"] if each["name"] == "metrics-tls"]
    (mount,) = [each for each in pod["containers"][0]["volumeMounts"] if each["name"] == "metrics-tls"]
    assert volume["secret"] == {"secretName": "metasearch-tls"}
    assert mount["readOnly"]
    assert config(objects)["metricsTls"] == {
        "certificate": f"{mount['mountPath']}/tls.crt",
        "key": f"{mount['mountPath']}/tls.key",
        "clientAuthority": f"{mount['mountPath']}/ca.crt",
    }
    endpoints = {
        name: named(objects, "PodMonitor", f"metasearch-{name}")["spec"]["podMetricsEndpoints"][0]
        for name in ("operator", "worker")
    }
    assert endpoints["operator"]["scheme"] == "https"
    assert endpoints["operator"]["tlsConfig"] == {"serverName": "metasearch"}
    assert "scheme" not in endpoints["worker"]  # only the operator has the secret


# --- bad input ----------------------------------------------------------------------------------------------------


def test_both_kinds_of_monitors_are_refused(helm: Helm) -> None:
    versions = [f"--api-versions=monitoring.coreos.com/v1/{kind}" for kind in MONITORS]
    values = {"monitoring": {**POD_MONITORS, **SERVICE_MONITOR}}
    ended = helm.call("template", "metasearch", helm.chart, *versions, values=values)
    assert ended.returncode != 0
    assert "the operator would be scraped twice, so choose one" in ended.stderr


@pytest.mark.parametrize(("values", "kind"), [(POD_MONITORS, "PodMonitor"), (SERVICE_MONITOR, "ServiceMonitor")])
def test_a_cluster_without_the_definitions_is_refused_with_a_sentence(helm: Helm, values: Json, kind: str) -> None:
    message = helm.render_error({"monitoring": values})
    value = f"monitoring.{kind[0].lower()}{kind[1:]}.enabled"
    assert f"{value} is true, and the cluster has no {kind} (monitoring.coreos.com/v1); install" in message


@pytest.mark.parametrize(
    ("monitoring", "message"),
    [
        ({"podMonitor": {"interval": "30"}}, "at '/monitoring/podMonitor/interval'"),
        ({"tls": {"secret": "No Name"}}, "at '/monitoring/tls/secret'"),
    ],
)
def test_a_wrong_value_is_refused_by_name(helm: Helm, monitoring: dict[str, Any], message: str) -> None:
    assert message in helm.render_error({"monitoring": monitoring})


@pytest.mark.parametrize("tls", [{"clientAuthority": True}, {"clientConfig": {"serverName": "metasearch"}}])
def test_what_needs_a_secret_is_refused_without_one(helm: Helm, tls: Json) -> None:
    """Metrics would be open to everybody, and whoever asks for certificates of clients would not notice."""
    assert "monitoring.tls.secret is empty" in helm.render_error({"monitoring": {"tls": tls}})


# --- the real API server ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("monitoring", [{**POD_MONITORS, "tls": TLS}, {**SERVICE_MONITOR, "tls": TLS}])
def test_the_monitors_are_accepted(helm: Helm, control_plane: ClusterAccess, monitoring: Json) -> None:
    objects = [each for each in helm.render("default", monitoring=monitoring) if each["kind"] in (*MONITORS, "Service")]
    try:
        with monitoring_definitions_installed(control_plane):
            for each in objects:
                control_plane.run(
                    "create", "--dry-run=server", "--validate=strict", "--filename=-", stdin=yaml.safe_dump(each)
                )
    except MissingProgram as missing:
        pytest.skip(str(missing))
