"""A status keeps when the search began and how long it was suspended."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import STARTED, make_trial

from metasearch.kubernetes.search_status import SUSPENDED, Condition, ConditionStatus, SearchStatus
from metasearch.kubernetes.times import Time
from metasearch.kubernetes.timing import Timing, timing_of
from metasearch.quantities import Duration
from metasearch.search.trials import claim

BEGUN = Timing(STARTED, suspended_seconds=0.0, suspended_at=None, completed_at=None)
SUSPENDED_ONCE = replace(BEGUN, suspended_seconds=30.0)
IN_SUSPENSION = replace(SUSPENDED_ONCE, suspended_at=STARTED + 100)
OVER = replace(SUSPENDED_ONCE, completed_at=STARTED + 200)


def status(suspended: ConditionStatus, **changes: object) -> SearchStatus:
    since = Condition(
        type=SUSPENDED, status=suspended, reason="Suspended", message="", last_transition_time=Time.at(STARTED + 100)
    )
    return SearchStatus(conditions=(since,), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("recorded", "timing"),
    [
        pytest.param(SearchStatus(), replace(BEGUN, started_at=STARTED + 500), id="a search that begins"),
        pytest.param(SearchStatus(start_time=Time.at(STARTED)), BEGUN, id="one that has begun"),
        pytest.param(
            status(ConditionStatus.TRUE, start_time=Time.at(STARTED), suspended_time=Duration("30s")),
            IN_SUSPENSION,
            id="one that is suspended",
        ),
        pytest.param(
            status(ConditionStatus.FALSE, start_time=Time.at(STARTED), suspended_time=Duration("30s")),
            SUSPENDED_ONCE,
            id="one that was suspended",
        ),
        pytest.param(
            SearchStatus(
                start_time=Time.at(STARTED),
                suspended_time=Duration("30s"),
                completion_time=Time.at(STARTED + 200),
            ),
            OVER,
            id="one that has ended",
        ),
    ],
)
def test_a_status_says_when_a_search_began_paused_and_ended(recorded: SearchStatus, timing: Timing) -> None:
    assert timing_of(recorded, [], STARTED + 500) == timing


def test_a_search_that_begins_in_the_future_begins_now() -> None:
    assert timing_of(SearchStatus(start_time=Time.at(STARTED + 7200)), [], STARTED + 500).started_at == STARTED + 500


def test_a_search_never_ends_before_it_begins() -> None:
    assert BEGUN.noted(STARTED - 7200, is_over=True, is_suspended=False).completed_at == STARTED


@pytest.mark.parametrize(("timing", "paused"), [(BEGUN, 0.0), (SUSPENDED_ONCE, 30.0), (IN_SUSPENSION, 50.0)])
def test_a_suspension_under_way_counts_up_to_now(timing: Timing, paused: float) -> None:
    assert timing.paused_seconds(STARTED + 120) == paused


def test_a_clock_that_went_back_takes_nothing_away() -> None:
    assert IN_SUSPENSION.paused_seconds(STARTED) == 30.0
    assert OVER.resumed(STARTED).suspended_seconds == 30.0


def test_a_suspension_is_added_up_once_when_it_is_over() -> None:
    resumed = IN_SUSPENSION.noted(STARTED + 120, is_over=False, is_suspended=False)
    assert resumed == replace(BEGUN, suspended_seconds=50.0)
    assert resumed.noted(STARTED + 130, is_over=False, is_suspended=False) == resumed


def test_a_suspension_that_goes_on_is_left_to_its_condition() -> None:
    assert IN_SUSPENSION.noted(STARTED + 120, is_over=False, is_suspended=True) == IN_SUSPENSION


def test_a_search_has_ended_when_that_was_first_seen() -> None:
    ended = SUSPENDED_ONCE.noted(STARTED + 200, is_over=True, is_suspended=False)
    assert ended == OVER
    assert ended.noted(STARTED + 999, is_over=True, is_suspended=False) == OVER


def test_a_search_that_ends_in_a_suspension_is_suspended_no_more() -> None:
    ended = IN_SUSPENSION.noted(STARTED + 120, is_over=True, is_suspended=False)
    assert (ended.suspended_at, ended.suspended_seconds, ended.completed_at) == (None, 50.0, STARTED + 120)


def test_time_between_an_end_and_going_on_does_not_count() -> None:
    assert OVER.resumed(STARTED + 260) == replace(BEGUN, suspended_seconds=90.0)


def test_a_search_whose_status_was_removed_began_with_its_first_attempt() -> None:
    tried = claim(make_trial("a"), "pod.0-0", STARTED + 60, gpus=0.0)
    assert timing_of(SearchStatus(), [make_trial("b"), tried], STARTED + 500).started_at == STARTED + 60
    recorded = SearchStatus(start_time=Time.at(STARTED))
    assert timing_of(recorded, [tried], STARTED + 500).started_at == STARTED
