"""
Write the timeline of a search in the Trace Event Format, which Perfetto, Chromium and Speedscope show.

Only complete events (X) are used, counters (C), and the names and order of tracks (M). Events of one track are either
apart or one within the other: viewers drop or mend what overlaps in another way. Times are microseconds from the begin
of the search, whole ones, so that events which touch do not overlap by a rounding.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from metasearch.outcome.attempt_outcomes import AttemptOutcome, outcome_of
from metasearch.outcome.results import SearchResult
from metasearch.outcome.timeline import Claim, Idle, IdleReason, SlotTimeline, StageTime, Timeline
from metasearch.search.trial_parts import Part
from metasearch.search.trials import Trial

Json = dict[str, Any]
"""An event, or the arguments of one."""

Placed = TypeVar("Placed")

SEARCH_PROCESS, TRIALS_PROCESS, FIRST_POD_PROCESS = 1, 2, 3
"""The numbers of the groups of tracks: the format calls a group a process, and a track a thread."""

PART_NAMES: Mapping[Part, str] = {
    Part.DATA: "data",
    Part.TRAINING: "meta-train",
    Part.EVALUATION: "evaluate",
    Part.WRITING: "write",
}

IDLE_NAMES: Mapping[IdleReason, str] = {
    IdleReason.TRIAL_WAITING: "idle: a trial waits",
    IdleReason.OTHERS_RUNNING: "idle: none waits, others run",
    IdleReason.NOTHING_PROPOSED: "idle: none waits or runs",
}

_COLOURS: Mapping[AttemptOutcome, str] = {AttemptOutcome.STOPPED: "bad", AttemptOutcome.LOST: "terrible"}
"""Names of colours that Chromium's viewer has; others choose their own."""


@dataclass(frozen=True, order=True)
class Track:
    """A row of events, in one of the groups."""

    process: int
    thread: int


def write_trace(path: Path, result: SearchResult, trials: Sequence[Trial], found: Timeline) -> None:
    """
    Write the trace of a search to a file, which is replaced where it is there.

    Args:
        trials: every trial on record, in any order.
        found: their timeline.
    """
    search = result.search
    document = {
        "traceEvents": list(events(result, trials, found)),
        "displayTimeUnit": "ms",
        "otherData": {"search": search.name, "version": search.version, "startUnixSeconds": _origin(result, found)},
    }
    path.write_text(json.dumps(document, allow_nan=False, separators=(",", ":")), encoding="utf-8")


def events(result: SearchResult, trials: Sequence[Trial], found: Timeline) -> Iterator[Json]:
    """Yield the events of a trace: the search and its rounds, its trials, and the slots of each pod."""
    clock = _Clock(_origin(result, found))
    yield from _search_events(result, found, clock)
    yield from _trial_events(trials, found, clock)
    processes: dict[str, int] = {}
    for slot in found.slots:
        process = processes.setdefault(slot.slot.pod, FIRST_POD_PROCESS + len(processes))
        yield from _slot_events(slot, process, found.waits, clock)
    for pod, process in processes.items():
        yield from _group(process, pod)


def _origin(result: SearchResult, found: Timeline) -> float:
    # On a cluster, trials may have been proposed before the operator recorded the start.
    return min(result.search.started_at, found.start)


class _Clock:
    """Converts times to those of a trace."""

    def __init__(self, origin: float) -> None:
        self._origin = origin

    def microseconds(self, unix_seconds: float) -> int:
        return round((unix_seconds - self._origin) * 1e6)

    def span(self, track: Track, name: str, category: str, start: float, end: float, args: Json) -> Json:
        """Return a complete event."""
        begin = self.microseconds(start)
        return {
            "ph": "X",
            "name": name,
            "cat": category,
            "pid": track.process,
            "tid": track.thread,
            "ts": begin,
            "dur": max(0, self.microseconds(end) - begin),
            "args": {key: value for key, value in args.items() if value is not None},
        }


# --- the search and its trials ------------------------------------------------------------------------------------


def _search_events(result: SearchResult, found: Timeline, clock: _Clock) -> Iterator[Json]:
    search, first = result.search, Track(SEARCH_PROCESS, 1)
    yield from _group(SEARCH_PROCESS, f"search {search.name}")
    yield from _names(first, "search")
    args: Json = {
        "phase": str(search.phase),
        "strategy": str(search.spec.search.strategy),
        "best_score": result.best_score,
        "worker_seconds": result.spent.worker_seconds,
        "busy_share": found.busy_share,
    }
    end = max(found.end, search.seen_at)
    yield clock.span(first, search.name, "search", _origin(result, found), end, args)
    titles = {round.round: round.title for round in result.rounds}
    rounds = [(Track(SEARCH_PROCESS, 2 + lane), stage) for lane, stage in _lanes(_stage_spans(found))]
    yield from _names_of((track for track, _ in rounds), "rounds")
    for track, stage in rounds:
        yield clock.span(track, stage_name(stage, titles), "round", stage.start, stage.end, _stage_args(stage))
    for count in found.counts:
        yield {
            "ph": "C",
            "name": "trials",
            "pid": SEARCH_PROCESS,
            "tid": 1,
            "ts": clock.microseconds(count.time),
            "args": {"waiting": count.waiting, "running": count.running},
        }


def _stage_spans(found: Timeline) -> Iterator[tuple[float, float, StageTime]]:
    return ((stage.start, stage.end, stage) for stage in found.stages)


