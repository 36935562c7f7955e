"""Random search: different candidates of the largest size, all at once."""

from __future__ import annotations

from collections import Counter

from builders import completed, make_search, pretend_result

from metasearch.search.planner import Search, plan
from metasearch.search.strategies import DONE, WAIT, Answer
from metasearch.search.trials import Trial


def random_search(trials: int = 17, **spec: object) -> Search:
    return make_search(search={"strategy": "Random"}, budget={"maxTrials": trials}, **spec)


def test_as_many_different_candidates_as_there_may_be_trials() -> None:
    search = random_search()
    proposed = search.strategy.propose([], room=17)
    assert not isinstance(proposed, Answer)
    assert len({each.candidate for each in proposed}) == len(proposed) == 17
    assert {len(search.space.read(each.candidate)) for each in proposed} == {3}
    rounds = Counter((each.round, each.round_size, each.predicted) for each in proposed)
    assert rounds == {(1, 16, None): 16, (2, 1, None): 1}


def test_a_small_space_has_fewer() -> None:
    search = random_search(space={"operations": ["identity"], "maxBlocks": 1})
    proposed = search.strategy.propose([], room=17)
    assert not isinstance(proposed, Answer)
    assert len(proposed) == 3


def test_it_waits_for_all_and_is_done_then() -> None:
    search = random_search()
    pending = [Trial(spec=spec) for spec in plan(search, [], now=0.0).propose]
    assert search.strategy.propose(pending, room=0) is WAIT
    done = [completed(trial, pretend_result(trial.spec)) for trial in pending]
    assert search.strategy.propose(done, room=0) is DONE
    assert search.strategy.propose([], room=0) == ()


def test_its_rounds_have_names_and_are_not_many() -> None:
    strategy = random_search().strategy
    assert (strategy.rounds, strategy.title(1)) == (2, "random cells")
    assert random_search(trials=5_000).strategy.rounds == 50
