"""Pauses that grow, and trying again after them."""

from __future__ import annotations

import pytest
from virtual_clock import VirtualClock

from metasearch.cluster.api import NotFound
from metasearch.errors import StoreUnavailable
from metasearch.retry import Backoff
from metasearch_trainer.shutdown import WorkerShutdown

BACKOFF = Backoff(first=1.0, longest=30.0, jitter=0.25)


def test_pauses_grow_up_to_the_longest() -> None:
    backoff = Backoff(first=0.5, longest=5.0)
    assert [backoff.pause(failures) for failures in range(6)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert backoff.pause(100_000) == 5.0


def test_pauses_differ_by_a_quarter_either_way() -> None:
    backoff = Backoff(first=4.0, longest=10.0, jitter=0.25)
    assert (backoff.pause(0, 0.0), backoff.pause(0, 1.0)) == (3.0, 5.0)


# --- trying again -------------------------------------------------------------------------------------------------


class Away:
    """Something that answers after so many failures."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def ask(self) -> str:
        if not self.failures:
            return "here"
        self.failures -= 1
        raise StoreUnavailable("away")


def test_what_goes_well_is_done_once(capfd: pytest.CaptureFixture[str]) -> None:
    clock = VirtualClock()
    assert clock.retry().until_available(Away(failures=0).ask, BACKOFF) == "here"
    assert (clock.waits, capfd.readouterr().err) == ([], "")


@pytest.mark.parametrize(("limit", "limit_text"), [({}, ""), ({"seconds": 60.0}, " for 60 s")])
def test_what_fails_is_tried_again_after_pauses_and_said_once(
    limit: dict[str, float], limit_text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    clock = VirtualClock()
    assert clock.retry().until_available(Away(failures=3).ask, BACKOFF, **limit) == "here"
    assert [round(wait / expected) for wait, expected in zip(clock.waits, (1, 2, 4), strict=True)] == [1, 1, 1]
    assert capfd.readouterr().err == f"away; trying again{limit_text}\n"


def test_retrying_has_an_end_only_where_one_is_set() -> None:
    clock = VirtualClock()
    with pytest.raises(StoreUnavailable):
        clock.retry().until_available(Away(failures=1_000).ask, BACKOFF, seconds=60.0)
    assert 60.0 <= sum(clock.waits) <= 60.0 + BACKOFF.longest
    assert clock.retry().until_available(Away(failures=1_000).ask, BACKOFF) == "here"


def test_what_another_try_does_not_help_is_not_tried_again() -> None:
    def ask() -> None:
        raise NotFound("gone")

    clock = VirtualClock()
    with pytest.raises(NotFound):
        clock.retry().until_available(ask, BACKOFF)
    assert clock.waits == []


def test_whoever_is_to_shut_down_stops_trying() -> None:
    def shut_down() -> None:
        raise WorkerShutdown

    with pytest.raises(WorkerShutdown):
        VirtualClock(at_wait=shut_down).retry().until_available(Away(failures=1).ask, BACKOFF)
