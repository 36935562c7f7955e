"""Everything that is scraped while searches run: the operator, worker pods, and an exporter of GPU metrics."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from builders import make_search
from prometheus_client import CollectorRegistry, Gauge
from simulated_search import Behaviour, Moment, healthy, moments, out_of_memory

from metasearch.kubernetes.search_status import Condition, ConditionStatus
from metasearch.metrics import of_search, of_worker
from metasearch.metrics.exposition import counter, gauge, histogram
from metasearch.metrics.model import Kind, Sample
from metasearch.metrics.of_search import Observation, samples
from metasearch.outcome.results import SearchResult, summarize
from metasearch.search.planner import Phase, Search
from metasearch.search.trials import State
from metasearch_operator.metrics import OperatorMetrics

SLOTS_PER_WORKER = 4
GPU_SHARE = 1 / SLOTS_PER_WORKER
"""The share of a GPU that a slot holds: a worker has one."""

FIRST_NAMESPACE = "team-a"

SPACE = {"operations": ["conv3x3", "conv5x5", "maxpool3x3", "identity"], "maxBlocks": 4}


@dataclass(frozen=True)
class WatchedSearch:
    """A search with everything that was on record of it, time by time."""

    namespace: str
    search: Search
    moments: Sequence[Moment]
    workers: Mapping[str, int]
    """Worker pods by phase, while it is under way."""
    ready: tuple[bool, str] = (True, "Searching")
    """The status of Ready and its reason, while it is under way."""

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.search.name

    def seen(self, at: float) -> Moment | None:
        """Return the latest moment before a time; None before the search began."""
        index = bisect_right([moment.at for moment in self.moments], at)
        return self.moments[index - 1] if index else None


def watched(
    name: str, namespace: str, started_at: float, behaviour: Behaviour, workers: int = 2, step: float = 30, **spec: Any
) -> WatchedSearch:
    """Simulate a search to its end; keywords are fields of its spec as in YAML."""
    fields = {
        "space": SPACE,
        "search": {"progressive": {"beamWidth": 8}},
        "training": {"metaIterations": 400},
        "final": {"top": 2, "seeds": 2, "metaIterations": 1000, "baselines": ["Conv4"]},
        "worker": {"slots": SLOTS_PER_WORKER},
        **spec,
    }
    search = replace(make_search(**fields), name=name, started_at=started_at)
    slots = max(1, workers * SLOTS_PER_WORKER)
    found = moments(search, behaviour, slots, step, GPU_SHARE if workers else 0.0)
    return WatchedSearch(namespace, search, list(found), {"Running": workers})


def finishing(name: str, namespace: str, started_at: float, **spec: Any) -> WatchedSearch:
    """Simulate a search that ends with a network, after crashes and failures."""
    budget = {"maxTrials": 90, "wallTime": "8h", "gpuHours": "20", **spec.pop("budget", {})}
    return watched(name, namespace, started_at, healthy, budget=budget, **spec)


def failing(name: str, namespace: str, started_at: float, **spec: Any) -> WatchedSearch:
    """Simulate a search whose workers lack memory, until it may fail no more."""
    budget = {"maxTrials": 90, "maxFailedTrials": 12, **spec.pop("budget", {})}
    return watched(name, namespace, started_at, out_of_memory, budget=budget, **spec)


def waiting(name: str, namespace: str, started_at: float) -> WatchedSearch:
    """Return a search whose workers no node takes."""
    made = watched(name, namespace, started_at, healthy, budget={"maxTrials": 5})
    first = replace(made.moments[0], trials=[replace_pending(each) for each in made.moments[0].trials])
    return replace(made, moments=[first], workers={"Pending": 2}, ready=(False, "Unschedulable"))


def replace_pending(trial: Any) -> Any:
    """Return a trial as it was before any claim."""
    return replace(trial, state=State.PENDING, attempts=(), epoch=0, progress=type(trial.progress)())


# --- what is scraped ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """Something that is scraped, and the labels that Prometheus gives to it."""

    registry: CollectorRegistry
    labels: Mapping[str, str]


@dataclass
class WatchedCluster:
    """An operator with searches and their workers, at a time that only goes forward."""

    searches: Sequence[WatchedSearch]
    invalid: Sequence[tuple[str, str]] = ()
    """Namespaces and names of searches whose spec nobody can read; they have conditions and nothing else."""
    has_faults: bool = False
    """True where the operator has met errors."""
    _now: float = field(default=0.0, init=False)
    _clock: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(0)
        self._operator = OperatorMetrics(clock=lambda: self._clock)
        self._operator.follow_cache(_Cache())  # type: ignore[arg-type]
        self._workers = {
            each.key: [Worker(each, index) for index in range(each.workers.get("Running", 0))] for each in self.searches
        }
        self._gpus = [GpuExporter("exported_"), GpuExporter("")]

    def targets(self) -> Iterator[Target]:
        """Yield everything that may be scraped, workers of ended searches included; those have no samples."""
        yield Target(self._operator.registry, {"job": "metasearch-operator", "instance": "10.0.0.1:8081"})
        for workers in self._workers.values():
            for worker in workers:
                yield Target(worker.registry, {"job": "metasearch-workers", "pod": worker.pod, "instance": worker.pod})
        for index, exporter in enumerate(self._gpus):
            own = {"pod": f"dcgm-exporter-{index}", "namespace": "gpu-operator", "instance": f"node-{index}"}
            yield Target(exporter.registry, {"job": "dcgm-exporter", **own})

    def show(self, now: float) -> None:
        """Expose everything as it is at a time."""
        seconds, self._now = now - (self._now or now), now
        for each in self.searches:
            moment = each.seen(now)
            if moment is None:
                continue
            is_over = moment.decided.phase.is_over
            result = summarize(each.search, moment.trials, moment.decided, moment.at if is_over else now)
            self._operator.show(each.key, _conditions(each, moment.decided.phase), _samples(each, moment, result))
            busy = sum(trial.state is State.RUNNING for trial in moment.trials)
            workers = [] if is_over else self._workers[each.key]
            if is_over:
                self._remove_workers(each)
            for worker in workers:
                worker.work(seconds, busy / len(workers), self._random)
                activity = float(self._random.uniform(0.5, 0.7)) * busy / len(workers) / SLOTS_PER_WORKER
                self._gpus_of(each).activity.labels("0", each.namespace, worker.pod).set(activity)
        for key in self.invalid:
            self._operator.show(key, _described([("Ready", False, "InvalidSpec")], now), None)
        for exporter in self._gpus:
            exporter.activity.labels("7", "team-z", "somebody-elses").set(0.99)
        self._reconcile(seconds)

    def _gpus_of(self, search: WatchedSearch) -> GpuExporter:
        """Return the exporter of the node that runs a search: each namespace has a node."""
        return self._gpus[search.namespace != FIRST_NAMESPACE]

    def _remove_workers(self, search: WatchedSearch) -> None:
        for worker in self._workers[search.key]:
            worker.leave()
            exporter = self._gpus_of(search)
            exporter.activity.remove_by_labels({f"{exporter.prefix}pod": worker.pod})

    def _reconcile(self, seconds: float) -> None:
        """Do what an operator does in that time, once a second at most."""
        for _ in range(max(1, min(20, int(seconds)))):
            with self._operator.reconcile():
                self._clock += float(self._random.exponential(0.05))
            for verb, resource in (("get", "metasearches"), ("patch", "metasearches/status"), ("post", "metatrials")):
                self._operator.request(verb, resource, "200", float(self._random.exponential(0.01)))
        with self._operator.ranking():
            self._clock += float(self._random.exponential(2.0))
        if self.has_faults:
            self._operator.request("patch", "metasearches/status", "409", 0.01)
            self._operator.watch_broke("metatrials", "Silent")
            try:
                with self._operator.reconcile():
                    raise TimeoutError
            except TimeoutError:
                pass


class GpuExporter:
    """NVIDIA's DCGM exporter. Its labels may be renamed by Prometheus, where that keeps the names for its own."""

    def __init__(self, prefix: str) -> None:
        """
        Args:
            prefix: `exported_` where they are renamed.
        """
        self.prefix = prefix
        self.registry = CollectorRegistry()
        self.activity = Gauge(
            "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
            "Ratio of time the graphics engine is active.",
            ("gpu", f"{prefix}namespace", f"{prefix}pod"),
            registry=self.registry,
        )


