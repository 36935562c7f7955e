"""Faults and normal situations, each with the alerts that are right for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from metasearch.outcome.results import SearchResult, summarize
from metasearch.search.trials import LOST, Attempt, Reason
from metasearch_operator.diagnosis import Problem
from metasearch_operator.reasons import ReadyReason
from watching.cluster import Cluster
from watching.search import Behaviour, Pod, SimulatedSearch, fails, fails_once_chosen, scores_at_random, takes

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
        """The result that `metasearch report` would show now."""
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
    """Half a sentence that says what happens."""
    right: Mapping[str, Visible] = field(default_factory=dict)
    """The alerts that should fire, and when each has something to tell; none in a normal situation."""
    events: Sequence[tuple[float, Action]] = ()
    """Actions besides what searches do, and when, in minutes; the first is the fault. Without, it is there at 0."""
    hours: float = 2.0
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the search's spec."""
    behaviour: Behaviour = ORDINARY
    begin: Action = lambda _: None
    """An action before everything else."""
    remark: str = ""

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
    codes = [code for *_, code in view.cluster.asked(300)]
    return sum(code in ("", "503") for code in codes) > 0.1 * len(codes)


def is_refused(view: View) -> bool:
    refused = Counter(request[:2] for request in map(tuple, view.cluster.asked(600)) if request[2] == "403")
    return any(count >= 2 for count in refused.values())


def is_stale(view: View) -> bool:
    return view.cluster.operator_age("metatrials") > 180


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


def budget_share(view: View) -> float:
    assert view.search.spec.budget.wall_time
    return view.search.search.wall_seconds(view.cluster.now) / view.search.spec.budget.wall_time.seconds


OPERATOR = (
    Situation(
        "operator killed, and back after 45 s",
        "its container ends and is started again",
        events=((40.25, kill_operator), (41, restart_operator)),
    ),
    Situation(
        "operator down",
        "its container ends, and is not started again",
        {"MetaSearchOperatorDown": at_once},
        ((40.25, kill_operator),),
    ),
    Situation(
        "operator's pod gone",
        "its Deployment is scaled to zero",
        {"MetaSearchOperatorDown": at_once},
        ((40.25, lambda cluster: cluster.replace_operator(is_there=False)),),
    ),
    Situation(
        "operator upgraded",
        "its pod is replaced by another one, which runs 90 s later",
        events=(
            (40.25, lambda cluster: cluster.replace_operator(is_there=False)),
            (41.75, lambda cluster: cluster.replace_operator(is_there=True)),
        ),
        hours=3,
    ),
    Situation(
        "scrapes of the operator fail for a minute",
        "Prometheus gets no answer to two scrapes",
        events=((40.25, faults(scrapes_fail=True)), (41.25, faults(scrapes_fail=False))),
    ),
    Situation(
        "API server away for 2 minutes",
        "no request of the operator or of a worker is answered",
        events=((40.25, faults(api_is_down=True)), (42.25, faults(api_is_down=False))),
    ),
    Situation(
        "API server away for an hour",
        "no request of the operator or of a worker is answered",
        {"MetaSearchApiServerUnavailable": api_fails},
        ((40.25, faults(api_is_down=True)), (100.25, faults(api_is_down=False))),
        hours=3,
    ),
    Situation(
        "API server overloaded",
        "it answers one request in three with 503",
        {"MetaSearchApiServerUnavailable": api_fails},
        ((40.25, faults(api_failing=1 / 3)),),
    ),
    Situation(
        "cache stale",
        "a load balancer keeps watches of trials open and lets nothing through",
        {"MetaSearchOperatorCacheStale": is_stale},
        ((40.25, faults(silent=frozenset({"metatrials"}))),),
    ),
    Situation(
        "all rights taken away",
        "the operator's role binding is deleted",
        {
            "MetaSearchRightsMissing": is_refused,
            "MetaSearchOperatorCacheStale": is_stale,
        },
        ((40.25, faults(forbidden=SERVED)),),
        remark="two alerts: one says why, the other that nothing gets on",
    ),
    Situation(
        "one right taken away",
        "the operator may not write the status of searches",
        {"MetaSearchRightsMissing": is_refused},
        ((40.25, faults(forbidden=frozenset({"metasearches"}))),),
    ),
    Situation(
        "operator fails at a search",
        "each reconcile of it ends in an error",
        {"MetaSearchSearchOperatorError": at_once},
        ((40.25, faults(operator_fails=1.0)),),
    ),
    Situation(
        "one reconcile fails",
        "the next one does what it left undone",
        events=((40.25, faults(operator_fails=1.0)), (40.5, faults(operator_fails=0.0))),
    ),
    Situation(
        "ranking takes 20 minutes",
        "a round's candidates are ranked, and no metric of the search changes",
        events=((40.25, faults(ranks=True)), (60.25, faults(ranks=False))),
    ),
    Situation(
        "status near its limit",
        "it has 140,000 bytes more than it should",
        {"MetaSearchStatusNearLimit": at_once},
        ((40.25, faults(status_bytes=140_000)),),
    ),
)

