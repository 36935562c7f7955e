"""TensorBoard and MLflow get what is on record, once; it is read back with their own readers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from builders import STARTED, completed, make_accuracies, make_result, make_trial
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from metasearch.errors import InvalidSpec, StoreUnavailable
from metasearch.search import trials
from metasearch.search.candidates import Candidate
from metasearch.search.trials import LOST, CurvePoint, Progress, Reason, Stage, State, Trial, TrialResult
from metasearch_cli.trackers.background import BackgroundLog
from metasearch_cli.trackers.destinations import Destination
from metasearch_cli.trackers.records import Changes, Tracker, TrialRecord, record_of

CELL = "conv3x3(-1)+identity(-2)"
CURVE = (CurvePoint(5, 0.25), CurvePoint(10, 0.5))


def claimed(name: str = "test-1-a", at: float = STARTED) -> Trial:
    candidate = Candidate(CELL, {"metaStepSize": Decimal("0.5")})
    return trials.claim(make_trial(name, candidate=candidate, seed=7), "w.0-1", at, gpus=0.0)


def reported(trial: Trial, points: int) -> Trial:
    return trials.report(trial, trial.epoch, Progress(CURVE[points - 1].meta_iteration, CURVE[:points]))


def ended(trial: Trial, **changes: Any) -> Trial:
    result = make_result(0.5, 1_234, meta_iterations=10, test=make_accuracies(0.75), **changes)
    return trials.complete(trial, trial.epoch, result, STARTED + 60, max_attempts=1)


@dataclass(frozen=True)
class Shown:
    """A trial as a tracker's own reader gives it."""

    values: dict[str, list[tuple[int, float]]]
    """Step and value of each metric, in the order of steps."""
    parameters: dict[str, str]
    status: str


def in_tensorboard(folder: Path, search: str, trial: str) -> Shown:
    accumulator = EventAccumulator(str(folder / search / trial))
    accumulator.Reload()
    tags = accumulator.Tags()["scalars"]
    values = {tag: [(event.step, event.value) for event in accumulator.Scalars(tag)] for tag in tags}
    content = accumulator.PluginTagToContent("hparams")
    data = {tag: plugin_data_pb2.HParamsPluginData.FromString(text) for tag, text in content.items()}
    parameters = data["_hparams_/session_start_info"].session_start_info.hparams
    end = data.get("_hparams_/session_end_info")
    status = {1: "FINISHED", 2: "FAILED"}[end.session_end_info.status] if end else "RUNNING"
    return Shown(values, {name: value.string_value for name, value in parameters.items()}, status)


def in_mlflow(folder: Path, search: str, trial: str) -> Shown:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"file:{folder}")
    (run,) = [each for each in runs_in(folder, search) if each.info.run_name == trial]
    values = {
        key: [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, key)]
        for key in run.data.metrics
    }
    return Shown(values, dict(run.data.params), run.info.status)


def runs_in(folder: Path, search: str) -> list[Any]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"file:{folder}")
    experiment = client.get_experiment_by_name(search)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


Read = Callable[[Path, str, str], Shown]
READERS: dict[str, Read] = {"tensorboard": in_tensorboard, "mlflow": in_mlflow}


