"""The whole search as a user runs it, on real Omniglot, with real worker processes."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch
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

from metasearch.loading import load_search
from metasearch.outcome.results import SearchResult
from metasearch.reconcile import Step
from metasearch.search.planner import Search
from metasearch.search.trials import Stage
from metasearch_cli.local import driver, session
from metasearch_cli.local.folder import RunFolder
from metasearch_cli.local.workers import WORKER_MODULE
from metasearch_trainer.fork_server import open_launcher
from metasearch_trainer.learner import FewShotLearner


@pytest.fixture
def run(undisturbed: Path) -> Path:
    """Return a finished run's folder."""
    return undisturbed


def test_a_run_leaves_what_it_promises(run: Path) -> None:
    expected = {"trials.db", "result.json", "report.html", "best", "weights", "logs"}
    assert expected <= {path.name for path in run.iterdir()}
    delivered = {"cell.json", "weights.safetensors", "metrics.json", "README.md", "use.py"}
    assert {path.name for path in (run / "best").iterdir()} == delivered


def test_the_result_is_of_its_schema_and_whole(run: Path) -> None:
    result = SearchResult.model_validate_json((run / "result.json").read_text(encoding="utf-8"))
    assert [(round.round, round.trained + round.stopped) for round in result.rounds] == [(1, 4), (2, 4), (3, 4), (4, 2)]
    assert result.rounds[1].spearman is not None
    assert (result.trials.total, result.trials.failed, len(result.final)) == (18, 0, 1)
    assert result.delivered is not None
    assert result.comparison is not None
    assert ([each.name for each in result.baselines], len(result.final[0].trials)) == (["Conv4"], 2)
    assert result.front[0].score >= result.front[-1].score
    assert result.spent.worker_seconds > 0


def test_the_cost_of_networks_is_counted(run: Path) -> None:
    result = result_of(run)
    assert result["best"]["parameterCount"] < result["baselines"][0]["parameterCount"]
    assert result["best"]["cell"] == result["final"][0]["cell"]


def test_plain_lines_are_printed_where_there_is_no_terminal(run: Path) -> None:
    printed = (run / "printed.txt").read_text(encoding="utf-8")
    assert "Round 1, 1 block: 4 trials" in printed
    assert "Final: 4 trials" in printed
    assert "\x1b[" not in printed


def test_screened_cells_leave_no_checkpoints_and_the_best_are_whole(tmp_path: Path) -> None:
    search = {"strategy": "Random", "progressive": None, "screening": {"share": "0.5", "keep": "0.25"}}
    resource = write_resource(tmp_path, search=search, budget={"maxTrials": 10})
    ended = metasearch("run", resource, "--output", tmp_path / "out", "--workers", "2")
    assert ended.returncode == 0, ended.stderr
    assert not (tmp_path / "out" / "checkpoints").exists()
    searched = [trial.spec for trial in trials_in(tmp_path / "out") if trial.spec.stage is Stage.SEARCH]
    assert Counter(spec.meta_iterations for spec in searched) == {2: 8, 4: 2}
    alone = metasearch("run", resource, "--output", tmp_path / "alone", "--workers", "1")
    assert alone.returncode == 0, alone.stderr
    assert scores_of(tmp_path / "alone") == scores_of(tmp_path / "out")


def test_the_number_of_workers_changes_nothing(run: Path, tmp_path: Path) -> None:
    ended = metasearch("run", write_resource(tmp_path), "--output", tmp_path / "out", "--workers", "1")
    assert ended.returncode == 0, ended.stderr
    assert scores_of(tmp_path / "out") == scores_of(run)
    assert repeatable_part(tmp_path / "out") == repeatable_part(run)