WORKERS = (
    Situation(
        "invalid spec",
        "a search is made that nobody can read",
        {"MetaSearchSearchInvalid": at_once},
        begin=faults(spec_is_invalid=True),
        hours=1,
    ),
    Situation(
        "spec made invalid",
        "a search that runs is given a field that there is not",
        {"MetaSearchSearchInvalid": at_once},
        ((40.25, faults(spec_is_invalid=True)),),
    ),
    Situation(
        "dataset cannot be used",
        "workers end because a folder of the images is empty",
        {"MetaSearchSearchInvalid": at_once},
        begin=both(problem(ReadyReason.INVALID_DATA), PODS_WAIT),
        hours=1,
    ),
    Situation(
        "quota refuses the pods",
        "the Job controller cannot make any",
        {"MetaSearchWorkersRefused": at_once},
        begin=both(problem(ReadyReason.PODS_REFUSED), NO_PODS),
        hours=1,
    ),
    Situation(
        "queued by Kueue for 2 hours",
        "the Job is not admitted",
        {"MetaSearchSearchQueued": at_once},
        begin=both(problem(ReadyReason.QUEUED), NO_PODS, search(is_queued=True)),
        remark="it is told after an hour: a queue is no fault",
    ),
    Situation(
        "queued by Kueue for 50 minutes",
        "the Job is admitted then",
        begin=both(problem(ReadyReason.QUEUED), NO_PODS, search(is_queued=True)),
        events=((50.25, both(faults(problem=None), search(pods_exist=True))),),
    ),
    Situation(
        "image missing",
        "no node can pull it",
        {"MetaSearchWorkerImageUnavailable": at_once},
        begin=both(problem(ReadyReason.IMAGE_UNAVAILABLE), PODS_WAIT),
        hours=1,
    ),
    Situation(
        "image pulled for 12 minutes",
        "the first pod of a node waits for it",
        begin=PODS_WAIT,
        events=((12.25, search(may_start=True)),),
        hours=1,
    ),
    Situation(
        "nodes are full",
        "no node takes a pod",
        {"MetaSearchWorkersPending": at_once},
        begin=both(problem(ReadyReason.UNSCHEDULABLE), PODS_WAIT),
        hours=1,
    ),
    Situation(
        "most nodes go away",
        "six of eight pods are gone, and no node takes their successors",
        {"MetaSearchWorkersPending": at_once, "MetaSearchWorkersLost": lambda view: view.count(LOST) >= 7},
        ((40.25, both(PODS_WAIT, problem(ReadyReason.UNSCHEDULABLE), lose(6))),),
        fields={"parallelism": 32},
        hours=1.5,
        remark="two alerts: what has been lost, and that nothing comes in its place",
    ),
    Situation(
        "one of eight pods waits for a node",
        "a node has gone, and the search goes on with seven",
        events=((40.25, both(PODS_WAIT, problem(ReadyReason.UNSCHEDULABLE), lose(1))),),
        fields={"parallelism": 32},
    ),
    Situation(
        "workers end before they train",
        "the container ends with an error each time",
        {"MetaSearchWorkersFailing": at_once},
        begin=both(problem(ReadyReason.WORKERS_FAILING), PODS_WAIT),
        hours=1,
    ),
    Situation(
        "storage out of reach",
        "workers end because the bucket does not answer",
        {"MetaSearchWorkersFailing": at_once},
        begin=both(problem(ReadyReason.STORE_UNAVAILABLE), PODS_WAIT),
        hours=1,
    ),
    Situation(
        "worker out of memory",
        "one attempt in three is killed for lack of memory",
        {"MetaSearchWorkersOutOfMemory": lambda view: view.count(Reason.OUT_OF_MEMORY) >= 2},
        ((40.25, search(behaviour=fails(Reason.OUT_OF_MEMORY, 1 / 3, ORDINARY))),),
    ),
    Situation(
        "one worker lost",
        "a pod with eight slots is gone, once",
        events=((40.25, lose(1)),),
        fields={"worker": {"slots": 8}, "parallelism": 16},
    ),
    Situation(
        "workers lost again and again",
        "every 6 minutes a pod with four slots is gone",
        {"MetaSearchWorkersLost": lambda view: view.count(LOST) >= 7},
        tuple((40.25 + 6 * number, lose(1)) for number in range(8)),
    ),
    Situation(
        "results cannot be written",
        "a webhook refuses every write of a worker",
        {"MetaSearchResultsSpooled": lambda view: any(pod.spooled for pod in view.search.pods)},
        ((40.25, search(writes_results=False)),),
    ),
    Situation(
        "workers cut off from the API server",
        "a NetworkPolicy is in the way; the operator is not concerned",
        {
            "MetaSearchResultsSpooled": lambda view: any(pod.spooled for pod in view.search.pods),
            "MetaSearchWorkersLost": lambda view: view.count(LOST) >= 7,
        },
        ((40.25, search(reaches_api=False)),),
        remark="two alerts: what the workers see, and what the operator sees",
    ),
)

