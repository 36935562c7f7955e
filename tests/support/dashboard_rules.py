"""
The rules of Grafana's dashboard-linter, for dashboards on Prometheus, applied to the JSON that Grafana imports.

Source: github.com/grafana/dashboard-linter, docs/index.md of v0.2.0, which names and describes them; the two for Loki
have nothing to say here. EXCLUSIONS is the one place that says which are not kept, where, and why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import promql_parser

from metasearch.metrics import of_search

Json = dict[str, Any]
Complaint = tuple[str, str]
"""The subject, such as a panel or a metric, and what is wrong with it."""

UNITS = frozenset(
    (Path(__file__).parents[1] / "monitoring" / "dashboards" / "grafana_units.txt").read_text(encoding="utf-8").split()
)
"""The units that Grafana knows, by `scripts/grafana_units.mjs`."""

CUSTOM_UNIT = re.compile(r"suffix:\S.*")
"""Grafana's own form for a unit that it does not know; it puts the space before it."""

WINDOWS = {"$__rate_interval": "4m", "$__interval": "1m", "$__range": "6h"}

ANY_PROCESS = (
    "a search's series are the same whichever process exposes them, an operator's successor or a run on a laptop"
)
RECORDS = "it is computed from a search's records and never begins anew, so that its value is what happened in all"

EXCLUSIONS: Mapping[str, Mapping[str, str]] = {
    "template-job": {"metasearch-search": ANY_PROCESS, "metasearch-searches": ANY_PROCESS},
    "template-instance": {"metasearch-search": ANY_PROCESS, "metasearch-searches": ANY_PROCESS},
    "target-job": {"metasearch-search": ANY_PROCESS, "metasearch-searches": ANY_PROCESS},
    "target-instance": {"metasearch-search": ANY_PROCESS, "metasearch-searches": ANY_PROCESS},
    "target-counter-agg": {
        each.name: RECORDS for each in (of_search.ENDED, of_search.ATTEMPTS, of_search.WORKER_SECONDS)
    },
}
"""For a rule, the dashboards or metrics that it is not applied to, and the reason."""


# --- reading ------------------------------------------------------------------------------------------------------


def panels(dashboard: Json) -> Iterator[Json]:
    """Yield the panels that show something."""
    return (panel for panel in dashboard["panels"] if panel["type"] != "row")


def targets(dashboard: Json) -> Iterator[tuple[Json, str]]:
    """Yield every expression, with its panel."""
    for panel in panels(dashboard):
        for target in panel.get("targets", []):
            yield panel, target["expr"]


def parsed(expression: str) -> promql_parser.Expr:
    """Parse an expression; raises ValueError. Variables stay in labels' values and become durations elsewhere."""
    for name, duration in WINDOWS.items():
        expression = expression.replace(name, duration)
    return promql_parser.parse(expression)


Node = promql_parser.Expr


def selectors(expression: str) -> list[tuple[promql_parser.VectorSelector, list[Node]]]:
    """Return every selector of an expression, with what it stands in, the outermost first."""
    found: list[tuple[promql_parser.VectorSelector, list[Node]]] = []
    around: list[Node] = []

    def enter(node: Node) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append((node, list(around)))
        if isinstance(node, promql_parser.MatrixSelector):
            found.append((node.vector_selector, [*around, node]))
        around.append(node)

    def leave(_: Node) -> None:
        around.pop()

    promql_parser.walk(parsed(expression), enter, leave)
    return found


def matchers(selector: promql_parser.VectorSelector) -> set[str]:
    """Return a selector's conditions as text."""
    signs = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}  # the parser's own cannot be keys
    found = (
        (each.name, signs[str(each.op).removeprefix("MatchOp.")], each.value) for each in selector.matchers.matchers
    )
    return {f'{name}{sign}"{value}"' for name, sign, value in found}


def _functions(around: list[Node]) -> set[str]:
    return {node.func.name for node in around if isinstance(node, promql_parser.Call)}


def _variables(dashboard: Json, type: str) -> Iterator[Json]:
    return (each for each in dashboard["templating"]["list"] if each["type"] == type)


# --- rules --------------------------------------------------------------------------------------------------------


def template_datasource(dashboard: Json) -> Iterator[Complaint]:
    """Require a variable that chooses the data source, by the usual name."""
    found = [(each["name"], each["label"], each["query"]) for each in _variables(dashboard, "datasource")]
    if found != [("datasource", "Data source", "prometheus")]:
        yield dashboard["uid"], f"its data sources are {found}"


def _label_variable(dashboard: Json, name: str) -> Iterator[Complaint]:
    for each in _variables(dashboard, "query"):
        if each["name"] == name:
            wanted = {"label": name.capitalize(), "multi": True, "includeAll": True, "allValue": ".+"}
            if wrong := {key for key, value in wanted.items() if each.get(key) != value}:
                yield dashboard["uid"], f"variable {name} has another {sorted(wrong)}"
            return
    yield dashboard["uid"], f"there is no variable {name}"


