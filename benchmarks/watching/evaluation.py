"""
Which alerts fire over hours of scrapes, and when: Prometheus' own rules engine in virtual time.

`promtool test rules` runs the shipped rules file, with `for` and what rules ask of each other, over series that are
given to it, and prints what it finds where that is not what was expected. Nothing is expected, so all is printed.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devcluster.binaries import ROOT
from devcluster.prometheus import promtool

from watching.cluster import Series

RULES = ROOT / "monitoring" / "prometheus-rules.yaml"

INTERVAL_SECONDS = 30
"""Time between two scrapes, and between two evaluations."""

NAMED = re.compile(r"\b(?:metasearch_\w+|DCGM_\w+|up)\b")
FOUND = re.compile(r"\{(?P<labels>[^}]*)\} (?P<value>[-+.\dE]+)")
LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Fired:
    """An alert that fired."""

    alert: str
    severity: str
    labels: Mapping[str, str]
    """All but those two."""
    first: float
    """Seconds from the first scrape to the first evaluation in which it fired."""
    last: float
    """The same of the last."""


@dataclass
class Recording:
    """Everything that was scraped, in the notation of promtool."""

    names: frozenset[str] = field(default_factory=lambda: frozenset(NAMED.findall(RULES.read_text(encoding="utf-8"))))
    """The metrics that rules ask for; nothing else is kept."""
    scrapes: int = 0
    _values: dict[Series, list[str]] = field(default_factory=dict)
    _present: set[Series] = field(default_factory=set)

    def add(self, scrape: Mapping[Series, float]) -> None:
        """Take one scrape. A series that it lacks and the one before had is stale, as after every failed scrape."""
        kept = {series: value for series, value in scrape.items() if series[0] in self.names}
        for series, value in kept.items():
            values = self._values.setdefault(series, [])
            values += ["_"] * (self.scrapes - len(values))
            values.append(f"{value:.10g}")
        for series in self._present - kept.keys():
            self._values[series].append("stale")
        self._present = set(kept)
        self.scrapes += 1

    @property
    def seconds(self) -> int:
        """The time from the first scrape to the last."""
        return INTERVAL_SECONDS * (self.scrapes - 1)

    def input_series(self) -> list[dict[str, str]]:
        """Return the series as promtool reads them."""
        return [
            {
                "series": f"{name}{{{', '.join(f'{key}={json.dumps(value)}' for key, value in labels)}}}",
                "values": " ".join(values),
            }
            for (name, labels), values in self._values.items()
        ]


def fired(recording: Recording, rules: Path = RULES) -> list[Fired]:
    """Return the alerts that fire over a recording, in the order of their first time."""
    seconds, end = recording.seconds, f"{recording.seconds}s"
    firing = f'timestamp(ALERTS{{alertstate="firing"}})[{seconds + 1}s:{INTERVAL_SECONDS}s]'
    test = {
        "rule_files": [str(rules)],
        "evaluation_interval": f"{INTERVAL_SECONDS}s",
        "tests": [
            {
                "interval": f"{INTERVAL_SECONDS}s",
                "input_series": recording.input_series(),
                "promql_expr_test": [
                    # Without a sample that is expected promtool takes the test for passed where nothing was found.
                    {"expr": f"{function}_over_time({firing})", "eval_time": end}
                    for function in ("min", "max")
                ],
            }
        ],
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "test.yaml"
        file.write_text(json.dumps(test), encoding="utf-8")
        ended = promtool("test", "rules", file)
    printed = ended.stdout + ended.stderr
    if ended.returncode == 0:
        return []
    got = [line.partition("got: ")[2] for line in printed.splitlines() if "got: " in line]
    assert len(got) == 2, printed
    firsts, lasts = map(_values, got)
    found = [_fired(labels, first, lasts[labels]) for labels, first in firsts.items()]
    return sorted(found, key=lambda each: (each.first, each.alert))


Labels = tuple[tuple[str, str], ...]


def _values(text: str) -> dict[Labels, float]:
    return {tuple(LABEL.findall(found["labels"])): float(found["value"]) for found in FOUND.finditer(text)}


def _fired(labels: Labels, first: float, last: float) -> Fired:
    known = {key: value for key, value in labels if key != "alertstate"}
    return Fired(known.pop("alertname"), known.pop("severity"), known, first, last)
