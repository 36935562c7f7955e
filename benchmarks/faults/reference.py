"""The search that faults happen to, an operator behind a proxy, and what is counted of them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from builders import pretend_result
from devcluster.access import ClusterAccess
from devcluster.api_proxy import ApiProxy, api_proxy
from devcluster.operator_process import OperatorProcess, running_operator
from devcluster.resources import create_worker_account, temporary_namespace
from devcluster.searches import SearchHandle, create_search
from devcluster.simulated_workers import PodRunner, simulated_workers
from pretended_search import Scores, pretended_scores

from metasearch.cluster.api import Api, resource_of

PODS = 2

SPEC: Mapping[str, Any] = {
    "space": {"operations": ["conv3x3", "identity"], "maxBlocks": 2},
    "search": {"progressive": {"beamWidth": 2}, "surrogate": {"type": "Ridge"}, "confirmations": 0},
    "final": {"top": 1, "seeds": 1, "metaIterations": 10, "baselines": []},
    "budget": {"maxTrials": 12},
    "parallelism": PODS,
}
"""A search whose later rounds a surrogate chooses, and that ends with final training: it has every kind of write."""

NAME = "reference"

MOST_SECONDS = 400
"""Time within which a search must be over, so that one that stands still is told from one that is slow."""


def undisturbed_scores() -> Scores:
    """Return the scores of the trials of the reference search on one machine, where nothing disturbs it."""
    return pretended_scores(NAME, SPEC)


@dataclass(frozen=True)
class Outcome:
    """The end of a search."""

    phase: str
    """Succeeded or Failed."""
    scores: Scores
    """By the trial's name."""
    attempts: int
    """The claims of all trials. Each trial needs one."""
    pods: int
    """The worker pods that there were."""
    deletions: int | None = None
    """The objects that the operator deleted, where they were counted. It has to delete the workers' Job, at the end."""

    def lost(self, undisturbed: Scores) -> int:
        """Return the number of trials that are missing, or that have another score than in an undisturbed search."""
        return sum(name not in self.scores or self.scores[name] != score for name, score in undisturbed.items())

    def duplicated(self, undisturbed: Scores) -> int:
        """Return the number of trials that an undisturbed search has not."""
        return len(self.scores.keys() - undisturbed.keys())


def outcome_of(search: SearchHandle, workers: PodRunner) -> Outcome:
    """Wait for the end of a search, and return it without the deletions."""
    phase = search.wait_until_over(MOST_SECONDS)
    trials = search.trials()
    return Outcome(
        phase=phase,
        scores={trial.name: trial.score for trial in trials},
        attempts=sum(len(trial.attempts) for trial in trials),
        pods=workers.pods,
    )


@dataclass(frozen=True)
class Run:
    """A reference search that has begun."""

    search: SearchHandle
    workers: PodRunner
    proxy: ApiProxy

    def wait_for_first_round(self) -> None:
        self.search.wait_for(lambda: self.search.status.get("round", 0) >= 1)

    def outcome(self) -> Outcome:
        """Wait for the end of the search, and return it."""
        outcome = outcome_of(self.search, self.workers)
        deleted = {request.path for request in self.proxy.requests if request.method == "DELETE"}
        return replace(outcome, deletions=len(deleted))


@dataclass(frozen=True)
class Stage:
    """An operator behind a proxy, in a namespace of its own."""

    access: ClusterAccess
    """The administrator's, past the proxy."""
    api: Api
    namespace: str
    proxy: ApiProxy
    operator: OperatorProcess

    @contextmanager
    def search(self) -> Iterator[Run]:
        """Begin the reference search, whose workers do not pass through the proxy."""
        search = SearchHandle(self.api, create_search(self.api, self.namespace, NAME, **SPEC))
        with simulated_workers(search, lambda trial: pretend_result(trial.spec)) as workers:
            yield Run(search, workers, self.proxy)

    def errors(self) -> int:
        """Return the number of errors that the operator has logged with a traceback."""
        return self.operator.log.read_text().count("Traceback (most recent call last)")


@contextmanager
def stage(access: ClusterAccess) -> Iterator[Stage]:
    """Start an operator behind a proxy."""
    api = Api.of_kubeconfig(str(access.kubeconfig))
    with (
        temporary_namespace(api) as namespace,
        tempfile.TemporaryDirectory() as folder,
        api_proxy(access) as proxy,
        running_operator(proxy.access, Path(folder), [namespace]) as operator,
    ):
        create_worker_account(api, namespace)
        yield Stage(access, api, namespace, proxy, operator)


# --- a case -------------------------------------------------------------------------------------------------------


class Happening:
    """A fault that happens to a search's operator. One that is over leaves nothing behind that its stage does not."""

    group: str
    title: str

    def before(self, stage: Stage) -> None:
        """Prepare it, before the search begins."""

    def during(self, stage: Stage, run: Run) -> str:
        """Let it happen; return at its end what it has met, where the title does not say that; "" if nothing."""
        raise NotImplementedError


@dataclass(frozen=True)
class Observed:
    """A fault that has happened, and what became of the search."""

    group: str
    title: str
    met: str
    outcome: Outcome
    seconds_after: float
    """The time from the end of the fault to that of the search."""
    pods_needed: int = PODS
    errors: int = 0
    """Errors of the operator's, with a traceback in its log."""


def observe(access: ClusterAccess, happening: Happening) -> Observed:
    """Run the reference search while a fault happens to its operator."""
    with stage(access) as place:
        happening.before(place)
        with place.search() as run:
            met = happening.during(place, run)
            ended_at = time.monotonic()
            outcome = run.outcome()
            return Observed(happening.group, happening.title, met, outcome, time.monotonic() - ended_at, place.errors())


def what_of(method: str, path: str) -> str:
    """Return a request or an event in words: "POST metatrials"."""
    return f"{method} {resource_of(path)}"
