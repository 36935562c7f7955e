"""Progressive with openRoundsEarly: no worker waits for a round's last trial, and the rest stays as it was."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from builders import completed, make_search, pretend_result
from planned_search import run_planned

from metasearch.search import trials as life
from metasearch.search.planner import Phase, Search, belongs_to, plan
from metasearch.search.strategies import DONE, WAIT, Answer
from metasearch.search.trials import Stage, State, Trial, TrialSpec, by_round


def searching(early: bool = True, workers: int = 8, **search: Any) -> Search:
    return make_search(
        search={"progressive": {"beamWidth": 4, "openRoundsEarly": early}, **search},
        training={"metaIterations": 16},
        budget={"maxTrials": 40},
        parallelism=workers,
    )


def seconds(spec: TrialSpec) -> float:
    """Return a time that differs from trial to trial."""
    return random.Random(spec.candidate.text).uniform(1.0, 3.0) * spec.meta_iterations


def searched(trials: list[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.spec.stage is Stage.SEARCH]


def claimed(trial: Trial) -> Trial:
    return life.claim(trial, "worker", 0.0, gpus=0.0)


def sizes(trials: list[Trial]) -> list[int]:
    return [len(each) for each in by_round(trials)]


def first_round(search: Search, over: int) -> list[Trial]:
    """Return the first round with so many trials over and all others running."""
    trials = [Trial(spec=spec) for spec in plan(search, [], 0.0).propose]
    done = [completed(trial, pretend_result(trial.spec)) for trial in trials[:over]]
    return [*done, *map(claimed, trials[over:])]


@pytest.mark.parametrize("screening", [{}, {"share": "0.25"}], ids=["whole", "screened"])
@pytest.mark.parametrize("workers", [2, 8, 30])
def test_rounds_are_as_large_as_without_it_and_nothing_is_tried_twice(workers: int, screening: dict[str, Any]) -> None:
    ends = {}
    for early in (False, True):
        search = searching(early, workers, screening=screening)
        trials, decided = run_planned(search, pretend_result, workers, seconds)
        assert decided.phase is Phase.SUCCEEDED
        own = searched(trials)
        assert len(own) <= 40
        assert len({(trial.spec.candidate, trial.spec.meta_iterations) for trial in own}) == len(own)
        assert all(belongs_to(search, trial) for trial in own)
        ends[early] = sizes([trial for trial in own if trial.spec.resumes is None])
    assert ends[True] == ends[False]


def test_with_one_worker_nothing_changes() -> None:
    without, _ = run_planned(searching(False, workers=1), pretend_result, 1, seconds)
    early, _ = run_planned(searching(True, workers=1), pretend_result, 1, seconds)
    assert {trial.spec for trial in early} == {trial.spec for trial in without}


def test_several_workers_end_sooner() -> None:
    """The search stage of 40 trials, from the first claim to the last end."""
    spans = {}
    for early in (False, True):
        own = searched(run_planned(searching(early), pretend_result, 8, seconds)[0])
        ended = [trial.attempts[-1].ended_at or 0.0 for trial in own]
        spans[early] = max(ended)
    assert spans[True] < spans[False]


def test_a_round_is_opened_where_half_of_the_last_is_over_and_a_worker_would_be_idle() -> None:
    search = searching(workers=8)
    assert search.strategy.propose(first_round(search, over=4), room=30) is WAIT  # of 10
    half = first_round(search, over=5)
    proposed = search.strategy.propose(half, room=30)
    assert not isinstance(proposed, Answer)
    assert [(each.round, each.round_size) for each in proposed] == [(2, 4)] * 4
    busy = searching(workers=5)
    assert busy.strategy.propose(half, room=30) is WAIT
    waiting = [*half[:-1], Trial(spec=half[-1].spec)]
    assert search.strategy.propose(waiting, room=30) is WAIT
    assert searching(early=False).strategy.propose(half, room=30) is WAIT


def test_it_is_done_only_when_the_last_trial_is_over() -> None:
    search = searching()
    own = searched(run_planned(search, pretend_result, 8, seconds)[0])
    *others, last = own
    assert search.strategy.propose([*others, claimed(Trial(spec=last.spec))], room=0) is WAIT
    assert search.strategy.propose(own, room=0) is DONE


def test_children_are_of_the_trials_that_are_over() -> None:
    search = searching()
    half = first_round(search, over=5)
    parents = {trial.spec.candidate.text for trial in half if trial.state.is_over}
    proposed = search.strategy.propose(half, room=30)
    assert not isinstance(proposed, Answer)
    for each in proposed:
        assert parents & set(each.candidate.text.split(" | "))


@pytest.mark.parametrize("seed", range(12))
def test_a_driver_that_is_killed_anywhere_is_followed_by_one_that_fills_up_its_rounds(seed: int) -> None:
    """Each driver creates a part of what it proposes; workers claim, end and are lost as chance has it."""
    rng, trials = random.Random(seed), dict[str, Trial]()
    workers = rng.choice([2, 4, 8])
    for _ in range(2_000):
        search = searching(workers=workers)
        decided = plan(search, list(trials.values()), 0.0)
        if decided.phase is not Phase.SEARCHING:
            break
        created = rng.sample(decided.propose, rng.randint(1, len(decided.propose))) if decided.propose else []
        trials |= {spec.name: Trial(spec=spec) for spec in created}
        for trial in rng.sample(list(trials.values()), len(trials)):
            running = sum(each.state is State.RUNNING for each in trials.values())
            if trial.state is State.PENDING and running < workers:
                trials[trial.name] = claimed(trial)
            elif trial.state is State.RUNNING and rng.random() < 0.2:
                trials[trial.name] = life.release(trial, 0.0, life.INTERRUPTED)
            elif trial.state is State.RUNNING and rng.random() < 0.5:
                trials[trial.name] = life.complete(trial, trial.epoch, pretend_result(trial.spec), 0.0, 1)
    own = searched(list(trials.values()))
    assert decided.phase is Phase.FINAL
    assert all(trial.state.is_over for trial in own)
    assert sizes(own) == sizes(searched(run_planned(searching(early=False), pretend_result)[0]))
    assert len({trial.spec.candidate for trial in own}) == len(own) == 40


@pytest.mark.parametrize("round", [2, 3, 4])
def test_trials_that_are_gone_are_made_up_for_without_trying_anything_twice(round: int) -> None:
    search = searching()
    own = searched(run_planned(search, pretend_result, 8, seconds)[0])
    gone = by_round(own)[round - 1][0]
    again, decided = run_planned(search, pretend_result, 8, seconds, [trial for trial in own if trial is not gone])
    assert decided.phase is Phase.SUCCEEDED
    candidates = [trial.spec.candidate for trial in searched(again)]
    assert len(candidates) == len(set(candidates)) == 40


def test_a_second_driver_that_sees_the_same_proposes_the_same() -> None:
    half = first_round(searching(), over=6)
    answers = [searching().strategy.propose(trials, room=30) for trials in (half, half)]
    assert answers[0] == answers[1]
    assert answers[0] != searching().strategy.propose(
        [replace(trial, result=None, state=State.RUNNING) if trial is half[0] else trial for trial in half], room=30
    )
