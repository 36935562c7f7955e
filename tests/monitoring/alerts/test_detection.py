"""Some of what benchmarks/detection.py shows, how it finds that, and that the stored page is all of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from devcluster.binaries import ROOT

from detection import SITUATIONS, account_of, main, rows_on_nodes
from watching.evaluation import Fired, Recording, fired
from watching.page import page

pytestmark = pytest.mark.usefixtures("prometheus_programs")

RULES = """\
groups:
  - name: all
    interval: 30s
    rules:
      - {alert: Down, expr: up == 0, for: 1m, labels: {severity: critical}}
      - {alert: Gone, expr: absent(up), for: 30s, labels: {severity: warning}}
"""

INSTANCE = ("up", (("instance", "a"),))


def recorded(values: str) -> Recording:
    """Return a recording of one series: a digit for each scrape that has it, a dot for one that lacks it."""
    recording = Recording(names=frozenset({"up"}))
    for value in values:
        recording.add({} if value == "." else {INSTANCE: float(value), ("other", ()): 1.0})
    return recording


def test_an_alert_fires_once_it_has_held_for_its_time_and_ends_with_its_series(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES, encoding="utf-8")
    # Down from 60 s on, twice too short, then long enough; gone from 300 s on, and back at 390 s.
    found = fired(recorded("1100100000...11"), rules)
    assert found == [
        Fired("Down", "critical", {"instance": "a"}, first=210.0, last=270.0),
        Fired("Gone", "warning", {}, first=330.0, last=360.0),
    ]
    assert fired(recorded("1101101101"), rules) == []


@pytest.mark.parametrize(
    ("title", "told"),
    [
        ("operator down", {"MetaSearchOperatorDown"}),
        ("all rights taken away", {"MetaSearchRightsMissing", "MetaSearchOperatorCacheStale"}),
        ("invalid spec", {"MetaSearchSearchInvalid"}),
        ("image missing", {"MetaSearchWorkerImageUnavailable"}),
        ("one worker lost", set()),
    ],
)
def test_the_right_alerts_fire_in_time_and_no_others(title: str, told: set[str]) -> None:
    found = account_of(title)
    assert {each.alert for each in found.told} == told
    assert [each for each in found.told if not each.is_in_time] == []
    assert found.others == ()


def test_the_page_has_every_situation_as_it_was_last_run() -> None:
    stored = json.loads((ROOT / "benchmarks/results/detection.json").read_text(encoding="utf-8"))
    assert list(dict.fromkeys(row["situation"] for row in stored["accounts"])) == list(SITUATIONS)
    assert all(claim["holds"] for claim in stored["claims"])
    assert (ROOT / "docs/detection.md").read_text(encoding="utf-8") == page(stored["accounts"], rows_on_nodes())


def test_a_situation_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "earthquake"])
    assert "invalid choice: 'earthquake'" in capsys.readouterr().err
