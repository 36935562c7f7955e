"""Regularized evolution: changes of the best of the living, one for each trial that ends."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
from builders import completed, make_search, pretend_result, pretend_score

from metasearch.api import EvolutionSearchSettings
from metasearch.search.candidates import Candidate
from metasearch.search.planner import Phase, Search, plan
from metasearch.search.strategies import DONE, WAIT
from metasearch.search.trials import Reason, State, Trial, TrialResult, TrialSpec, by_round

POPULATION = EvolutionSearchSettings().population


def evolution(trials: int = 60, parallelism: int = 1, **spec: object) -> Search:
    space = {"operations": ["conv3x3", "conv5x5", "identity", "avg_pool3x3", "max_pool3x3"], "maxBlocks": 3}
    asked = {"space": space, "search": {"strategy": "Evolution"}, "budget": {"maxTrials": trials}}
    return make_search(**{**asked, "parallelism": parallelism, **spec})


def end(trial: Trial) -> Trial:
    return trial if trial.state.is_over else completed(trial, pretend_result(trial.spec))


def next_trials(search: Search, trials: Sequence[Trial]) -> tuple[TrialSpec, ...]:
    planned = plan(search, trials, now=0.0)
    return planned.propose if planned.phase is Phase.SEARCHING else ()


def run(search: Search) -> list[Trial]:
    """Every trial ends as soon as it is proposed."""
    trials: list[Trial] = []
    while specs := next_trials(search, trials):
        trials += [end(Trial(spec=spec)) for spec in specs]
    return trials


def test_the_first_are_drawn_at_random_and_the_others_are_children_of_the_living() -> None:
    search = evolution()
    trials = run(search)
    assert [len(round) for round in by_round(trials)] == [60]
    assert len({trial.spec.candidate for trial in trials}) == 60
    for number, trial in enumerate(trials[POPULATION:], POPULATION):
        living = trials[number - POPULATION : number]
        parents = [search.space.read(each.spec.candidate) for each in living]
        reachable = {
            search.space.key(search.space.mutate(parent, np.random.default_rng(seed)))
            for parent in parents
            for seed in range(300)
        }
        assert trial.spec.candidate.text in reachable
        if number > POPULATION + 2:  # a few are enough, for all neighbours of thirty cells take their time
            break


def test_children_are_better_than_random_candidates() -> None:
    scores = [pretend_score(trial.spec.candidate.architecture) for trial in run(evolution(150))]
    assert np.mean(scores[-POPULATION:]) > np.mean(scores[:POPULATION]) + 0.1


def test_a_new_trial_is_proposed_whenever_one_is_over() -> None:
    search = evolution(parallelism=3)
    trials = [Trial(spec=spec) for spec in next_trials(search, [])]
    assert len(trials) == POPULATION
    for pending in (5, 3):
        trials = [end(trial) for trial in trials[: POPULATION - pending]] + trials[POPULATION - pending :]
        assert next_trials(search, trials) == ()
    trials = [end(trial) for trial in trials[: POPULATION - 1]] + trials[POPULATION - 1 :]
    assert len(next_trials(search, trials)) == 2


def test_what_is_proposed_depends_on_what_is_recorded_alone() -> None:
    """A search rebuilt from its trials at any moment, in any order, goes on alike, even with several under way."""
    trials: list[Trial] = []
    chance = random.Random(0)
    for _ in range(80):
        search, again = evolution(parallelism=4), evolution(parallelism=4)
        specs = next_trials(search, trials)
        assert next_trials(again, chance.sample(trials, len(trials))) == specs
        trials += [Trial(spec=spec) for spec in specs]
        running = [trial for trial in trials if not trial.state.is_over]
        ended = chance.choice(running).name if running else ""
        trials = [end(trial) if trial.name == ended else trial for trial in trials]
    assert len(trials) == 60


def test_a_driver_that_dies_after_any_number_of_created_trials_goes_on_with_the_others() -> None:
    search = evolution(parallelism=4)
    trials: list[Trial] = []
    for _ in range(4):
        specs = next_trials(search, trials)
        for created in range(1, len(specs)):
            part = [Trial(spec=spec) for spec in specs[:created]]
            assert next_trials(search, [*trials, *part]) == specs[created:]
        trials += [end(Trial(spec=spec)) for spec in specs]


def test_candidates_that_failed_have_no_children() -> None:
    search = evolution()
    first = [Trial(spec=spec) for spec in next_trials(search, [])]
    failure = TrialResult(state=State.FAILED, reason=Reason.DIVERGED)
    good, failed = end(first[0]), [completed(trial, failure) for trial in first[1:]]
    (child,) = search.strategy.propose([good, *failed], room=1)  # type: ignore[misc]
    parent = search.space.read(good.spec.candidate)
    reachable = {
        search.space.write(search.space.mutate(parent, np.random.default_rng(seed))).text for seed in range(300)
    }
    assert child.candidate.text in reachable


def test_it_waits_for_trials_under_way_and_is_done_when_the_budget_is_spent() -> None:
    search = evolution(trials=POPULATION)
    pending = [Trial(spec=spec) for spec in next_trials(search, [])]
    done = [end(trial) for trial in pending]
    assert search.strategy.propose(pending, room=0) is WAIT
    assert search.strategy.propose(done, room=0) is DONE
    assert evolution().strategy.propose(done, room=0) == ()


def test_a_space_that_has_nothing_new_ends_the_search() -> None:
    search = evolution(space={"operations": ["identity"], "maxBlocks": 1})
    trials = run(search)
    assert {trial.spec.candidate for trial in trials} == {Candidate(str(cell)) for cell in search.space.smallest()}
    assert plan(search, trials, now=0.0).phase is Phase.FINAL


def test_its_settings_are_those_of_the_search() -> None:
    """The best of a sample of one is any cell, so a larger sample has better parents."""
    first = plan(evolution(search={"strategy": "Evolution", "evolution": {"population": 12}}), [], now=0.0).propose
    assert len(first) == 12
    means = [
        np.mean([pretend_score(trial.spec.candidate.architecture) for trial in run(evolution(90, search=each))])
        for each in ({"strategy": "Evolution", "evolution": {"population": 12, "sample": sample}} for sample in (1, 12))
    ]
    assert means[1] > means[0] + 0.05


def test_its_round_has_a_name() -> None:
    strategy = evolution().strategy
    assert (strategy.rounds, strategy.title(1)) == (1, "evolved cells")
