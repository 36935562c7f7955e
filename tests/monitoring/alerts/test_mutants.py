"""The cases notice alerts that are slightly wrong: a threshold, a comparison, a time or a guard."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alert_cases.every import CASES
from alert_cases.form import unit_test, written
from alert_cases.mutants import Mutant, mutants
from devcluster.prometheus import promtool
from monitoring.alerts.catalogue import ALERTS
from monitoring.alerts.model import Group
from monitoring.alerts.rules import rule, rules

pytestmark = pytest.mark.usefixtures("prometheus_programs")

UNCHANGED = [Mutant(alert.name, "nothing", rule(alert)) for alert in ALERTS]
CHANGED = [mutant for alert in ALERTS for mutant in mutants(alert)]


def survives(mutant: Mutant, folder: Path) -> bool:
    """Return whether the cases of an alert find nothing wrong with a mutant of it, in place of the alert."""
    # Those that it asks for, too, before it.
    asked = tuple(alert for alert in ALERTS if alert.name in mutant.rule["expr"])
    content = rules([Group("all", asked)])
    content["groups"][0]["rules"].append(mutant.rule)
    folder.mkdir()
    written(folder / "rules.yaml", content)
    cases = [case for case in CASES if case.alert == mutant.alert]
    ended = promtool("test", "rules", written(folder / "tests.yaml", unit_test(cases, "rules.yaml")))
    printed = ended.stdout + ended.stderr
    assert ("SUCCESS" in printed) == (ended.returncode == 0), printed
    # A rule that is none at all fails as well, and proves nothing.
    assert ended.returncode == 0 or f"alertname: {mutant.alert}" in printed, printed
    return ended.returncode == 0


def surviving(every: list[Mutant], folder: Path) -> list[str]:
    folders = [folder / str(number) for number in range(len(every))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        alive = list(pool.map(survives, every, folders))
    return [f"{mutant.alert}: {mutant.change}" for mutant, lives in zip(every, alive, strict=True) if lives]


def test_alerts_as_they_are_break_no_case(tmp_path: Path) -> None:
    assert len(surviving(UNCHANGED, tmp_path)) == len(ALERTS)


def test_every_mutant_breaks_a_case(tmp_path: Path) -> None:
    assert {mutant.alert for mutant in CHANGED} == {alert.name for alert in ALERTS}
    assert not surviving(CHANGED, tmp_path)
