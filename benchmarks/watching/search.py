"""A search with its pods in virtual time: the real planner, strategy and life of trials, with invented results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from metasearch.api import MetaSearchSpec
from metasearch.search import trials as life
from metasearch.search.build import build_search
from metasearch.search.planner import Phase, Plan, Search, plan
from metasearch.search.space import CellSpace
from metasearch.search.trials import (
    LOST,
    Accuracies,
    Accuracy,
    Progress,
    Reason,
    Stage,
    StaleClaim,
    State,
    Trial,
    TrialResult,
    TrialSpec,
)
from metasearch.stores.order import sort_key
from metasearch_operator.jobs import desired_pods
from remaining import Trials

Behaviour = Callable[[TrialSpec, float, np.random.Generator], tuple[float, TrialResult]]
"""Invents how many seconds of work an attempt takes, and its end, by the million multiply-adds of its network."""

TYPICAL_MILLION = 5.0
"""Multiply-adds of a network of the space below, in the middle."""

START_SECONDS = 40.0
"""Time from the creation of a pod until it runs."""

SILENT_SECONDS = 60.0
"""Time after which the operator takes a worker for lost that renews no lease."""

GAINS = {"conv3x3": 0.04, "conv5x5": 0.055, "maxpool3x3": 0.015, "identity": -0.02}
"""The gain in score by each operation of a cell; a cell of four blocks has eight operations."""

DEFAULTS: dict[str, Any] = {
    "dataset": {"name": "omniglot"},
    "space": {"operations": list(GAINS), "maxBlocks": 3},
    "search": {"strategy": "Random", "confirmations": 0},  # it plans in no time
    "training": {"metaIterations": 400},
    "final": {"top": 2, "seeds": 2, "metaIterations": 1000, "baselines": ["Conv4"]},
    "budget": {"maxTrials": 400},
    "worker": {"slots": 4},
    "parallelism": 8,
}


@dataclass
class Attempt:
    """A trial that a slot works on."""

    name: str
    epoch: int
    seconds: float
    """The work that it takes in all."""
    result: TrialResult
    done: float = 0.0
    """Seconds of work that are done."""


@dataclass
class Pod:
    """A worker pod."""

    name: str
    created_at: float
    running_at: float | None = None
    slots: dict[int, Attempt] = field(default_factory=dict)
    spooled: list[Attempt] = field(default_factory=list)
    """Attempts that have ended, with a result that could not be written."""
    busy_seconds: float = 0.0
    idle_since: float = 0.0
    silent_since: float | None = None
    """Time since which it has renewed no lease; None while it does."""
    hangs: bool = False


@dataclass
class SimulatedSearch:
    """A search, its trials, its pods, and what is wrong with them. The public fields may be set at any time."""

    name: str
    started_at: float
    fields: dict[str, Any]
    behaviour: Behaviour
    namespace: str = "team-a"
    seed: int = 0

    is_queued: bool = False
    """Kueue manages its Job: it has all of its pods or none."""
    may_start: bool = True
    """False while new pods do not come to run."""
    pods_exist: bool = True
    """False while no pod comes to be: a quota or a queue."""
    most_pods: int = 1_000
    """As many pods as a quota lets it have."""
    writes_results: bool = True
    reaches_api: bool = True

    trials: dict[str, Trial] = field(default_factory=dict, init=False)
    pods: list[Pod] = field(default_factory=list, init=False)
    paused_seconds: float = field(default=0.0, init=False)
    completed_at: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.spec = MetaSearchSpec.model_validate({**DEFAULTS, **self.fields})
        self._search = build_search(self.name, self.spec, self.started_at)
        self._random = np.random.default_rng(self.seed)
        assert isinstance(self._search.space, CellSpace)
        self._sizes = Trials(self._search.space, self.spec)
        self._made = 0
        self._seen: dict[str, Trial] | None = None
        self._planned_at = 0.0
        self.plan = Plan(Phase.SEARCHING)

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.name

    @property
    def search(self) -> Search:
        """The search with the pauses until now."""
        return replace(self._search, spec=self.spec, paused_seconds=self.paused_seconds)

    @property
    def is_over(self) -> bool:
        return self.plan.phase.is_over

    @property
    def running_pods(self) -> Sequence[Pod]:
        return [pod for pod in self.pods if pod.running_at is not None]

    def suspend(self, is_suspended: bool) -> None:
        """Set `spec.suspend`."""
        self.spec = self.spec.model_copy(update={"suspend": is_suspended})

    # --- the operator's part ---

    def decide(self, now: float) -> None:
        """Plan and apply, as a reconcile does; where nothing has happened, once a minute, for limits of time."""
        if self.is_over or (self.trials == self._seen and now < self._planned_at + 60):
            return
        self.plan = plan(self.search, list(self.trials.values()), now)
        for spec in self.plan.propose:
            self.trials.setdefault(spec.name, Trial(spec=spec, created_at=now))
        self.trials |= {name: life.request_stop(self.trials[name]) for name in self.plan.stop}
        self._seen, self._planned_at = dict(self.trials), now
        if self.plan.phase.is_over:
            self.completed_at = now

    def scale(self, now: float) -> None:
        """Have as many pods as are needed."""
        if self.is_over or self.spec.suspend or not self.pods_exist:
            for pod in list(self.pods):
                self.lose(pod, now)
            return
        trials = list(self.trials.values())
        wanted = min(desired_pods(self.spec, trials, now, in_queue=self.is_queued), self.most_pods)
        while len(self.pods) < wanted:
            self._made += 1
            self.pods.append(Pod(f"{self.name}-workers-{self._made}", now))
        spare = [pod for pod in self.pods if not pod.slots and not pod.spooled]
        for pod in spare[: len(self.pods) - wanted]:
            self.pods.remove(pod)

    def release_lost(self, now: float) -> None:
        """Release trials whose worker is silent."""
        for pod in self.pods:
            if pod.silent_since is not None and now - pod.silent_since > SILENT_SECONDS:
                self._release(pod, now)

    def lose(self, pod: Pod, now: float) -> None:
        """Take a pod away, with whatever it works on."""
        self.pods.remove(pod)
        self._release(pod, now)

    def _release(self, pod: Pod, now: float) -> None:
        for attempt in [*pod.slots.values(), *pod.spooled]:
            trial = self.trials[attempt.name]
            if trial.state is State.RUNNING and trial.epoch == attempt.epoch:
                self.trials[attempt.name] = life.release(trial, now, LOST)

    # --- the workers' part ---

    def work(self, now: float, seconds: float, api_is_up: bool) -> None:
        """Let pods start, and slots work for a time."""
        api = api_is_up and self.reaches_api
        pending = sorted((t.spec for t in self.trials.values() if t.state is State.PENDING), key=sort_key, reverse=True)
        for pod in self.pods:
            if pod.running_at is None:
                if self.may_start and now - pod.created_at >= START_SECONDS:
                    pod.running_at = pod.idle_since = now
                continue
            pod.silent_since = None if api else pod.silent_since or now
            if pod.hangs:
                pod.busy_seconds += seconds * len(pod.slots)
                continue
            self._send(pod, now, api)
            for slot in range(self.spec.worker.slots):
                self._work(pod, slot, now, seconds, api)
                if api and slot not in pod.slots and not pod.spooled and pending and not self.is_over:
                    self._claim(pod, slot, pending.pop(), now)

    def _work(self, pod: Pod, slot: int, now: float, seconds: float, api: bool) -> None:
        attempt = pod.slots.get(slot)
        if attempt is None:
            return
        pod.busy_seconds += seconds
        attempt.done += seconds
        trial = self.trials[attempt.name]
        if trial.epoch != attempt.epoch or trial.state is not State.RUNNING or trial.stop_requested:
            del pod.slots[slot]
            if trial.stop_requested and trial.state is State.RUNNING:
                cut = TrialResult(state=State.STOPPED, reason=Reason.BUDGET_EXHAUSTED, message="cut short")
                self.trials[attempt.name] = life.complete(trial, attempt.epoch, cut, now, 1)
        elif attempt.done >= attempt.seconds:
            del pod.slots[slot]
            pod.spooled.append(attempt)
            self._send(pod, now, api)
        elif api and self.writes_results:
            share = attempt.done / attempt.seconds
            progress = Progress(meta_iteration=int(share * trial.spec.meta_iterations))
            self.trials[attempt.name] = life.report(trial, attempt.epoch, progress)

    def _send(self, pod: Pod, now: float, api: bool) -> None:
        """Write the results that wait."""
        if not (api and self.writes_results):
            return
        for attempt in pod.spooled:
            trial = self.trials[attempt.name]
            try:
                self.trials[attempt.name] = life.complete(
                    trial, attempt.epoch, attempt.result, now, self.spec.budget.max_attempts
                )
            except StaleClaim:
                continue
        pod.spooled.clear()

    def _claim(self, pod: Pod, slot: int, spec: TrialSpec, now: float) -> None:
        seconds, result = self.behaviour(spec, self._sizes.million(spec), self._random)
        self.trials[spec.name] = life.claim(self.trials[spec.name], f"{pod.name}.{slot}-1", now, 0.25)
        pod.slots[slot] = Attempt(spec.name, self.trials[spec.name].epoch, seconds, result)


# --- behaviours ---------------------------------------------------------------------------------------------------


def takes(least: float, most: float) -> Behaviour:
    """Return a behaviour: trials succeed after a time that is drawn evenly, and grows with the network and training."""

    def behaviour(spec: TrialSpec, million: float, random: np.random.Generator) -> tuple[float, TrialResult]:
        seconds = float(random.uniform(least, most)) * million / TYPICAL_MILLION * spec.meta_iterations / 400
        return seconds, measured(spec, million, seconds, noise=float(random.normal(0, 0.01)))

    return behaviour


def fails(reason: Reason, share: float, otherwise: Behaviour, seconds: float = 60.0) -> Behaviour:
    """Return a behaviour: a share of attempts fails."""

    def behaviour(spec: TrialSpec, million: float, random: np.random.Generator) -> tuple[float, TrialResult]:
        if random.random() < share:
            return seconds, TrialResult(state=State.FAILED, reason=reason, message="as it was to be")
        return otherwise(spec, million, random)

    return behaviour


def fails_once_chosen(reason: Reason, otherwise: Behaviour, seconds: float = 60.0) -> Behaviour:
    """Return a behaviour: the first trial that is claimed fails at every attempt, the others do not."""
    chosen: list[str] = []

    def behaviour(spec: TrialSpec, million: float, random: np.random.Generator) -> tuple[float, TrialResult]:
        chosen.append(spec.name)
        if spec.name == chosen[0]:
            return seconds, TrialResult(state=State.FAILED, reason=reason, message="as it was to be")
        return otherwise(spec, million, random)

    return behaviour


def scores_at_random(otherwise: Behaviour) -> Behaviour:
    """Return a behaviour: scores differ, and have nothing to do with the cell."""

    def behaviour(spec: TrialSpec, million: float, random: np.random.Generator) -> tuple[float, TrialResult]:
        seconds, _ = otherwise(spec, million, random)
        return seconds, measured(spec, million, seconds, score=float(random.uniform(0.4, 0.8)))

    return behaviour


def measured(
    spec: TrialSpec, million: float, seconds: float, noise: float = 0.0, score: float | None = None
) -> TrialResult:
    """Return the result of a trial that ran to its end."""
    cell = spec.candidate.architecture
    gain = sum(gain * cell.count(operation) for operation, gain in GAINS.items())
    mean = 0.45 + gain + noise if score is None else score
    accuracy = Accuracy(mean, 0.005, 100)
    accuracies = Accuracies(accuracy, accuracy, accuracy)
    is_final = spec.stage is not Stage.SEARCH
    return TrialResult(
        state=State.SUCCEEDED,
        meta_iterations=spec.meta_iterations,
        score=mean,
        score_error=0.005,
        validation=accuracies,
        test=accuracies if is_final else None,
        weights="w" if is_final else None,
        parameter_count=round(1e4 * million),
        multiply_adds=round(1e6 * million),
        image_channels=1,
        image_side=28,
        wall_seconds=seconds,
    )
