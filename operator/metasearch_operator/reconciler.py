"""
Reconcile one MetaSearch: observe, plan, apply, and compute its status and events.

It runs in a thread, because it waits for the API server. All it knows comes from the resource and the cache.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from metasearch.api import MetaSearchSpec
from metasearch.cluster.api import Api, Refused
from metasearch.cluster.reflector import SearchKey
from metasearch.errors import InvalidSpec, StoreUnavailable
from metasearch.kubernetes.names import LABEL_SEARCH
from metasearch.kubernetes.pod_settings import PodSettings
from metasearch.kubernetes.search_status import SearchStatus
from metasearch.kubernetes.timing import Timing, timing_of
from metasearch.kubernetes.trial_conversion import OldTrial
from metasearch.kubernetes.worker_job import worker_image, worker_job
from metasearch.loading import parse_search
from metasearch.metrics.model import Sample
from metasearch.metrics.of_search import Observation, samples
from metasearch.outcome.ends import end_of, stays_ended, with_end
from metasearch.outcome.results import SearchResult, summarize
from metasearch.outcome.summary import recorded_ends, search_status
from metasearch.plurals import counted
from metasearch.reconcile import Step, reconcile
from metasearch.search import budget
from metasearch.search.build import build_search, require_known_names, require_possible
from metasearch.search.planner import Search, belongs_to, current_status
from metasearch.search.trials import Stage, State, Trial
from metasearch.storage_layout import search_folder
from metasearch.stores.kubernetes import KubernetesStore
from metasearch_operator.cache import Cache, CachedTrial
from metasearch_operator.conditions import (
    Situation,
    compute_conditions,
    has_ended,
    problem_conditions,
    still_ended_conditions,
)
from metasearch_operator.diagnosis import FIRST_POD_SECONDS, Problem, diagnose, job_without_pods
from metasearch_operator.events import Event, events_between
from metasearch_operator.jobs import delete_jobs, desired_pods, ensure_job
from metasearch_operator.lost_workers import find_orphaned, release
from metasearch_operator.ranking_process import RankingProcess, SubprocessStrategy
from metasearch_operator.reasons import ReadyReason
from metasearch_operator.searches import recorded_status, search_key, status_json
from metasearch_operator.stuck_pods import remove_stuck_pods

Json = dict[str, Any]

FIGURES = frozenset(
    {
        *("spent", "left", "progress", "trials", "trials_done", "rounds", "examination", "predicted_by"),
        *("ranked", "best_score", "front"),
    }
)
"""Fields of a status that change with every trial, and may be written a little later than the rest."""


@dataclass(frozen=True)
class ReconcileResult:
    """The result of one reconcile, as values: they become JSON only where they are written."""

    status: SearchStatus
    """The status that should be on record."""
    is_urgent: bool
    """True if more than figures has changed, so that the status should be written at once."""
    requeue_after_seconds: float = math.inf
    """Time until something is due that no change of the cache announces."""
    events: Sequence[Event] = ()
    """Events to post once the status is written."""
    samples: Sequence[Sample] | None = None
    """The search's metrics; None where it was not evaluated."""


