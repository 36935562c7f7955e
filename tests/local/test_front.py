"""A search that delivers a front, as a user runs it: folders, weights, status, report, exports and the board."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import torch
from local_search import metasearch, result_of, trials_in, write_resource

from metasearch import open_run
from metasearch.search.trials import Stage
from metasearch_trainer.learner import FewShotLearner

FILES = {"cell.json", "weights.safetensors", "metrics.json", "README.md", "use.py"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run."""
    folder = tmp_path_factory.mktemp("front")
    final = {"deliver": "Front", "top": 4, "seeds": 1, "baselines": []}
    ended = metasearch("run", write_resource(folder, final=final), "--output", folder / "out", "--workers", "2")
    assert ended.returncode == 0, ended.stderr
    (folder / "out" / "printed.txt").write_text(ended.stdout, encoding="utf-8")
    return folder / "out"


def beaten(one: tuple[float, int], other: tuple[float, int]) -> bool:
    """Tell whether `one` is beaten in score and parameters by `other`."""
    return other != one and other[0] >= one[0] and other[1] <= one[1]


def figures(run: Path, stage: Stage) -> dict[str, tuple[float, int]]:
    """Return score and parameters of each trial of a stage, by its cell; the search's with the mean over seeds."""
    scores: dict[str, list[float]] = {}
    sizes: dict[str, int] = {}
    for trial in trials_in(run):
        if trial.spec.stage is stage and trial.result and trial.state == "Succeeded":
            scores.setdefault(trial.spec.candidate.text, []).append(trial.result.score or 0.0)
            sizes[trial.spec.candidate.text] = trial.result.parameter_count or 0
    return {cell: (sum(each) / len(each), sizes[cell]) for cell, each in scores.items()}


def test_the_cells_of_the_front_are_trained_in_full(run: Path) -> None:
    searched, final = figures(run, Stage.SEARCH), figures(run, Stage.FINAL)
    front = [cell for cell, own in searched.items() if not any(beaten(own, other) for other in searched.values())]
    front.sort(key=lambda cell: -searched[cell][0])
    assert len(final) > 1
    assert set(final) <= {*front, result_of(run)["ranked"][0]["cell"]}
    assert set(front[: len(final) - 1]) <= set(final)


def test_a_folder_is_written_for_each_network_that_no_other_beats(run: Path) -> None:
    final = figures(run, Stage.FINAL)
    front = [cell for cell, own in final.items() if not any(beaten(own, other) for other in final.values())]
    front.sort(key=lambda cell: -final[cell][0])
    folders = sorted((run / "front").iterdir(), key=lambda folder: int(folder.name))
    assert [json.loads((folder / "cell.json").read_text())["text"] for folder in folders] == front
    assert {path.name for folder in folders for path in folder.iterdir()} == FILES
    first, best = ({path.name: path.read_bytes() for path in place.iterdir()} for place in (folders[0], run / "best"))
    assert first == best


def test_any_of_them_learns_a_task(run: Path) -> None:
    for folder in (run / "front").iterdir():
        learner = FewShotLearner.load(folder / "weights.safetensors")
        images = torch.rand(3, 1, 28, 28)
        assert set(learner.adapt(images, torch.arange(3)).classify(images).tolist()) <= {0, 1, 2}


def test_status_result_and_report_name_the_folders(run: Path) -> None:
    delivered = [network["folder"] for network in result_of(run)["final"] if network["folder"]]
    assert delivered == [f"front/{number}" for number in range(1, len(list((run / "front").iterdir())) + 1)]
    report = (run / "report.html").read_text(encoding="utf-8")
    printed = metasearch("status", run).stdout
    assert printed.count("(delivered)") == len(delivered)
    for folder in delivered:
        assert f", in {folder}: " in printed
        assert f">delivered, {folder}<" in report


def test_the_front_is_exported_elsewhere_and_an_older_one_is_gone(run: Path, tmp_path: Path) -> None:
    (tmp_path / "there" / "40").mkdir(parents=True)
    ended = metasearch("export", run, "--front", "--output", tmp_path / "there")
    assert (ended.returncode, ended.stderr) == (0, "")
    names = [folder.name for folder in (run / "front").iterdir()]
    assert ended.stdout.splitlines() == [str(tmp_path / "there" / name) for name in sorted(names, key=int)]
    for name in names:
        weights = (run / "front" / name / "weights.safetensors").read_bytes()
        assert (tmp_path / "there" / name / "weights.safetensors").read_bytes() == weights
    assert not (tmp_path / "there" / "40").exists()
    assert [path.name for path in open_run(run).export_front(tmp_path / "again")] == sorted(names, key=int)


def test_the_board_has_the_training_scores_of_the_run(run: Path) -> None:
    listed = metasearch("board", run, "-o", "csv", "--sort", "validationScore")
    assert (listed.returncode, listed.stderr) == (0, "")
    rows = list(csv.DictReader(io.StringIO(listed.stdout)))
    searched = figures(run, Stage.SEARCH)
    assert {row["cell"] for row in rows if row["stage"] == "Search"} == set(searched)
    assert all(0 < float(row["trainingScore"]) < 1 for row in rows)
    assert "crossValidationScore" not in rows[0]
    front = {row["cell"] for row in rows if row["stage"] == "Search" and row["front"] == "True"}
    assert all(
        (cell in front) == (not any(beaten(own, other) for other in searched.values()))
        for cell, own in searched.items()
    )


def test_a_run_for_the_best_alone_has_no_front(undisturbed: Path) -> None:
    assert not (undisturbed / "front").exists()
    refused = metasearch("export", undisturbed, "--front")
    assert refused.returncode == 6
    assert refused.stderr == (
        "metasearch: the search 'tiny' delivers its best network alone; a front is delivered where final.deliver is "
        "Front\n"
    )
