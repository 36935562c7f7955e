"""The metrics of a search agree with what is on record, and are bounded by searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from builders import SOME_CELL, STARTED, completed, make_result, make_search, make_trial, pretend_result
from planned_search import run_planned

from metasearch.metrics import of_search
from metasearch.metrics.model import Histogram, Metric, Sample
from metasearch.metrics.of_search import Observation, samples
from metasearch.outcome.results import summarize
from metasearch.search import trials as life
from metasearch.search.candidates import Candidate
from metasearch.search.planner import Phase, Plan, Search, current_status
from metasearch.search.trials import LOST, Reason, Stage, State, Trial, TrialResult

FAILED = TrialResult(state=State.FAILED, reason=Reason.OUT_OF_MEMORY, message="too large")


def seen(
    trials: Sequence[Trial], search: Search | None = None, workers: Mapping[str, int] | None = None
) -> list[Sample]:
    search = search or make_search()
    result = summarize(search, trials, Plan(Phase.SEARCHING), STARTED + 60)
    return samples(Observation("team-a", result, trials, status_bytes=1_234, workers=workers or {}))


def other_cell(number: int) -> Candidate:
    return Candidate(SOME_CELL, {"number": str(number)})


def values(found: Sequence[Sample], metric: Metric) -> dict[tuple[str, ...], float | Histogram]:
    """Return a metric's values by its own labels."""
    mine = [each for each in found if each.metric is metric]
    assert all(each.labels[:2] == ("team-a", "test") for each in mine)
    return {each.labels[2:]: each.value for each in mine}


def _some(counts: Mapping[tuple[str, ...], float | Histogram]) -> dict[tuple[str, ...], float | Histogram]:
    return {labels: count for labels, count in counts.items() if count}


def test_what_may_go_wrong_is_counted_from_zero() -> None:
    """Prometheus sees an increase between two values, so the first failure needs a value before it."""
    found = seen([])
    ended, attempts = values(found, of_search.ENDED), values(found, of_search.ATTEMPTS)
    assert not _some(ended)
    assert not _some(attempts)
    assert {reason for _, state, reason in ended if state == "Failed"} == {
        *("Diverged", "OutOfMemory", "TimedOut", "InvalidData", "Error", "WorkerLost"),
    }
    assert {("Lost",), ("Interrupted",), ("OutOfMemory",), ("Succeeded",)} <= attempts.keys()


def test_a_search_without_trials_has_its_budget_and_no_score() -> None:
    found = seen([], make_search(budget={"maxTrials": 5, "wallTime": "2h", "gpuHours": "1.5"}))
    limits = values(found, of_search.BUDGET_LIMIT)
    assert limits == {("trials",): 5, ("failed_trials",): 20, ("seconds",): 7_200, ("gpu_seconds",): 5_400}
    assert values(found, of_search.BUDGET_SPENT)["seconds",] == 60
    assert not values(found, of_search.BEST_SCORE)
    assert values(found, of_search.PHASE) == {
        ("Searching",): True,
        ("Final",): False,
        ("Succeeded",): False,
        ("Failed",): False,
    }
    assert values(found, of_search.INFO) == {("omniglot", "Progressive", "Stacked", "Reptile"): 1}
    assert values(found, of_search.STATUS_BYTES) == {(): 1_234}


def test_trials_are_counted_by_stage_round_and_state() -> None:
    trials = [
        make_trial("a", make_result()),
        make_trial("b", FAILED),
        make_trial("c", round=2),
        make_trial("d", make_result(), stage=Stage.BASELINE, round=0),
    ]
    found = seen(trials)
    counts = {labels: count for labels, count in values(found, of_search.TRIALS).items() if count}
    assert counts == {
        ("Search", "1", "Succeeded"): 1,
        ("Search", "1", "Failed"): 1,
        ("Search", "2", "Pending"): 1,
        ("Baseline", "0", "Succeeded"): 1,
    }
    assert values(found, of_search.TRIALS)["Search", "2", "Running"] == 0  # there, so that a rate has a beginning
    assert _some(values(found, of_search.ENDED)) == {
        ("Search", "Succeeded", ""): 1,
        ("Search", "Failed", "OutOfMemory"): 1,
        ("Baseline", "Succeeded", ""): 1,
    }


