"""The share of the budget that is used: one sum for the status, the report and the progress bar."""

from __future__ import annotations

from typing import Any

import pytest
from builders import make_search

from metasearch.search.budget import Limit, Spent, reached, used_share, used_shares
from metasearch.search.trials import Stage

NOTHING = Spent(trials=0, failed_trials=0, wall_seconds=0, worker_seconds=0, gpu_hours=0)


def spent(**changes: float) -> Spent:
    return NOTHING.model_copy(update=changes)


@pytest.mark.parametrize(
    ("budget", "used", "limit", "share"),
    [
        ({"maxTrials": 20}, spent(trials=5), Limit.TRIALS, 0.25),
        ({"maxFailedTrials": 19}, spent(failed_trials=5), Limit.FAILED_TRIALS, 0.25),
        ({"wallTime": "1h"}, spent(wall_seconds=900), Limit.WALL_TIME, 0.25),
        ({"gpuHours": "8"}, spent(gpu_hours=2), Limit.GPU_HOURS, 0.25),
        ({"wallTime": "0s"}, spent(), Limit.WALL_TIME, 0.0),
        ({"wallTime": "0s"}, spent(wall_seconds=1), Limit.WALL_TIME, 1.0),
        ({"gpuHours": "0"}, spent(gpu_hours=0.1), Limit.GPU_HOURS, 1.0),
    ],
)
def test_the_share_of_a_limit(budget: dict[str, Any], used: Spent, limit: Limit, share: float) -> None:
    assert used_shares(make_search(budget=budget).spec, used)[limit] == pytest.approx(share)


def test_limits_that_are_not_set_have_no_share() -> None:
    assert set(used_shares(make_search().spec, NOTHING)) == {Limit.TRIALS, Limit.FAILED_TRIALS}


def test_the_nearest_limit_counts() -> None:
    spec = make_search(budget={"maxTrials": 100, "wallTime": "1h"}).spec
    assert used_share(spec, spent(trials=10, wall_seconds=1800)) == 0.5


@pytest.mark.parametrize(("failed", "ends"), [(19, False), (20, False), (21, True)])
def test_failures_are_used_up_exactly_when_they_end_the_search(failed: int, ends: bool) -> None:
    """The 20 tolerated failures leave a little of the budget; the one after them ends the search."""
    spec = make_search(budget={"maxTrials": 1000, "maxFailedTrials": 20}).spec
    used = spent(failed_trials=failed)
    assert (used_share(spec, used) >= 1) is ends
    assert (reached(spec, used, Stage.SEARCH) is Limit.FAILED_TRIALS) is ends