@pytest.fixture(params=READERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def opened(kind: str, folder: Path) -> Tracker:
    return Destination.parse(f"{kind}:{folder if kind == 'tensorboard' else f'file:{folder}'}").open()


def write(kind: str, folder: Path, *steps: Sequence[Trial]) -> None:
    """Write states of a search in turn, as one command does."""
    tracker = opened(kind, folder)
    changes = Changes(tracker)
    for recorded in steps:
        changes.write("test", recorded)
    tracker.close()


WHOLE = {
    "curve": [(5, 0.25), (10, 0.5)],
    "score": [(10, 0.5)],
    "accuracy": [(10, 0.5)],
    "testAccuracy": [(10, 0.75)],
    "parameterCount": [(10, 1_234.0)],
    "multiplyAdds": [(10, 123_400.0)],
    "wallSeconds": [(10, 1.0)],
    "peakMemoryBytes": [(10, 2.0**29)],
    "latencyMs": [(10, 1.0)],
}
PARAMETERS = {
    "cell": CELL,
    "stage": "Search",
    "round": "1",
    "seed": "7",
    "metaIterations": "10",
    "isBeginning": "false",
    "metaStepSize": "0.5",
}


def test_a_trial_that_is_over_is_there_with_all_that_was_measured(kind: str, tmp_path: Path) -> None:
    write(kind, tmp_path, [ended(claimed())])
    assert READERS[kind](tmp_path, "test", "test-1-a") == Shown(WHOLE, PARAMETERS, "FINISHED")


def test_a_trial_that_is_watched_comes_to_the_same(kind: str, tmp_path: Path) -> None:
    trial = claimed()
    write(kind, tmp_path, [trial], [reported(trial, 1)], [reported(trial, 1)], [reported(trial, 2)], [ended(trial)])
    assert READERS[kind](tmp_path, "test", "test-1-a") == Shown(WHOLE, PARAMETERS, "FINISHED")


def test_a_trial_that_runs_shows_its_curve_so_far(kind: str, tmp_path: Path) -> None:
    write(kind, tmp_path, [reported(claimed(), 1)])
    assert READERS[kind](tmp_path, "test", "test-1-a") == Shown({"curve": [(5, 0.25)]}, PARAMETERS, "RUNNING")


def test_a_second_command_adds_what_is_missing_and_doubles_nothing(kind: str, tmp_path: Path) -> None:
    first, second = claimed("test-1-a"), claimed("test-1-b")
    write(kind, tmp_path, [ended(first), reported(second, 1)])
    write(kind, tmp_path, [ended(first), ended(second)])
    for name in ("test-1-a", "test-1-b"):
        assert READERS[kind](tmp_path, "test", name) == Shown(WHOLE, PARAMETERS, "FINISHED")
    if kind == "mlflow":
        assert len(runs_in(tmp_path, "test")) == 2


def test_an_attempt_that_is_lost_leaves_no_points(kind: str, tmp_path: Path) -> None:
    lost = reported(claimed(), 2)
    again = trials.claim(trials.release(lost, STARTED + 5, LOST), "w.1-1", STARTED + 9, gpus=0.0)
    write(kind, tmp_path, [lost], [reported(again, 1)])
    assert READERS[kind](tmp_path, "test", "test-1-a") == Shown({"curve": [(5, 0.25)]}, PARAMETERS, "RUNNING")


def test_a_trial_that_failed_says_so(kind: str, tmp_path: Path) -> None:
    failed = TrialResult(state=State.FAILED, reason=Reason.DIVERGED, curve=CURVE[:1])
    trial = claimed()
    write(kind, tmp_path, [trials.complete(trial, 1, failed, STARTED + 60, max_attempts=1)])
    assert READERS[kind](tmp_path, "test", "test-1-a") == Shown({"curve": [(5, 0.25)]}, PARAMETERS, "FAILED")


def test_scores_of_beginnings_have_names_of_their_own(kind: str, tmp_path: Path) -> None:
    begun = completed(make_trial("test-1-a", is_beginning=True), make_result(0.5))
    write(kind, tmp_path, [begun])
    values = READERS[kind](tmp_path, "test", "test-1-a").values
    assert (values["beginningScore"], values["beginningCurve"]) == ([(10, 0.5)], [(5, 0.25), (10, 0.5)])
    assert values.keys().isdisjoint({"score", "curve"})


def test_a_trial_that_nobody_claimed_is_not_logged(tmp_path: Path) -> None:
    assert record_of("test", make_trial()) is None
    tracker = opened("tensorboard", tmp_path)
    assert Changes(tracker).write("test", [make_trial(stage=Stage.FINAL)]) == 0
    tracker.close()


# --- places -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "tensorboard", "tensorboard:", "wandb:here", "/a/folder"])
def test_another_place_is_refused(text: str) -> None:
    with pytest.raises(InvalidSpec, match="give tensorboard:FOLDER or mlflow:URI"):
        Destination.parse(text)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StoreUnavailable, match=r"cannot be written for TensorBoard \(Not a directory\)"):
        opened("tensorboard", tmp_path / "file" / "logs")


def test_a_tracking_server_that_is_away_is_said_in_a_sentence() -> None:
    with pytest.raises(StoreUnavailable, match=r"^MLflow at http://127\.0\.0\.1:9 cannot be used") as raised:
        Destination.parse("mlflow:http://127.0.0.1:9").open()
    assert "\n" not in str(raised.value)


# --- in the background --------------------------------------------------------------------------------------------


class Recorder:
    """A tracker that keeps records, and refuses them while it is away."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.records = failures, list[TrialRecord]()
        self.gate = threading.Event()
        self.gate.set()

    def write(self, record: TrialRecord) -> None:
        self.gate.wait(60)
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("it is away")
        self.records.append(record)

    def close(self) -> None:
        """Do nothing."""


def test_the_last_state_is_written_before_the_end() -> None:
    tracker, said = Recorder(), list[str]()
    log = BackgroundLog(tracker, said.append)
    log.offer("test", [claimed()])
    log.offer("test", [ended(claimed())])
    assert log.close()
    assert tracker.records[-1] == record_of("test", ended(claimed()))
    assert not said


def test_a_slow_tracker_delays_nobody_and_gets_the_newest_state() -> None:
    tracker = Recorder()
    tracker.gate.clear()
    log = BackgroundLog(tracker, print)
    for points in (1, 2, 1, 2):
        log.offer("test", [reported(claimed(), points)])
    log.offer("test", [ended(claimed())])
    tracker.gate.set()
    assert log.close()
    assert len(tracker.records) <= 2
    assert tracker.records[-1].state is State.SUCCEEDED


def test_a_tracker_that_is_away_is_said_once_and_tried_again() -> None:
    tracker, said = Recorder(failures=3), list[str]()
    log = BackgroundLog(tracker, said.append, retry_seconds=0.01)
    log.offer("test", [ended(claimed())])
    while tracker.failures:
        threading.Event().wait(0.01)
    assert log.close()
    assert said == ["it is away; the search goes on, and this is tried again"]
    assert len(tracker.records) == 1


def test_what_could_not_be_written_at_the_end_is_told() -> None:
    log = BackgroundLog(Recorder(failures=1_000), lambda _: None)
    log.offer("test", [ended(claimed())])
    assert not log.close()
