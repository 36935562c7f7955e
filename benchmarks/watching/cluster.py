"""A cluster in virtual time: an operator, searches, an API server, what is wrong with them, and what a scrape gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from prometheus_client import CollectorRegistry

from metasearch.errors import StoreUnavailable
from metasearch.kubernetes.search_status import Condition
from metasearch.metrics import of_worker
from metasearch.metrics.of_search import Observation, samples
from metasearch.outcome.results import summarize
from metasearch.retry import Backoff
from metasearch.search.planner import current_status
from metasearch.search.trials import State
from metasearch_operator.conditions import Situation, compute_conditions, problem_conditions
from metasearch_operator.diagnosis import Problem
from metasearch_operator.metrics import OperatorMetrics
from metasearch_operator.reasons import ReadyReason
from watching.search import SimulatedSearch

STEP_SECONDS = 15.0
"""Time between two looks of the operator at a search."""

SCRAPE_SECONDS = 30.0
"""Time between two scrapes."""

BOOKMARK_SECONDS = 60.0
"""Time between two signs of life of a watch on which nothing happens."""

WATCH_SECONDS = 240.0

KINDS = ("metatrials", "jobs", "pods", "leases")

RETRY = Backoff(first=1.0, longest=60.0)

Series = tuple[str, tuple[tuple[str, str], ...]]
"""A name and labels."""

BASE_STATUS_BYTES, TRIAL_BYTES = 4_000, 90


class Refused(Exception):
    """Stands for an error that the operator does not expect; metrics name it by its class."""


@dataclass
class Faults:
    """Everything that can be wrong besides the searches' own troubles. The fields may be set at any time."""

    operator_is_down: bool = False
    api_is_down: bool = False
    api_failing: float = 0.0
    """Share of requests that the API server answers with 503, though it is there."""
    forbidden: frozenset[str] = frozenset()
    """Kinds that the operator has lost every right on."""
    silent: frozenset[str] = frozenset()
    """Kinds of which watches bring nothing, though they do not break."""
    scrapes_fail: bool = False
    problem: Problem | None = None
    """The trouble that the operator finds in Jobs, pods and events."""
    spec_is_invalid: bool = False
    operator_fails: float = 0.0
    """Share of reconciles that end in an error."""
    ranks: bool = False
    """True while a search waits for its candidates to be ranked."""
    status_bytes: int = 0
    """Bytes of a status besides what it should have."""
    gpu_activity: float | None = None
    """Share of time in which GPUs compute; None where no exporter of DCGM is."""


