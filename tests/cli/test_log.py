"""`metasearch log` and `run --log-to`: the same curves and scores, afterwards and while a search runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from command_errors import error_sentence
from finished_search import finish_in_folder
from local_search import metasearch, trials_in, write_resource
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

Values = dict[str, dict[str, list[tuple[int, float]]]]


def in_tensorboard(folder: Path) -> Values:
    """Return step and value of each metric of each trial."""
    found: Values = {}
    for place in folder.iterdir():
        events = EventAccumulator(str(place)).Reload()
        found[place.name] = {
            tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]
        }
    return found


def in_mlflow(folder: Path) -> dict[str, float]:
    """Return the score of each trial."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"file:{folder}")
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED"}  # the latter of trials that were stopped early
    return {run.info.run_name: run.data.metrics["score"] for run in runs}


def test_a_run_is_logged_while_it_runs_as_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # for the reader
    boards, models, output = tmp_path / "boards", tmp_path / "models", tmp_path / "out"
    places = ("--log-to", f"tensorboard:{boards}", "--log-to", f"mlflow:file:{models}")
    ended = metasearch("run", write_resource(tmp_path), "--output", output, *places)
    assert (ended.returncode, ended.stderr) == (0, "")
    scores = {trial["name"]: trial["score"] for trial in json.loads(metasearch("trials", output, "-o", "json").stdout)}
    assert in_mlflow(models) == scores
    live = in_tensorboard(boards / "tiny")
    assert {name: values["score"][0][1] for name, values in live.items()} == pytest.approx(scores)
    recorded = {trial.name: trial.result.curve for trial in trials_in(output) if trial.result}
    steps = {name: [point.meta_iteration for point in curve] for name, curve in recorded.items()}
    assert {name: [step for step, _ in values["curve"]] for name, values in live.items()} == steps
    later = tmp_path / "later"
    ended = metasearch("log", output, f"tensorboard:{later}", f"mlflow:file:{models}")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [
        f"{len(scores)} trials of tiny are in tensorboard:{later}",
        f"{len(scores)} trials of tiny are in mlflow:file:{models}",
    ]
    assert in_tensorboard(later / "tiny") == live
    assert in_mlflow(models) == scores


def test_a_search_is_logged_afterwards(tmp_path: Path) -> None:
    finished = finish_in_folder(tmp_path)
    ended = metasearch("log", finished, f"tensorboard:{tmp_path / 'boards'}")
    assert ended.returncode == 0, ended.stderr
    (trials,) = map(int, re.findall(r"^(\d+) trials of test are in ", ended.stdout))
    found = in_tensorboard(tmp_path / "boards" / "test")
    assert len(found) == trials > 20
    assert sum("testAccuracy" in values for values in found.values()) == 4  # of the final trials


def test_another_place_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    sentence = "'wandb:x' is no place to log to; give tensorboard:FOLDER or mlflow:URI"
    assert error_sentence(metasearch("log", tmp_path / "none", "wandb:x"), code=2) == sentence
    resource, output = write_resource(tmp_path), tmp_path / "out"
    begun = metasearch("run", resource, "--output", output, "--log-to", "wandb:x")
    assert error_sentence(begun, code=2) == sentence
    assert not output.exists()


def test_a_run_does_not_begin_where_a_tracking_server_is_away(tmp_path: Path) -> None:
    resource, output = write_resource(tmp_path), tmp_path / "out"
    ended = metasearch("run", resource, "--output", output, "--log-to", "mlflow:http://127.0.0.1:9")
    assert error_sentence(ended, code=5).startswith(
        "MLflow at http://127.0.0.1:9 cannot be used ([Errno 111] Connection refused);"
    )
    assert not output.exists()
