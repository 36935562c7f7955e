"""`--watch`: a search is drawn until it is over, and a store that is away for a while is waited for."""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from builders import STARTED, make_search
from finished_search import finish_in_folder
from local_search import command, metasearch, start, trials_in, wait_until, write_resource
from rich.console import Console

from metasearch.errors import ClusterUnusable, InvalidSpec, StoreUnavailable
from metasearch.loading import load_search
from metasearch.outcome.ends import end_of
from metasearch.outcome.running import activity
from metasearch.search.planner import plan
from metasearch.stores.sqlite import SqliteStore
from metasearch_cli.outcome.watch import GRACE_SECONDS, Clock, Draw, watch

AWAY = StoreUnavailable("the API server cannot be reached (Connection refused)")
REFUSED = ClusterUnusable("the cluster refuses that")


def drawing(*answers: str | Exception) -> Draw:
    """Return a function that prints its answers in turn, or raises them; with the last one the search is over."""
    left = list(answers)

    def draw(console: Console) -> bool:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        console.print(answer, highlight=False)
        return not left

    return draw


def watched(
    draw: Draw, is_terminal: bool = False, interval: float = 5.0, terminal: str = "xterm"
) -> tuple[str, Sequence[float]]:
    """Watch with a clock that passes only in waits; return what was printed, and the waits."""
    waits: list[float] = []
    console = Console(file=io.StringIO(), width=160, height=20, force_terminal=is_terminal, _environ={"TERM": terminal})
    watch(console, draw, interval, Clock(lambda: sum(waits), waits.append))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue(), waits


def test_elsewhere_than_on_a_terminal_drawings_follow_each_other() -> None:
    assert watched(drawing("one", "two", "over")) == ("one\n\ntwo\n\nover\n", [5.0, 5.0])


def test_on_a_terminal_a_drawing_takes_the_place_of_the_last() -> None:
    printed, _ = watched(drawing("one\nline", "over"), is_terminal=True)
    one, over = printed.find("one\nline"), printed.find("over")
    assert 0 <= one < over
    assert "\x1b[1A" in printed[one:over]  # the cursor went up
    assert "\x1b[?25l" in printed  # it was hidden
    assert printed.rindex("\x1b[?25h") > over  # and is there again at the end


def test_a_terminal_without_a_movable_cursor_is_as_elsewhere() -> None:
    printed, _ = watched(drawing("one", "over"), is_terminal=True, terminal="dumb")
    assert printed == "one\n\nover\n"


def test_a_store_that_is_away_is_said_once_and_waited_for() -> None:
    printed, waits = watched(drawing("one", *[AWAY] * 100, "two", AWAY, "over"))
    away = "the API server cannot be reached (Connection refused); the search was last read 5 s ago, trying again"
    assert printed == f"one\n\n{away} every 5 s\n\ntwo\n\n{away} every 5 s\n\nover\n"
    assert len(waits) == 103


def test_on_a_terminal_what_was_seen_last_stays_above_the_sentence() -> None:
    printed, _ = watched(drawing("one", AWAY, AWAY, "over"), is_terminal=True)
    assert printed.count("one") == 3
    assert "last read 10 s ago" in printed


@pytest.mark.parametrize("error", [AWAY, REFUSED, InvalidSpec("there is no search")])
def test_what_was_never_read_is_not_waited_for(error: Exception) -> None:
    with pytest.raises(type(error), match=re.escape(str(error))):
        watched(drawing(error, "over"))


def test_a_search_that_is_gone_is_not_waited_for() -> None:
    with pytest.raises(InvalidSpec):
        watched(drawing("one", InvalidSpec("the namespace has no search 'a'"), "over"))


def test_an_api_server_that_has_just_started_may_refuse_for_a_while() -> None:
    looks = int(GRACE_SECONDS / 5)
    assert watched(drawing("one", *[REFUSED] * looks, "over"))[0].endswith("\nover\n")
    with pytest.raises(ClusterUnusable):
        watched(drawing("one", *[REFUSED] * (looks + 1), "over"))


