"""The chart's PrometheusRule has the alerts of the plain rules file, unless values say otherwise."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from chart import ROOT, Helm, Json, objects_of_kind, single

RULES = ROOT / "monitoring" / "prometheus-rules.yaml"
PLAIN: list[Json] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]

GPU = "MetaSearchGpuIdle"
SPOOLED = "MetaSearchResultsSpooled"
LOST = "MetaSearchWorkersLost"


def rendered(helm: Helm, **rules: Any) -> Json:
    return single(helm.render(monitoring={"rules": {"enabled": True, **rules}}), "PrometheusRule")


def rules_of(found: Json) -> dict[str, Json]:
    """Return the rules by the name of their alert."""
    return {rule["alert"]: rule for group in found["spec"]["groups"] for rule in group["rules"]}


def test_by_default_there_is_none(helm: Helm) -> None:
    assert not objects_of_kind(helm.render(), "PrometheusRule")


def test_it_has_the_same_alerts_as_the_plain_file(helm: Helm) -> None:
    found = rendered(helm)
    assert found["spec"]["groups"] == PLAIN
    assert (found["apiVersion"], found["metadata"]["name"]) == ("monitoring.coreos.com/v1", "metasearch")
    assert found["metadata"]["namespace"] == "team-a"


def test_an_alert_can_be_switched_off_and_a_group_without_alerts_is_left_out(helm: Helm) -> None:
    found = rendered(helm, alerts={GPU: {"enabled": False}, SPOOLED: {"enabled": False}, LOST: {"enabled": True}})
    everything = {rule["alert"] for group in PLAIN for rule in group["rules"]}
    assert set(rules_of(found)) == everything - {GPU, SPOOLED}
    assert [group["name"] for group in found["spec"]["groups"]] == [
        group["name"] for group in PLAIN if group["name"] != "metasearch.gpu"
    ]


def test_an_alert_can_be_tuned_and_no_other_changes(helm: Helm) -> None:
    found = rules_of(rendered(helm, alerts={GPU: {"for": "90m", "severity": "critical", "threshold": 0.35}}))
    plain = {rule["alert"]: rule for group in PLAIN for rule in group["rules"]}
    tuned = found.pop(GPU)
    expected = plain.pop(GPU)
    assert found == plain
    assert (tuned["for"], tuned["labels"]) == ("90m", {"severity": "critical"})
    assert tuned["expr"] == expected["expr"].replace(") < 0.2", ") < 0.35") != expected["expr"]
    assert '{{ "0.35" | humanizePercentage }}' in tuned["annotations"]["description"]


@pytest.mark.parametrize(
    ("threshold", "text"),
    # Helm reads numbers as floats, and Prometheus both notations.
    [(0, "0"), (-0.1, "-0.1"), (5, "5"), (2.5, "2.5"), (1_234_567, "1.234567e+06")],
)
def test_any_number_is_a_threshold(helm: Helm, threshold: float, text: str) -> None:
    rule = rules_of(rendered(helm, alerts={LOST: {"threshold": threshold}}))[LOST]
    assert f"[1h])) >= {text}\n" in rule["expr"]


def test_no_placeholder_is_left(helm: Helm) -> None:
    assert "$threshold" not in yaml.safe_dump(rendered(helm, alerts={LOST: {"for": "2m"}}))


def test_the_resource_gets_what_a_prometheus_selects_it_by(helm: Helm) -> None:
    values = {
        "commonLabels": {"team": "ml"},
        "commonAnnotations": {"note": "ours", "kept": "yes"},
        "monitoring": {
            "rules": {
                "enabled": True,
                "labels": {"release": "kube-prometheus-stack"},
                "annotations": {"note": "of the rules"},
                "interval": "1m",
                "runbookUrl": "http://wiki.example.com/runbooks",
            }
        },
    }
    found = single(helm.render("ops", "search-1", **values), "PrometheusRule")
    metadata = found["metadata"]
    assert (metadata["name"], metadata["namespace"]) == ("search-1-metasearch", "ops")
    assert {"release": "kube-prometheus-stack", "team": "ml"}.items() <= metadata["labels"].items()
    assert metadata["labels"]["app.kubernetes.io/instance"] == "search-1"
    assert metadata["annotations"] == {"note": "of the rules", "kept": "yes"}
    assert {group["interval"] for group in found["spec"]["groups"]} == {"1m"}
    assert {name: rule["annotations"]["runbook_url"] for name, rule in rules_of(found).items()} == {
        name: f"http://wiki.example.com/runbooks/{name}.md" for name in rules_of(found)
    }


# --- what is refused ----------------------------------------------------------------------------------------------


def test_a_cluster_without_the_definitions_is_told_of_in_one_sentence(helm: Helm) -> None:
    message = helm.render_error({"monitoring": {"rules": {"enabled": True}}})
    (sentence,) = [line for line in message.splitlines() if "monitoring" in line]
    assert sentence.endswith(
        "monitoring.rules.enabled is true, and the cluster has no PrometheusRule (monitoring.coreos.com/v1); install "
        "the Prometheus operator's definitions first, or pass --api-versions monitoring.coreos.com/v1/PrometheusRule "
        "to helm template"
    )


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        (
            {"alerts": {"MetaSearchGpuIdel": {"enabled": False}}},
            "at '/monitoring/rules/alerts': additional properties 'MetaSearchGpuIdel' not allowed",
        ),
        (
            {"alerts": {"MetaSearchSearchInvalid": {"threshold": 2}}},
            "at '/monitoring/rules/alerts/MetaSearchSearchInvalid': additional properties 'threshold' not allowed",
        ),
        ({"alerts": {GPU: {"threshold": "much"}}}, f"at '/monitoring/rules/alerts/{GPU}/threshold'"),
        (
            {"alerts": {GPU: {"threshold": 50}}},
            f"at '/monitoring/rules/alerts/{GPU}/threshold': maximum: got 50, want 1",
        ),
        ({"alerts": {GPU: {"severity": "page"}}}, f"at '/monitoring/rules/alerts/{GPU}/severity'"),
        ({"alerts": {GPU: {"for": "half an hour"}}}, f"at '/monitoring/rules/alerts/{GPU}/for'"),
        ({"interval": 30}, "at '/monitoring/rules/interval'"),
        ({"interval": ""}, "at '/monitoring/rules/interval'"),
        ({"runbookUrl": "wiki/"}, "at '/monitoring/rules/runbookUrl'"),
    ],
)
def test_a_value_that_means_nothing_is_refused_by_name(helm: Helm, rules: Json, sentence: str) -> None:
    message = helm.render_error({"monitoring": {"rules": rules}})
    assert sentence in message
    assert message.count("\n- at ") == 1
