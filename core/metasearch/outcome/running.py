"""
The trials that run, worker by worker and slot by slot, with their speed and remaining time.

Computed from the trials on record. A figure that the record does not tell is None: a worker reports at intervals, and
until its first report nobody knows how far it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from metasearch.search.attempts import attempt_speed
from metasearch.search.trials import Progress, Stage, Trial
from metasearch.worker_names import slot_of


@dataclass(frozen=True, kw_only=True)
class RunningTrial:
    """A trial that a worker has claimed, as of one moment."""

    name: str
    candidate: str
    """The cell with its hyperparameters, as text."""
    stage: Stage
    round: int
    attempts: int
    """Claims so far, this one included."""
    done: int | None
    """Meta-iterations done at the last report; None before the first."""
    planned: int
    """Meta-iterations to train for."""
    speed: float | None
    """Meta-iterations per second from the claim to the last report, evaluations of the curve included."""
    remaining_seconds: float | None
    """
    Time to the last meta-iteration at that speed; 0 where it should be past. The evaluation that follows is left out.
    """
    stop_requested: bool

    @property
    def share(self) -> float | None:
        """The share of the meta-iterations that was done at the last report, in [0, 1]."""
        return None if self.done is None else self.done / self.planned


@dataclass(frozen=True)
class Slot:
    """A slot of a worker, and the trial that runs there; None where it is idle."""

    worker: str
    """The pod's name; of a local run, the identifier of the driver's session."""
    slot: int | None
    """Counted from 0; None where the claim was signed with a name of another form."""
    trial: RunningTrial | None


@dataclass(frozen=True)
class Activity:
    """All known slots of a search at one moment, by worker and slot, and the sums over them."""

    slots: tuple[Slot, ...]

    @property
    def running(self) -> tuple[RunningTrial, ...]:
        return tuple(slot.trial for slot in self.slots if slot.trial is not None)

    @property
    def idle(self) -> int:
        return sum(slot.trial is None for slot in self.slots)

    @property
    def workers(self) -> int:
        return len({slot.worker for slot in self.slots})

    @property
    def speed(self) -> float | None:
        """The sum of the known speeds, in meta-iterations per second; None where none is known."""
        known = [trial.speed for trial in self.running if trial.speed is not None]
        return sum(known) if known else None

    @property
    def without_speed(self) -> int:
        """The number of running trials whose speed is not known."""
        return sum(trial.speed is None for trial in self.running)


def activity(
    trials: Sequence[Trial], now: float, slots_per_worker: int | None = None, workers: Collection[str] | None = None
) -> Activity:
    """
    Find the slots of a search and what runs in them.

    Args:
        now: Unix time in seconds.
        slots_per_worker: `spec.worker.slots` on a cluster; None where only slots that have claimed a trial are known.
        workers: the names of the worker pods that run. None where that is not known: then they are those with a
            running trial, and without a cluster the one that claimed last, too. Empty for a local search that is over.
    """
    busy = {slot_of(trial.holder): _running(trial, now) for trial in trials if trial.holder is not None}
    named = set(workers) if workers is not None else _last_worker(trials, slots_per_worker)
    there = named | {worker for worker, _ in busy}
    known = {place: None for place in _claimants(trials) if place[0] in there and place[1] is not None}
    # A slot that has claimed no trial yet is on no record, but each pod has as many as the spec says.
    known |= {(worker, slot): None for worker in there for slot in range(slots_per_worker or 0)}
    found: Mapping[tuple[str, int | None], RunningTrial | None] = {**known, **busy}
    places = sorted(found, key=lambda place: (place[0], -1 if place[1] is None else place[1]))
    return Activity(tuple(Slot(*place, found[place]) for place in places))


def _running(trial: Trial, now: float) -> RunningTrial:
    progress = trial.progress
    has_reported = progress != Progress()
    speed = attempt_speed(trial)
    return RunningTrial(
        name=trial.name,
        candidate=trial.spec.candidate.text,
        stage=trial.spec.stage,
        round=trial.spec.round,
        attempts=len(trial.attempts),
        done=progress.meta_iteration if has_reported else None,
        planned=trial.spec.meta_iterations,
        speed=speed,
        remaining_seconds=_remaining_seconds(trial, speed, now),
        stop_requested=trial.stop_requested,
    )


def _remaining_seconds(trial: Trial, speed: float | None, now: float) -> float | None:
    progress = trial.progress
    if speed is None or progress.reported_at is None:
        return None
    at_report = (trial.spec.meta_iterations - progress.meta_iteration) / speed
    return max(0.0, at_report - max(0.0, now - progress.reported_at))


def _last_worker(trials: Sequence[Trial], slots_per_worker: int | None) -> set[str]:
    """Return the driver's session that claimed last; nothing for a cluster, whose pods come and go by themselves."""
    if slots_per_worker is not None:
        return set()
    last = max(
        (attempt for trial in trials for attempt in trial.attempts), key=lambda each: each.started_at, default=None
    )
    return set() if last is None else {slot_of(last.worker)[0]}


def _claimants(trials: Sequence[Trial]) -> Iterator[tuple[str, int | None]]:
    for trial in trials:
        for attempt in trial.attempts:
            yield slot_of(attempt.worker)