# --- as commands --------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a search that has begun, and that nobody is at work on."""
    resource = load_search(write_resource(tmp_path))
    store = SqliteStore(tmp_path / "trials.db")
    store.begin_search("tiny", resource.spec.model_dump_json(by_alias=True), 0.0)
    store.close()
    return tmp_path


ENDS = {"budget": {"maxTrials": 30}, "search": {"progressive": {"beamWidth": 4}, "confirmations": 0}}
"""The parts of a spec that the invented search ends by, so that the folder has them too."""


def record_end(folder: Path) -> None:
    """Record that the search of a folder has ended, as its driver does."""
    store, search = SqliteStore(folder / "trials.db"), make_search(**ENDS)
    recorded = store.trials()
    end = end_of(search, recorded, plan(search, recorded, STARTED), STARTED)
    store.replace_ends([end.model_dump_json(by_alias=True)])
    store.close()


@pytest.mark.parametrize("name", ["status", "top"])
def test_a_search_that_is_over_is_drawn_once(tmp_path: Path, name: str) -> None:
    finished = finish_in_folder(tmp_path, **ENDS)
    record_end(finished)
    once, again = metasearch(name, finished), metasearch(name, finished, "--watch")
    assert (once.returncode, again.returncode) == (0, 0)
    assert once.stdout == again.stdout
    assert "test: Succeeded" in once.stdout


def test_the_driver_of_a_search_that_is_over_has_no_idle_slots(tmp_path: Path) -> None:
    finished = finish_in_folder(tmp_path, **ENDS)
    assert activity(trials_in(finished), STARTED).slots  # as long as it is under way
    assert metasearch("top", finished).stdout.startswith("no worker is known to run\n")


@pytest.mark.parametrize("name", ["status", "top"])
def test_ctrl_c_ends_a_watch(tmp_path: Path, folder: Path, name: str) -> None:
    printed = tmp_path / "printed.txt"
    watching = start(printed, name, folder, "--watch", "--interval", "0.1")
    wait_until(lambda: printed.read_text().count("tiny: Searching") >= 2)
    watching.send_signal(signal.SIGINT)
    assert watching.wait() == 130
    assert "Traceback" not in printed.read_text()
    assert "no driver has been at work on it for" in printed.read_text()
    assert printed.read_text().endswith("metasearch run --resume goes on with it\n")


def test_ctrl_c_gives_a_terminal_its_cursor_back(folder: Path) -> None:
    ours, theirs = pty.openpty()
    arguments = command("top", folder, "--watch", "--interval", "0.1")
    environment = {**os.environ, "TERM": "xterm"}
    watching = subprocess.Popen(arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    try:
        seen = _read_until(ours, lambda text: text.count("tiny: Searching") >= 2)
        watching.send_signal(signal.SIGINT)
        assert watching.wait(60) == 130
        seen += _rest(ours)
    finally:
        watching.kill()
        watching.wait()
        os.close(ours)
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")
    assert "Traceback" not in seen


@pytest.mark.parametrize("interval", ["0", "inf", "nan"])
def test_a_wrong_interval_is_refused(folder: Path, interval: str) -> None:
    ended = metasearch("status", folder, "--watch", "--interval", interval)
    assert ended.returncode == 2
    assert "Invalid value for '--interval'" in ended.stderr


def _read_until(terminal: int, holds: Callable[[str], bool]) -> str:
    seen = ""
    while not holds(seen):
        seen += os.read(terminal, 65_536).decode()
    return seen


def _rest(terminal: int) -> str:
    """Return what is left to read of a terminal whose program has ended."""
    seen = ""
    try:
        while part := os.read(terminal, 65_536).decode():
            seen += part
    except OSError:  # how Linux tells that nobody writes any more
        return seen
    return seen
