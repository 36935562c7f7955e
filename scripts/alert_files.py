"""Make the files that the alerts are shipped and described in: rules, the chart's data and schema, runbooks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from monitoring.alerts import pages
from monitoring.alerts.catalogue import ALERTS
from monitoring.alerts.model import Alert, Severity
from monitoring.alerts.rules import chart_data, rules

HEAD = "# Made from monitoring/alerts by `make generate`.\n"


class _Dumper(yaml.SafeDumper):
    """A dumper that leaves expressions readable."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def files(root: Path, chart: Path) -> Iterator[tuple[Path, str]]:
    """Yield path and text of each file."""
    yield root / "monitoring" / "prometheus-rules.yaml", HEAD + _yaml(rules())
    yield chart / "files" / "alerts.yaml", HEAD + _yaml(chart_data())
    yield chart / "values.schema.json", _schema((chart / "values.schema.json").read_text(encoding="utf-8"))
    runbooks = root / "docs" / "runbooks"
    yield runbooks / "README.md", pages.index()
    for alert in ALERTS:
        yield runbooks / f"{alert.name}.md", pages.page(alert)


def superfluous(root: Path) -> list[Path]:
    """Return the runbooks of alerts that there are no more."""
    known = {"README", *(alert.name for alert in ALERTS)}
    return [path for path in sorted((root / "docs" / "runbooks").glob("*.md")) if path.stem not in known]


def _yaml(content: Any) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=1_000, allow_unicode=True)


def _kind(alert: Alert) -> str:
    """Return the definition in the schema of what can be set of an alert."""
    if alert.threshold is None:
        return "alertWithoutThreshold"
    return "alertOnShare" if alert.threshold.is_share else "alert"


def _schema(text: str) -> str:
    """Return the schema of the chart's values with what it says of alerts; all else is written by hand."""
    schema = json.loads(text)
    tuned = {
        "enabled": {"type": "boolean"},
        "for": {"$ref": "#/definitions/prometheusDuration"},
        "severity": {"enum": [str(severity) for severity in Severity]},
    }
    number, share = {"type": "number"}, {"type": "number", "maximum": 1}
    definitions: dict[str, Any] = {
        kind: {"type": "object", "additionalProperties": False, "properties": {**tuned, **threshold}}
        for kind, threshold in (
            ("alert", {"threshold": number}),
            ("alertOnShare", {"threshold": share}),
            ("alertWithoutThreshold", {}),
        )
    }
    kinds = {alert.name: _kind(alert) for alert in ALERTS}
    # Each by name, for Helm's message about one that is not there then says where it stands.
    definitions["alerts"] = {
        "description": "What is to differ from an alert's own settings. Generated.",
        "type": "object",
        "additionalProperties": False,
        "properties": {name: {"$ref": f"#/definitions/{kind}"} for name, kind in kinds.items()},
    }
    schema["definitions"].update(definitions)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
