"""Each alert fires exactly when it should, in unit tests by promtool, and no other does then."""

from __future__ import annotations

from pathlib import Path

import pytest
from alert_cases.every import CASES
from alert_cases.form import unit_test, written
from devcluster.binaries import ROOT
from devcluster.prometheus import promtool
from monitoring.alerts.catalogue import ALERTS

pytestmark = pytest.mark.usefixtures("prometheus_programs")

RULES = ROOT / "monitoring" / "prometheus-rules.yaml"

NAMES = [alert.name for alert in ALERTS]


def test_the_rules_file_is_one() -> None:
    ended = promtool("check", "rules", RULES)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{len(ALERTS)} rules found" in ended.stdout


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_fires_when_it_should_and_no_other_does(tmp_path: Path, name: str) -> None:
    cases = [case for case in CASES if case.alert == name]
    assert {bool(case.firing) for case in cases} == {True, False}, "there is one that fires, and one that does not"
    ended = promtool("test", "rules", written(tmp_path / "tests.yaml", unit_test(cases, str(RULES), NAMES)))
    assert ended.returncode == 0, ended.stdout + ended.stderr
