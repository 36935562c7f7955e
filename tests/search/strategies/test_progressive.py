"""Progressive search: every smallest candidate, then a beam of the best children."""

from __future__ import annotations

import pytest
from builders import SMALL, TokenMeans, completed, make_search, make_spec, pretend_result

from metasearch.search.planner import Search, plan
from metasearch.search.strategies import DONE, WAIT, Answer, Proposal, Strategy
from metasearch.search.strategies.progressive import Progressive
from metasearch.search.trials import Reason, State, Trial, TrialResult


def measured(search: Search, rounds: int) -> list[Trial]:
    """Return the trials of so many rounds, all of them done."""
    trials: list[Trial] = []
    for _ in range(rounds):
        specs = plan(search, trials, now=0.0).propose
        trials += [completed(Trial(spec=spec), pretend_result(spec)) for spec in specs]
    return trials


def proposed(strategy: Strategy, history: list[Trial], room: int = 100) -> list[Proposal]:
    answer = strategy.propose(history, room)
    assert not isinstance(answer, Answer)
    return list(answer)


def test_the_first_round_is_every_smallest_candidate_once_and_unpredicted() -> None:
    search = make_search()
    first = proposed(search.strategy, [])
    assert sorted(each.candidate.text for each in first) == sorted(map(str, search.space.smallest()))
    assert {(each.round, each.round_size, each.predicted) for each in first} == {(1, 10, None)}


def test_the_order_of_the_first_round_depends_on_the_seed_alone() -> None:
    first, again, other = (proposed(make_search(seed=seed).strategy, []) for seed in (0, 0, 1))
    assert first == again
    assert [each.candidate for each in first] != [each.candidate for each in other]


def test_later_rounds_are_a_beam_of_children_best_first() -> None:
    search = make_search()
    history = measured(search, 1)
    second = proposed(search.strategy, history)
    predicted = [each.predicted for each in second]
    assert [each.priority for each in second] == [0, 1, 2, 3]
    assert predicted == sorted(predicted, reverse=True)  # type: ignore[type-var]
    children = {
        search.space.write(child).text
        for trial in history
        for child in search.space.children(search.space.read(trial.spec.candidate))
    }
    assert {each.candidate.text for each in second} <= children


def test_candidates_that_failed_have_no_children() -> None:
    search = make_search()
    good, *others = measured(search, 1)
    failure = TrialResult(state=State.FAILED, reason=Reason.DIVERGED)
    failed = [completed(Trial(spec=trial.spec), failure) for trial in others]
    parent = good.spec.candidate.text
    assert all(parent in each.candidate.text.split(" | ") for each in proposed(search.strategy, [good, *failed]))


def test_it_waits_for_a_round_and_is_done_after_the_last() -> None:
    search = make_search()
    history = measured(search, 3)
    assert search.strategy.propose([*history[:-1], Trial(spec=history[-1].spec)], room=100) is WAIT
    assert search.strategy.propose(history, room=100) is DONE


@pytest.mark.parametrize("rounds", [0, 1, 2, 3])
def test_without_room_no_surrogate_is_made(rounds: int) -> None:
    search = make_search()
    strategy = Progressive(search.spec, search.space, surrogate=lambda: pytest.fail("a surrogate was made"))
    assert strategy.propose(measured(search, rounds), room=0) == (DONE if rounds == 3 else ())


def test_a_last_round_that_a_budget_has_cut_is_not_done() -> None:
    search = make_search(budget={"maxTrials": 16})
    history = measured(search, 3)
    assert len(history) == 16
    assert search.strategy.propose(history, room=0) == ()


def test_rounds_are_named_by_the_size_of_their_candidates() -> None:
    strategy = Progressive(make_spec(**SMALL), make_search().space, TokenMeans)
    assert (strategy.rounds, [strategy.title(round) for round in (1, 2)]) == (3, ["1 block", "2 blocks"])