@dataclass
class Operator:
    """A process of the operator."""

    number: int
    began: float
    heard: dict[str, float] = field(default_factory=dict)
    """Time at which each kind was last heard of."""
    tried: dict[str, float] = field(default_factory=dict)
    """Time at which each kind, or each search, was last tried in vain."""
    now: float = 0.0

    plurals = KINDS

    def __post_init__(self) -> None:
        self.metrics = OperatorMetrics(clock=lambda: self.now)
        self.metrics.follow_cache(self)  # type: ignore[arg-type]
        self.heard = dict.fromkeys(KINDS, self.began)

    def age_seconds(self, plural: str) -> float:
        """Return the age of the copies of a kind."""
        return self.now - self.heard[plural]

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels that Prometheus gives to what it scrapes of it."""
        pod = f"metasearch-{self.number}"
        return {
            "job": "ops/metasearch-operator",
            "namespace": "ops",
            "instance": f"10.0.0.{self.number}:8081",
            "pod": pod,
            "container": "operator",
        }


@dataclass
class Cluster:
    """Everything that there is, at a time that only goes forward."""

    searches: list[SimulatedSearch] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)
    operator: Operator | None = None
    """None where its Deployment has no pod."""
    now: float = 0.0

    def __post_init__(self) -> None:
        self.operator = Operator(1, self.now)
        self._random = np.random.default_rng(0)
        self._conditions: dict[tuple[str, str], tuple[Condition, ...]] = {}
        self._last_number = 1
        self.requests: list[tuple[float, str, str, str]] = []
        """Time, verb, kind and code of the operator's requests."""

    def asked(self, seconds: float) -> list[tuple[str, str, str]]:
        """Return verb, kind and code of the operator's requests within the last seconds."""
        return [request for at, *request in self.requests if at > self.now - seconds]  # type: ignore[misc]

    # --- what may be done to it ---

    def restart_operator(self) -> None:
        """Kill the container: its successor has the pod's address."""
        assert self.operator
        self.operator = Operator(self.operator.number, self.now)

    def replace_operator(self, is_there: bool) -> None:
        """Take the operator's pod away, or make another one."""
        self._last_number += is_there
        self.operator = Operator(self._last_number, self.now) if is_there else None

    def delete(self, search: SimulatedSearch) -> None:
        """Delete a search."""
        self.searches.remove(search)
        if self.operator:
            self.operator.metrics.remove(search.key)

    def operator_age(self, kind: str) -> float:
        """Return the age of the operator's copies of a kind, in seconds."""
        assert self.operator
        return self.operator.age_seconds(kind)

    # --- time ---

    def step(self) -> None:
        """Let time pass by one step."""
        self.now += STEP_SECONDS
        for search in self.searches:
            search.work(self.now, STEP_SECONDS, not self.faults.api_is_down)
            if search.spec.suspend:
                search.paused_seconds += STEP_SECONDS
        if self.operator and not self.faults.operator_is_down:
            self.operator.now = self.now
            self._watch(self.operator)
            for search in self.searches:
                self._reconcile(self.operator, search)

    def _watch(self, operator: Operator) -> None:
        for kind in KINDS:
            age = operator.age_seconds(kind)
            if self.faults.api_is_down or (kind in self.faults.forbidden and age >= BOOKMARK_SECONDS):
                if self.now - operator.tried.get(kind, 0.0) >= 2 * STEP_SECONDS:  # pauses grow to 30 s
                    operator.tried[kind] = self.now
                    self._request("GET", kind)
            elif kind in self.faults.silent:
                continue
            elif age >= BOOKMARK_SECONDS or operator.tried.pop(kind, 0.0):
                operator.heard[kind] = self.now
                if self.now % WATCH_SECONDS < BOOKMARK_SECONDS:
                    self._request("WATCH", kind)

    def _request(self, verb: str, resource: str) -> None:
        """
        Send a request of the operator.

        Raises:
            StoreUnavailable: there was no answer, or 503.
            Refused: the right is missing.
        """
        assert self.operator
        code = "200"
        if self.faults.api_is_down:
            code = ""
        elif resource.partition("/")[0] in self.faults.forbidden:
            code = "403"
        elif self._random.random() < self.faults.api_failing:
            code = "503"
        self.operator.metrics.request(verb, resource, code, 0.01)
        self.requests.append((self.now, verb, resource, code))
        if verb not in ("GET", "WATCH"):
            if code in ("", "503"):
                raise StoreUnavailable("the API server does not answer")
            if code == "403":
                raise Forbidden

    def _reconcile(self, operator: Operator, search: SimulatedSearch) -> None:
        """Do what the operator's loop does for a search: it tries a failed one again after a pause."""
        failed_at = operator.tried.get(search.name)
        if failed_at is not None and self.now - failed_at < RETRY.longest:
            return
        operator.tried.pop(search.name, None)
        if self.faults.ranks:
            return
        try:
            with operator.metrics.reconcile():
                if self._random.random() < self.faults.operator_fails:
                    raise Refused
                self._apply(search)
            if self.now % SCRAPE_SECONDS == 0 or search.completed_at == self.now:  # what nobody sees is left out
                self._show(operator, search)
            if not search.is_over or search.completed_at == self.now:
                self._request("PATCH", "metasearches/status")
        except StoreUnavailable:
            operator.tried[search.name] = self.now
        except (Refused, Forbidden):
            operator.tried[search.name] = self.now
            self._report(operator, search, Problem(ReadyReason.OPERATOR_ERROR, "it failed"))

    def _apply(self, search: SimulatedSearch) -> None:
        if self.faults.spec_is_invalid:
            return
        if self.faults.silent or search.is_over:  # with old copies there is nothing new to decide
            return
        before = len(search.trials)
        if search.spec.suspend:
            search.plan = current_status(search.search, list(search.trials.values()), self.now)
        else:
            if not self.faults.api_is_down:
                search.release_lost(self.now)
            if self.faults.api_is_down or "metatrials" in self.faults.forbidden:
                self._request("POST", "metatrials")
            search.decide(self.now)
        for _ in range(len(search.trials) - before):
            self._request("POST", "metatrials")
        search.scale(self.now)

    def _show(self, operator: Operator, search: SimulatedSearch) -> None:
        """Expose a search as a reconcile leaves it."""
        faults = self.faults
        if search.completed_at not in (None, self.now) and operator.metrics.shows(search.key):
            return
        if faults.spec_is_invalid:
            self._report(operator, search, Problem(ReadyReason.INVALID_SPEC, "no such field"))
            return
        if faults.silent and operator.metrics.shows(search.key):
            return
        at = search.completed_at or self.now
        trials = list(search.trials.values())
        phases = Counter("Pending" if pod.running_at is None else "Running" for pod in search.pods)
        situation = Situation(
            search.spec,
            search.plan,
            phases["Running"],
            sum(trial.state is State.RUNNING for trial in trials),
            faults.problem,
            (),
        )
        seen = Observation(
            search.namespace,
            summarize(search.search, trials, search.plan, at),
            trials,
            completed_at=search.completed_at,
            status_bytes=BASE_STATUS_BYTES + TRIAL_BYTES * min(200, len(trials)) + faults.status_bytes,
            workers=phases,
        )
        before = self._conditions.get(search.key, ())
        self._conditions[search.key] = compute_conditions(situation, before, 1, self.now)
        operator.metrics.show(search.key, self._conditions[search.key], samples(seen))

    def _report(self, operator: Operator, search: SimulatedSearch, problem: Problem) -> None:
        before = self._conditions.get(search.key, ())
        self._conditions[search.key] = problem_conditions(problem, before, 1, self.now)
        operator.metrics.show(search.key, self._conditions[search.key], None)

    # --- what a scrape gives ---

    def scrape(self) -> Iterator[tuple[Series, float]]:
        """Yield every sample of one scrape of everything, with `up`."""
        if self.operator:
            is_up = not (self.faults.operator_is_down or self.faults.scrapes_fail)
            yield ("up", tuple(self.operator.labels.items())), float(is_up)
            if is_up:
                yield from _collected(self.operator.metrics.registry, self.operator.labels)
        for search in self.searches:
            for pod in search.running_pods:
                own = {"job": "ops/metasearch-workers", "instance": f"{pod.name}:8081", "pod": pod.name}
                yield ("up", tuple({**own, "namespace": search.namespace}.items())), 1.0
                yield from _of_worker(search, own, pod.busy_seconds, len(pod.spooled))
                if self.faults.gpu_activity is not None:
                    yield from _of_gpu(search, pod.name, self.faults.gpu_activity)


