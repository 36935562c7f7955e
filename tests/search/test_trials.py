"""The rules of a trial's life."""

from __future__ import annotations

import pytest
from builders import make_result, make_trial
from hypothesis import given
from hypothesis import strategies as st

from metasearch.search import trials
from metasearch.search.trials import (
    INTERRUPTED,
    LOST,
    MAX_LOST_ATTEMPTS,
    CurvePoint,
    Progress,
    Reason,
    Stage,
    StaleClaim,
    State,
    Trial,
    TrialResult,
)

ERROR = TrialResult(state=State.FAILED, reason=Reason.ERROR, message="boom")
DIVERGED = TrialResult(state=State.FAILED, reason=Reason.DIVERGED, message="NaN")


def claimed(trial: Trial | None = None, at: float = 0.0) -> Trial:
    return trials.claim(trial or make_trial(), "worker", at, gpus=0.5)


def test_a_claim_names_the_worker_and_raises_the_epoch() -> None:
    trial = claimed(at=5.0)
    assert (trial.state, trial.epoch) == (State.RUNNING, 1)
    assert (trial.attempts[0].worker, trial.attempts[0].started_at, trial.attempts[0].gpus) == ("worker", 5.0, 0.5)


@pytest.mark.parametrize("state", [State.RUNNING, State.SUCCEEDED, State.FAILED, State.STOPPED])
def test_only_a_pending_trial_can_be_claimed(state: State) -> None:
    trial = claimed() if state is State.RUNNING else make_trial(result=make_result(state=state))
    with pytest.raises(StaleClaim):
        claimed(trial)


def test_the_first_result_stays() -> None:
    trial = trials.complete(claimed(), 1, make_result(0.5), 1.0, max_attempts=1)
    with pytest.raises(StaleClaim):
        trials.complete(trial, 1, make_result(0.9), 2.0, max_attempts=1)


def test_a_result_with_an_old_epoch_is_refused() -> None:
    again = claimed(trials.release(claimed(), 1.0, LOST))
    with pytest.raises(StaleClaim):
        trials.complete(again, 1, make_result(), 2.0, max_attempts=1)
    assert trials.complete(again, 2, make_result(0.7), 2.0, max_attempts=1).score == 0.7


def test_progress_with_an_old_epoch_is_refused() -> None:
    again = claimed(trials.release(claimed(), 1.0, LOST))
    with pytest.raises(StaleClaim):
        trials.report(again, 1, Progress(3))


def test_a_failure_is_tried_again_until_its_attempts_are_used_up() -> None:
    once = trials.complete(claimed(), 1, ERROR, 1.0, max_attempts=2)
    assert (once.state, once.result) == (State.PENDING, None)
    twice = trials.complete(claimed(once), 2, ERROR, 2.0, max_attempts=2)
    assert (twice.state, twice.result) == (State.FAILED, ERROR)
    assert [attempt.outcome for attempt in twice.attempts] == ["Error", "Error"]


def test_a_diverged_trial_is_not_tried_again() -> None:
    assert trials.complete(claimed(), 1, DIVERGED, 1.0, max_attempts=5).state is State.FAILED


@pytest.mark.parametrize("outcome", [LOST, INTERRUPTED])
def test_losing_a_worker_is_not_an_attempt(outcome: str) -> None:
    trial = make_trial()
    for _ in range(3):
        trial = trials.release(claimed(trial), 1.0, outcome)
    assert trials.complete(claimed(trial), 4, ERROR, 2.0, max_attempts=2).state is State.PENDING


def test_a_trial_that_keeps_losing_its_workers_fails() -> None:
    trial = make_trial()
    for _ in range(MAX_LOST_ATTEMPTS):
        trial = trials.release(claimed(trial), 1.0, LOST)
    assert trial.result is not None
    assert (trial.state, trial.result.reason) == (State.FAILED, Reason.WORKER_LOST)


def test_stopping_a_driver_often_does_not_make_a_trial_fail() -> None:
    trial = make_trial()
    for _ in range(2 * MAX_LOST_ATTEMPTS):
        trial = trials.release(claimed(trial), 1.0, INTERRUPTED)
    assert trial.state is State.PENDING


def test_a_pending_trial_stops_at_once_and_a_running_one_is_asked_to() -> None:
    pending, running = trials.request_stop(make_trial()), trials.request_stop(claimed())
    assert (pending.state, running.state, running.stop_requested) == (State.STOPPED, State.RUNNING, True)


def test_a_finished_trial_is_not_stopped() -> None:
    done = make_trial(result=make_result())
    assert trials.request_stop(done) == done


def test_a_lost_trial_that_was_to_stop_stops_with_its_curve() -> None:
    running = trials.report(trials.request_stop(claimed()), 1, Progress(5, (CurvePoint(5, 0.4),)))
    stopped = trials.release(running, 1.0, LOST)
    assert stopped.result is not None
    assert (stopped.state, stopped.score, stopped.result.curve) == (State.STOPPED, 0.4, (CurvePoint(5, 0.4),))


@pytest.mark.parametrize(
    ("stage", "outcome", "state"),
    [
        (Stage.FINAL, INTERRUPTED, State.PENDING),
        (Stage.BASELINE, INTERRUPTED, State.PENDING),
        (Stage.FINAL, LOST, State.STOPPED),
        (Stage.SEARCH, INTERRUPTED, State.STOPPED),
    ],
)
def test_a_final_trial_that_is_interrupted_and_stopped_is_left_to_another_worker(
    stage: Stage, outcome: str, state: State
) -> None:
    trial = claimed(make_trial(stage=stage))
    stopped_then_freed = trials.release(trials.request_stop(trial), 1.0, outcome)
    freed_then_stopped = trials.request_stop(trials.release(trial, 1.0, outcome))
    assert (stopped_then_freed.state, freed_then_stopped.state) == (state, state)
    assert stopped_then_freed.stop_requested
    assert freed_then_stopped.stop_requested


def test_a_new_claim_begins_without_progress() -> None:
    running = trials.report(claimed(), 1, Progress(5))
    assert claimed(trials.release(running, 1.0, LOST)).progress == Progress()


@given(st.floats(0, 1), st.integers(0, 10**9), st.text())
def test_a_trial_is_read_back_from_json_as_written(score: float, parameters: int, message: str) -> None:
    trial = make_trial(result=make_result(score, parameters, message=message))
    assert trials.trial_json.validate_json(trials.trial_json.dump_json(trial)) == trial
