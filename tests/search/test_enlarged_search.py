"""A search that has ended goes on where its budget is enlarged, and only there."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from builders import SMALL, STARTED, completed, make_result, make_search, pretend_result, pretend_score
from planned_search import run_planned

from metasearch.search import trials as life
from metasearch.search.budget import Limit, spent
from metasearch.search.confirmation import SEED
from metasearch.search.planner import Phase, Plan, Search, belongs_to, current_status, plan
from metasearch.search.trials import Reason, Stage, State, Trial, TrialResult, TrialSpec

STRATEGIES: dict[str, dict[str, Any]] = {
    "Progressive": {"progressive": {"beamWidth": 4}},
    "Random": {"strategy": "Random"},
    "Evolution": {"strategy": "Evolution", "evolution": {"population": 6, "sample": 3}},
    "Halving": {"strategy": "Halving", "halving": {"rungs": 3, "factor": 3}},
    "LocalSearch": {"strategy": "LocalSearch"},
    "Priority": {"strategy": "Priority"},
}
REPEATABLE = sorted(set(STRATEGIES) - {"Evolution"})
"""Evolution's candidates depend on the number of workers, as docs/strategies.md says."""


def of_size(strategy: str, trials: int, **spec: Any) -> Search:
    return make_search(
        search=STRATEGIES[strategy], budget={"maxTrials": trials}, training={"metaIterations": 9}, **spec
    )


def of_stage(trials: Sequence[Trial], stage: Stage) -> list[Trial]:
    return [trial for trial in trials if trial.spec.stage is stage]


def recorded(trials: Sequence[Trial]) -> dict[str, Trial]:
    return {trial.name: trial for trial in trials}


def best_candidates(trials: Sequence[Trial], count: int) -> set[str]:
    """Return the candidates with the best scores of those trained longest; invented scores do not tie."""
    searched = of_stage(trials, Stage.SEARCH)
    longest = max(trial.spec.meta_iterations for trial in searched)
    whole = {trial.spec.candidate.text for trial in searched if trial.spec.meta_iterations == longest}
    return set(sorted(whole, key=lambda text: -pretend_score(text))[:count])


# --- more trials ---


@pytest.mark.parametrize("workers", [1, 5])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_more_trials_after_the_end_are_used_and_the_new_best_are_trained_in_full(strategy: str, workers: int) -> None:
    first, ended = run_planned(of_size(strategy, 20), pretend_result, workers)
    assert ended.phase is Phase.SUCCEEDED
    more, enlarged = run_planned(of_size(strategy, 40), pretend_result, workers, trials=first)
    assert enlarged.phase is Phase.SUCCEEDED
    assert 36 <= len(of_stage(more, Stage.SEARCH)) <= 40
    assert recorded(first).items() <= recorded(more).items()
    trained = {trial.spec.candidate.text for trial in of_stage(more, Stage.FINAL)}
    assert best_candidates(more, 2) <= trained
    assert all(belongs_to(of_size(strategy, 40), trial) for trial in more)


@pytest.mark.parametrize("strategy", REPEATABLE)
def test_the_number_of_workers_changes_nothing_of_an_enlarged_search(strategy: str) -> None:
    ends = []
    for workers in (1, 5):
        trials, _ = run_planned(of_size(strategy, 20), pretend_result, workers)
        trials, _ = run_planned(of_size(strategy, 40), pretend_result, workers, trials=trials)
        ends.append({trial.name: trial.score for trial in trials})
    assert ends[0] == ends[1]


def test_a_random_search_in_two_steps_tries_what_one_of_the_whole_budget_tries() -> None:
    trials, _ = run_planned(of_size("Random", 20), pretend_result)
    trials, _ = run_planned(of_size("Random", 40), pretend_result, trials=trials)
    at_once, _ = run_planned(of_size("Random", 40), pretend_result)
    assert recorded(of_stage(trials, Stage.SEARCH)).keys() == recorded(of_stage(at_once, Stage.SEARCH)).keys()


@pytest.mark.parametrize("budget", [{"maxTrials": 20}, {"maxTrials": 20, "wallTime": "2h"}, {"maxTrials": 19}])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_search_without_trials_left_stays_as_it_ended(strategy: str, budget: dict[str, Any]) -> None:
    trials, ended = run_planned(of_size(strategy, 20), pretend_result)
    search = make_search(search=STRATEGIES[strategy], budget=budget, training={"metaIterations": 9})
    for seconds in (0, 10, 3_000, 7_000, 100_000):
        again = plan(search, trials, STARTED + seconds)
        assert (again.phase, again.propose, again.stop) == (ended.phase, (), ())


