"""The alerts as people read them: a page for each, and a table of all."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from monitoring.alerts.catalogue import GROUPS
from monitoring.alerts.model import Alert, Group, duration_text

TITLES = {
    "metasearch.operator": "The operator",
    "metasearch.search": "Searches",
    "metasearch.workers": "Workers",
    "metasearch.budget": "Budgets",
    "metasearch.surrogate": "The surrogate",
    "metasearch.gpu": "GPUs",
}

INDEX_HEAD = """\
# Runbooks

A page for each alert: what it means, what it does to searches, how to find the cause, and what to do. How alerts are
switched on, tuned and silenced: [alerts](../alerts.md). Made from `monitoring/alerts` by `make generate`.

`critical` is for somebody who is woken: nothing gets on for anybody. `warning` is for today, `info` for whoever looks
at what is wasted. No alert about a search fires for one that has ended or is suspended.
"""

OF_SEARCH = (
    "In the commands, NAMESPACE and SEARCH are the labels `namespace` and `search` of the alert; OPERATOR-NAMESPACE is "
    "where the chart was installed, with the release's name `metasearch`."
)
OF_OPERATOR = (
    "In the commands, OPERATOR-NAMESPACE is where the chart was installed, with the release's name `metasearch`, and "
    "NAMESPACE and SEARCH are those of a search."
)

WIDTH = 118


def index() -> str:
    """Return the table of all alerts."""
    return INDEX_HEAD + "".join(part for group in GROUPS for part in _table(group))


def _table(group: Group) -> Iterator[str]:
    yield f"\n## {TITLES[group.name]}\n\n| alert | severity | fires when | for | threshold |\n|---|---|---|---|---|\n"
    for alert in group.alerts:
        cells = (
            f"[{alert.name}]({alert.name}.md)",
            alert.severity,
            alert.filled(alert.when),
            duration_text(alert.for_seconds),
            f"{alert.threshold.comparison} {alert.threshold.text}" if alert.threshold else "",
        )
        yield f"| {' | '.join(cells)} |\n"


def page(alert: Alert) -> str:
    """Return the runbook of an alert."""
    expression = "".join(f"    {line}\n" for line in alert.filled(alert.expression).splitlines())
    labels = ", ".join(f"`{label}`" for label in alert.labels)
    tuned = "`for`, `severity` and `threshold`" if alert.threshold else "`for` and `severity`"
    head = (
        f"Severity {alert.severity}; labels {labels}. It fires when {alert.filled(alert.when)}, and that lasts for "
        f"{duration_text(alert.for_seconds)}. {OF_SEARCH if 'search' in alert.labels else OF_OPERATOR}"
    )
    foot = (
        f"{tuned} can be set in the chart's values, `monitoring.rules.alerts.{alert.name}`; there `enabled: false` "
        "switches it off. [All alerts](README.md)."
    )
    return f"""\
# {alert.name}

{textwrap.fill(head, WIDTH)}

## Meaning

{alert.runbook.meaning.rstrip()}

## Impact

{alert.runbook.impact.rstrip()}

## Diagnosis

{alert.runbook.diagnosis.rstrip()}

## Mitigation

{alert.runbook.mitigation.rstrip()}

## The rule

{expression}
{textwrap.fill(foot, WIDTH)}
"""
