"""The form of a case, and of the file that promtool reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

Json = dict[str, Any]
Series = Mapping[str, str]
"""Samples by their series, in promtool's notation, one every 30 seconds; `1x9` are ten."""

STEP_SECONDS = 30

LONGER_SECONDS = 300
"""Time for which an alert that must be silent is looked at after those that fire."""

NAMESPACE, SEARCH = "team-a", "omni.glot-5-way"
"""A name with everything that a name may have."""

SCRAPED = {"job": "ops/metasearch", "instance": "10.0.0.1:8081", "pod": "metasearch-5d8-x", "container": "operator"}

NAME = f"{NAMESPACE}/{SEARCH}"

PHASES = ("Searching", "Final", "Succeeded", "Failed")


def labelled(metric: str, **labels: str) -> str:
    """Return a series by its name and labels."""
    inner = ", ".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{metric}{{{inner}}}"


def of_search(metric: str, **labels: str) -> str:
    """Return a series of the search that all cases have, unless they say so, with the labels that a scrape adds."""
    names = {"namespace": NAMESPACE, "search": SEARCH, **SCRAPED}
    return labelled(f"metasearch_{metric}", **{**names, **labels})


def step(before: float, after: float, at_seconds: int) -> str:
    """Return samples that change at one moment, with three hours after it."""
    return f"{before}x{at_seconds // STEP_SECONDS - 1} {after}x360"


def steady(value: float) -> str:
    """Return samples that stay as they are, for three hours."""
    return f"{value}x360"


def phase(present: str, **labels: str) -> dict[str, str]:
    """Return the series of a search's phase."""
    return {of_search("search_phase", phase=each, **labels): steady(float(each == present)) for each in PHASES}


def ready(status: str, reason: str) -> dict[str, str]:
    """Return the series of the condition Ready."""
    return {of_search("search_condition", condition="Ready", status=status, reason=reason): steady(1)}


def suspended(status: bool) -> dict[str, str]:
    """Return the series of the condition Suspended."""
    reason = "Suspended" if status else "NotSuspended"
    return {of_search("search_condition", condition="Suspended", status=str(status), reason=reason): steady(1)}


RUNNING: Series = {**phase("Searching"), **suspended(False)}
"""The series of a search that is neither over nor suspended."""

SCRAPED_OPERATOR = {**SCRAPED, "namespace": "ops"}


def requests(code: str, per_step: float) -> dict[str, str]:
    """Return requests of the operator of the search that all cases have, so many every 30 seconds."""
    name = labelled(
        "metasearch_api_request_seconds_count", **SCRAPED_OPERATOR, verb="GET", resource="metatrials", code=code
    )
    return {name: f"0+{per_step}x360"}


OPERATOR: Series = {labelled("metasearch_build_info", job="metasearch", namespace="ops", version="1"): steady(1)}


@dataclass(frozen=True)
class Firing:
    """The alert that a case must bring about."""

    at_seconds: int
    """The first evaluation at which it fires; at the one before it must not."""
    labels: Mapping[str, str]
    """All but `alertname`."""
    summary: str
    description: str


@dataclass(frozen=True)
class Case:
    """Series, and what an alert makes of them."""

    alert: str
    title: str
    series: Series
    firing: Firing | None = None
    """None where the alert must be silent at all times."""
    also: Sequence[str] = ()
    """Other alerts that may fire, too; no other does."""
    operator: Series = field(default_factory=lambda: OPERATOR)


def search_labels(severity: str, **labels: str) -> dict[str, str]:
    """Return the labels of an alert about the search that all cases have."""
    return {"namespace": NAMESPACE, "search": SEARCH, "severity": severity, **labels}


def silent_when_over(case: Case) -> Iterator[Case]:
    """Yield a case that fires, with a search that has ended or is suspended: then it must not."""
    others = {name: samples for name, samples in case.series.items() if "search_phase" not in name}
    for end in ("Succeeded", "Failed"):
        yield replace(case, title=f"{case.title}, but {end}", series={**others, **phase(end)}, firing=None)
    others = {name: samples for name, samples in case.series.items() if 'condition="Suspended"' not in name}
    yield replace(case, title=f"{case.title}, but suspended", series={**others, **suspended(True)}, firing=None)


# --- for promtool -------------------------------------------------------------------------------------------------


def unit_test(cases: Sequence[Case], rules: str, others: Sequence[str] = ()) -> Json:
    """
    Return a file of unit tests.

    Args:
        cases: those of one alert; one that must be silent is looked at until every other of them has fired.
        rules: the path of the rules.
        others: the names of alerts that must be silent unless a case says that they may fire.
    """
    latest = max(case.firing.at_seconds for case in cases if case.firing)
    return {
        "rule_files": [rules],
        "evaluation_interval": f"{STEP_SECONDS}s",
        "tests": [_test(case, range(latest, latest + LONGER_SECONDS + 1, STEP_SECONDS), others) for case in cases],
    }


def _test(case: Case, silent_at: Sequence[int], others: Sequence[str]) -> Json:
    series = {**case.operator, **case.series}
    looks = [*_fires(case, case.firing)] if case.firing else [_look(seconds, case.alert) for seconds in silent_at]
    seconds = case.firing.at_seconds if case.firing else silent_at[-1]
    silent = [_look(seconds, other) for other in others if other not in (case.alert, *case.also)]
    return {
        "name": f"{case.alert}: {case.title}",
        "interval": f"{STEP_SECONDS}s",
        "input_series": [{"series": name, "values": samples} for name, samples in series.items()],
        "alert_rule_test": [*looks, *silent],
    }


def _fires(case: Case, firing: Firing) -> Iterator[Json]:
    yield _look(firing.at_seconds - STEP_SECONDS, case.alert)
    expected = {
        "exp_labels": dict(firing.labels),
        "exp_annotations": {
            "summary": firing.summary,
            "description": firing.description,
            "runbook_url": f"https://metasearch.dev/docs/runbooks/{case.alert}.md",
        },
    }
    yield _look(firing.at_seconds, case.alert, expected)


def _look(seconds: int, alert: str, *expected: Json) -> Json:
    return {"eval_time": f"{seconds}s", "alertname": alert, "exp_alerts": list(expected)}


def written(path: Path, content: Json) -> Path:
    """Write a file for promtool, and return its path. JSON is YAML, too, and is written far faster."""
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
