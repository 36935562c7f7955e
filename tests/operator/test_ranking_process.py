"""Proposing in a child process: the same proposals, and a child that dies is no more than a failed reconcile."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

import psutil
import pytest
from builders import make_spec, pretend_score
from local_search import wait_until

from metasearch.api import MetaSearchSpec
from metasearch.search.cells import Cell
from metasearch.search.definition import define
from metasearch.search.strategies.base import Measured
from metasearch_operator.ranking_process import RankingFailed, RankingProcess, SubprocessStrategy

SPEC = make_spec(
    space={"operations": ["conv3x3", "identity"], "maxBlocks": 3},
    search={"beamWidth": 4, "surrogate": {"members": 1, "hiddenSize": 4}},
)


def measured(spec: MetaSearchSpec) -> Sequence[Sequence[Measured[Cell]]]:
    """Return a first level with invented scores."""
    search = define("test", spec, started_at=0.0)
    first = search.strategy.propose([])
    return [[Measured(each.candidate, pretend_score(search.space.text(each.candidate))) for each in first]]


def children() -> list[psutil.Process]:
    """Return the processes that rank; multiprocessing has another one that tracks semaphores."""
    mine = psutil.Process(os.getpid()).children()
    return [child for child in mine if "spawn_main" in " ".join(child.cmdline())]


@pytest.fixture
def strategy() -> SubprocessStrategy:
    return SubprocessStrategy(SPEC, define("test", SPEC, started_at=0.0).strategy, RankingProcess())


def test_a_child_proposes_what_the_strategy_itself_does_and_ends(strategy: SubprocessStrategy) -> None:
    levels = measured(SPEC)
    expected = define("test", SPEC, started_at=0.0).strategy.propose(levels)
    assert len(expected) == 4
    assert strategy.propose(levels) == expected
    assert not children()


def test_the_first_level_takes_no_child(strategy: SubprocessStrategy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RankingProcess, "propose", lambda *_: pytest.fail("a child was asked"))
    assert len(strategy.propose([])) == 10


def test_when_a_search_is_complete_is_known_without_a_child(strategy: SubprocessStrategy) -> None:
    itself = define("test", SPEC, started_at=0.0).strategy
    for sizes in ([], [10], [10, 4, 4], [10, 4, 1]):
        assert strategy.is_complete(sizes) == itself.is_complete(sizes)


def test_a_child_that_is_killed_is_reported(strategy: SubprocessStrategy) -> None:
    levels, failures = measured(SPEC), list[Exception]()

    def propose() -> None:
        try:
            strategy.propose(levels)
        except RankingFailed as error:
            failures.append(error)

    asking = threading.Thread(target=propose)
    asking.start()
    wait_until(children)[0].kill()
    asking.join(60)
    assert not asking.is_alive()
    (failure,) = failures
    assert "was killed, most likely for lack of memory" in str(failure)
