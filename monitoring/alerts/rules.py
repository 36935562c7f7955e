"""The alerts as Prometheus reads them, and as the chart does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monitoring.alerts.catalogue import GROUPS
from monitoring.alerts.model import INTERVAL_SECONDS, Alert, Group, duration_text

Json = dict[str, Any]

RUNBOOKS = "https://metasearch.dev/docs/runbooks"
"""The address below which the runbooks are, unless the chart's values say so."""


def rule(alert: Alert) -> Json:
    """Return an alert with its own threshold as a rule of Prometheus."""
    return {
        "alert": alert.name,
        "expr": alert.filled(alert.expression),
        "for": duration_text(alert.for_seconds),
        "labels": {"severity": str(alert.severity)},
        "annotations": {
            "summary": alert.filled(alert.summary),
            "description": alert.filled(alert.description),
            "runbook_url": f"{RUNBOOKS}/{alert.name}.md",
        },
    }


def rules(groups: Sequence[Group] = GROUPS) -> Json:
    """Return what a rules file of Prometheus holds."""
    interval = duration_text(INTERVAL_SECONDS)
    return {
        "groups": [
            {"name": group.name, "interval": interval, "rules": [rule(each) for each in group.alerts]}
            for group in groups
        ]
    }


def chart_data() -> Json:
    """Return the alerts as a template of the chart reads them, with placeholders where values may set a threshold."""
    return {"groups": [{"name": group.name, "alerts": list(map(_chart_alert, group.alerts))} for group in GROUPS]}


def _chart_alert(alert: Alert) -> Json:
    threshold = {"threshold": alert.threshold.value} if alert.threshold else {}
    return {
        "name": alert.name,
        "severity": str(alert.severity),
        "for": duration_text(alert.for_seconds),
        **threshold,
        "expr": alert.expression,
        "summary": alert.summary,
        "description": alert.description,
    }