def test_times_and_attempts_are_those_on_record() -> None:
    lost = life.release(life.claim(make_trial("a"), "w", STARTED + 5, gpus=0.5), STARTED + 25, LOST)
    done = completed(replace(lost, created_at=STARTED), make_result(wall_seconds=12.0), STARTED + 30, STARTED + 70)
    found = seen([done])
    assert _some(values(found, of_search.ATTEMPTS)) == {("Lost",): 1, ("Succeeded",): 1}
    assert values(found, of_search.WORKER_SECONDS) == {(): 60}
    assert values(found, of_search.BUDGET_SPENT)["gpu_seconds",] == pytest.approx(10)
    # Bounds 1, 3, 10, 30, 60, …: the attempts took 20 and 40 seconds, the training 12, the wait for a claim 5.
    claims = values(found, of_search.CLAIM_SECONDS)["Search",]
    assert isinstance(claims, Histogram)
    assert (claims.cumulative[:6], claims.cumulative[-1], claims.total) == ((0, 0, 0, 1, 2, 2), 2, 60)
    training = values(found, of_search.TRIAL_SECONDS)["Search",]
    assert isinstance(training, Histogram)
    assert (training.cumulative[2:4], training.total) == ((0, 1), 12)
    waits = values(found, of_search.QUEUE_SECONDS)["Search",]
    assert isinstance(waits, Histogram)
    assert (waits.cumulative[2:4], waits.total) == ((0, 1), 5)  # a value on a bound is not above it


def test_meta_iterations_are_those_of_the_trials_over_and_under_way() -> None:
    running = life.claim(make_trial("a"), "w", STARTED, gpus=0.0)
    running = life.report(running, running.epoch, life.Progress(meta_iteration=30))
    found = seen([running, make_trial("b", make_result(meta_iterations=100)), make_trial("c")])
    assert values(found, of_search.META_ITERATIONS) == {(): 130}


def test_a_trial_under_way_is_a_busy_slot() -> None:
    running = life.claim(make_trial("a"), "w", STARTED, gpus=0.0)
    found = seen([running], make_search(worker={"slots": 4}), {"Running": 2, "Pending": 1})
    assert values(found, of_search.SLOTS) == {("busy",): 1, ("idle",): 7}
    assert values(found, of_search.WORKERS) == {("Running",): 2, ("Pending",): 1}


def test_idle_slots_of_one_machine_are_not_known() -> None:
    search, running = make_search(), life.claim(make_trial("a"), "w", STARTED, gpus=0.0)
    result = summarize(search, [running], Plan(Phase.SEARCHING), STARTED + 60)
    found = [each for each in samples(Observation("", result, [running])) if each.metric is of_search.SLOTS]
    assert [(each.labels[2], each.value) for each in found] == [("busy", 1)]


def test_a_finished_search_shows_what_was_delivered_and_how_it_was_predicted() -> None:
    search = make_search()
    trials, plan = run_planned(search, pretend_result)
    result = summarize(search, trials, plan, STARTED + 60)
    found = samples(Observation("team-a", result, trials, completed_at=STARTED + 50))
    assert result.delivered is not None
    assert values(found, of_search.ACCURACY)["transductive",] == result.delivered.transductive.accuracy
    assert values(found, of_search.COMPLETED) == {(): STARTED + 50}
    best = max(trial.score or 0.0 for trial in trials if trial.spec.stage is Stage.SEARCH)
    assert values(found, of_search.BEST_SCORE) == {(): best}
    rounds = {round for round, _ in values(found, of_search.CORRELATION)}
    assert rounds == {str(each.round) for each in result.rounds if each.spearman is not None}
    assert rounds


def test_a_beginning_is_no_best_score() -> None:
    assert not values(seen([make_trial("a", make_result(), is_beginning=True)]), of_search.BEST_SCORE)


def test_series_do_not_grow_with_trials() -> None:
    def series(trials: int) -> int:
        made = [
            make_trial(f"t{index}", make_result(), candidate=other_cell(index), round=1 + index // 10)
            for index in range(trials)
        ]
        return len(seen(made))

    assert series(1_000) == series(200) < 150


def test_no_label_is_the_name_of_a_trial_or_worker() -> None:
    search = make_search()
    trials, _ = run_planned(search, pretend_result)
    plan = current_status(search, trials, STARTED)
    found = samples(Observation("", summarize(search, trials, plan, STARTED), trials))
    names = {trial.name for trial in trials} | {attempt.worker for trial in trials for attempt in trial.attempts}
    cells = {trial.spec.candidate.text for trial in trials}
    assert not {label for each in found for label in each.labels} & (names | cells)
