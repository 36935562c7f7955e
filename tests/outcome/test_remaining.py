"""The end of a search is estimated from its trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from builders import STARTED, make_result, make_search, make_trial

from metasearch.outcome.figures import Confidence
from metasearch.outcome.remaining import Remaining, remaining
from metasearch.search import budget, pareto
from metasearch.search import trials as life
from metasearch.search.planner import Phase, Search
from metasearch.search.trial_parts import PartSeconds
from metasearch.search.trials import Stage, Trial

LARGE = "conv3x3(-1)+conv3x3(-1) | conv3x3(-1)+identity(0) | identity(-1)+identity(1)"
"""A cell of three blocks, the most of the space."""

# 100 meta-iterations and 10 tasks: the training takes 20 seconds and the evaluation 4, of multiply-adds that all have.
SPEC: dict[str, Any] = {
    "search": {"strategy": "Random", "earlyStopping": {"rule": "Never"}},
    "training": {"metaIterations": 100},
    "evaluation": {"tasks": 10, "curvePoints": 1},
    "budget": {"maxTrials": 8},
    "final": {"top": 1, "seeds": 2, "metaIterations": 400, "tasks": 40, "baselines": []},
}
SECONDS = 25.0
"""Time of an attempt, of which a second is neither training nor evaluation."""

FINAL_SECONDS = (4 * 20 + 5 * 4) * SECONDS / 24
"""Time of a final training: four times the meta-iterations, and five times the tasks."""


def search_of(**changes: Any) -> Search:
    return make_search(**{**SPEC, **changes})


def over(name: str, began: float, worker: str = "pod.0-1", **spec: Any) -> Trial:
    trial = make_trial(name, candidate=spec.pop("candidate", LARGE), meta_iterations=spec.pop("length", 100), **spec)
    claimed = life.claim(trial, worker, STARTED + began, gpus=0.0)
    result = make_result(
        multiply_adds=5_000, wall_seconds=24.0, part_seconds=PartSeconds(training=20.0, evaluation=4.0)
    )
    return life.complete(claimed, claimed.epoch, result, STARTED + began + SECONDS, max_attempts=1)


def running(name: str, began: float, worker: str = "pod.0-1", **spec: Any) -> Trial:
    trial = make_trial(name, candidate=LARGE, meta_iterations=100, **spec)
    return life.claim(trial, worker, STARTED + began, gpus=0.0)


def pending(name: str) -> Trial:
    return make_trial(name, candidate=LARGE, meta_iterations=100)


def told(search: Search, trials: Sequence[Trial], phase: Phase, now: float) -> Remaining | None:
    searching = [trial for trial in trials if trial.spec.stage is Stage.SEARCH]
    spent = budget.spent(trials, search.wall_seconds(STARTED + now), STARTED + now)
    return remaining(search, trials, pareto.ranked(searching), spent, phase, STARTED + now)


def estimated(
    trials: Sequence[Trial], now: float, search: Search | None = None, phase: Phase = Phase.SEARCHING
) -> Remaining:
    found = told(search or search_of(), trials, phase, now)
    assert found is not None
    return found


def test_what_is_left_of_the_search_and_the_final_trainings_add_up() -> None:
    trials = [over("a", 0), over("b", 25), running("c", 50), *map(pending, "defgh")]
    found = estimated(trials, now=60)
    # One slot that is always busy: the rest of a trial, five trials, and two final trainings.
    assert found.seconds == pytest.approx(15 + 5 * SECONDS + 2 * FINAL_SECONDS)
    assert found.share == pytest.approx(60 / (60 + found.seconds))
    assert found.confidence is Confidence.MEDIUM


def test_trials_that_are_not_proposed_yet_are_as_those_on_record() -> None:
    search = search_of(search={**SPEC["search"], "strategy": "Evolution"})
    trials = [over("a", 0), over("b", 25), running("c", 50)]
    assert estimated(trials, 50, search).seconds == pytest.approx((1 + 5) * SECONDS + 2 * FINAL_SECONDS)


def test_two_slots_take_half_the_time_and_train_side_by_side() -> None:
    trials = [over("a", 0), over("b", 0, "pod.1-1"), running("c", 25), running("d", 25, "pod.1-1")]
    trials += map(pending, "efgh")
    assert estimated(trials, 25).seconds == pytest.approx((2 * SECONDS + 4 * SECONDS) / 2 + FINAL_SECONDS)


def test_slots_that_were_idle_stay_so_idle() -> None:
    # From 0 to 100, one slot had trials for 50 seconds.
    trials = [over("a", 0), over("b", 75), *map(pending, "cdefgh")]
    assert estimated(trials, 100).seconds == pytest.approx(2 * 6 * SECONDS + 2 * FINAL_SECONDS)


def test_a_limit_of_time_ends_a_search_earlier() -> None:
    search = search_of(budget={"maxTrials": 8, "wallTime": "100s"})
    trials = [over("a", 0), running("b", 25), *map(pending, "cdefgh")]
    found = estimated(trials, 30, search)
    assert found.seconds == pytest.approx(70)
    # One slot: the rest of a trial, six trials, and two final trainings.
    assert found.unlimited_seconds == pytest.approx(20 + 6 * SECONDS + 2 * FINAL_SECONDS)


def test_a_limit_of_gpu_hours_ends_a_search_earlier() -> None:
    search = search_of(budget={"maxTrials": 8, "gpuHours": "0.05"})
    over_on_gpu = over("a", 0)
    held = replace(over_on_gpu, attempts=(replace(over_on_gpu.attempts[0], gpus=2.0),))
    under_way = life.claim(pending("b"), "pod.0-1", STARTED + 25, gpus=2.0)
    # Of 180 GPU-seconds, two GPUs have taken 50 and 10.
    assert estimated([held, under_way, *map(pending, "cdefgh")], 30, search).seconds == pytest.approx(60)


def test_final_trainings_are_timed_by_those_that_are_over() -> None:
    searched = [over(name, 25 * index) for index, name in enumerate("abcdefgh")]
    first = over("x", 200, stage=Stage.FINAL, length=400)
    assert first.result is not None
    slow = replace(first.result, wall_seconds=299.0, part_seconds=PartSeconds(training=280.0, evaluation=19.0))
    ended = replace(first.attempts[0], ended_at=STARTED + 500)
    second = replace(pending("y"), spec=replace(first.spec, name="y", seed=1))
    trials = [*searched, replace(first, result=slow, attempts=(ended,)), second]
    found = estimated(trials, 500, phase=Phase.FINAL)
    assert (found.seconds, found.confidence) == (pytest.approx(300), Confidence.HIGH)


def test_a_training_that_is_under_way_goes_on_at_its_own_pace() -> None:
    """A hand-made network is many times as large as the cells, whose costs say little of its."""
    searched = [over(name, 25 * index) for index, name in enumerate("abcdefgh")]
    final = over("x", 200, stage=Stage.FINAL, length=400)
    baseline = make_trial("y", candidate="Conv4", stage=Stage.BASELINE, meta_iterations=400)
    claimed = life.claim(baseline, "pod.0-1", STARTED + 300, gpus=0.0)
    began = [*searched, final, claimed]
    assert estimated(began, 301, phase=Phase.FINAL).confidence is Confidence.MEDIUM
    progress = life.Progress(meta_iteration=150, started_from=50, reported_at=STARTED + 350)
    found = estimated([*searched, final, replace(claimed, progress=progress)], 360, phase=Phase.FINAL)
    # 100 meta-iterations took 50 seconds, 250 are left, and the evaluation, which takes some seconds more.
    assert 250 / 2 - 10 < found.seconds < 250 / 2 + 40
    assert found.confidence is Confidence.HIGH


def test_small_cells_alone_are_little_to_go_by() -> None:
    small = over("a", 0, candidate="conv3x3(-1)+conv3x3(-1)")
    assert estimated([small, *map(pending, "bcdefgh")], 25).confidence is Confidence.LOW


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.FAILED])
def test_nothing_is_left_of_a_search_that_is_over(phase: Phase) -> None:
    assert estimated([], 99, phase=phase) == Remaining(
        share=1.0, seconds=0.0, unlimited_seconds=0.0, confidence=Confidence.HIGH
    )


@pytest.mark.parametrize(
    ("trials", "changes"),
    [
        pytest.param([], {}, id="no trial"),
        pytest.param([running("a", 0)], {}, id="no trial is over"),
        pytest.param([over("a", -5_000), pending("b")], {}, id="nobody is at work"),
        pytest.param([over("a", 0), running("b", 25)], {"suspend": True}, id="suspended"),
    ],
)
def test_nothing_is_told_where_nothing_can_be(trials: Sequence[Trial], changes: dict[str, Any]) -> None:
    assert told(search_of(**changes), trials, Phase.SEARCHING, 30) is None
