"""A driver that did not run for a while: time in which nobody was at work is not spent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from builders import STARTED, make_search

from metasearch.stores.sqlite import SqliteStore
from metasearch_cli.local.driver import PAUSE_SECONDS, Clock, _Loop


@dataclass
class Machine:
    """A fake machine on which time passes as the test says."""

    now: float = STARTED
    computed: float = 0.0

    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.now, lambda: self.computed)


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def loop(tmp_path: Path, machine: Machine) -> Iterator[_Loop]:
    store = SqliteStore(tmp_path / "trials.db")
    store.begin_search("test", "{}", STARTED)
    store.begin_session(STARTED)
    yield _Loop(make_search(), store, None, None, machine.clock())  # type: ignore[arg-type]
    store.close()


def test_time_in_which_a_driver_was_stopped_is_not_spent(loop: _Loop, machine: Machine) -> None:
    """As by Ctrl-Z, or where a laptop was asleep."""
    machine.now += 10
    loop.leave_out_pause()
    machine.now += 7200
    loop.leave_out_pause()
    machine.now += 20
    loop.leave_out_pause()
    assert loop.search.wall_seconds(machine.now) == 30
    row = loop.store.search()
    assert row is not None
    assert row.paused_seconds == 7200


def test_time_in_which_a_driver_computes_is_spent(loop: _Loop, machine: Machine) -> None:
    """As to learn what to try next, which may take minutes."""
    machine.now, machine.computed = STARTED + 600, 590.0
    loop.leave_out_pause()
    machine.now += PAUSE_SECONDS
    loop.leave_out_pause()
    assert loop.search.wall_seconds(machine.now) == 600 + PAUSE_SECONDS


def test_a_clock_that_is_set_back_takes_nothing_away(loop: _Loop, machine: Machine) -> None:
    machine.now -= 7200
    loop.leave_out_pause()
    assert loop.search.paused_seconds == 0
