"""Make the tables of docs/reference/dashboards.md from the dashboards."""

from __future__ import annotations

from collections.abc import Iterator

from monitoring.dashboards.catalogue import DASHBOARDS


def sections() -> Iterator[str]:
    """Yield a heading for each dashboard, and a table for each of its rows."""
    for dashboard in DASHBOARDS:
        chosen = ", ".join(variable.label.lower() for variable in dashboard.variables)
        yield f"\n## {dashboard.title}\n\n{dashboard.description} Chosen are data source, {chosen}.\n"
        for row in dashboard.rows:
            yield f"\n### {row.title}\n\n| panel | what it tells | where there is nothing |\n|---|---|---|\n"
            for panel in row.panels:
                yield f"| {panel.title} | {panel.description} | {panel.no_value} |\n"