@dataclass(frozen=True)
class Reconciler:
    """Reconciles searches with one API server. Safe to use from several threads, for different searches."""

    api: Api
    cache: Cache
    pod_settings: PodSettings
    ranking: RankingProcess
    now: Callable[[], float]
    """Unix time in seconds."""
    is_shown: Callable[[SearchKey], bool] = lambda _: True
    """Tells whether there are metrics of a search; where not, one that has ended is evaluated for them, too."""

    def reconcile(self, resource: Json) -> ReconcileResult:
        """
        Bring a search one step nearer to its end.

        Args:
            resource: the MetaSearch, as read from the cluster; it may be behind.

        Raises:
            StoreUnavailable: the API server cannot be reached now; the next reconcile does what is missing.
            Forbidden: the operator has no rights in the search's namespace.
        """
        self.cache.require_synced(resource["metadata"]["namespace"])
        try:
            spec = parse_search(resource, where=f"MetaSearch {resource['metadata']['name']}").spec
            require_known_names(spec)
            require_possible(spec)
            return _Reconciliation(self, resource, spec).run()
        except InvalidSpec as error:  # of the spec, or of trials that an earlier version made
            return self.report_problem(resource, Problem(ReadyReason.INVALID_SPEC, str(error)))

    def report_problem(self, resource: Json, problem: Problem) -> ReconcileResult:
        """Return the status of a search that cannot be reconciled; what was found of it stays on record."""
        before = recorded_status(resource)
        generation = resource["metadata"]["generation"]
        if has_ended(before.conditions, generation):  # then nothing is left to do that the problem could prevent
            return ReconcileResult(before, is_urgent=False)
        conditions = problem_conditions(problem, before.conditions, generation, self.now())
        status = before.model_copy(update={"observed_generation": generation, "conditions": conditions})
        return ReconcileResult(
            status, _differs_in_more_than_figures(before, status), events=events_between(before, status)
        )


