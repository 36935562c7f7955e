"""The dashboards keep the rules of Grafana's linter, and the rules notice what breaks them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from dashboard_rules import EXCLUSIONS, RULES, Json
from monitoring.dashboards.catalogue import DASHBOARDS
from monitoring.dashboards.grafana import to_json

WRITTEN: dict[str, Json] = {each.uid: json.loads(to_json(each)) for each in DASHBOARDS}


@pytest.mark.parametrize("uid", WRITTEN)
@pytest.mark.parametrize("rule", RULES)
def test_a_dashboard_keeps_a_rule(rule: str, uid: str) -> None:
    excluded = EXCLUSIONS.get(rule, {})
    found = [each for each in RULES[rule](WRITTEN[uid]) if uid not in excluded and each[0] not in excluded]
    assert not found


@pytest.mark.parametrize(
    ("rule", "subject"), [(rule, each) for rule, excluded in EXCLUSIONS.items() for each in excluded]
)
def test_every_exclusion_is_needed(rule: str, subject: str) -> None:
    found = [(uid, name) for uid, dashboard in WRITTEN.items() for name, _ in RULES[rule](dashboard)]
    assert any(subject in pair for pair in found)


def change(path: str, value: Any) -> Callable[[Json], None]:
    """Return a change of a dashboard at a path of keys and indices."""

    def apply(dashboard: Json) -> None:
        *keys, last = [int(key) if key.isdigit() else key for key in path.split(".")]
        place: Any = dashboard
        for key in keys:
            place = place[key]
        place[last] = value

    return apply


PANEL = "panels.1"
EXPRESSION = f"{PANEL}.targets.0.expr"


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        ("template-datasource", change("templating.list.0.name", "source")),
        ("template-job", change("templating.list.1.multi", False)),
        ("template-job", change("templating.list.1.name", "jobs")),
        ("template-instance", change("templating.list.2.allValue", ".*")),
        ("template-label-promql", change("templating.list.1.query", "label_values(up{, job)")),
        ("template-label-promql", change("templating.list.1.query", "up")),
        ("template-on-time-change-reload", change("templating.list.1.refresh", 1)),
        ("panel-datasource", change(f"{PANEL}.targets.0.datasource.uid", "mine")),
        ("panel-title-description", change(f"{PANEL}.description", "")),
        ("panel-units", change(f"{PANEL}.fieldConfig.defaults.unit", "seconds")),
        ("panel-no-targets", change(f"{PANEL}.targets", [])),
        ("target-promql", change(EXPRESSION, "sum by (a) (up")),
        ("target-promql", change(EXPRESSION, "a / on () group_left (b > 1)")),
        ("target-rate-interval", change(EXPRESSION, 'rate(a_total{job=~"$job"}[5m])')),
        ("target-job", change(EXPRESSION, 'a{instance=~"$instance"}')),
        ("target-instance", change(EXPRESSION, 'sum (rate(a_total{job=~"$job"}[$__rate_interval])) + b')),
        ("target-counter-agg", change(EXPRESSION, "sum (a_total)")),
        ("target-counter-agg", change(EXPRESSION, "rate(a_total[$__rate_interval]) / max_over_time(b_total[1h])")),
        ("uneditable-dashboard", change("editable", True)),
    ],
)
def test_a_rule_notices_what_breaks_it(rule: str, wrong: Callable[[Json], None]) -> None:
    dashboard = copy.deepcopy(WRITTEN["metasearch-operator"])
    assert not list(RULES[rule](dashboard))
    wrong(dashboard)
    assert list(RULES[rule](dashboard))