def template_job(dashboard: Json) -> Iterator[Complaint]:
    """Require a variable of jobs."""
    return _label_variable(dashboard, "job")


def template_instance(dashboard: Json) -> Iterator[Complaint]:
    """Require a variable of instances."""
    return _label_variable(dashboard, "instance")


def template_label_promql(dashboard: Json) -> Iterator[Complaint]:
    """Require that the queries of variables are right."""
    for each in _variables(dashboard, "query"):
        form = re.fullmatch(r"label_values\((.+), ([a-z]+)\)", each["query"])
        try:
            if form is None or not selectors(form[1]):
                yield each["name"], f"{each['query']} is no query of a label"
        except ValueError as error:
            yield each["name"], str(error)


def template_on_time_change_reload(dashboard: Json) -> Iterator[Complaint]:
    """Require that variables follow the time that is looked at."""
    return ((each["name"], "it is not read anew") for each in _variables(dashboard, "query") if each["refresh"] != 2)


def panel_datasource(dashboard: Json) -> Iterator[Complaint]:
    """Require that panels and their queries ask the chosen data source."""
    for panel in panels(dashboard):
        if {each["datasource"]["uid"] for each in [panel, *panel["targets"]]} != {"${datasource}"}:
            yield panel["title"], "it asks another data source"


def panel_title_description(dashboard: Json) -> Iterator[Complaint]:
    """Require a title, and a description in sentences."""
    for panel in panels(dashboard):
        if not panel.get("title") or not panel.get("description", "").endswith("."):
            yield str(panel["id"]), "it has no title or no description"


def panel_units(dashboard: Json) -> Iterator[Complaint]:
    """Require units that Grafana knows; it shows others as a suffix."""
    for panel in panels(dashboard):
        units = [panel["fieldConfig"]["defaults"]["unit"]]
        for override in panel["fieldConfig"]["overrides"]:
            units += [each["value"] for each in override["properties"] if each["id"] == "unit"]
        for unit in units:
            if unit not in UNITS and not CUSTOM_UNIT.fullmatch(unit):
                yield panel["title"], f"Grafana does not know the unit {unit}"


def panel_no_targets(dashboard: Json) -> Iterator[Complaint]:
    """Require that a panel asks something."""
    return ((panel["title"], "it asks nothing") for panel in panels(dashboard) if not panel["targets"])


def target_promql(dashboard: Json) -> Iterator[Complaint]:
    """Require expressions that can be read."""
    for panel, expression in targets(dashboard):
        try:
            parsed(expression)
        except ValueError as error:
            yield panel["title"], f"{expression}: {error}"


def target_rate_interval(dashboard: Json) -> Iterator[Complaint]:
    """Require Grafana's window for rates, which is right for any scrape interval."""
    for panel, expression in targets(dashboard):
        for call in re.findall(r"\b(?:rate|irate|increase)\([^\[]*\[([^\]]*)\]", expression):
            if call != "$__rate_interval":
                yield panel["title"], f"its window is {call}"


def _label_matcher(dashboard: Json, name: str) -> Iterator[Complaint]:
    for panel, expression in targets(dashboard):
        for selector, _ in selectors(expression):
            if f'{name}=~"${name}"' not in matchers(selector):
                yield panel["title"], f"{selector.name} is not of the chosen {name}"


def target_job(dashboard: Json) -> Iterator[Complaint]:
    """Require that series are those of the chosen jobs."""
    return _label_matcher(dashboard, "job")


def target_instance(dashboard: Json) -> Iterator[Complaint]:
    """Require that series are those of the chosen instances."""
    return _label_matcher(dashboard, "instance")


def target_counter_agg(dashboard: Json) -> Iterator[Complaint]:
    """Require that counters are read by their increase, as they begin anew with their process."""
    for _, expression in targets(dashboard):
        for selector, around in selectors(expression):
            name = str(selector.name)
            if name.endswith("_total") and not _functions(around) & {"rate", "irate", "increase"}:
                yield name, "a counter is read as a value"


def uneditable_dashboard(dashboard: Json) -> Iterator[Complaint]:
    """Require that nobody edits what is installed anew with each release."""
    if dashboard["editable"] is not False:
        yield dashboard["uid"], "it can be edited"


RULES: Mapping[str, Callable[[Json], Iterator[Complaint]]] = {
    rule.__name__.replace("_", "-"): rule
    for rule in (
        template_datasource,
        template_job,
        template_instance,
        template_label_promql,
        template_on_time_change_reload,
        panel_datasource,
        panel_title_description,
        panel_units,
        panel_no_targets,
        target_promql,
        target_rate_interval,
        target_job,
        target_instance,
        target_counter_agg,
        uneditable_dashboard,
    )
}