def test_no_room_is_left_where_the_space_is_tried_out() -> None:
    search = make_search(space={**SMALL["space"], "maxBlocks": 1})
    trials, ended = run_planned(search, pretend_result)
    assert len(of_stage(trials, Stage.SEARCH)) == 10
    larger = make_search(space={**SMALL["space"], "maxBlocks": 1}, budget={"maxTrials": 60})
    assert plan(larger, trials, STARTED + 1) == ended == Plan(Phase.SUCCEEDED)


def test_final_trainings_that_are_there_are_not_repeated() -> None:
    search = of_size("Random", 20)
    trials, _ = run_planned(search, pretend_result)
    more, _ = run_planned(of_size("Random", 40), pretend_result, trials=trials)
    trained = [(trial.spec.candidate, trial.spec.seed) for trial in of_stage(more, Stage.FINAL)]
    assert len(trained) == len(set(trained))


def test_a_final_training_of_another_round_is_the_same() -> None:
    """A candidate that goes on to a longer training is measured in another round than before."""
    search = of_size("Random", 6)
    trials, _ = run_planned(search, pretend_result)
    moved = [
        replace(trial, spec=replace(trial.spec, round=7)) if trial.spec.stage is Stage.FINAL else trial
        for trial in trials
    ]
    assert plan(search, moved, STARTED + 1).phase is Phase.SUCCEEDED


def test_a_final_stage_under_way_comes_to_its_end_before_the_search_goes_on() -> None:
    small, large = of_size("Random", 6), of_size("Random", 12)
    trials, _ = run_planned(small, pretend_result)
    *others, last = sorted(trials, key=lambda trial: trial.spec.stage is Stage.FINAL)
    begun = [*others, Trial(spec=last.spec)]
    assert plan(large, begun, STARTED + 1) == Plan(Phase.FINAL)
    decided = plan(large, trials, STARTED + 1)
    assert (decided.phase, len(decided.propose)) == (Phase.SEARCHING, 6)


def test_a_final_stage_under_way_is_not_left_where_less_time_counts_as_spent() -> None:
    """A driver that is killed was last seen some seconds before, and what it then spent does not count."""
    search = timed(100, trials=4)
    begun = [Trial(spec=spec) for spec in plan(search, [], STARTED).propose]
    some = [completed(begun[0], pretend_result(begun[0].spec)), *begun[1:]]
    cut = stopped_at(search, some, STARTED + 50)
    final = [*cut, *(Trial(spec=spec) for spec in plan(search, cut, STARTED + 50).propose)]
    assert len(of_stage(final, Stage.FINAL)) == 2
    assert plan(search, final, STARTED + 46).phase is Phase.FINAL
    assert not plan(search, final, STARTED + 46).propose


@pytest.mark.parametrize("part", [{"top": 3}, {"seeds": 3}, {"baselines": ["Conv4"]}])
def test_more_final_training_after_the_end_is_caught_up_on(part: dict[str, Any]) -> None:
    trials, _ = run_planned(of_size("Random", 6), pretend_result)
    larger = of_size("Random", 6, final={**SMALL["final"], **part})
    at_once, _ = run_planned(larger, pretend_result)
    decided = plan(larger, trials, STARTED + 1)
    assert decided.phase is Phase.FINAL
    assert {spec.name for spec in decided.propose} == recorded(at_once).keys() - recorded(trials).keys()


def test_second_looks_are_taken_anew_at_the_new_best_and_count_among_the_trials() -> None:
    def unsure(spec: TrialSpec) -> TrialResult:
        return replace(pretend_result(spec), score_error=0.2)

    ends = []
    for most in (40, 80):
        search = make_search(search={"strategy": "Random", "confirmations": 2}, budget={"maxTrials": most})
        trials, _ = run_planned(search, unsure, trials=ends[-1] if ends else ())
        ends.append(trials)
    looked_at = [
        {each.spec.candidate.text for each in of_stage(trials, Stage.SEARCH) if each.spec.seed == SEED}
        for trials in ends
    ]
    assert len(looked_at[0]) == 2
    assert best_candidates(ends[1], 2) <= looked_at[1]
    assert 78 <= len(of_stage(ends[1], Stage.SEARCH)) <= 80


# --- limits other than trials ---


def timed(seconds: int, strategy: str = "Random", trials: int = 10) -> Search:
    final = {"top": 1, "seeds": 2, "metaIterations": 10, "baselines": [], "reserve": "0.5"}
    budget = {"maxTrials": trials, "wallTime": f"{seconds}s"}
    return make_search(search=STRATEGIES[strategy], budget=budget, final=final, training={"metaIterations": 9})


