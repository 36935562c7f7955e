"""Local search: one part after the other is changed to the best, and a top is followed by another start."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from builders import completed, make_result, make_search, pretend_score

from metasearch.search.candidates import Candidate
from metasearch.search.planner import Phase, Search, plan
from metasearch.search.trials import Reason, State, Trial, TrialResult, TrialSpec, by_round

Score = Callable[[str], float | None]
START = "identity(-2)+identity(-1) | identity(-2)+identity(-1)"


def climbing(trials: int = 60, starts: int | None = 1, **spec: object) -> Search:
    search = {"strategy": "LocalSearch", "localSearch": {"starts": starts}, "initial": spec.pop("initial", [])}
    space = {"operations": ["conv3x3", "identity"], "maxBlocks": 2}
    return make_search(**{"space": space, "search": search, "budget": {"maxTrials": trials}, **spec})


def end(trial: Trial, score: Score) -> Trial:
    value = score(trial.spec.candidate.architecture)
    failure = TrialResult(state=State.FAILED, reason=Reason.DIVERGED)
    return completed(trial, failure if value is None else make_result(value))


def next_trials(search: Search, trials: Sequence[Trial]) -> tuple[TrialSpec, ...]:
    planned = plan(search, trials, now=0.0)
    return planned.propose if planned.phase is Phase.SEARCHING else ()


def run(search: Search, score: Score = pretend_score) -> list[list[str]]:
    """Return the candidates of each round, in the order of proposing."""
    trials: list[Trial] = []
    rounds = []
    while specs := next_trials(search, trials):
        rounds.append([spec.candidate.architecture for spec in specs])
        trials += [end(Trial(spec=spec), score) for spec in specs]
    return rounds


@pytest.mark.parametrize(("parallelism", "starts"), [(1, 1), (7, 1), (8, 2), (112, 16)])
def test_more_workers_have_more_starts(parallelism: int, starts: int) -> None:
    by_default = run(climbing(starts=None, parallelism=parallelism, trials=40))
    assert by_default == run(climbing(starts=starts, trials=40))


def convolutions(text: str) -> float:
    """Score by a sum over branches, so that the only top is where every branch is a convolution."""
    return text.count("conv") / 8


def test_the_first_climb_begins_at_the_best_given_cell_and_changes_one_branch_in_each_round() -> None:
    worse, better = START, START.replace("identity(-1)", "conv3x3(-1)")
    rounds = run(climbing(initial=[worse, better]), convolutions)
    assert set(rounds[0]) == {worse, better}
    # A branch of these two blocks can read two or three inputs, and has one other operation.
    assert all(1 <= len(round) <= 3 for round in rounds[1:])
    best = better
    for round in rounds[1:]:
        branches = [text.replace(" | ", "+").split("+") for text in (best, *round)]
        assert all(len(set(each) - set(branches[0])) <= 1 for each in branches), (best, round)
        best = max([best, *round], key=convolutions)
        if convolutions(best) == 4 / 8:
            return
    pytest.fail("the climb did not reach the top")


def test_it_begins_anew_at_every_top_until_the_budget_is_spent() -> None:
    rounds = run(climbing(trials=50))
    tried = [text for round in rounds for text in round]
    assert len(tried) == len(set(tried)) == 50


def test_every_candidate_of_a_small_space_is_tried_in_the_end() -> None:
    """Five operations on two inputs are ten branches, and so 55 blocks."""
    search = climbing(trials=100, space={"maxBlocks": 1})
    tried = [text for round in run(search) for text in round]
    assert len(tried) == 55
    assert set(tried) == set(map(str, search.space.smallest()))


def test_several_climbs_share_a_round() -> None:
    one, several = (run(climbing(trials=50, starts=starts)) for starts in (1, 4))
    assert len(several) < len(one)
    assert len(several[0]) == 4


def test_failed_trials_are_the_worst() -> None:
    def score(text: str) -> float | None:
        return None if "identity" in text.split(" | ")[0] else convolutions(text)

    rounds = run(climbing(trials=40, initial=[START]), score)
    assert len([text for round in rounds for text in round]) == 40


@pytest.mark.parametrize("starts", [1, 3])
def test_the_end_is_the_same_whatever_the_order_in_which_trials_end_and_whenever_the_driver_dies(starts: int) -> None:
    expected = run(climbing(trials=30, starts=starts))
    chance = random.Random(0)
    trials: list[Trial] = []
    for _ in range(150):
        # A driver that is started anew has trials in any order, and dies after it has created some of a round.
        specs = next_trials(climbing(trials=30, starts=starts), chance.sample(trials, len(trials)))
        trials += [Trial(spec=spec) for spec in specs[: chance.randint(1, len(specs))]] if specs else []
        running = [trial for trial in trials if not trial.state.is_over]
        ended = {trial.name for trial in chance.sample(running, chance.randint(0, len(running)))}
        trials = [end(trial, pretend_score) if trial.name in ended else trial for trial in trials]
    found = [{trial.spec.candidate.architecture for trial in round} for round in by_round(trials)]
    assert found == [set(round) for round in expected]


def test_more_budget_after_the_end_goes_on() -> None:
    trials = [end(Trial(spec=spec), pretend_score) for round in (run_specs(climbing(trials=30))) for spec in round]
    more = next_trials(climbing(trials=40), trials)
    known = {trial.spec.candidate for trial in trials}
    assert more
    assert not known & {spec.candidate for spec in more}


def run_specs(search: Search) -> list[tuple[TrialSpec, ...]]:
    trials: list[Trial] = []
    rounds = []
    while specs := next_trials(search, trials):
        rounds.append(specs)
        trials += [end(Trial(spec=spec), pretend_score) for spec in specs]
    return rounds


def test_nothing_is_stopped_for_what_an_earlier_climb_had() -> None:
    assert {spec.thresholds for round in run_specs(climbing(trials=30)) for spec in round} == {()}


def test_another_seed_begins_elsewhere() -> None:
    starts = {Candidate(run(climbing(trials=1, seed=seed))[0][0]) for seed in range(6)}
    assert len(starts) > 3
