"""
One pass over a search: observe, plan, apply, say.

Runs in a thread, for it waits for the API server. All it knows is what it is given and what the copies hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from metasearch.api import MetaSearchSpec
from metasearch.cluster.api import Api, Conflict, NotFound, Refused
from metasearch.errors import InvalidSpec, StoreUnavailable
from metasearch.kubernetes import names
from metasearch.kubernetes.ownership import is_leaving
from metasearch.kubernetes.pod_settings import PodSettings
from metasearch.kubernetes.search_status import SearchStatus
from metasearch.kubernetes.timing import Timing, timing_of
from metasearch.kubernetes.worker_job import worker_image, worker_job
from metasearch.loading import describe
from metasearch.outcome.results import summarize
from metasearch.outcome.summary import search_status
from metasearch.reconcile import Turn, reconcile
from metasearch.search import budget
from metasearch.search.cells import Cell
from metasearch.search.definition import define
from metasearch.search.planner import Search, is_of, standing
from metasearch.search.trials import State, Trial
from metasearch.storage_layout import search_folder
from metasearch.stores.kubernetes import KubernetesStore
from metasearch_operator import attendance, conditions, workforce
from metasearch_operator.copies import Copies, RecordedTrial
from metasearch_operator.notes import Note, notes
from metasearch_operator.offloading import Offloaded, Ranking
from metasearch_operator.queues import queued
from metasearch_operator.reasons import ReadyReason
from metasearch_operator.refusals import PATIENCE_SECONDS, refusal
from metasearch_operator.staffing import pods_needed
from metasearch_operator.troubles import Trouble, find_trouble, is_without_pods

Json = dict[str, Any]


@dataclass(frozen=True)
class Office:
    """What passes work with."""

    api: Api
    copies: Copies
    settings: PodSettings
    ranking: Ranking
    now: Callable[[], float]
    """Unix time in seconds."""


@dataclass(frozen=True)
class Outcome:
    """What a pass came to."""

    status: Json
    """As it should be on record."""
    is_news: bool
    """Whether more than figures has changed, so that it should not wait."""
    look_again_seconds: float = math.inf
    """When something is due that no news tells of."""
    notes: Sequence[Note] = ()
    """For people: the resource's events."""


def pass_over(office: Office, resource: Json) -> Outcome:
    """
    Bring a search one step nearer to its end.

    Args:
        resource: the MetaSearch, as read from the cluster; it may be behind.

    Raises:
        StoreUnavailable: the API server cannot be reached now; the next pass takes up what was left.
    """
    before = recorded_status(resource)
    try:
        spec = parsed_spec(resource)
    except InvalidSpec as error:
        return in_trouble(office, resource, Trouble(ReadyReason.INVALID_SPEC, str(error)))
    return _Pass(office, resource, before, spec).run()


def recorded_status(resource: Json) -> SearchStatus:
    """The status on record; an empty one where somebody has written nonsense there."""
    try:
        return SearchStatus.model_validate(resource.get("status", {}))
    except ValidationError:
        return SearchStatus()


def parsed_spec(resource: Json) -> MetaSearchSpec:
    """The spec, with what only the operator can judge of it."""
    try:
        return MetaSearchSpec.model_validate(resource["spec"])
    except ValidationError as error:
        raise InvalidSpec(f"spec: {describe(error, MetaSearchSpec)}") from error