class Forbidden(Exception):
    """Stands for the error of the same name by which the API server refuses a right."""


def _collected(registry: CollectorRegistry, labels: Mapping[str, str]) -> Iterator[tuple[Series, float]]:
    """Yield a registry's samples; labels of their own stand against the target's."""
    for family in registry.collect():
        for sample in family.samples:
            yield (sample.name, tuple({**labels, **sample.labels}.items())), sample.value


def _of_worker(
    search: SimulatedSearch, labels: Mapping[str, str], busy_seconds: float, spooled: int
) -> Iterator[tuple[Series, float]]:
    own = {**labels, "namespace": search.namespace, "search": search.name}
    yield (of_worker.SLOT_BUSY_SECONDS.name, tuple(own.items())), busy_seconds
    yield (of_worker.SPOOLED.name, tuple(own.items())), float(spooled)


def _of_gpu(search: SimulatedSearch, pod: str, activity: float) -> Iterator[tuple[Series, float]]:
    labels = {
        "job": "dcgm-exporter",
        "instance": "node-1:9400",
        "namespace": "gpu-operator",
        "pod": "dcgm-exporter-1",
        "exported_namespace": search.namespace,
        "exported_pod": pod,
        "gpu": "0",
    }
    yield ("DCGM_FI_PROF_GR_ENGINE_ACTIVE", tuple(labels.items())), activity
