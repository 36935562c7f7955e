"""The alerts name what there is: metrics, labels, conditions, outcomes, pages and values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from alert_cases.mutants import mutants
from devcluster.binaries import ROOT
from monitoring.alerts import external
from monitoring.alerts.catalogue import ALERTS, GROUPS
from monitoring.alerts.model import Alert, Runbook, Severity, duration_text
from monitoring.alerts.promql import none_of, one_of, select

from metasearch.kubernetes.search_status import READY, SUSPENDED
from metasearch.metrics import of_search
from metasearch.metrics.catalogue import METRICS
from metasearch.metrics.model import Kind
from metasearch.search.planner import Phase
from metasearch.search.trials import LOST, Reason, State
from metasearch_operator.reasons import ReadyReason

RUNBOOKS = ROOT / "docs" / "runbooks"

EXPOSED = {f"{metric.name}_count" if metric.kind is Kind.HISTOGRAM else metric.name for metric in METRICS}
"""The names of series, as they are asked for."""

of_each = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)


def values_of(label: str, alert: Alert) -> set[str]:
    """Return the values that an expression asks a label for."""
    found = re.findall(rf'\b{label}(?:=~|!~|=)"([^"]*)"', alert.expression)
    return {value for text in found for value in text.split("|")}


def test_names_are_unique_and_there_is_an_alert_for_each_severity() -> None:
    names = [alert.name for alert in ALERTS]
    assert len(set(names)) == len(names) >= 16
    assert {alert.severity for alert in ALERTS} == set(Severity)
    assert len({group.name for group in GROUPS}) == len(GROUPS)


@of_each
def test_every_metric_is_in_the_catalogue(alert: Alert) -> None:
    """The expression is read here, whatever it was built from."""
    names = set(re.findall(r"\b(?:metasearch_|DCGM_)\w+", alert.expression))
    others = {metric.name for metric in external.METRICS}
    assert names <= EXPOSED | others
    assert names or "up" in alert.expression


@of_each
def test_every_value_of_a_label_is_one_that_there_is(alert: Alert) -> None:
    outcomes = {*map(str, Reason), str(State.SUCCEEDED), LOST}
    assert values_of("outcome", alert) <= outcomes
    assert values_of("phase", alert) <= {*map(str, Phase), "Pending", "Running"}
    assert values_of("condition", alert) <= {READY, SUSPENDED}
    if "metasearch_search_condition" in alert.expression:
        assert values_of("reason", alert) <= {*map(str, ReadyReason), "StoreUnavailable", "Forbidden"}


def test_every_reason_why_a_search_does_not_get_on_has_an_alert() -> None:
    told = {reason for alert in ALERTS for reason in values_of("reason", alert)}
    no_trouble = {"Searching", "Final", "Succeeded", "Failed", "Suspended"}
    assert {str(reason) for reason in ReadyReason} - no_trouble <= told


@of_each
def test_no_rule_names_a_search_so_none_needs_to_be_escaped(alert: Alert) -> None:
    assert not values_of("search", alert) | values_of("namespace", alert)
    labels = set(alert.labels)
    assert set(of_search.SEARCH_LABELS) <= labels or "job" in labels


@of_each
def test_a_text_says_what_and_where_and_has_no_placeholder_left(alert: Alert) -> None:
    for text in (alert.summary, alert.description):
        assert alert.filled(text).count("$threshold") == 0
        asked = set(re.findall(r"\$labels\.(\w+)", text))
        assert asked <= set(alert.labels)
    assert "search" not in alert.labels or "$labels.search" in alert.summary
    assert not alert.summary.endswith(".")
    assert alert.description.endswith(".")
    assert len(alert.summary) < 150


# --- runbooks -----------------------------------------------------------------------------------------------------


@of_each
def test_every_alert_has_a_page_with_its_four_parts(alert: Alert) -> None:
    text = (RUNBOOKS / f"{alert.name}.md").read_text(encoding="utf-8")
    assert re.findall("^## (.*)$", text, re.MULTILINE) == ["Meaning", "Impact", "Diagnosis", "Mitigation", "The rule"]
    diagnosis = text[text.index("## Diagnosis") : text.index("## Mitigation")]
    assert re.search(r"^ {4}(kubectl|metasearch) ", diagnosis, re.MULTILINE), "a command to begin with"
    assert f"[{alert.name}]({alert.name}.md)" in (RUNBOOKS / "README.md").read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """Return the names that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@of_each