def stage_name(stage: StageTime, titles: Mapping[int, str]) -> str:
    """Name a round, by its number and the strategy's title, or the final stage."""
    if stage.round is None:
        return "final training"
    title = titles.get(stage.round)
    return f"round {stage.round}, {title}" if title else f"round {stage.round}"


def _stage_args(stage: StageTime) -> Json:
    return {"slot_seconds": stage.slot_seconds, "busy_seconds": stage.busy_seconds, "busy_share": stage.busy_share}


def _trial_events(trials: Sequence[Trial], found: Timeline, clock: _Clock) -> Iterator[Json]:
    """Yield a span for each trial that has begun, from its first claim to its last end, on as few tracks as can be."""
    ends: dict[str, float] = {}
    for claim in (claim for slot in found.slots for claim in slot.claims):
        ends[claim.trial.name] = max(claim.end, ends.get(claim.trial.name, claim.end))
    begun = [trial for trial in trials if trial.attempts]
    yield from _group(TRIALS_PROCESS, "trials")
    spans = ((trial.attempts[0].started_at, ends[trial.name], trial) for trial in begun)
    placed = [(Track(TRIALS_PROCESS, 1 + lane), trial) for lane, trial in _lanes(spans)]
    yield from _names_of((track for track, _ in placed), "trials")
    for track, trial in placed:
        start = trial.attempts[0].started_at
        yield clock.span(track, trial.name, "trial", start, ends[trial.name], _trial_args(trial, found.waits))


def _trial_args(trial: Trial, waits: Mapping[str, float]) -> Json:
    spec, result = trial.spec, trial.result
    return {
        "stage": str(spec.stage),
        "round": spec.round,
        "candidate": spec.candidate.text,
        "seed": spec.seed,
        "meta_iterations": spec.meta_iterations,
        "state": str(trial.state),
        "reason": str(result.reason) if result and result.reason else None,
        "message": result.message if result else None,
        "score": trial.score,
        "attempts": len(trial.attempts),
        "queue_seconds": waits.get(trial.name),
    }


# --- slots --------------------------------------------------------------------------------------------------------


def _slot_events(slot: SlotTimeline, process: int, waits: Mapping[str, float], clock: _Clock) -> Iterator[Json]:
    track = Track(process, slot.slot.number + 1)
    yield from _names(track, f"slot {slot.slot.number}")
    spans: list[Claim | Idle] = [*slot.claims, *slot.idle]
    for each in sorted(spans, key=lambda span: (span.start, span.end)):
        if isinstance(each, Idle):
            yield clock.span(track, IDLE_NAMES[each.reason], "idle", each.start, each.end, {}) | {"cname": "grey"}
        else:
            yield from _claim_events(each, track, waits, clock)


def _claim_events(claim: Claim, track: Track, waits: Mapping[str, float], clock: _Clock) -> Iterator[Json]:
    """Yield the span of an attempt, and within it those of its parts."""
    outcome = outcome_of(claim.attempt)
    event = clock.span(track, claim.trial.name, "attempt", claim.start, claim.end, _claim_args(claim, waits))
    yield event | ({"cname": _COLOURS[outcome]} if outcome in _COLOURS else {})
    result = claim.trial.result
    if not claim.is_result or result is None or result.part_seconds is None:
        return
    start = claim.start
    for part, seconds in asdict(result.part_seconds).items():
        # The parts are by the worker's clock, the attempt's end by another's where the worker was lost.
        end = min(claim.end, start + seconds)
        if end > start:
            yield clock.span(track, PART_NAMES[Part(part)], "part", start, end, {"sum_seconds": seconds})
        start = end


def _claim_args(claim: Claim, waits: Mapping[str, float]) -> Json:
    trial, attempt = claim.trial, claim.attempt
    is_first = attempt is trial.attempts[0]
    recorded = None if attempt.ended_at is None else attempt.ended_at - attempt.started_at
    return {
        "attempt": attempt.epoch,
        "worker": attempt.worker,
        "outcome": attempt.outcome or "Running",
        "gpus": attempt.gpus,
        # Said where the span is another: it was cut, or the end came from another clock.
        "recorded_seconds": recorded if recorded is not None and recorded != claim.seconds else None,
        "queue_seconds": waits.get(trial.name) if is_first else None,
        **{key: value for key, value in _trial_args(trial, waits).items() if key not in ("attempts", "queue_seconds")},
    }


# --- tracks -------------------------------------------------------------------------------------------------------


def _group(process: int, name: str) -> Iterator[Json]:
    """Yield what names a group of tracks, and gives it its place."""
    yield _about("process_name", Track(process, 0), {"name": name})
    yield _about("process_sort_index", Track(process, 0), {"sort_index": process})


def _names_of(tracks: Iterable[Track], name: str) -> Iterator[Json]:
    for track in sorted(set(tracks)):
        yield from _names(track, name)


def _names(track: Track, name: str) -> Iterator[Json]:
    yield _about("thread_name", track, {"name": name})
    yield _about("thread_sort_index", track, {"sort_index": track.thread})


def _about(name: str, track: Track, args: Json) -> Json:
    return {"ph": "M", "name": name, "pid": track.process, "tid": track.thread, "ts": 0, "args": args}


def _lanes(spans: Iterable[tuple[float, float, Placed]]) -> Iterator[tuple[int, Placed]]:
    """Yield things with a start and an end, in order of their starts, each with the first lane that is free by then."""
    ends: list[float] = []
    for start, end, placed in sorted(spans, key=lambda span: span[:2]):
        lane = next((lane for lane, busy_until in enumerate(ends) if busy_until <= start), len(ends))
        ends[lane : lane + 1] = [end]
        yield lane, placed