class _Cache:
    """The copies of an operator that hears of everything."""

    plurals = ("metasearches", "metatrials", "jobs", "pods")

    @staticmethod
    def age_seconds(plural: str) -> float:
        return 5.0 + 7 * len(plural) % 40


class Worker:
    """The metrics of a worker's pod."""

    def __init__(self, search: WatchedSearch, index: int) -> None:
        self.pod = f"{search.search.name}-workers-{index}"
        self._labels = search.key
        self.registry = CollectorRegistry()
        self._made = {
            metric: {Kind.COUNTER: counter, Kind.GAUGE: gauge, Kind.HISTOGRAM: histogram}[metric.kind](
                metric, self.registry
            )
            for metric in of_worker.METRICS
        }

    def work(self, seconds: float, busy_slots: float, random: np.random.Generator) -> None:
        """Work for a time."""
        speed = float(random.uniform(3.5, 4.5))
        for metric, amount in (
            (of_worker.META_ITERATIONS, speed * busy_slots),
            (of_worker.TASKS, 5 * speed * busy_slots),
            (of_worker.IMAGES, 400 * speed * busy_slots),
            (of_worker.SLOT_BUSY_SECONDS, 0.97 * busy_slots),
            (of_worker.CPU_SECONDS, 0.9 * busy_slots),
            (of_worker.GPU_SECONDS, 1.0),
        ):
            self._of(metric).inc(amount * seconds)
        self._of(of_worker.SWITCH_SECONDS).observe(float(random.exponential(0.3)))
        self._of(of_worker.MEMORY).set(1.5e9 + 4e8 * busy_slots)
        self._of(of_worker.GPU_MEMORY).set(9e8 * busy_slots)
        self._of(of_worker.SPOOLED).set(0)

    def leave(self) -> None:
        """Expose nothing any more, as a pod that is gone."""
        for instrument in self._made.values():
            instrument.clear()

    def _of(self, metric: of_search.Metric) -> Any:
        return self._made[metric].labels(*self._labels)