def test_every_link_of_a_page_leads_somewhere(alert: Alert) -> None:
    text = (RUNBOOKS / f"{alert.name}.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        name, _, anchor = target.partition("#")
        page = (RUNBOOKS / name).resolve()
        assert page.is_file(), target
        assert not anchor or anchor in anchors(page), target


@of_each
def test_every_value_of_the_chart_that_a_page_names_is_one(alert: Alert) -> None:
    values: dict[str, Any] = yaml.safe_load((ROOT / "helm/metasearch/values.yaml").read_text(encoding="utf-8"))
    text = "\n".join(vars(alert.runbook).values())
    groups = "|".join(set(values) - {"worker"})  # `worker.…` is a field of searches, too
    for path in re.findall(rf"`((?:{groups})\.[\w.]+)", text):
        found: Any = values
        for key in path.rstrip(".").split("."):
            assert key in found, path
            found = found[key]


# --- the model ----------------------------------------------------------------------------------------------------


def test_a_selector_of_what_is_not_there_is_an_error() -> None:
    with pytest.raises(AssertionError, match="metasearch_search_round has no label phase"):
        select(of_search.ROUND, phase="Searching")


def test_a_selector_reads_as_in_promql() -> None:
    assert select(of_search.ROUND) == "metasearch_search_round"
    assert select(of_search.TRIAL_SECONDS) == "metasearch_trial_seconds_count"
    chosen = select(of_search.CONDITION, condition="Ready", status=one_of("True", "False"), reason=none_of("Failed"))
    assert chosen == 'metasearch_search_condition{condition="Ready", status=~"True|False", reason!~"Failed"}'


@pytest.mark.parametrize(
    ("seconds", "text"), [(30, "30s"), (60, "1m"), (90, "90s"), (900, "15m"), (3_600, "1h"), (5_400, "90m")]
)
def test_a_duration_reads_as_in_rules(seconds: int, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Slow"}, "Slow: a name begins with MetaSearch"),
        ({"for_seconds": 0}, "one bad sample"),
        ({"for_seconds": 45}, "evaluation intervals"),
        ({"guards": ("or up",)}, "a guard narrows"),
        ({"description": "More than $threshold."}, "a threshold that it has not"),
    ],
)
def test_an_alert_that_could_not_work_is_an_error(changes: dict[str, Any], message: str) -> None:
    fields: dict[str, Any] = {
        "name": "MetaSearchSlow",
        "severity": Severity.INFO,
        "for_seconds": 60,
        "labels": (),
        "when": "it is slow",
        "measure": "up",
        "summary": "Slow",
        "description": "It is slow.",
        "runbook": Runbook("", "", "", ""),
    }
    Alert(**fields)
    with pytest.raises(AssertionError, match=message):
        Alert(**{**fields, **changes})


# --- the page about alerts ----------------------------------------------------------------------------------------


def test_the_page_counts_them() -> None:
    text = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    for severity in Severity:
        assert (
            f"| {sum(alert.severity is severity for alert in ALERTS)} |\n"
            in re.search(rf"^\| `{severity}` .*\n", text, re.MULTILINE)[0]
        )  # type: ignore[index]
    assert text.count(f"{len(ALERTS)} alerts") == 1
    number = sum(1 for alert in ALERTS for _ in mutants(alert))
    assert f"All of these {number} mutants break a case" in " ".join(text.split())
    assert {name for name in re.findall(r"MetaSearch\w+", text) if name != "MetaSearchGpuIdel"} <= {
        alert.name for alert in ALERTS
    }