TRIALS = (
    Situation(
        "every trial fails",
        "each diverges after 2 minutes",
        {"MetaSearchTrialsFailing": most_fail},
        ((40.25, search(behaviour=fails(Reason.DIVERGED, 1.0, ORDINARY, 120))),),
        fields={"budget": {"maxTrials": 900, "maxFailedTrials": 200}},
        hours=1.5,
    ),
    Situation(
        "every trial fails at once",
        "each ends in an error after half a minute, from the first on",
        behaviour=fails(Reason.ERROR, 1.0, ORDINARY, 30),
        hours=1,
        remark="not told: it fails by `budget.maxFailedTrials` within minutes, and no alert tells of an end",
    ),
    Situation(
        "one trial fails",
        "a candidate diverges",
        events=((40.25, search(behaviour=fails_once_chosen(Reason.DIVERGED, ORDINARY))),),
    ),
    Situation(
        "a candidate fails at every attempt",
        "the others are well",
        events=((40.25, search(behaviour=fails_once_chosen(Reason.ERROR, ORDINARY))),),
    ),
    Situation(
        "every worker hangs",
        "the volume with the images does not answer any more",
        {"MetaSearchSearchStalled": lambda view: view.still_seconds >= 600},
        ((40.25, hang(9)),),
    ),
    Situation(
        "one worker of two hangs",
        "its trials keep the round from its end",
        {"MetaSearchSearchStalled": lambda view: view.still_seconds >= 600},
        ((40.25, hang(1)),),
        hours=3,
        fields={"search": PROGRESSIVE},
        remark="it is seen when nothing else is left to do; until then the search gets on",
    ),
    Situation(
        "budget nearly spent",
        "the search comes to its own end at 97% of `budget.wallTime`",
        {"MetaSearchBudgetNearlySpent": lambda view: budget_share(view) > 0.9},
        fields={"budget": {"maxTrials": 400, "wallTime": "200m"}},
        hours=4,
    ),
    Situation(
        "budget will run out",
        "`budget.wallTime` is half of what the search needs",
        {"MetaSearchBudgetWillRunOut": will_run_out},
        fields={"budget": {"maxTrials": 400, "wallTime": "100m"}},
        hours=1.2,
    ),
    Situation(
        "surrogate no better than chance",
        "scores have nothing to do with cells",
        {"MetaSearchSurrogateNoBetterThanChance": is_no_better_than_chance},
        behaviour=scores_at_random(ORDINARY),
        fields={"search": PROGRESSIVE},
        hours=3,
    ),
    Situation(
        "GPU idle",
        "it computes for 5% of the time, with every slot busy",
        {"MetaSearchGpuIdle": gpus_should_be_busy},
        begin=faults(gpu_activity=0.05),
    ),
    Situation("GPU busy", "it computes for 60% of the time", begin=faults(gpu_activity=0.6)),
    Situation(
        "slots idle",
        "rounds of 4 trials on 32 slots, which Kueue keeps",
        {"MetaSearchSlotsIdle": at_once},
        fields={"parallelism": 32, "search": {**PROGRESSIVE, "progressive": {"beamWidth": 4}}},
        begin=search(is_queued=True),
        hours=3,
    ),
    Situation(
        "few final trainings on many slots",
        "two final trainings of an hour or more on 32 slots, which Kueue keeps",
        fields={
            "parallelism": 32,
            "budget": {"maxTrials": 100},
            "final": {"top": 2, "seeds": 1, "metaIterations": 10_000, "baselines": []},
        },
        begin=search(is_queued=True),
        hours=4,
    ),
    Situation(
        "trials of two hours",
        "each takes two hours to three",
        behaviour=takes(7200, 10_000),
        hours=8,
    ),
    Situation(
        "suspended for 3 hours",
        "`spec.suspend` is set, and taken away again",
        events=((40.25, lambda c: c.searches[0].suspend(True)), (220.25, lambda c: c.searches[0].suspend(False))),
        hours=5,
    ),
    Situation(
        "finished, and kept for hours",
        "a search of 60 trials that has delivered its network",
        fields={"budget": {"maxTrials": 60, "wallTime": "3h"}},
        hours=6,
    ),
    Situation(
        "failed, and kept for hours",
        "a search that may fail 5 times",
        fields={"budget": {"maxTrials": 400, "maxFailedTrials": 5}},
        behaviour=fails(Reason.DIVERGED, 0.3, ORDINARY),
        hours=4,
    ),
    Situation(
        "search deleted",
        "while its trials run",
        events=((40.25, lambda cluster: cluster.delete(cluster.searches[0])),),
    ),
)