def _samples(each: WatchedSearch, moment: Moment, result: SearchResult) -> list[Sample]:
    is_over = moment.decided.phase.is_over
    return samples(
        Observation(
            each.namespace,
            result,
            moment.trials,
            completed_at=moment.at if is_over else None,
            status_bytes=4_000 + 90 * len(moment.trials),
            workers={} if is_over else each.workers,
        )
    )


def _conditions(each: WatchedSearch, phase: Phase) -> list[Condition]:
    is_ready, reason = each.ready
    if phase.is_over:
        is_ready, reason = phase is Phase.SUCCEEDED, phase.value
    described = [
        ("Ready", is_ready, reason),
        ("Progressing", is_ready and not phase.is_over, reason),
        ("Succeeded", phase is Phase.SUCCEEDED, "NetworkFound" if phase is Phase.SUCCEEDED else "InProgress"),
        ("Failed", phase is Phase.FAILED, "NoNetwork" if phase is Phase.FAILED else "InProgress"),
        ("Suspended", False, "NotSuspended"),
        ("BudgetExhausted", phase is Phase.FAILED, "MaxFailedTrials" if phase is Phase.FAILED else "WithinBudget"),
    ]
    return _described(described, each.search.started_at)


def _described(described: Sequence[tuple[str, bool, str]], at: float) -> list[Condition]:
    """Return conditions of these types, whether they are so, and the reasons."""
    return [
        Condition(
            type=type,
            status=ConditionStatus.TRUE if status else ConditionStatus.FALSE,
            reason=reason,
            message="",
            last_transition_time=datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        for type, status, reason in described
    ]
