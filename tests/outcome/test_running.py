"""The trials that run, slot by slot: speeds and remaining times, and what the record does not tell."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import make_trial

from metasearch.outcome.running import activity
from metasearch.search import trials
from metasearch.search.trials import INTERRUPTED, Progress, Stage, State, Trial, TrialResult

CLAIMED = 5_000.0


def claimed(name: str, worker: str = "pod-a.0-1", at: float = CLAIMED, meta_iterations: int = 1_000) -> Trial:
    return trials.claim(make_trial(name, meta_iterations=meta_iterations), worker, at, gpus=0.0)


def reported(trial: Trial, *progress: object, **fields: float) -> Trial:
    return trials.report(trial, trial.epoch, Progress(*progress, **fields))  # type: ignore[arg-type]


def ended(trial: Trial) -> Trial:
    result = TrialResult(state=State.FAILED)
    return trials.complete(trial, trial.epoch, result, CLAIMED + 1, max_attempts=1)


def test_speed_and_remaining_time_are_of_the_attempt() -> None:
    """It went on from meta-iteration 400 and did 200 in 50 s; of the 400 left, 10 s have passed since the report."""
    trial = reported(claimed("a"), 600, (), 400, CLAIMED + 50)
    (slot,) = activity([trial], now=CLAIMED + 60).slots
    assert (slot.worker, slot.slot) == ("pod-a", 0)
    assert slot.trial is not None
    assert (slot.trial.done, slot.trial.planned, slot.trial.share) == (600, 1_000, 0.6)
    assert slot.trial.speed == 4.0
    assert slot.trial.remaining_seconds == 90.0


def test_before_the_first_report_nothing_is_known() -> None:
    (found,) = activity([claimed("a")], now=CLAIMED + 60).running
    assert (found.done, found.share, found.speed, found.remaining_seconds) == (None, None, None, None)


@pytest.mark.parametrize(
    "trial",
    [
        pytest.param(reported(claimed("a"), 600), id="a record of an earlier version has no time"),
        pytest.param(reported(claimed("a"), 400, (), 400, CLAIMED + 5), id="nothing was done in this attempt yet"),
        pytest.param(reported(claimed("a"), 600, (), 0, CLAIMED - 5), id="clocks differ"),
    ],
)
def test_without_two_times_there_is_no_speed(trial: Trial) -> None:
    (found,) = activity([trial], now=CLAIMED + 60).running
    assert found.done is not None
    assert (found.speed, found.remaining_seconds) == (None, None)


def test_a_trial_that_should_be_through_has_no_time_left() -> None:
    trial = reported(claimed("a"), 900, (), 0, CLAIMED + 90)
    (found,) = activity([trial], now=CLAIMED + 500).running
    assert (found.speed, found.remaining_seconds) == (10.0, 0.0)


def test_attempts_count_this_one() -> None:
    again = trials.claim(trials.release(claimed("a"), CLAIMED + 5, INTERRUPTED), "pod-b.1-1", CLAIMED + 9, 0.0)
    (found,) = activity([again], now=CLAIMED + 10).running
    assert found.attempts == 2
    assert found.done is None


def test_slots_are_in_the_order_of_workers_and_those_without_a_trial_are_idle() -> None:
    recorded = [
        claimed("late", "pod-b.0-1"),
        ended(claimed("over", "pod-a.1-1")),
        claimed("early", "pod-a.0-3"),
        ended(claimed("gone", "pod-c.0-1", at=CLAIMED - 9)),
        make_trial("pending"),
    ]
    found = activity(recorded, now=CLAIMED)
    assert [(slot.worker, slot.slot, slot.trial and slot.trial.name) for slot in found.slots] == [
        ("pod-a", 0, "early"),
        ("pod-a", 1, None),
        ("pod-b", 0, "late"),
    ]
    assert (found.workers, found.idle, len(found.running)) == (2, 1, 2)


def test_of_a_local_run_the_session_that_claimed_last_is_known() -> None:
    over = [ended(claimed("a", "old.0-1")), ended(claimed("b", "new.0-1", at=CLAIMED + 5))]
    assert [(slot.worker, slot.slot, slot.trial) for slot in activity(over, now=CLAIMED).slots] == [("new", 0, None)]
    assert activity(over, now=CLAIMED, slots_per_worker=2).slots == ()


def test_on_a_cluster_the_pods_that_run_have_the_slots_of_the_spec() -> None:
    recorded = [claimed("a", "pod-a.1-1"), ended(claimed("b", "pod-gone.0-1"))]
    found = activity(recorded, now=CLAIMED, slots_per_worker=2, workers=["pod-a", "pod-new"])
    assert [(slot.worker, slot.slot, slot.trial is None) for slot in found.slots] == [
        ("pod-a", 0, True),
        ("pod-a", 1, False),
        ("pod-new", 0, True),
        ("pod-new", 1, True),
    ]


def test_a_signature_of_another_form_is_a_worker_without_slots() -> None:
    (slot,) = activity([claimed("a", "by-hand")], now=CLAIMED).slots
    assert (slot.worker, slot.slot) == ("by-hand", None)
    assert activity([ended(claimed("a", "by-hand"))], now=CLAIMED).slots == ()


def test_the_sum_of_speeds_leaves_out_what_is_not_known() -> None:
    recorded = [
        reported(claimed("a", "p.0-1"), 100, reported_at=CLAIMED + 50),
        reported(claimed("b", "p.1-1"), 150, reported_at=CLAIMED + 50),
        claimed("c", "p.2-1"),
    ]
    found = activity(recorded, now=CLAIMED + 50)
    assert (found.speed, found.without_speed) == (5.0, 1)
    assert activity(recorded[2:], now=CLAIMED).speed is None


def test_a_trial_of_the_final_stage_says_so() -> None:
    trial = trials.claim(make_trial("f", stage=Stage.FINAL, round=3), "p.0-1", CLAIMED, 0.0)
    (found,) = activity([replace(trial, stop_requested=True)], now=CLAIMED).running
    assert (found.stage, found.round, found.stop_requested) == (Stage.FINAL, 3, True)
