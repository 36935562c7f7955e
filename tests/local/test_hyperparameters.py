"""A search over cells and hyperparameters together, as a user runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from local_search import (
    SPEC,
    metasearch,
    repeatable_part,
    result_of,
    scores_of,
    start,
    trials_in,
    wait_until,
    write_resource,
)

HYPERPARAMETERS: list[dict[str, Any]] = [
    {"name": "filters", "distribution": "Uniform", "minimum": 2, "maximum": 5},
    {"name": "innerLearningRate", "distribution": "LogUniform", "minimum": "0.001", "maximum": "0.1"},
]
CHANGES: dict[str, Any] = {
    "search": {
        "hyperparameters": HYPERPARAMETERS,
        "surrogate": {"type": "Ridge"},
        "constraints": {"maxParameters": 1100},
    },
    "final": {"baselines": ["Conv4Matched"], "seeds": 1, "top": 2},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished search."""
    folder = tmp_path_factory.mktemp("hyperparameters")
    ended = metasearch("run", write_resource(folder, **CHANGES), "--output", folder / "out", "--workers", "2")
    assert ended.returncode == 0, ended.stderr
    return folder / "out"


def test_candidates_differ_in_hyperparameters_and_results_show_them(run: Path) -> None:
    result = result_of(run)
    listed = json.loads(metasearch("trials", run, "-o", "json").stdout)
    searched = [row for row in listed if row["stage"] == "Search"]
    values = [row["cell"].partition("; ")[2] for row in searched]
    assert all(value.startswith("filters=") and ", innerLearningRate=0." in value for value in values)
    assert len(set(values)) >= 4
    assert max(row["parameterCount"] for row in searched) <= 1100
    for network in result["final"]:
        text = ", ".join(f"{name}={value}" for name, value in network["hyperparameters"].items())
        assert f"{network['cell']}; {text}" in {row["cell"] for row in searched}
        assert text in metasearch("status", run).stdout
    assert result["best"]["hyperparameters"] == result["final"][0]["hyperparameters"]
    assert result["baselines"][0]["name"].startswith("Conv4-")


def test_what_is_delivered_says_its_hyperparameters(run: Path) -> None:
    best = result_of(run)["best"]
    cell = json.loads((run / "best" / "cell.json").read_text(encoding="utf-8"))
    assert cell["hyperparameters"] == best["hyperparameters"]
    assert str(cell["space"]["filters"]) == best["hyperparameters"]["filters"]
    text = f"{best['cell']}; filters={best['hyperparameters']['filters']}, "
    assert text in (run / "best" / "README.md").read_text(encoding="utf-8")
    shown = f"filters={best['hyperparameters']['filters']}, innerLearningRate="
    assert shown in (run / "report.html").read_text(encoding="utf-8")


def test_a_killed_search_is_resumed_to_the_same(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    arguments = ("run", write_resource(tmp_path, **CHANGES), "--output", folder, "--workers", "2")
    driver = start(tmp_path / "printed.txt", *arguments)
    wait_until(lambda: len([trial for trial in trials_in(folder) if trial.state.is_over]) >= 3)
    driver.kill()
    driver.wait()
    assert len([trial for trial in trials_in(folder) if trial.state.is_over]) < len(trials_in(run))
    ended = metasearch(*arguments, "--resume")
    assert ended.returncode == 0, ended.stderr
    assert scores_of(folder) == scores_of(run)
    assert repeatable_part(folder) == repeatable_part(run)


def test_resuming_a_finished_search_runs_nothing_again(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "copy")
    before = metasearch("trials", copy, "-o", "json").stdout
    ended = metasearch("run", write_resource(tmp_path, **CHANGES), "--output", copy, "--resume")
    assert ended.returncode == 0, ended.stderr
    assert metasearch("trials", copy, "-o", "json").stdout == before


@pytest.mark.parametrize("strategy", ["Random", "Evolution"])
def test_other_strategies_search_hyperparameters_too(strategy: str, tmp_path: Path) -> None:
    search = {**CHANGES["search"], "strategy": strategy, "progressive": None}
    resource = write_resource(
        tmp_path, search=search, budget={"maxTrials": 4}, final={**SPEC["final"], "baselines": [], "seeds": 1}
    )
    ended = metasearch("run", resource, "--output", tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    result = result_of(tmp_path / "out")
    assert set(result["best"]["hyperparameters"]) == {"filters", "innerLearningRate"}
    assert result["trials"]["failed"] == 0
