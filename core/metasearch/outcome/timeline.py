"""
The timeline of a search: which trial each slot of its workers had at which time, and why it had none.

Computed from recorded times alone, so it is complete whatever was restarted meanwhile. All times are Unix times in
seconds. Clocks of several machines may differ, so times that contradict each other are cut, never swapped.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from itertools import pairwise

from metasearch.outcome.attempt_outcomes import AttemptOutcome, outcome_of
from metasearch.outcome.elapsed import Elapsed
from metasearch.search.attempts import attempt_end
from metasearch.search.trials import Attempt, Stage, State, Trial
from metasearch.worker_names import slot_of


class IdleReason(StrEnum):
    """The reason for which a slot had no trial."""

    TRIAL_WAITING = "TrialWaiting"
    """A trial waited to be claimed: the slot's process was on its way to it, or was being started."""
    OTHERS_RUNNING = "OthersRunning"
    """No trial waited, and other slots had some: the end of a round, or fewer trials than slots."""
    NOTHING_PROPOSED = "NothingProposed"
    """No trial waited or ran: the next were being chosen, or the search was suspended."""


@dataclass(frozen=True, order=True)
class Slot:
    """A place for one trial at a time in a worker pod; in a local run, in a driver's session."""

    pod: str
    number: int
    """Counted from 0."""


@dataclass(frozen=True)
class Claim:
    """An attempt as a slot's time shows it."""

    trial: Trial
    attempt: Attempt
    start: float
    end: float
    """The recorded end, or the claim that followed in the slot where that is earlier: the loss of a worker is found out
    late, when its slot may have another trial."""

    @property
    def seconds(self) -> float:
        return self.end - self.start

    @property
    def is_result(self) -> bool:
        """True for the attempt that gave the trial its result."""
        return self.trial.result is not None and self.attempt is self.trial.attempts[-1]


@dataclass(frozen=True)
class Idle:
    """A time in which a slot had no trial, for one reason."""

    reason: IdleReason
    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(frozen=True)
class SlotTimeline:
    """The time of one slot, which claims and idle times fill without gaps or overlaps, each in order."""

    slot: Slot
    start: float
    """The first claim in its pod: how long that was waiting before is not on record."""
    end: float
    """The last end of a claim in its pod."""
    claims: tuple[Claim, ...]
    idle: tuple[Idle, ...]


@dataclass(frozen=True)
class StageTime:
    """The time of a round, or of the final stage with its baselines."""

    round: int | None
    """Counted from 1; None for the final stage."""
    start: float
    """When its first trial was proposed; where that is not on record, when it was claimed."""
    end: float
    slot_seconds: float
    """The time of all slots within it."""
    busy_seconds: float
    """The time of slots within it in which they had a trial, of whichever round."""

    @property
    def busy_share(self) -> float | None:
        """In [0, 1]; None where it took no time."""
        return self.busy_seconds / self.slot_seconds if self.slot_seconds else None


@dataclass(frozen=True)
class Counts:
    """The trials that wait for a claim, and those that run, from a time on."""

    time: float
    waiting: int
    running: int