class _Pass:
    def __init__(self, office: Office, resource: Json, before: SearchStatus, spec: MetaSearchSpec) -> None:
        self.office, self.resource, self.before, self.spec = office, resource, before, spec
        metadata = resource["metadata"]
        self.name, self.namespace, self.uid = metadata["name"], metadata["namespace"], metadata["uid"]
        self.generation: int = metadata["generation"]
        self.key = (self.namespace, self.name)
        self.now = office.now()
        self.jobs = [job for job in office.copies.jobs(self.key) if job.owner == self.uid]
        self.pods = office.copies.pods(self.key)

    def run(self) -> Outcome:
        if conditions.has_ended(self.before.conditions, self.generation):  # then its trials may go, and it stays so
            workforce.dismiss(self.office.api, self.namespace, self.jobs)
            return Outcome(written(self.before), is_news=False)
        timing = timing_of(self.before, self.now)
        search = self._search(timing)
        recorded = [each for each in self.office.copies.trials(self.key) if each.owner == self.uid]
        trials, strange = _sorted_out(search, recorded)
        store = KubernetesStore(self.office.api, self.resource, self.spec.budget.max_attempts, recorded=lambda: trials)
        self._free_what_was_lost(store, recorded)
        turn = self._turn(search, store, trials, timing)
        if timing.completed_at is not None and not turn.plan.phase.is_over:
            timing = timing.resumed(self.now)  # the budget was raised, or the like
        trouble = self._employ(turn) or self._trouble(turn.trials)
        return self._outcome(self._search(timing), turn, timing, trouble, strange)

    def _search(self, timing: Timing) -> Search[Cell]:
        search = define(self.name, self.spec, timing.started_at, timing.paused_seconds(self.now))
        return replace(search, strategy=Offloaded(self.spec, search.strategy, self.office.ranking))

    def _free_what_was_lost(self, store: KubernetesStore, recorded: Sequence[RecordedTrial]) -> None:
        running = [each for each in recorded if each.trial and each.trial.state is State.RUNNING]
        leases = self.office.copies.leases(self.key)
        for absence in attendance.absences(running, self.pods, leases, self.office.api, self.namespace):
            attendance.free(absence, store, self.now)

    def _turn(self, search: Search[Cell], store: KubernetesStore, trials: Sequence[Trial], timing: Timing) -> Turn:
        at = self.now if timing.completed_at is None else timing.completed_at
        if self.spec.suspend:
            return Turn(trials, standing(search, trials, at))
        return reconcile(search, store, at)

    def _employ(self, turn: Turn) -> Trouble | None:
        """Have as many workers as are needed now; says so where the API server will not have their Job."""
        if turn.plan.phase.is_over or self.spec.suspend:
            workforce.dismiss(self.office.api, self.namespace, self.jobs)
            return None
        trials = [*turn.trials, *(Trial(spec=spec) for spec in turn.plan.propose)]
        pods = pods_needed(self.spec, trials, self.now, in_queue=self._is_in_queue)
        wanted = worker_job(self.resource, self.spec, self.office.settings, pods)
        try:
            workforce.employ(self.office.api, wanted, self.jobs, self.now)
        except (Refused, StoreUnavailable) as error:  # a webhook that does not answer, such as Kueue's, is the latter
            return Trouble(ReadyReason.PODS_REFUSED, f"the Job of the workers is refused: {error}")
        return None

    @property
    def _is_in_queue(self) -> bool:
        """Kueue puts Jobs in a queue by itself where a namespace has one by the name of `default`."""
        return self.spec.worker.queue_name is not None or any(job.queue for job in self.jobs if not job.is_leaving)

    def _outcome(
        self, search: Search[Cell], turn: Turn, timing: Timing, trouble: Trouble | None, strange: Sequence[str]
    ) -> Outcome:
        is_over = turn.plan.phase.is_over
        timing = timing.noted(self.now, is_over=is_over, is_suspended=self.spec.suspend and not is_over)
        situation = conditions.Situation(
            spec=self.spec,
            plan=turn.plan,
            workers=sum(pod.phase == "Running" and not pod.is_leaving for pod in self.pods),
            trials_running=sum(trial.state is State.RUNNING for trial in turn.trials),
            trouble=trouble,
            remarks=strange,
        )
        said = conditions.conditions(situation, self.before.conditions, self.generation, self.now)
        result = summarize(search, turn.trials, turn.plan, timing.completed_at or self.now)
        status = search_status(
            result,
            generation=self.generation,
            conditions=said,
            suspended_seconds=timing.suspended_seconds,
            completed_at=timing.completed_at,
            storage=self.spec.storage,
            folder=search_folder(self.resource),
            worker_image=worker_image(self.spec, self.office.settings),
        )
        due = math.inf if is_over or self.spec.suspend else self._due(search)
        return Outcome(written(status), _is_news(self.before, status), due, notes(self.before, status))

    def _due(self, search: Search[Cell]) -> float:
        """Seconds until something may be so that no change of what is copied tells of."""
        overdue = PATIENCE_SECONDS if is_without_pods(self.jobs, self.pods) else math.inf
        return min(overdue, budget.seconds_left(self.spec, search.wall_seconds(self.now)))

    def _trouble(self, trials: Sequence[Trial]) -> Trouble | None:
        last_claimed_at = max((attempt.started_at for trial in trials for attempt in trial.attempts), default=0.0)
        found = find_trouble(self.jobs, self.pods, last_claimed_at)
        return (
            found
            or queued(self.office.api, self.namespace, self.jobs)
            or refusal(self.office.api, self.namespace, self.jobs, self.pods, self.now)
        )


