"""The form of a situation: what happens, and the alerts that are right for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitoring.limits import CACHE_STALE_SECONDS

from metasearch.outcome.results import SearchResult, summarize
from metasearch.search.trials import Attempt, Reason
from metasearch_operator.diagnosis import Problem
from metasearch_operator.reasons import ReadyReason
from watching.cluster import Cluster
from watching.search import Behaviour, Pod, SimulatedSearch, takes

Action = Callable[[Cluster], object]

MINUTE, HOUR = 60.0, 3600.0

PROGRESSIVE = {"progressive": {"beamWidth": 16}, "surrogate": {"type": "Ridge"}}

ORDINARY = takes(120, 360)


@dataclass(frozen=True)
class View:
    """A cluster as somebody sees it who knows everything."""

    cluster: Cluster
    fault_seconds: float
    """Time since the fault."""
    still_seconds: float
    """Time since a trial has begun, got on or ended."""

    @property
    def search(self) -> SimulatedSearch:
        return self.cluster.searches[0]

    @property
    def result(self) -> SearchResult:
        """The result as `metasearch report` would have it now."""
        return summarize(self.search.search, list(self.search.trials.values()), self.search.plan, self.cluster.now)

    def ended(self, seconds: float) -> Sequence[Attempt]:
        """Return the attempts that ended within the last seconds."""
        every = (attempt for trial in self.search.trials.values() for attempt in trial.attempts)
        return [each for each in every if each.ended_at is not None and each.ended_at > self.cluster.now - seconds]

    def count(self, outcome: str, seconds: float = HOUR) -> int:
        """Return how many attempts ended so within the last seconds."""
        return sum(each.outcome == outcome for each in self.ended(seconds))


Visible = Callable[[View], bool]
"""Tells whether what an alert is about can be seen by somebody who knows everything."""


def at_once(_: View) -> bool:
    """Say that a fault can be seen as soon as it is there."""
    return True


@dataclass(frozen=True)
class Situation:
    """Something that happens to a cluster."""

    title: str
    story: str
    """The fault or the normal course, in half a sentence."""
    right: Mapping[str, Visible] = field(default_factory=dict)
    """The alerts that should fire, and when each has something to tell; none in a normal situation."""
    events: Sequence[tuple[float, Action]] = ()
    """Actions and their times, in minutes; the first is the fault. Without events, the fault is there at 0."""
    hours: float = 2.0
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the search's spec."""
    behaviour: Behaviour = ORDINARY
    begin: Action = lambda _: None
    """An action at the beginning."""
    remark: str = ""
    untold: str = ""
    """The reason why no alert tells of a fault; empty where one does, or nothing is wrong."""

    @property
    def is_fault(self) -> bool:
        return bool(self.right or self.untold)

    @property
    def fault_at(self) -> float:
        """Seconds from the beginning to the fault."""
        return self.events[0][0] * MINUTE if self.events else 0.0

    def cluster(self) -> Cluster:
        """Return the cluster as it is at the beginning."""
        made = Cluster([SimulatedSearch("omniglot", 0.0, dict(self.fields), self.behaviour)])
        self.begin(made)
        return made


# --- what happens -------------------------------------------------------------------------------------------------


def faults(**values: Any) -> Action:
    """Set what is wrong with the cluster."""

    def action(cluster: Cluster) -> None:
        for name, value in values.items():
            assert hasattr(cluster.faults, name)
            setattr(cluster.faults, name, value)

    return action


def search(**values: Any) -> Action:
    """Set what is so of the search."""

    def action(cluster: Cluster) -> None:
        for name, value in values.items():
            assert hasattr(cluster.searches[0], name)
            setattr(cluster.searches[0], name, value)

    return action


def both(*actions: Action) -> Action:
    """Do several things."""
    return lambda cluster: [action(cluster) for action in actions]


def problem(reason: ReadyReason) -> Action:
    """Have the operator find a trouble of the workers."""
    return faults(problem=Problem(reason, "as it was to be"))


def hang(pods: int) -> Action:
    """Have some pods do nothing from now on, with the trials that they have."""

    def action(cluster: Cluster) -> None:
        for pod in cluster.searches[0].running_pods[:pods]:
            pod.hangs = True

    return action


def lose(pods: int) -> Action:
    """Take some pods away."""

    def action(cluster: Cluster) -> None:
        busy: list[Pod] = [pod for pod in cluster.searches[0].running_pods if pod.slots]
        for pod in busy[:pods]:
            cluster.searches[0].lose(pod, cluster.now)

    return action


def kill_operator(cluster: Cluster) -> None:
    cluster.faults.operator_is_down = True


def restart_operator(cluster: Cluster) -> None:
    cluster.faults.operator_is_down = False
    cluster.restart_operator()


NO_PODS = search(pods_exist=False)
PODS_WAIT = search(may_start=False)

FAILS = frozenset({Reason.DIVERGED, Reason.ERROR, Reason.INVALID_DATA, Reason.TIMED_OUT})

SERVED = frozenset({"metasearches", "metatrials", "jobs", "pods", "leases"})


def most_fail(view: View) -> bool:
    ended = view.ended(30 * MINUTE)
    return len(ended) >= 5 and sum(each.outcome in FAILS for each in ended) > len(ended) / 2


def api_fails(view: View) -> bool:
    windows = ([code for *_, code in view.cluster.asked(seconds)] for seconds in (2 * MINUTE, 5 * MINUTE))
    return any(sum(code in ("", "503") for code in codes) > 0.1 * len(codes) for codes in windows)


def is_refused(view: View) -> bool:
    refused = Counter(request[:2] for request in map(tuple, view.cluster.asked(600)) if request[2] == "403")
    return any(count >= 2 for count in refused.values())


def is_stale(view: View) -> bool:
    return view.cluster.operator_age("metatrials") > CACHE_STALE_SECONDS


def will_run_out(view: View) -> bool:
    limit, left = view.search.spec.budget.wall_time, view.result.remaining
    assert limit
    spent = view.search.search.wall_seconds(view.cluster.now)
    return left is not None and spent + left.unlimited_seconds > 1.1 * limit.seconds


def is_no_better_than_chance(view: View) -> bool:
    found = view.result.examination
    return bool(found and found.trials >= 16 and (found.spearman or 0) < 0.2 and (found.ceiling or 0) > 0.5)


def gpus_should_be_busy(view: View) -> bool:
    pods = view.search.running_pods
    return bool(pods) and all(pod.busy_seconds >= 900 for pod in pods)


def is_mostly_idle(view: View) -> bool:
    pods = view.search.running_pods
    return sum(len(pod.slots) for pod in pods) < len(pods) * view.search.spec.worker.slots / 2


def budget_share(view: View) -> float:
    assert view.search.spec.budget.wall_time
    return view.search.search.wall_seconds(view.cluster.now) / view.search.spec.budget.wall_time.seconds
