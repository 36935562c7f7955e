"""
A search ends as it would have, whatever happens to its operator or to a worker.

A sample of the faults of `make reliability`; docs/reliability.md has the figures of all of them.
"""

from __future__ import annotations

import pytest
from devcluster.access import ClusterAccess
from pretended_search import Scores

from faults.api_faults import OldLists, Refusals, UnansweredWrites
from faults.crash_points import Crash
from faults.happenings import Loss, Trouble
from faults.reference import PODS, Happening, observe, undisturbed_scores
from faults.worker_crashes import observe_worker, trained_scores

SECONDS = 15.0

SAMPLE: list[Happening] = [
    Crash(2, "before"),  # among the trials of a round
    Crash(5, "after"),  # the Job
    Loss(9),
    Trouble("writes made and not answered", UnansweredWrites(), SECONDS),
    Trouble("lists that are old, and no watch", OldLists(), SECONDS),
    Trouble("503 to everything", Refusals(503, "ServiceUnavailable"), SECONDS),
]


@pytest.fixture(scope="module")
def undisturbed() -> Scores:
    return undisturbed_scores()


@pytest.mark.parametrize("happening", SAMPLE, ids=lambda happening: f"{happening.group}, {happening.title}")
def test_a_search_ends_as_if_nothing_had_happened(
    happening: Happening, cluster_with_crds: ClusterAccess, undisturbed: Scores
) -> None:
    observed = observe(cluster_with_crds, happening)
    outcome = observed.outcome
    assert outcome.phase == "Succeeded"
    assert outcome.lost(undisturbed) == 0
    assert outcome.duplicated(undisturbed) == 0
    assert outcome.attempts - len(undisturbed) + outcome.pods - PODS <= 1
    assert outcome.deletions == 1
    assert observed.errors == 0


def test_trials_of_a_worker_that_is_killed_are_trained_by_another(cluster_with_crds: ClusterAccess) -> None:
    undisturbed = trained_scores()
    observed = observe_worker(cluster_with_crds, 4, "after")
    assert observed.met
    outcome = observed.outcome
    assert outcome.phase == "Succeeded"
    assert outcome.lost(undisturbed) == 0
    assert outcome.duplicated(undisturbed) == 0
    assert outcome.attempts - len(undisturbed) <= 1
    assert outcome.pods == 2