@dataclass(frozen=True)
class Timeline:
    """The time of a search, of which at least one trial has begun."""

    slots: tuple[SlotTimeline, ...]
    """In the order in which their pods began."""
    stages: tuple[StageTime, ...]
    counts: tuple[Counts, ...]
    """In order; before the first of them, nothing waits or runs."""
    waits: Mapping[str, float]
    """Seconds from the proposal of each trial to its first claim, by its name; those on record."""

    @property
    def start(self) -> float:
        return min([*(slot.start for slot in self.slots), *(stage.start for stage in self.stages)])

    @property
    def end(self) -> float:
        return max(slot.end for slot in self.slots)

    @cached_property
    def slot_seconds(self) -> float:
        return sum(slot.end - slot.start for slot in self.slots)

    @cached_property
    def busy_seconds(self) -> float:
        return sum(claim.seconds for slot in self.slots for claim in slot.claims)

    @property
    def busy_share(self) -> float | None:
        """The share of all slots' time in which they had a trial, in [0, 1]; None where it took no time."""
        return self.busy_seconds / self.slot_seconds if self.slot_seconds else None

    @cached_property
    def _with_slots(self) -> Elapsed:
        """The times in which there was a slot."""
        merged: list[tuple[float, float]] = []
        for start, end in sorted((slot.start, slot.end) for slot in self.slots):
            if merged and start <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(end, merged[-1][1])
            else:
                merged.append((start, end))
        return Elapsed(merged)

    def seconds_until(self, time: float) -> float:
        """Return the seconds up to a time in which there was a slot: pauses, as between two sessions, are left out."""
        return self._with_slots.between(self.start, time)

    @property
    def lost_seconds(self) -> float:
        """The busy time of attempts that failed, or whose worker was lost or stopped."""
        claims = (claim for slot in self.slots for claim in slot.claims)
        return sum(claim.seconds for claim in claims if outcome_of(claim.attempt) is AttemptOutcome.LOST)

    @property
    def idle_seconds(self) -> dict[IdleReason, float]:
        """The idle time of all slots by reason, every reason named."""
        seconds = dict.fromkeys(IdleReason, 0.0)
        for slot in self.slots:
            for idle in slot.idle:
                seconds[idle.reason] += idle.seconds
        return seconds


def timeline(trials: Sequence[Trial], now: float) -> Timeline | None:
    """
    Return the timeline of a search; None where no trial has begun.

    Args:
        trials: every trial on record, in any order.
        now: the end of what still runs or waits, a Unix time in seconds.
    """
    created = _created(trials)
    counts = tuple(_counts(trials, created, now))
    slots = _slots(trials, _Reasons(counts), now)
    if not slots:
        return None
    waits = {
        trial.name: max(0.0, trial.attempts[0].started_at - trial.created_at)
        for trial in trials
        if trial.created_at is not None and trial.attempts
    }
    return Timeline(slots, tuple(_stages(trials, created, slots, now)), counts, waits)


# --- slots --------------------------------------------------------------------------------------------------------


def _slots(trials: Iterable[Trial], reasons: _Reasons, now: float) -> tuple[SlotTimeline, ...]:
    by_pod: dict[str, dict[int, list[Claim]]] = {}
    for trial in trials:
        for attempt in trial.attempts:
            pod, number = slot_of(attempt.worker)
            claim = Claim(trial, attempt, attempt.started_at, attempt_end(attempt, now))
            by_pod.setdefault(pod, {}).setdefault(number or 0, []).append(claim)
    found: list[SlotTimeline] = []
    for pod, claims in by_pod.items():
        # Slots are counted from 0, so those below one that had a claim are there, even if they never had one.
        cut = {number: _without_overlaps(claims.get(number, [])) for number in range(max(claims) + 1)}
        every = [claim for of_slot in cut.values() for claim in of_slot]
        start, end = min(claim.start for claim in every), max(claim.end for claim in every)
        for number, of_slot in cut.items():
            idle = [each for gap in _gaps(of_slot, start, end) for each in reasons.of(*gap)]
            found.append(SlotTimeline(Slot(pod, number), start, end, of_slot, tuple(idle)))
    return tuple(sorted(found, key=lambda each: (each.start, each.slot)))


