"""`metasearch top`: what is known of each slot, and what is not."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import pytest
from builders import STARTED, make_search, make_trial
from rich.console import Console

from metasearch.outcome.figures import Confidence
from metasearch.outcome.remaining import Remaining
from metasearch.outcome.results import summarize
from metasearch.outcome.running import activity
from metasearch.search import trials
from metasearch.search.planner import Phase, Plan
from metasearch.search.trials import Progress, State, Trial, TrialResult
from metasearch_cli.outcome.progress import progress_sentence
from metasearch_cli.outcome.running_table import driver_sentence, print_running

NOW = STARTED + 60
LONG_CELL = " | ".join(["conv3x3(-1)+identity(-2)", *["conv3x3(0)+identity(-1)"] * 4])


def running(name: str, worker: str, *progress: object, **spec: object) -> Trial:
    claimed = trials.claim(make_trial(name, meta_iterations=1_000, **spec), worker, STARTED, 0.0)  # type: ignore[arg-type]
    return trials.report(claimed, 1, Progress(*progress)) if progress else claimed  # type: ignore[arg-type]


def printed(
    recorded: Sequence[Trial], height: int = 25, is_terminal: bool = False, seen_at: float = NOW, width: int = 160
) -> list[str]:
    result = summarize(make_search(budget={"maxTrials": 10}), recorded, Plan(Phase.SEARCHING), seen_at)
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=is_terminal, no_color=True)
    print_running(console, result, activity(recorded, NOW), NOW)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_each_slot_has_a_line_and_the_sums_follow() -> None:
    over = trials.claim(make_trial("over"), "pod.2-1", STARTED, 0.0)
    recorded = [
        running("early", "pod.0-1", 600, (), 400, STARTED + 50, candidate=LONG_CELL),
        running("new", "pod.1-4"),
        trials.complete(over, 1, TrialResult(state=State.FAILED), STARTED + 9, max_attempts=1),
        make_trial("waits"),
    ]
    heading, early, new, idle, slots, counts, spent = printed(recorded)
    assert heading.split() == [
        *("worker", "slot", "trial", "stage", "round", "done", "share", "per", "second", "remaining", "attempts"),
        "cell",
    ]
    # 200 meta-iterations in 50 s; the 400 that were left take 100 s, of which 10 are over.
    known = ["pod", "0", "early", "Search", "1", "600/1000", "60%", "4", "90", "s", "1"]
    assert early.split() == [*known, "conv3x3(-1)+identity(-2)", "|", "conv…"]
    assert new.split() == ["pod", "1", "new", "Search", "1", "?/1000", "?", "?", "?", "1", "conv3x3(-1)+identity(-2)"]
    assert idle.split() == ["pod", "2", "idle"]
    assert slots == ("slots: 2 busy, 1 idle; 4 meta-iterations per second (1 of 2 trials have not told theirs yet)")
    assert counts == "trials: 0 succeeded, 0 stopped, 1 failed, 2 running, 1 pending"
    assert spent == "test: Searching; 60 s and 40% of the nearest limit of its budget spent"


def test_several_workers_are_counted() -> None:
    recorded = [running("a", "pod-a.0-1"), running("b", "pod-b.0-1")]
    assert "slots: 2 busy, 0 idle, of 2 workers" in printed(recorded)


def test_a_trial_that_is_asked_to_stop_says_so() -> None:
    stopping = trials.request_stop(running("a", "pod.0-1", 10, (), 0, STARTED + 5))
    assert "stopping" in printed([stopping])[1].split()


def test_without_trials_there_are_the_sums_alone() -> None:
    assert printed([])[0] == "no worker is known to run"


@pytest.mark.parametrize("is_terminal", [False, True])
def test_slots_that_do_not_fit_on_a_terminal_are_counted(is_terminal: bool) -> None:
    recorded = [running(f"t{slot:02}", f"pod.{slot}-1") for slot in range(30)]
    lines = printed(recorded, height=20, is_terminal=is_terminal)
    shown = sum("?/1000" in line for line in lines)
    assert shown == (12 if is_terminal else 30)
    assert len(lines) <= (20 if is_terminal else 40)
    assert ("and 18 more slots, for which the terminal is too low" in lines) is is_terminal
    assert any(line.startswith("slots: 30 busy") for line in lines)


@pytest.mark.parametrize(
    ("width", "left_out"),
    # Up to `remaining`, a space before each, it is 85 characters: 6 of them `round`, 7 `stage`, 6 `share`.
    [
        (160, set()),
        (80, {"cell", "attempts", "round"}),
        (60, {"cell", "attempts", "round", "stage", "share", "per"}),
    ],
)
def test_columns_that_do_not_fit_on_a_terminal_are_left_out(width: int, left_out: set[str]) -> None:
    recorded = [running("a-trial-of-the-search", "e9ef4204.0-1", 600, (), 400, STARTED + 50, candidate=LONG_CELL)]
    heading, trial = printed(recorded, is_terminal=True, width=width)[:2]
    styled = re.compile(r"\x1b\[[0-9;]*m")
    named = set(styled.sub("", heading).replace("per second", "per").split())
    columns = {"worker", "slot", "trial", "stage", "round", "done", "share", "per", "remaining", "attempts", "cell"}
    assert columns - named == left_out
    assert len(styled.sub("", trial)) <= width
    assert len(printed(recorded, width=width)[1]) > 100  # elsewhere nothing is left out


def test_a_search_tells_when_it_will_end() -> None:
    result = summarize(make_search(), [], Plan(Phase.SEARCHING), NOW)
    assert progress_sentence(result) is None
    estimate = Remaining(share=0.299, seconds=1234.0, unlimited_seconds=1234.0, confidence=Confidence.LOW)
    foreseen = result.model_copy(update={"remaining": estimate})
    # To two digits, 1234 s are 1200 s.
    assert progress_sentence(foreseen) == (
        "estimated: 29% of its time is over, 20\N{NO-BREAK SPACE}min left (confidence Low)"
    )
    over = foreseen.search.model_copy(update={"phase": Phase.SUCCEEDED})
    assert progress_sentence(foreseen.model_copy(update={"search": over})) is None


def test_a_driver_that_is_gone_is_said_to_be() -> None:
    recorded = [running("a", "pod.0-1")]
    assert printed(recorded, seen_at=NOW - 30)[-1] == (
        "no driver has been at work on it for 30 s; metasearch run --resume goes on with it"
    )
    assert not any("no driver" in line for line in printed(recorded, seen_at=NOW - 15))


def test_nobody_needs_to_be_at_work_on_a_search_that_is_over() -> None:
    over = summarize(make_search(), [], Plan(Phase.FAILED), STARTED)
    assert driver_sentence(over, STARTED + 1_000) is None