def stopped_at(search: Search, trials: Sequence[Trial], now: float) -> list[Trial]:
    """Return the trials after those were stopped that a limit stops at a time; none has a worker."""
    names = plan(search, trials, now).stop
    assert names
    return [life.request_stop(trial) if trial.name in names else trial for trial in trials]


def take_turns(search: Search, trials: Sequence[Trial], now: float) -> tuple[list[Trial], Plan]:
    """Go on to the end at one moment; whatever is proposed succeeds at once."""
    known = recorded(trials)
    while not (decided := plan(search, list(known.values()), now)).phase.is_over:
        assert decided.propose or decided.stop, decided
        known |= {name: life.request_stop(known[name]) for name in decided.stop}
        known |= {spec.name: completed(Trial(spec=spec), pretend_result(spec)) for spec in decided.propose}
    return list(known.values()), decided


@pytest.mark.parametrize("strategy", ["Random", "Progressive", "Halving", "Evolution"])
def test_candidates_that_a_limit_stopped_are_trained_once_there_is_time(strategy: str) -> None:
    search, larger = timed(100, strategy), timed(1_000, strategy)
    begun = [Trial(spec=spec) for spec in plan(search, [], STARTED).propose]
    done, rest = begun[:1], begun[1:]
    cut = stopped_at(search, [completed(each, pretend_result(each.spec)) for each in done] + rest, STARTED + 50)
    assert spent(cut, 0.0, 0.0).trials == 1
    ended, decided = take_turns(search, cut, STARTED + 51)
    assert (decided.phase, decided.limit) == (Phase.SUCCEEDED, Limit.WALL_TIME)
    more, decided = take_turns(larger, ended, STARTED + 60)
    assert (decided.phase, decided.limit) == (Phase.SUCCEEDED, None)
    assert recorded(ended).items() <= recorded(more).items()
    replaced = [trial for trial in more if trial.spec.replaces]
    assert {trial.spec.replaces for trial in replaced} == {trial.name for trial in rest}
    assert all(trial.state is State.SUCCEEDED and belongs_to(larger, trial) for trial in replaced)
    uncut, _ = take_turns(larger, [], STARTED + 1)
    scores = {trial.spec.candidate.text for trial in of_stage(more, Stage.SEARCH)}
    assert scores == {trial.spec.candidate.text for trial in of_stage(uncut, Stage.SEARCH)}
    assert spent(more, 0.0, 0.0).trials <= 10


def test_a_replacement_that_is_stopped_is_replaced_too() -> None:
    trials = [Trial(spec=spec) for spec in plan(timed(100), [], STARTED).propose]
    first = len(trials)
    for now, search in ((50, timed(100)), (500, timed(1_000))):
        trials = stopped_at(search, trials, STARTED + now)
        later = timed(now * 20)
        trials += [Trial(spec=spec) for spec in plan(later, trials, STARTED + now).propose]
    assert len(trials) == len(recorded(trials)) == 3 * first
    assert plan(timed(10_000), trials, STARTED + 501) == Plan(Phase.SEARCHING)


def test_final_trainings_that_a_limit_ended_are_done_once_there_is_time() -> None:
    search = timed(100, trials=4)
    searched = [completed(Trial(spec=spec), pretend_result(spec)) for spec in plan(search, [], STARTED).propose]
    begun = [*searched, *(Trial(spec=spec) for spec in plan(search, searched, STARTED + 1).propose)]
    cut = stopped_at(search, begun, STARTED + 100)
    assert plan(search, cut, STARTED + 101).phase is Phase.FAILED
    decided = plan(timed(1_000, trials=4), cut, STARTED + 101)
    assert decided.phase is Phase.FINAL
    assert [spec.replaces for spec in decided.propose] == [trial.name for trial in cut[4:]]
    _, decided = take_turns(timed(1_000, trials=4), cut, STARTED + 101)
    assert decided == Plan(Phase.SUCCEEDED)


def test_more_failures_may_be_allowed_after_the_end() -> None:
    def measure(spec: TrialSpec) -> TrialResult:
        fails = spec.stage is Stage.SEARCH and spec.priority < 2
        return TrialResult(state=State.FAILED, reason=Reason.DIVERGED, message="NaN") if fails else pretend_result(spec)

    strict = make_search(search={"strategy": "Random"}, budget={"maxTrials": 8, "maxFailedTrials": 0})
    trials, ended = run_planned(strict, measure)
    assert (ended.phase, ended.limit) == (Phase.FAILED, Limit.FAILED_TRIALS)
    assert plan(strict, trials, STARTED + 1_000).phase is Phase.FAILED
    mild = make_search(search={"strategy": "Random"}, budget={"maxTrials": 8, "maxFailedTrials": 2})
    more, ended = run_planned(mild, measure, trials=trials)
    assert (ended.phase, ended.limit) == (Phase.SUCCEEDED, None)
    assert spent(more, 0.0, 0.0).trials == 8


