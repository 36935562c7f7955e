"""
Put the values of variables into an expression, as Grafana does.

A variable of which several values may be chosen is a regular expression. Grafana escapes its special characters twice,
once for the regular expression and once for the text in quotes that holds it. One of a single value is escaped as text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitoring.dashboards.model import Dashboard, Variable

SPECIAL = re.compile(r"[$^*{}\[\]'+?.()|]")
REFERENCE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")

SCRAPES_IN_A_RATE = 4
"""A window of so many scrapes has two samples even where one scrape fails."""

ALL = ("$__all",)
"""The choice of every value."""


@dataclass(frozen=True)
class View:
    """Everything that expressions depend on beside the data: what is chosen, and how it is looked at."""

    chosen: Mapping[str, Sequence[str]]
    """The values of each variable; of one that takes a single value, exactly one."""
    scrape_seconds: float
    """The scrape interval that Grafana's data source is told."""
    step_seconds: float
    """The time between two points of a panel."""
    range_seconds: float
    """The time that is looked at."""


def substitute(expression: str, dashboard: Dashboard, view: View) -> str:
    """
    Return an expression as Grafana would send it.

    What is no variable of the dashboard or of Grafana stays, such as `$1` in label_replace.
    """
    values = {variable.name: _written(variable, view.chosen[variable.name]) for variable in dashboard.variables}
    rate_seconds = max(view.step_seconds + view.scrape_seconds, SCRAPES_IN_A_RATE * view.scrape_seconds)
    values |= {
        "__rate_interval": _duration(rate_seconds),
        "__interval": _duration(view.step_seconds),
        "__range": _duration(view.range_seconds),
    }
    return REFERENCE.sub(lambda found: values.get(found[1] or found[2], found[0]), expression)


def _written(variable: Variable, chosen: Sequence[str]) -> str:
    if not variable.is_multiple:
        (value,) = chosen
        return value.replace("\\", r"\\").replace('"', r"\"")
    if tuple(chosen) == ALL:
        assert variable.all_value is not None
        return variable.all_value
    escaped = [_escaped(value) for value in chosen]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def _escaped(value: str) -> str:
    return SPECIAL.sub(lambda found: rf"\\{found[0]}", value.replace("\\", "\\\\\\\\"))


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