def _sorted_out(search: Search[Cell], recorded: Sequence[RecordedTrial]) -> tuple[list[Trial], list[str]]:
    """The search's trials, and remarks on what others have made to look like one."""
    trials, strange = [], []
    for each in sorted(recorded, key=lambda each: each.name):
        if each.trial is not None and is_of(search, each.trial):
            trials.append(each.trial)
        else:
            strange.append(f"the MetaTrial {each.name} is none of the search's and is passed over; delete it")
    return trials, strange


def in_trouble(office: Office, resource: Json, trouble: Trouble) -> Outcome:
    """Of a search over which no pass can be made; what was found of it stays on record."""
    before = recorded_status(resource)
    generation, now = resource["metadata"]["generation"], office.now()
    if conditions.has_ended(before.conditions, generation):  # what is in the operator's way is in the search's no more
        return Outcome(written(before), is_news=False)
    said = conditions.invalid(trouble, before.conditions, generation, now)
    status = before.model_copy(update={"observed_generation": generation, "conditions": said})
    return Outcome(written(status), _is_news(before, status), notes=notes(before, status))


def written(status: SearchStatus) -> Json:
    """As the API server keeps it."""
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)


def _is_news(before: SearchStatus, after: SearchStatus) -> bool:
    figures = {"spent", "left", "trials", "best", "best_score", "front", "levels"}
    return before.model_dump(exclude=figures) != after.model_dump(exclude=figures)


class SearchGone(Exception):
    """There is no such search any more, or it is about to go. Not an error."""


def read(api: Api, resource: Json) -> Json:
    """
    A search as it is now; the one there is by that name.

    Raises:
        SearchGone: nobody has it any more, or it is being deleted.
        StoreUnavailable: the API server cannot be reached now.
    """
    metadata = resource["metadata"]
    try:
        there = api.get(names.SEARCH.path(metadata["namespace"], metadata["name"]))
    except NotFound as error:
        raise SearchGone(metadata["name"]) from error
    if is_leaving(there):
        raise SearchGone(metadata["name"])
    return there


def record(api: Api, resource: Json, status: Json) -> bool:
    """
    Write a search's status, if the search is still what it was when it was read; returns whether it was.

    Raises:
        SearchGone: nobody has it any more.
    """
    metadata = resource["metadata"]
    path = names.SEARCH.path(metadata["namespace"], metadata["name"])
    # `add` replaces what is there, and a new search has none.
    operations = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        {"op": "add", "path": "/status", "value": status},
    ]
    try:
        api.patch(f"{path}/status", operations)
    except NotFound as error:
        raise SearchGone(metadata["name"]) from error
    except Conflict:
        return False
    return True