def test_failures_under_a_larger_budget_do_not_undo_what_was_delivered() -> None:
    def failing(spec: TrialSpec) -> TrialResult:
        return TrialResult(state=State.FAILED, reason=Reason.DIVERGED, message=spec.name)

    small = make_search(search={"strategy": "Random"}, budget={"maxTrials": 4})
    trials, _ = run_planned(small, pretend_result)
    large = make_search(search={"strategy": "Random"}, budget={"maxTrials": 12, "maxFailedTrials": 2})
    more, ended = run_planned(large, failing, trials=trials)
    assert ended == Plan(Phase.SUCCEEDED, limit=Limit.FAILED_TRIALS)
    assert of_stage(more, Stage.FINAL) == of_stage(trials, Stage.FINAL)


# --- anything at any moment ---


def part_of(rng: random.Random, of: Sequence[Any], least: int) -> list[Any]:
    return rng.sample(of, rng.randint(min(least, len(of)), len(of)))


def some_result(rng: random.Random, spec: TrialSpec) -> TrialResult:
    """Invent a result: some trials fail, and some search trials are given up early."""
    match rng.randrange(20), spec.stage:
        case 0, _:
            return TrialResult(state=State.FAILED, reason=Reason.DIVERGED, message="NaN")
        case 1, Stage.SEARCH:
            return make_result(0.1, state=State.STOPPED, reason=Reason.EARLY_STOPPED)
    return replace(pretend_result(spec), score_error=0.03)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_search_whose_budget_grows_at_any_moment_ends_within_it(strategy: str, seed: int) -> None:
    """Drivers create a part of what they propose, trials end in any order, and the budget grows whenever it likes."""
    rng = random.Random(seed)
    trials, seconds, now = rng.randint(1, 30), 60, STARTED
    known: dict[str, Trial] = {}
    ends = 0
    while ends < 4:
        search = make_search(
            search={**STRATEGIES[strategy], "confirmations": 2},
            budget={"maxTrials": trials, "wallTime": f"{seconds}s", "maxFailedTrials": 4},
            training={"metaIterations": 9},
        )
        decided = plan(search, rng.sample(list(known.values()), len(known)), now)
        created = part_of(rng, decided.propose, 1)
        assert not known.keys() & {spec.name for spec in created}
        known |= {spec.name: Trial(spec=spec) for spec in created}
        known |= {name: life.request_stop(known[name]) for name in decided.stop}
        for trial in part_of(rng, [each for each in known.values() if not each.state.is_over], 0 if created else 1):
            known[trial.name] = completed(trial, some_result(rng, trial.spec))
        now += 3 * rng.random()
        if decided.phase.is_over:
            ends += 1
            assert not created
            assert spent(known.values(), 0.0, 0.0).trials <= trials
        if decided.phase.is_over or rng.random() < 0.02:
            trials, seconds = trials + rng.randint(0, 20), seconds + rng.randint(0, 60)
    final = [(each.spec.candidate, each.spec.seed) for each in known.values() if each.has_network]
    assert len(final) == len(set(final))


# --- those who only look ---


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_look_tells_an_ended_search_from_one_that_is_to_go_on(strategy: str) -> None:
    trials, ended = run_planned(of_size(strategy, 20), pretend_result)
    assert current_status(of_size(strategy, 20), trials, STARTED + 1) == ended
    assert current_status(of_size(strategy, 40), trials, STARTED + 1) == Plan(Phase.SEARCHING)


def test_a_look_at_a_search_that_had_nothing_more_to_try_needs_its_record() -> None:
    search = make_search(search=STRATEGIES["LocalSearch"], space={**SMALL["space"], "maxBlocks": 1})
    trials, ended = run_planned(search, pretend_result)
    assert ended.phase is Phase.SUCCEEDED
    assert current_status(search, trials, STARTED + 1, has_ended=True).phase is Phase.SUCCEEDED


def test_a_trial_that_was_given_up_early_is_not_tried_again() -> None:
    def stop_some(spec: TrialSpec) -> TrialResult:
        early = spec.stage is Stage.SEARCH and spec.priority == 1
        return make_result(0.1, state=State.STOPPED, reason=Reason.EARLY_STOPPED) if early else pretend_result(spec)

    trials, _ = run_planned(of_size("Random", 20), stop_some)
    more, _ = run_planned(of_size("Random", 40), stop_some, trials=trials)
    assert not any(trial.spec.replaces for trial in more)
