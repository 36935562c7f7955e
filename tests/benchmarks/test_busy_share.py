"""The simulation of many workers: its times are those of a schedule worked out by hand."""

from __future__ import annotations

import pytest

import busy_share
from metasearch.search import planner


def seconds_of_random(trials: int) -> list[float]:
    search, world = busy_share.search_of("Random", trials, workers=2, seed=0)
    return [world.seconds(spec) for spec in planner.plan(search, [], now=0.0).propose]


def test_a_worker_alone_is_always_busy() -> None:
    search, world = busy_share.search_of("Random", trials=5, workers=1, seed=0)
    found = busy_share.simulated(search, world, 1, busy_share.ORDERS["as proposed"])
    assert (found.trials, found.seconds) == (5, pytest.approx(sum(seconds_of_random(5))))
    assert found.busy_share(1) == pytest.approx(1.0)


def test_each_of_two_workers_takes_the_next_trial_when_it_is_free() -> None:
    one, two, three = seconds_of_random(3)
    search, world = busy_share.search_of("Random", trials=3, workers=2, seed=0)
    found = busy_share.simulated(search, world, 2, busy_share.ORDERS["as proposed"])
    assert found.seconds == pytest.approx(max(one, two, min(one, two) + three))
    assert found.busy_share(2) == pytest.approx((one + two + three) / (2 * found.seconds))


def test_the_costliest_can_be_claimed_first() -> None:
    *shorter, longest = sorted(seconds_of_random(3))
    search, world = busy_share.search_of("Random", trials=3, workers=2, seed=0)
    found = busy_share.simulated(search, world, 2, busy_share.ORDERS["multiply-adds"])
    assert found.seconds == pytest.approx(max(longest, sum(shorter)))


@pytest.mark.parametrize("name", ["Evolution", "LocalSearch, 16 starts"])
def test_every_strategy_spends_its_trials_with_any_number_of_workers(name: str) -> None:
    for workers in (1, 8):
        search, world = busy_share.search_of(name, trials=40, workers=workers, seed=0)
        assert busy_share.simulated(search, world, workers, busy_share.ORDERS["by priority"]).trials == 40
