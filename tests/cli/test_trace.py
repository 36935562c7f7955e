"""`metasearch trace` writes a trace that viewers of the Trace Event Format show, and prints where the time went."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from builders import SMALL, STARTED, make_resource, make_result, make_search, make_trial
from finished_search import finish_in_folder
from local_search import metasearch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from rich.console import Console

from metasearch.outcome.results import SearchResult, summarize
from metasearch.outcome.timeline import timeline
from metasearch.search.planner import Phase, Plan
from metasearch.search.trial_parts import PartSeconds
from metasearch.search.trials import LOST, Attempt, Reason, Stage, State, Trial, TrialResult
from metasearch.stores.sqlite import SqliteStore
from metasearch_cli.outcome.busy_table import print_busy
from metasearch_cli.outcome.trace_events import write_trace

Event = dict[str, Any]

# --- the format ---------------------------------------------------------------------------------------------------
# After "Trace Event Format" by the Chromium authors: the events that are used here, with their required fields.


class Format(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


Microseconds = Annotated[int, Field(ge=0)]
Text = Annotated[str, Field(min_length=1)]


class Complete(Format):
    ph: Literal["X"]
    name: Text
    cat: Text
    pid: int
    tid: int
    ts: Microseconds
    dur: Microseconds
    args: dict[str, str | int | float | bool]
    cname: Literal["grey", "bad", "terrible"] | None = None
    """Colours that Chromium's viewer knows."""


class Counter(Format):
    ph: Literal["C"]
    name: Text
    pid: int
    tid: int
    ts: Microseconds
    args: dict[str, Annotated[int, Field(ge=0)]]


class Name(Format):
    name: Text


class SortIndex(Format):
    sort_index: int


class Naming(Format):
    ph: Literal["M"]
    name: Literal["process_name", "thread_name"]
    pid: int
    tid: int
    ts: Literal[0]
    args: Name


class Sorting(Format):
    ph: Literal["M"]
    name: Literal["process_sort_index", "thread_sort_index"]
    pid: int
    tid: int
    ts: Literal[0]
    args: SortIndex


class Document(Format):
    traceEvents: list[Complete | Counter | Naming | Sorting]  # noqa: N815 - the format's name
    displayTimeUnit: Literal["ms", "ns"]  # noqa: N815 - the format's name
    otherData: dict[str, str | float]  # noqa: N815 - the format's name


def overlaps(events: Sequence[Event]) -> list[tuple[str, str]]:
    """Return pairs of events of one track that are neither apart nor one within the other."""
    tracks: dict[tuple[int, int], list[Event]] = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            tracks[event["pid"], event["tid"]].append(event)
    found = []
    for track in tracks.values():
        open_events: list[Event] = []
        for event in sorted(track, key=lambda each: (each["ts"], -each["dur"])):
            while open_events and end(open_events[-1]) <= event["ts"]:
                open_events.pop()
            if open_events and end(event) > end(open_events[-1]):
                found.append((open_events[-1]["name"], event["name"]))
            open_events.append(event)
    return found


def end(event: Event) -> int:
    return int(event["ts"] + event["dur"])


# --- a search -----------------------------------------------------------------------------------------------------

T = STARTED


def a_trial(name: str, *attempts: Attempt, result: TrialResult | None, created: float = T, **spec: Any) -> Trial:
    state = result.state if result else State.RUNNING
    made = make_trial(name, **spec)
    return replace(made, state=state, epoch=len(attempts), attempts=attempts, result=result, created_at=created)


PARTS = PartSeconds(data=0.5, training=6.0, evaluation=2.0, writing=0.25)
FAILED = TrialResult(state=State.FAILED, reason=Reason.DIVERGED, message="the loss was not finite")
TRIALS = (
    a_trial("a", Attempt(1, "p.0-1", T + 1, 0.5, T + 11, "Succeeded"), result=make_result(0.5, part_seconds=PARTS)),
    # Its pod died at some time, which was found out at T + 30.
    a_trial(
        "b",
        Attempt(1, "q.0-1", T + 2, 0.5, T + 30, LOST),
        Attempt(2, "p.0-1", T + 31, 0.5, T + 40, "Succeeded"),
        result=make_result(0.6),
    ),
    a_trial("c", Attempt(1, "q.0-2", T + 20, 0.5, T + 25, "Diverged"), result=FAILED, created=T + 12, round=2),
    a_trial("d", Attempt(1, "p.0-1", T + 41, 0.5, None), result=None, created=T + 12, round=2),
)


