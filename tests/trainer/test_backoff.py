"""Pauses that grow."""

from __future__ import annotations

from metasearch_trainer.backoff import Backoff


def test_pauses_grow_up_to_the_longest() -> None:
    backoff = Backoff(first=0.5, most=5.0)
    assert [backoff.pause(failures, 0.5) for failures in range(6)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert backoff.pause(100_000, 0.5) == 5.0


def test_pauses_differ_by_a_quarter_either_way() -> None:
    backoff = Backoff(first=4.0, most=10.0)
    assert (backoff.pause(0, 0.0), backoff.pause(0, 1.0)) == (3.0, 5.0)