def test_the_snippet_beside_the_weights_runs(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "best", tmp_path / "elsewhere")
    ended = subprocess.run(
        [sys.executable, tmp_path / "elsewhere" / "use.py"], capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("tensor([")


def test_status_says_how_it_went(run: Path) -> None:
    printed = metasearch("status", run).stdout
    assert "tiny: Succeeded" in printed
    assert "Conv4" in printed
    assert "113,221" not in printed  # three ways: a smaller head


def test_trials_are_listed_as_table_csv_and_json(run: Path) -> None:
    assert metasearch("trials", run).stdout.count("tiny-") == 18
    rows = list(csv.DictReader(io.StringIO(metasearch("trials", run, "-o", "csv").stdout)))
    listed = json.loads(metasearch("trials", run, "-o", "json").stdout)
    assert len(rows) == len(listed) == 18
    assert {row["name"]: float(row["score"]) for row in rows} == {row["name"]: row["score"] for row in listed}


def test_a_report_and_an_export_can_be_written_again(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "copy")
    (copy / "report.html").unlink()
    assert metasearch("report", copy).stdout.strip() == str(copy / "report.html")
    assert (copy / "report.html").exists()
    assert metasearch("export", copy, "--output", tmp_path / "exported").returncode == 0
    weights = "weights.safetensors"
    assert (tmp_path / "exported" / weights).read_bytes() == (run / "best" / weights).read_bytes()


def test_resuming_a_finished_search_runs_nothing_again(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "copy")
    before = metasearch("trials", copy, "-o", "json").stdout
    ended = metasearch("run", write_resource(tmp_path), "--output", copy, "--resume")
    assert ended.returncode == 0, ended.stderr
    assert metasearch("trials", copy, "-o", "json").stdout == before


def test_a_field_can_be_set_on_the_command_line(tmp_path: Path) -> None:
    settings = ("--set", "space.maxBlocks=1", "--set", "final.baselines=[]", "--set", "final.seeds=1")
    ended = metasearch("run", write_resource(tmp_path), "--output", tmp_path / "out", *settings)
    assert ended.returncode == 0, ended.stderr
    result = result_of(tmp_path / "out")
    assert (len(result["rounds"]), result["baselines"], result["search"]["spec"]["final"]["seeds"]) == (1, [], 1)


def test_random_search_is_a_strategy_too(tmp_path: Path) -> None:
    resource = write_resource(tmp_path, search={"strategy": "Random", "progressive": None}, budget={"maxTrials": 5})
    assert metasearch("run", resource, "--output", tmp_path / "out").returncode == 0
    (round,) = result_of(tmp_path / "out")["rounds"]
    assert (round["proposed"], round["spearman"]) == (5, None)


# --- finals that a limit cuts short ---


TINY_SPACE = {**SPEC["space"], "maxBlocks": 1}
ENDLESS = {"top": 1, "seeds": 1, "metaIterations": 1_000_000, "tasks": 20}
"""These final trials would train for days."""


class JumpingClock:
    """
    A display and clocks: once every final trial has trained a little, a day has passed.

    The driver has computed all day, for one that was stopped or asleep would not count it.
    """

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> float:
        return time.time() + self.passed

    def cpu_seconds(self) -> float:
        return time.process_time() + self.passed

    def show(self, search: Search, step: Step, now: float) -> None:  # noqa: ARG002
        final = [trial for trial in step.trials if trial.spec.stage is not Stage.SEARCH]
        if final and all(trial.progress.meta_iteration for trial in final):
            self.passed = 86_400.0


@pytest.fixture(scope="module")
def cut_short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run whose wall time ended while the best was trained in full."""
    folder = tmp_path_factory.mktemp("cut")
    budget = {"wallTime": "12h", "maxTrials": 4}
    resource = load_search(write_resource(folder, space=TINY_SPACE, budget=budget, final=ENDLESS))
    jumping, run_folder = JumpingClock(), RunFolder(folder / "out")
    with closing(open_launcher([WORKER_MODULE])) as launcher:
        clock = driver.Clock(now=jumping.now, cpu_seconds=jumping.cpu_seconds)
        result = driver.run(resource, run_folder, 2, False, jumping, launcher, clock)
    session.publish(run_folder, replace(session.load_snapshot(run_folder.path), result=result))
    return run_folder.path


def test_a_final_that_is_cut_short_is_delivered_and_said_to_be(cut_short: Path) -> None:
    result = SearchResult.model_validate_json((cut_short / "result.json").read_text(encoding="utf-8"))
    assert (result.search.phase, result.search.limit) == ("Succeeded", "wallTime")
    assert result.delivered is not None
    assert result.delivered.cut_short
    assert 0 < result.delivered.meta_iterations < 1_000_000
    assert result.delivered.tasks == 10
    assert [baseline.cut_short for baseline in result.baselines] == [True]
    said = f"cut short after {result.delivered.meta_iterations:,} of 1,000,000 meta-iterations"
    assert said in (cut_short / "best" / "README.md").read_text(encoding="utf-8")
    assert f"cell 1: {said}" in metasearch("status", cut_short).stdout
    assert "Training was cut short." in (cut_short / "report.html").read_text(encoding="utf-8")


def test_a_run_begins_with_an_estimate(run: Path) -> None:
    printed = (run / "printed.txt").read_text(encoding="utf-8")
    assert re.match(r"about .* on this machine with 2 workers: 14 search trials .*, 4 final trainings ", printed)


def test_a_network_that_was_cut_short_can_be_used(cut_short: Path) -> None:
    learner = FewShotLearner.load(cut_short / "best" / "weights.safetensors")
    classifier = learner.adapt(torch.rand(3, 1, 28, 28), labels=torch.arange(3))
    assert len(classifier.classify(torch.rand(5, 1, 28, 28))) == 5


def test_a_final_that_was_interrupted_is_delivered_where_no_time_is_left(tmp_path: Path) -> None:
    """A user who has seen enough presses Ctrl-C and resumes with less wall time than is spent already."""
    resource = write_resource(tmp_path, space=TINY_SPACE, budget={"maxTrials": 4}, final=ENDLESS)
    out = tmp_path / "out"
    driver_process = start(tmp_path / "printed", "run", resource, "--output", out, "--workers", "2")
    wait_until(lambda: len(list(out.glob("checkpoints/*"))) == 2)
    os.killpg(driver_process.pid, signal.SIGINT)
    assert driver_process.wait(timeout=300) == 130
    ended = metasearch("run", resource, "--output", out, "--resume", "--set", "budget.wallTime=1s")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    result = result_of(out)
    assert (result["search"]["limit"], result["final"][0]["cutShort"]) == ("wallTime", True)
    assert (out / "best" / "weights.safetensors").is_file()
