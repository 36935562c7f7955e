"""Proposing in a child process: the same proposals, and a child that dies is no more than a failed reconcile."""

from __future__ import annotations

import os
import threading
from dataclasses import replace

import psutil
import pytest
from builders import completed, make_spec, pretend_result
from local_search import wait_until

from metasearch.api import MetaSearchSpec
from metasearch.search import surrogates
from metasearch.search.build import build_search
from metasearch.search.planner import plan
from metasearch.search.strategies import BUILT_IN, DONE, WAIT, WITHOUT_SURROGATE, Answer
from metasearch.search.trials import Trial
from metasearch_operator.ranking_process import RankingFailed, RankingProcess, SubprocessStrategy

SPEC = make_spec(
    space={"operations": ["conv3x3", "identity"], "maxBlocks": 3},
    search={"progressive": {"beamWidth": 4}, "surrogate": {"members": 1, "hiddenSize": 4}},
)


def measured(spec: MetaSearchSpec) -> list[Trial]:
    """Return a first round with invented scores."""
    specs = plan(build_search("test", spec, started_at=0.0), [], now=0.0).propose
    return [completed(Trial(spec=each), pretend_result(each)) for each in specs]


def children() -> list[psutil.Process]:
    """Return the processes that rank; multiprocessing has another one that tracks semaphores."""
    mine = psutil.Process(os.getpid()).children()
    return [child for child in mine if "spawn_main" in " ".join(child.cmdline())]


@pytest.fixture
def strategy() -> SubprocessStrategy:
    return SubprocessStrategy(SPEC, build_search("test", SPEC, started_at=0.0).strategy, RankingProcess())


def test_a_child_proposes_what_the_strategy_itself_does_and_ends(strategy: SubprocessStrategy) -> None:
    history = measured(SPEC)
    expected = build_search("test", SPEC, started_at=0.0).strategy.propose(history, room=100)
    assert not isinstance(expected, Answer)
    assert len(expected) == 4
    assert strategy.propose(history, room=100) == expected
    assert not children()


@pytest.fixture
def no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RankingProcess, "propose", lambda *_: pytest.fail("a child was asked"))


@pytest.mark.usefixtures("no_child")
def test_the_first_round_takes_no_child(strategy: SubprocessStrategy) -> None:
    first = strategy.propose([], room=100)
    assert not isinstance(first, Answer)
    assert len(first) == 10


@pytest.mark.usefixtures("no_child")
def test_a_round_under_way_and_a_spent_budget_take_no_child(strategy: SubprocessStrategy) -> None:
    done = measured(SPEC)
    assert strategy.propose([*done[:-1], Trial(spec=done[-1].spec)], room=100) is WAIT
    assert strategy.propose(done, room=0) == ()


@pytest.mark.usefixtures("no_child")
@pytest.mark.parametrize("name", sorted(WITHOUT_SURROGATE))
def test_strategies_without_a_surrogate_take_no_child(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surrogates, "factory", lambda *_: lambda: pytest.fail("a surrogate was made"))
    spec = make_spec(
        space={"operations": ["conv3x3", "identity"], "maxBlocks": 2},
        search={"strategy": name},
        budget={"maxTrials": 2000},  # enough for Grid, which tries the whole space
    )
    itself = build_search("test", spec, started_at=0.0)
    search = replace(itself, strategy=SubprocessStrategy(spec, itself.strategy, RankingProcess()))
    trials: list[Trial] = []
    for _ in range(4):
        proposed = plan(search, trials, now=0.0).propose
        assert proposed == plan(itself, trials, now=0.0).propose
        trials += [completed(Trial(spec=each), pretend_result(each)) for each in proposed]
    assert len(trials) >= 4


def test_all_others_are_taken_to_have_a_surrogate() -> None:
    assert set(BUILT_IN) - WITHOUT_SURROGATE == {"Progressive"}


@pytest.mark.usefixtures("no_child")
def test_a_search_that_is_done_is_known_without_a_child() -> None:
    spec = make_spec(space={"operations": ["conv3x3", "identity"], "maxBlocks": 1})
    itself = build_search("test", spec, started_at=0.0).strategy
    assert SubprocessStrategy(spec, itself, RankingProcess()).propose(measured(spec), room=100) is DONE


def test_a_child_that_is_killed_is_reported(strategy: SubprocessStrategy) -> None:
    history, failures = measured(SPEC), list[Exception]()

    def propose() -> None:
        try:
            strategy.propose(history, room=100)
        except RankingFailed as error:
            failures.append(error)

    asking = threading.Thread(target=propose)
    asking.start()
    wait_until(children)[0].kill()
    asking.join(60)
    assert not asking.is_alive()
    (failure,) = failures
    assert "was killed, most likely for lack of memory" in str(failure)
