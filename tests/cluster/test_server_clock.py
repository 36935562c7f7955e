"""The time is that of the API server, whatever this machine's clock says."""

from __future__ import annotations

import time

import pytest

from metasearch.cluster.api import Api
from metasearch.cluster.server_clock import TOLERANCE_SECONDS, ServerClock

NOON, NOON_TEXT = 1_769_860_800.0, "Sat, 31 Jan 2026 12:00:00 GMT"


class Machine:
    """A fake machine whose clock can be set."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.ahead, self.passed = ahead, 0.0

    def clock(self) -> ServerClock:
        return ServerClock(lambda: NOON + self.passed + self.ahead, lambda: 100.0 + self.passed)


@pytest.mark.parametrize("ahead", [7200.0, -7200.0])
def test_a_clock_that_is_wrong_is_corrected_by_the_first_answer(ahead: float) -> None:
    clock = Machine(ahead).clock()
    assert clock.now() == NOON + ahead
    clock.heard(NOON_TEXT)
    assert abs(clock.now() - NOON) <= 1


def test_a_clock_that_is_set_meanwhile_changes_nothing() -> None:
    machine = Machine()
    clock = machine.clock()
    clock.heard(NOON_TEXT)
    machine.passed, machine.ahead = 60.0, 7200.0
    assert clock.now() == NOON + 60


def test_small_differences_are_let_be() -> None:
    """Times of attempts would else jump by a second from answer to answer."""
    machine = Machine(ahead=TOLERANCE_SECONDS - 1)
    clock = machine.clock()
    clock.heard(NOON_TEXT)
    assert clock.now() == NOON + machine.ahead


def test_a_machine_that_was_asleep_is_corrected() -> None:
    clock = Machine().clock()
    clock.heard("Sat, 31 Jan 2026 14:00:00 GMT")
    assert abs(clock.now() - NOON - 7200) <= 1


@pytest.mark.parametrize("date", [None, "", "yesterday", "Sat, 99 Jan 2026 12:00:00 GMT"])
def test_an_answer_without_a_date_says_nothing(date: str | None) -> None:
    clock = Machine(ahead=7200.0).clock()
    clock.heard(date)
    assert clock.now() == NOON + 7200


def test_a_real_api_server_corrects_a_clock(client: Api, namespace: str) -> None:
    ahead = Api(client._connection, clock=ServerClock(own=lambda: time.time() + 7200))
    assert ahead.clock.now() > time.time() + 7000
    ahead.get(f"/api/v1/namespaces/{namespace}")
    assert abs(ahead.clock.now() - time.time()) < TOLERANCE_SECONDS
    assert ahead.observed_by(lambda *_: None).clock is ahead.clock
