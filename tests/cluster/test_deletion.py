"""
A search is deleted in each phase of its way: nothing of it stays, and nothing is in the way of the next of its name.

It is deleted in the background, in the foreground and without what it owns (`kubectl delete --cascade`), with the
operator running and while there is none, and with its whole namespace.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import cycle, islice, product
from typing import Any

import pytest
from builders import SMALL, pretend_result
from devcluster.operator_process import OperatorProcess
from devcluster.resources import NAMESPACE, create_worker_account, temporary_namespace
from devcluster.searches import SearchHandle, create_search
from fake_worker import fake_worker

from metasearch.cluster.api import Api, NotFound
from metasearch.kubernetes import names
from metasearch.search.trials import Reason, Stage, State, Trial, TrialResult

SPEC = {
    **SMALL,
    "search": {"strategy": "Random"},
    "budget": {"maxTrials": 2, "maxFailedTrials": 1},
    "final": {**SMALL["final"], "top": 1, "seeds": 1},
}
"""A search of two trials and one final trial."""

REFUSED = {**SPEC, "search": {"strategy": "Random", "initial": ["conv5x5(-1)+identity(-1)"]}}
"""It begins with a cell outside the space, which the API server cannot know."""

POLICIES = ("Background", "Foreground", "Orphan")
"""Propagation policies of the API server."""

Make = Callable[..., SearchHandle]
Phase = Callable[[SearchHandle], None]
Searches = Sequence[tuple[SearchHandle, str]]
Cases = Callable[[int], Sequence[tuple[Phase, str]]]


# --- phases -------------------------------------------------------------------------------------------------------


def created(search: SearchHandle) -> None:
    """The operator may have seen it or not."""


def refused(search: SearchHandle) -> None:
    search.wait_for(lambda: search.condition("Ready")[1] == "InvalidSpec")
    assert not search.trials()


def queued(search: SearchHandle) -> None:
    """Wait until there are trials and a Job for workers, and none works."""
    search.wait_for(lambda: search.jobs() and search.trials())


def training(search: SearchHandle) -> None:
    queued(search)
    assert search.store().claim("pod.0-1", time.time(), 0.0)


def training_finally(search: SearchHandle) -> None:
    """Complete all that is of the search, and claim its final trial."""
    store = search.store()

    def has_final() -> bool:
        while claimed := store.claim("pod.0-1", time.time(), 0.0):
            if claimed.spec.stage is not Stage.SEARCH:
                return True
            store.complete(claimed, pretend_result(claimed.spec), time.time())
        return False

    search.wait_for(has_final)


def suspended(search: SearchHandle) -> None:
    queued(search)
    search.edit(suspend=True)
    search.wait_for(lambda: search.condition("Suspended")[0] == "True")


def succeeded(search: SearchHandle) -> None:
    with fake_worker(search):
        assert search.wait_until_over() == "Succeeded"


def failed(search: SearchHandle) -> None:
    with fake_worker(search, diverged):
        assert search.wait_until_over() == "Failed"


def diverged(trial: Trial) -> TrialResult:
    del trial
    return TrialResult(state=State.FAILED, reason=Reason.DIVERGED, message="made up")


PHASES: dict[Phase, dict[str, Any]] = {
    created: SPEC,
    refused: REFUSED,
    **dict.fromkeys((queued, training, training_finally, suspended, succeeded, failed), SPEC),
}
"""Functions that bring a search to a phase, each with the spec of its search."""


# --- the cluster --------------------------------------------------------------------------------------------------


@pytest.fixture
def make(operator: OperatorProcess, client: Api, namespace: str) -> Make:
    operator.require_running()
    return maker(client, namespace)


def maker(client: Api, namespace: str) -> Make:
    """Return a function that creates a search in a namespace that was made for it."""
    create_worker_account(client, namespace)
    return lambda name, spec=SPEC: SearchHandle(client, create_search(client, namespace, name, **spec))


def is_gone(client: Api, namespace: str) -> bool:
    try:
        client.get(NAMESPACE.path(None, namespace))
    except NotFound:
        return True
    return False


# --- what is shown ------------------------------------------------------------------------------------------------


@pytest.fixture
def cases(whole: bool) -> Cases:
    """Return a function that lists phases with policies: one for each phase, or all of them with --whole."""
    if whole:
        return lambda _: list(product(PHASES, POLICIES))
    return lambda first: list(zip(PHASES, islice(cycle(POLICIES), first, None), strict=False))


def bring(make: Make, phase: Phase, name: str) -> SearchHandle:
    """Make a search, and bring it to a phase."""
    search = make(f"{phase.__name__.replace('_', '-')}-{name.lower()}", PHASES[phase])
    phase(search)
    return search


def is_alone(search: SearchHandle) -> bool:
    """Tell whether nothing carries the label of the search."""
    return not (search.trials() or search.jobs() or search.pods() or search.leases())


def is_named(trial: Trial, search: SearchHandle) -> bool:
    """Tell whether the search says that a trial is in its way."""
    return trial.name in search.condition("Ready")[2]


def wait_until_all_is_gone(searches: Searches) -> None:
    """Wait until trials, Job and pods have gone with the search, unless they were to stay."""
    for search, policy in searches:
        if policy != "Orphan":
            search.wait_for(partial(is_alone, search))


def assert_next_comes_to_its_end(searches: Searches, make: Make) -> None:
    """Make each again. Trials that were to stay are in its way: it names them, and goes on once they are deleted."""
    for search, _ in searches:
        left = search.trials()
        again = make(search.name)
        if left:
            again.wait_for(partial(is_named, left[0], again))
            for trial in left:
                again.api.delete(names.TRIAL.path(again.namespace, trial.name))
        succeeded(again)


def test_nothing_stays_where_the_operator_runs(make: Make, cases: Cases) -> None:
    searches = [(bring(make, phase, policy), policy) for phase, policy in cases(0)]
    for search, policy in searches:
        search.remove(propagationPolicy=policy)
    wait_until_all_is_gone(searches)
    assert_next_comes_to_its_end(searches, make)


def test_nothing_stays_where_it_does_not(make: Make, cases: Cases, operator: OperatorProcess) -> None:
    searches = [(bring(make, phase, policy), policy) for phase, policy in cases(1)]
    with operator.away():
        for search, policy in searches:
            search.remove(propagationPolicy=policy)
        wait_until_all_is_gone(searches)
    assert_next_comes_to_its_end(searches, make)


@pytest.mark.parametrize("runs", [True, False])
def test_a_namespace_goes_with_all_its_searches(client: Api, operator: OperatorProcess, make: Make, runs: bool) -> None:
    here = make("another")
    with temporary_namespace(client) as name:
        make_there = maker(client, name)
        for phase in PHASES:
            bring(make_there, phase, "there")
        with nullcontext() if runs else operator.away():
            client.delete(NAMESPACE.path(None, name))
            here.wait_for(lambda: is_gone(client, name))
    succeeded(here)
