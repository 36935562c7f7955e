"""Pauses that grow, and trying again after them."""

from __future__ import annotations

import pytest
from patient import Clock

from metasearch.cluster.api import NotFound
from metasearch.errors import StoreUnavailable
from metasearch_trainer.backoff import Backoff
from metasearch_trainer.worker import WorkerLeaves

PAUSES = Backoff(first=1.0, most=30.0)


def test_pauses_grow_up_to_the_longest() -> None:
    backoff = Backoff(first=0.5, most=5.0)
    assert [backoff.pause(failures, 0.5) for failures in range(6)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert backoff.pause(100_000, 0.5) == 5.0


def test_pauses_differ_by_a_quarter_either_way() -> None:
    backoff = Backoff(first=4.0, most=10.0)
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
    clock = Clock()
    assert clock.patience().keep_trying(Away(failures=0).ask, PAUSES) == "here"
    assert (clock.waits, capfd.readouterr().err) == ([], "")


@pytest.mark.parametrize(("limit", "told"), [({}, ""), ({"seconds": 60.0}, " for 60 s")])
def test_what_fails_is_tried_again_after_pauses_and_said_once(
    limit: dict[str, float], told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    assert clock.patience().keep_trying(Away(failures=3).ask, PAUSES, **limit) == "here"
    assert [round(wait / expected) for wait, expected in zip(clock.waits, (1, 2, 4), strict=True)] == [1, 1, 1]
    assert capfd.readouterr().err == f"away; trying again{told}\n"


def test_patience_has_an_end_only_where_one_is_set() -> None:
    clock = Clock()
    with pytest.raises(StoreUnavailable):
        clock.patience().keep_trying(Away(failures=1_000).ask, PAUSES, seconds=60.0)
    assert 60.0 <= sum(clock.waits) <= 60.0 + PAUSES.most
    assert clock.patience().keep_trying(Away(failures=1_000).ask, PAUSES) == "here"


def test_what_another_try_does_not_help_is_not_tried_again() -> None:
    def ask() -> None:
        raise NotFound("gone")

    clock = Clock()
    with pytest.raises(NotFound):
        clock.patience().keep_trying(ask, PAUSES)
    assert clock.waits == []


def test_who_is_to_leave_stops_trying() -> None:
    def leave() -> None:
        raise WorkerLeaves

    with pytest.raises(WorkerLeaves):
        Clock(at_wait=leave).patience().keep_trying(Away(failures=1).ask, PAUSES)