class _Reconciliation:
    """One reconcile of one search: everything is looked up once, so that its steps see the same state."""

    def __init__(self, reconciler: Reconciler, resource: Json, spec: MetaSearchSpec) -> None:
        self.api, self.cache = reconciler.api, reconciler.cache
        self.settings, self.ranking = reconciler.pod_settings, reconciler.ranking
        self.is_shown = reconciler.is_shown
        self.resource, self.spec, self.before = resource, spec, recorded_status(resource)
        self.ends = recorded_ends(self.before)
        self.key = search_key(resource)
        self.namespace, self.name = self.key
        self.uid: str = resource["metadata"]["uid"]
        self.generation: int = resource["metadata"]["generation"]
        self.now = reconciler.now()
        # By uid: objects of a deleted search of the same name may still be on their way out.
        jobs = self.cache.jobs(self.key)
        self.jobs = [job for job in jobs if job.owner == self.uid]
        # Those of a search that was deleted without what it owned (`kubectl delete --cascade=orphan`).
        self.left_jobs = [job for job in jobs if job.owner is None and job.name.startswith(f"{self.name}-workers-")]
        self.pods, self.leases = self.cache.pods(self.key), self.cache.leases(self.key)

    def run(self) -> ReconcileResult:
        # Whatever the search's phase, for nobody else removes them.
        remove_stuck_pods(self.api, self.namespace, self.pods, self.leases, self.now)
        if has_ended(self.before.conditions, self.generation):
            # It is not evaluated again: its trials may be deleted by now, and its status is to stay.
            delete_jobs(self.api, self.namespace, self.jobs)
            return ReconcileResult(self.before, is_urgent=False, samples=self._samples_after_end())
        if has_ended(self.before.conditions) and stays_ended(self.ends, self.spec):
            delete_jobs(self.api, self.namespace, self.jobs)
            return self._still_ended()
        cached = self._cached_trials()
        timing = self._timing(cached)
        search = self._define(timing)
        trials, remarks = _own_trials(search, cached)
        store = KubernetesStore(self.api, self.resource, self.spec.budget.max_attempts, recorded=lambda: trials)
        self._release_orphans(store, cached)
        step = self._step(search, store, trials, timing)
        if timing.completed_at is not None and not step.plan.phase.is_over:
            timing = timing.resumed(self.now)  # it had ended, and a changed spec gives it more to do
        # A refused Job has no pods in which a cause could be found, so why it is refused comes first.
        problem = self._adjust_job(step) or self._trials_in_the_way(step) or self._diagnose(step.trials)
        return self._result(search, step, timing, problem, remarks)

    def _still_ended(self) -> ReconcileResult:
        """Return the status of a search that had ended and whose new spec gives it nothing more to do."""
        conditions = still_ended_conditions(self.before.conditions, self.generation, self.now)
        status = self.before.model_copy(update={"observed_generation": self.generation, "conditions": conditions})
        return ReconcileResult(status, is_urgent=True, events=events_between(self.before, status))

    def _cached_trials(self) -> list[CachedTrial]:
        return [each for each in self.cache.trials(self.key) if each.owner == self.uid]

    def _timing(self, cached: Sequence[CachedTrial]) -> Timing:
        return timing_of(self.before, [each.trial for each in cached if each.trial], self.now)

    def _define(self, timing: Timing) -> Search:
        search = build_search(self.name, self.spec, timing.started_at, timing.paused_seconds(self.now))
        return replace(search, strategy=SubprocessStrategy(self.spec, search.strategy, self.ranking))

    def _release_orphans(self, store: KubernetesStore, cached: Sequence[CachedTrial]) -> None:
        running = [each for each in cached if each.trial and each.trial.state is State.RUNNING]
        for orphan in find_orphaned(running, self.pods, self.leases, self.api, self.namespace):
            release(orphan, store, self.now)

    def _step(self, search: Search, store: KubernetesStore, trials: Sequence[Trial], timing: Timing) -> Step:
        """Plan and apply; only look while the search is suspended."""
        # A search that had ended is judged at the time of its end, so that the time since does not exhaust its budget.
        at = self.now if timing.completed_at is None else timing.completed_at
        if self.spec.suspend:
            return Step(trials, current_status(search, trials, at))
        return reconcile(search, store, at)

    def _trials_in_the_way(self, step: Step) -> Problem | None:
        """
        Return that trials which no search owns have the names of trials to make, or None.

        They are not taken over: nobody knows by which spec they were trained.
        """
        wanted = {spec.name for spec in step.plan.propose}
        found = sorted(each.name for each in self.cache.trials(self.key) if each.owner is None and each.name in wanted)
        if not found:
            return None
        trials = counted(len(found), "trial")
        return Problem(
            ReadyReason.OPERATOR_ERROR,
            f"the operator cannot make {trials}, for MetaTrials of their names, such as {found[0]}, are there that no "
            f"search owns; delete them (kubectl delete metatrials -l {LABEL_SEARCH}={self.name}), or give this search "
            "another name",
        )

    def _adjust_job(self, step: Step) -> Problem | None:
        """Have as many workers as are needed now; return why the API server refuses their Job, or None."""
        delete_jobs(self.api, self.namespace, self.left_jobs)
        if step.plan.phase.is_over or self.spec.suspend:
            delete_jobs(self.api, self.namespace, self.jobs)
            return None
        # Trials that were created just now are not in the cache yet, and need workers all the same.
        trials = [*step.trials, *(Trial(spec=spec) for spec in step.plan.propose)]
        pods = desired_pods(self.spec, trials, self.now, in_queue=self._is_in_queue)
        wanted = worker_job(self.resource, self.spec, self.settings, pods, in_queue=self._is_in_queue)
        try:
            ensure_job(self.api, wanted, self.jobs, self.now)
        except (Refused, StoreUnavailable) as error:  # a webhook that does not answer, such as Kueue's, is the latter
            return Problem(ReadyReason.PODS_REFUSED, f"the Job of the workers is refused: {error}")
        return None

    @property
    def _is_in_queue(self) -> bool:
        # Kueue puts Jobs in a queue by itself in a namespace that has a LocalQueue named `default`.
        return self.spec.worker.queue_name is not None or any(job.queue for job in self.jobs if not job.is_terminating)

    def _diagnose(self, trials: Sequence[Trial]) -> Problem | None:
        last_claimed_at = max((attempt.started_at for trial in trials for attempt in trial.attempts), default=0.0)
        return diagnose(self.api, self.namespace, self.jobs, self.pods, last_claimed_at, self.now)

    def _result(
        self, search: Search, step: Step, timing: Timing, problem: Problem | None, remarks: Sequence[str]
    ) -> ReconcileResult:
        is_over = step.plan.phase.is_over
        timing = timing.noted(self.now, is_over=is_over, is_suspended=self.spec.suspend and not is_over)
        # Only the pauses may have changed. To define the search anew would enumerate the whole space a second time.
        search = replace(search, paused_seconds=timing.paused_seconds(self.now))
        at = timing.completed_at or self.now
        ends = with_end(self.ends, end_of(search, step.trials, step.plan, at)) if is_over else self.ends
        result = summarize(search, step.trials, step.plan, at, ends)
        status = self._status(result, step, timing, problem, remarks)
        return ReconcileResult(
            status,
            is_urgent=_differs_in_more_than_figures(self.before, status),
            requeue_after_seconds=math.inf if is_over or self.spec.suspend else self._due_seconds(search),
            events=events_between(self.before, status),
            samples=self._samples(result, step.trials, status, timing.completed_at),
        )

    def _samples_after_end(self) -> list[Sample] | None:
        """
        Return the metrics of a search that had ended before this operator began; None where they are known.

        They are not computed where trials are missing, for then they would say something else than the status.
        """
        cached = self._cached_trials()
        timing = self._timing(cached)
        if self.is_shown(self.key) or timing.completed_at is None:
            return None
        search = self._define(timing)
        trials, _ = _own_trials(search, cached)
        if self.before.trials is None or len(trials) != self.before.trials.total:
            return None
        plan = current_status(search, trials, timing.completed_at)
        result = summarize(search, trials, plan, timing.completed_at, self.ends)
        return self._samples(result, trials, self.before, timing.completed_at)

    def _samples(
        self, result: SearchResult, trials: Sequence[Trial], status: SearchStatus, completed_at: float | None
    ) -> list[Sample]:
        seen = Observation(
            namespace=self.namespace,
            result=result,
            trials=trials,
            completed_at=completed_at,
            status_bytes=len(json.dumps(status_json(status))),
            workers=Counter("Terminating" if pod.is_terminating else pod.phase for pod in self.pods),
        )
        return samples(seen)

    def _status(
        self, result: SearchResult, step: Step, timing: Timing, problem: Problem | None, remarks: Sequence[str]
    ) -> SearchStatus:
        situation = Situation(
            spec=self.spec,
            plan=step.plan,
            workers=sum(pod.phase == "Running" and not pod.is_terminating for pod in self.pods),
            trials_running=sum(trial.state is State.RUNNING for trial in step.trials),
            problem=problem,
            remarks=remarks,
            has_claimed=any(trial.attempts for trial in step.trials),
        )
        return search_status(
            result,
            final_trials=sum(trial.spec.stage is not Stage.SEARCH for trial in step.trials),
            generation=self.generation,
            conditions=compute_conditions(situation, self.before.conditions, self.generation, self.now),
            suspended_seconds=timing.suspended_seconds,
            completed_at=timing.completed_at,
            storage=self.spec.storage,
            folder=search_folder(self.resource),
            worker_image=worker_image(self.spec, self.settings),
        )

    def _due_seconds(self, search: Search) -> float:
        """Return the seconds until a Job's first pod is overdue, or until the budget's time is over."""
        overdue = FIRST_POD_SECONDS if job_without_pods(self.jobs, self.pods) else math.inf
        return min(overdue, budget.seconds_left(self.spec, search.wall_seconds(self.now)))


def _own_trials(search: Search, cached: Sequence[CachedTrial]) -> tuple[list[Trial], list[str]]:
    """Return the trials that the search could have proposed, and remarks on all others."""
    # Anybody with the right to write MetaTrials can make one. Its result must not decide what the search finds.
    trials, remarks = [], []
    for each in sorted(cached, key=lambda each: each.name):
        if each.is_old:
            raise OldTrial(each.name)
        if each.trial is not None and belongs_to(search, each.trial):
            trials.append(each.trial)
        else:
            remarks.append(f"the MetaTrial {each.name} does not belong to this search and is ignored; delete it")
    return trials, remarks


def _differs_in_more_than_figures(before: SearchStatus, after: SearchStatus) -> bool:
    return before.model_dump(exclude=set(FIGURES)) != after.model_dump(exclude=set(FIGURES))