@pytest.fixture
def result() -> SearchResult:
    return summarize(make_search(), TRIALS, Plan(Phase.SEARCHING), T + 50)


@pytest.fixture
def document(result: SearchResult, tmp_path: Path) -> dict[str, Any]:
    found = timeline(TRIALS, T + 50)
    assert found is not None
    write_trace(tmp_path / "trace.json", result, TRIALS, found)
    written: dict[str, Any] = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))
    return written


def spans(document: dict[str, Any], category: str) -> list[tuple[str, int, int]]:
    """Return name, start and length of each event of a category, in seconds from the start."""
    events = (event for event in document["traceEvents"] if event.get("cat") == category)
    return [(event["name"], event["ts"] / 1e6, event["dur"] / 1e6) for event in events]


def of_name(document: dict[str, Any], name: str, category: str) -> list[Event]:
    return [each for each in document["traceEvents"] if (each["name"], each.get("cat")) == (name, category)]


def tracks(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the group and the name of each track."""
    naming = [event for event in document["traceEvents"] if event["ph"] == "M"]
    groups = {event["pid"]: event["args"]["name"] for event in naming if event["name"] == "process_name"}
    for event in naming:
        if event["name"] == "thread_name":
            yield groups[event["pid"]], event["args"]["name"]


def test_a_trace_has_the_form_that_viewers_take(document: dict[str, Any]) -> None:
    Document.model_validate_json(json.dumps(document))


def test_the_form_would_refuse_what_viewers_would_not_take(document: dict[str, Any]) -> None:
    event = next(event for event in document["traceEvents"] if event["ph"] == "X")
    for change in ({"dur": -1}, {"ts": 0.5}, {"ph": "Y"}, {"args": {"a": None}}, {"cname": "crimson"}):
        with pytest.raises(ValidationError):
            TypeAdapter(Complete).validate_python({**event, **change})


def test_no_two_events_of_a_track_overlap(document: dict[str, Any]) -> None:
    assert overlaps(document["traceEvents"]) == []
    crossing = [
        {"ph": "X", "name": name, "pid": 1, "tid": 1, "ts": start, "dur": 10} for name, start in (("a", 0), ("b", 5))
    ]
    assert overlaps(crossing) == [("a", "b")]


def test_every_pod_is_a_group_with_a_track_for_each_slot(document: dict[str, Any]) -> None:
    assert list(tracks(document)) == [
        ("search test", "search"),
        ("search test", "rounds"),
        ("search test", "rounds"),
        # b is not over before d begins; a and c are.
        ("trials", "trials"),
        ("trials", "trials"),
        ("p", "slot 0"),
        ("q", "slot 0"),
    ]
    used = {(event["pid"], event["tid"]) for event in document["traceEvents"] if event["ph"] == "X"}
    named = {(event["pid"], event["tid"]) for event in document["traceEvents"] if event["name"] == "thread_name"}
    assert used == named


def test_the_search_and_its_rounds_have_spans(document: dict[str, Any]) -> None:
    assert spans(document, "search") == [("test", 0.0, 50.0)]
    # The first was proposed with the search and is over with b, the second from 12 on and under way.
    assert spans(document, "round") == [("round 1, 1 block", 0.0, 40.0), ("round 2, 2 blocks", 12.0, 38.0)]


def test_a_trial_lasts_from_its_first_claim_to_its_last_end(document: dict[str, Any]) -> None:
    assert sorted(spans(document, "trial")) == [("a", 1, 10), ("b", 2, 38), ("c", 20, 5), ("d", 41, 9)]
    (event,) = of_name(document, "c", "trial")
    assert event["args"]["queue_seconds"] == 8
    assert (event["args"]["state"], event["args"]["reason"]) == ("Failed", "Diverged")


def test_an_attempt_is_cut_where_its_slot_goes_on(document: dict[str, Any]) -> None:
    assert sorted(spans(document, "attempt")) == [
        ("a", 1, 10),
        ("b", 2, 18),  # to the claim of c in the same slot
        ("b", 31, 9),
        ("c", 20, 5),
        ("d", 41, 9),
    ]
    lost, again = sorted(of_name(document, "b", "attempt"), key=lambda event: event["ts"])
    assert (lost["args"]["outcome"], lost["args"]["recorded_seconds"], lost["cname"]) == ("Lost", 28, "terrible")
    assert (again["args"]["outcome"], "recorded_seconds" in again["args"]) == ("Succeeded", False)
    assert (lost["args"]["queue_seconds"], "queue_seconds" in again["args"]) == (2, False)


def test_the_parts_of_an_attempt_follow_one_another_within_it(document: dict[str, Any]) -> None:
    expected = [("data", 1, 0.5), ("meta-train", 1.5, 6), ("evaluate", 7.5, 2), ("write", 9.5, 0.25)]
    assert spans(document, "part") == expected


def test_parts_that_are_longer_than_the_attempt_are_cut(result: SearchResult, tmp_path: Path) -> None:
    trial = replace(TRIALS[0], result=make_result(0.5, part_seconds=replace(PARTS, training=30.0)))
    found = timeline([trial], T + 50)
    assert found is not None
    write_trace(tmp_path / "trace.json", result, [trial], found)
    written = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))
    assert spans(written, "part") == [("data", 1, 0.5), ("meta-train", 1.5, 9.5)]
    assert overlaps(written["traceEvents"]) == []


def test_the_idle_times_of_a_slot_are_events_too(document: dict[str, Any]) -> None:
    idle = sorted(spans(document, "idle"), key=lambda span: span[1:])
    # p waits from 11 to 31. From 12 to 20 both trials of the second round wait, then d; before, b runs in q.
    assert ("idle: none waits, others run", 11, 1) in idle
    assert ("idle: a trial waits", 12, 19) in idle
    assert ("idle: a trial waits", 40, 1) in idle


def test_a_counter_shows_the_trials_that_wait_and_run(document: dict[str, Any]) -> None:
    counted = [
        (event["ts"] / 1e6, event["args"]["waiting"], event["args"]["running"])
        for event in document["traceEvents"]
        if event["ph"] == "C"
    ]
    assert counted[:4] == [(0, 2, 0), (1, 1, 1), (2, 0, 2), (11, 0, 1)]
    assert counted[-2:] == [(41, 0, 1), (50, 0, 0)]


# --- what is printed ----------------------------------------------------------------------------------------------


def test_the_busy_share_and_the_idle_time_are_printed(result: SearchResult) -> None:
    found = timeline(TRIALS, T + 50)
    assert found is not None
    console = Console(width=120, record=True)
    print_busy(console, result, found)
    text = console.export_text().replace("\N{NO-BREAK SPACE}", " ")
    # p from 1 to 50: 10 + 9 + 9 of 49 s. q from 2 to 30, when its loss was found out: 18 + 5 of 23 s, for nothing
    # is known of it after the end of c.
    assert "busy: 70.8 % of the time of 2 slots of 2 pods or sessions, together 1 min 12 s" in text
    assert "lost: 23 s of busy time" in text
    assert "wait for the first claim: median 5.0 s, longest 29 s" in text


# --- the command --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finish_in_folder(tmp_path_factory.mktemp("finished"))


def test_a_folder_gets_a_trace(folder: Path) -> None:
    ended = metasearch("trace", folder)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[-1] == f"trace: {folder / 'trace.json'}"
    Document.model_validate_json((folder / "trace.json").read_bytes())


def test_a_trace_goes_where_it_is_told_to(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.json"
    assert metasearch("trace", folder, "--output", target).returncode == 0
    assert overlaps(json.loads(target.read_text(encoding="utf-8"))["traceEvents"]) == []


def test_a_search_without_a_trial_is_refused_in_a_sentence(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "trials.db")
    store.begin_search("test", make_resource(**SMALL).spec.model_dump_json(by_alias=True), STARTED)
    store.close()
    ended = metasearch("trace", tmp_path)
    assert (ended.returncode, ended.stdout) == (6, "")
    assert ended.stderr == (
        "metasearch: no trial of the search 'test' has begun, so there is nothing to trace; try again once metasearch "
        "status counts one as running\n"
    )
    assert not (tmp_path / "trace.json").exists()


def test_a_place_that_cannot_be_written_is_named(folder: Path, tmp_path: Path) -> None:
    ended = metasearch("trace", folder, "--output", tmp_path / "missing" / "trace.json")
    assert ended.returncode == 5
    assert f"{tmp_path / 'missing' / 'trace.json'} cannot be used" in ended.stderr


def test_a_final_stage_has_a_span_of_its_own(tmp_path: Path) -> None:
    final = a_trial(
        "f", Attempt(1, "p.0-1", T + 5, 0.0, T + 9, "Succeeded"), result=make_result(0.9), stage=Stage.FINAL, round=2
    )
    found = timeline([final], T + 9)
    assert found is not None
    result = summarize(make_search(), [final], Plan(Phase.SUCCEEDED), T + 9)
    write_trace(tmp_path / "trace.json", result, [final], found)
    written = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))
    assert spans(written, "round") == [("final training", 0, 9)]