def _without_overlaps(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    """Cut each claim of a slot where the next one begins: a slot has one process, which has one trial."""
    ordered = sorted(claims, key=lambda claim: (claim.start, claim.end, claim.trial.name, claim.attempt.epoch))
    cut = [replace(claim, end=min(claim.end, following.start)) for claim, following in pairwise(ordered)]
    return (*cut, *ordered[-1:])


def _gaps(claims: Sequence[Claim], start: float, end: float) -> Iterator[tuple[float, float]]:
    """Yield the times between `start` and `end` that no claim fills."""
    edges = [start, *(edge for claim in claims for edge in (claim.start, claim.end)), end]
    for gap_start, gap_end in zip(edges[::2], edges[1::2], strict=True):
        if gap_end > gap_start:
            yield gap_start, gap_end


# --- reasons for idle time ----------------------------------------------------------------------------------------


def _created(trials: Iterable[Trial]) -> dict[str, float]:
    """
    Return when each trial was proposed, by its name, as far as that is known.

    The API server's times are whole seconds and another machine's, so none is later than the first claim. Where none is
    on record, the first claim of a trial proposed together with it stands for it.
    """
    first_of_round: dict[tuple[Stage, int], float] = {}
    listed = list(trials)
    for trial in listed:
        if trial.attempts:
            key, began = (trial.spec.stage, trial.spec.round), trial.attempts[0].started_at
            first_of_round[key] = min(began, first_of_round.get(key, began))
    found = {}
    for trial in listed:
        known = [trial.created_at] if trial.created_at is not None else []
        if not known and (together := first_of_round.get((trial.spec.stage, trial.spec.round))) is not None:
            known = [together]
        if known:
            found[trial.name] = min([*known, *(attempt.started_at for attempt in trial.attempts[:1])])
    return found


def _counts(trials: Iterable[Trial], created: Mapping[str, float], now: float) -> Iterator[Counts]:
    """Yield the counts from each time on at which one of them changes."""
    changes: dict[float, list[int]] = {}
    for trial in trials:
        for place, spans in enumerate((_waiting(trial, created, now), _running(trial, now))):
            for start, end in spans:
                if end > start:
                    changes.setdefault(start, [0, 0])[place] += 1
                    changes.setdefault(end, [0, 0])[place] -= 1
    waiting = running = 0
    for time, (of_waiting, of_running) in sorted(changes.items()):
        if of_waiting or of_running:
            waiting, running = waiting + of_waiting, running + of_running
            yield Counts(time, waiting, running)


class _Reasons:
    """Says for every moment for which reason a slot without a trial has none."""

    def __init__(self, counts: Iterable[Counts]) -> None:
        self._times: list[float] = []
        self._reasons: list[IdleReason] = [IdleReason.NOTHING_PROPOSED]
        for count in counts:
            reason = _reason(count.waiting, count.running)
            if reason is not self._reasons[-1]:
                self._times.append(count.time)
                self._reasons.append(reason)

    def of(self, start: float, end: float) -> Iterator[Idle]:
        """Yield the parts of an idle time, each with one reason."""
        place = bisect_right(self._times, start)
        while start < end:
            until = min(end, self._times[place]) if place < len(self._times) else end
            yield Idle(self._reasons[place], start, until)
            start, place = until, place + 1


def _reason(waiting: int, running: int) -> IdleReason:
    if waiting:
        return IdleReason.TRIAL_WAITING
    return IdleReason.OTHERS_RUNNING if running else IdleReason.NOTHING_PROPOSED


def _waiting(trial: Trial, created: Mapping[str, float], now: float) -> Iterator[tuple[float, float]]:
    """Yield the times in which a trial waited for a claim."""
    since = created.get(trial.name)
    for attempt in trial.attempts:
        if since is not None:
            yield since, attempt.started_at
        since = attempt_end(attempt, now)
    if since is not None and trial.state is State.PENDING:
        yield since, now


def _running(trial: Trial, now: float) -> Iterator[tuple[float, float]]:
    for attempt in trial.attempts:
        yield attempt.started_at, attempt_end(attempt, now)


# --- rounds -------------------------------------------------------------------------------------------------------


def _stages(
    trials: Iterable[Trial], created: Mapping[str, float], slots: Sequence[SlotTimeline], now: float
) -> Iterator[StageTime]:
    """Yield the times of the rounds of which a trial has begun, and of the final stage."""
    groups: dict[int | None, list[Trial]] = {}
    for trial in trials:
        if trial.attempts:
            groups.setdefault(trial.spec.round if trial.spec.stage is Stage.SEARCH else None, []).append(trial)
    busy = Elapsed((claim.start, claim.end) for slot in slots for claim in slot.claims)
    there = Elapsed((slot.start, slot.end) for slot in slots)
    # The final stage is after all rounds.
    for round in sorted(groups, key=lambda number: (number is None, number or 0)):
        start = min(created[trial.name] for trial in groups[round])
        end = max(attempt_end(attempt, now) for trial in groups[round] for attempt in trial.attempts)
        yield StageTime(round, start, end, there.between(start, end), busy.between(start, end))
