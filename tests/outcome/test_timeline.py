"""The timeline of a search says what each slot did at which time, and why it did nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from builders import make_result, make_trial
from hypothesis import given
from hypothesis import strategies as st

from metasearch.outcome.timeline import Idle, IdleReason, Slot, SlotTimeline, StageTime, Timeline, timeline
from metasearch.search.trials import INTERRUPTED, LOST, Attempt, Reason, Stage, State, Trial

WAITING, OTHERS, NOTHING = IdleReason.TRIAL_WAITING, IdleReason.OTHERS_RUNNING, IdleReason.NOTHING_PROPOSED


def attempt(worker: str, start: float, end: float | None, outcome: str | None = "Succeeded", epoch: int = 1) -> Attempt:
    return Attempt(epoch, worker, start, 0.0, end, None if end is None else outcome)


def a_trial(name: str, *attempts: Attempt, created: float | None = 0.0, **spec: object) -> Trial:
    """Make a trial with such attempts; it is over where the last of them is."""
    made = make_trial(name, make_result(), **spec)
    over = bool(attempts) and attempts[-1].ended_at is not None
    state = State.SUCCEEDED if over else State.RUNNING if attempts else State.PENDING
    result = made.result if over else None
    return replace(made, state=state, attempts=attempts, epoch=len(attempts), created_at=created, result=result)


def made(*trials: Trial, now: float = 1_000.0) -> Timeline:
    found = timeline(trials, now)
    assert found is not None
    return found


def claims(slot: SlotTimeline) -> list[tuple[str, float, float]]:
    return [(claim.trial.name, claim.start, claim.end) for claim in slot.claims]


TWO_ROUNDS = (
    a_trial("a", attempt("p.0-1", 1, 11)),
    a_trial("b", attempt("p.1-1", 2, 5)),
    a_trial("c", attempt("p.1-1", 6, 8)),
    a_trial("d", attempt("p.0-1", 21, 31), created=20, round=2),
    a_trial("e", attempt("p.1-1", 22, 26), created=20, round=2),
    a_trial("f", attempt("p.1-1", 41, 51), created=40, round=1, stage=Stage.FINAL),
)
"""Two slots. The first round is over at 11 and the second proposed at 20, the final stage at 40."""


def test_each_slot_has_its_claims_and_between_them_idle_times_with_a_reason() -> None:
    first, second = made(*TWO_ROUNDS).slots
    assert (first.slot, second.slot) == (Slot("p", 0), Slot("p", 1))
    assert (first.start, first.end, second.start, second.end) == (1, 51, 1, 51)
    assert claims(first) == [("a", 1, 11), ("d", 21, 31)]
    assert claims(second) == [("b", 2, 5), ("c", 6, 8), ("e", 22, 26), ("f", 41, 51)]
    assert first.idle == (
        Idle(NOTHING, 11, 20),
        # From 20 on, d and e wait; d is claimed at 21.
        Idle(WAITING, 20, 21),
        Idle(NOTHING, 31, 40),
        Idle(WAITING, 40, 41),
        Idle(OTHERS, 41, 51),
    )
    assert second.idle == (
        Idle(WAITING, 1, 2),
        Idle(WAITING, 5, 6),
        Idle(OTHERS, 8, 11),
        Idle(NOTHING, 11, 20),
        Idle(WAITING, 20, 22),
        Idle(OTHERS, 26, 31),
        Idle(NOTHING, 31, 40),
        Idle(WAITING, 40, 41),
    )


def test_counts_say_from_when_on_so_many_trials_wait_and_run() -> None:
    counts = [(count.time, count.waiting, count.running) for count in made(*TWO_ROUNDS).counts]
    of_first_round = [(0, 3, 0), (1, 2, 1), (2, 1, 2), (5, 1, 1), (6, 0, 2), (8, 0, 1), (11, 0, 0)]
    of_second_round = [(20, 2, 0), (21, 1, 1), (22, 0, 2), (26, 0, 1), (31, 0, 0)]
    assert counts == [*of_first_round, *of_second_round, (40, 1, 0), (41, 0, 1), (51, 0, 0)]


def test_shares_are_of_the_time_of_all_slots() -> None:
    found = made(*TWO_ROUNDS)
    # 10 + 10 seconds of one slot and 3 + 2 + 4 + 10 of the other, of 50 each.
    assert (found.busy_seconds, found.slot_seconds, found.busy_share) == (39, 100, 0.39)
    assert found.idle_seconds == {WAITING: 1 + 1 + 1 + 1 + 2 + 1, OTHERS: 10 + 3 + 5, NOTHING: 4 * 9}
    assert (found.start, found.end) == (0, 51)


def test_a_round_lasts_from_the_first_proposal_to_the_last_end() -> None:
    first, second, final = made(*TWO_ROUNDS).stages
    # No pod is known before 1, so the slots were there for 10 of the 11 seconds.
    assert first == StageTime(1, 0, 11, slot_seconds=20, busy_seconds=15)
    assert second == StageTime(2, 20, 31, slot_seconds=22, busy_seconds=14)
    assert final == StageTime(None, 40, 51, slot_seconds=22, busy_seconds=10)
    assert first.busy_share == 0.75


def test_the_wait_of_a_trial_ends_with_its_first_claim() -> None:
    waited = a_trial("a", attempt("p.0-1", 7, 9, LOST), attempt("p.0-2", 12, 20, epoch=2), created=3)
    unknown = a_trial("b", attempt("p.0-2", 30, 40), created=None)
    assert made(waited, unknown).waits == {"a": 4}


def test_a_lost_workers_claim_is_cut_where_its_slot_goes_on() -> None:
    # The pod's slot has a new process at 20, and the loss of the old one is found out at 60.
    lost = a_trial("a", attempt("p.0-1", 10, 60, LOST), attempt("q.0-1", 61, 70, epoch=2))
    following = a_trial("b", attempt("p.0-2", 20, 30))
    first, second = made(lost, following).slots
    assert claims(first) == [("a", 10, 20), ("b", 20, 30)]
    assert claims(second) == [("a", 61, 70)]
    assert not first.claims[0].is_result
    assert second.claims[0].is_result
    assert made(lost, following).lost_seconds == 10


@pytest.mark.parametrize(
    ("outcome", "lost"),
    [
        ("Succeeded", 0),
        (str(Reason.EARLY_STOPPED), 0),
        (str(Reason.BUDGET_EXHAUSTED), 0),
        (str(Reason.DIVERGED), 8),
        (LOST, 8),
        (INTERRUPTED, 8),
    ],
)
def test_the_time_of_attempts_that_came_to_nothing_is_added_up(outcome: str, lost: float) -> None:
    assert made(a_trial("a", attempt("p.0-1", 1, 9, outcome))).lost_seconds == lost


def test_a_trial_that_waits_for_another_attempt_is_waiting() -> None:
    again = a_trial("a", attempt("p.0-1", 0, 10, LOST), attempt("p.0-2", 13, 20, epoch=2))
    other = a_trial("b", attempt("p.1-1", 0, 30))
    first, _ = made(again, other).slots
    assert first.idle == (Idle(WAITING, 10, 13), Idle(OTHERS, 20, 30))


def test_what_runs_or_waits_goes_on_until_now() -> None:
    running, pending = a_trial("a", attempt("p.0-1", 5, None)), a_trial("b", created=50)
    quick = a_trial("c", attempt("p.1-1", 5, 9))
    first, second = made(running, pending, quick, now=100).slots
    assert claims(first) == [("a", 5, 100)]
    assert second.idle == (Idle(OTHERS, 9, 50), Idle(WAITING, 50, 100))


def test_an_attempt_that_began_after_now_has_no_length() -> None:
    (slot,) = made(a_trial("a", attempt("p.0-1", 5, None)), now=3).slots
    assert claims(slot) == [("a", 5, 5)]
    assert made(a_trial("a", attempt("p.0-1", 5, None)), now=3).busy_share is None


def test_a_slot_below_one_with_a_claim_is_there_and_was_idle() -> None:
    first, second = made(a_trial("a", attempt("p.1-1", 5, 9))).slots
    assert (first.slot.number, first.claims, first.idle) == (0, (), (Idle(OTHERS, 5, 9),))
    assert second.slot.number == 1


def test_pods_have_times_of_their_own() -> None:
    """A pause between two sessions of a local run is no idle time."""
    early, late = a_trial("a", attempt("p.0-1", 5, 9)), a_trial("b", attempt("q.0-1", 500, 509), created=499)
    found = made(late, early)
    assert [slot.slot.pod for slot in found.slots] == ["p", "q"]
    assert (found.slot_seconds, found.busy_share) == (13, 1.0)
    assert [found.seconds_until(time) for time in (0, 7, 9, 300, 503, 600)] == [0, 2, 4, 4, 7, 13]


def test_seconds_with_slots_count_once_however_many_slots_there_were() -> None:
    first, second = a_trial("a", attempt("p.0-1", 5, 9)), a_trial("b", attempt("q.0-1", 7, 20))
    assert [made(first, second).seconds_until(time) for time in (6, 8, 15, 99)] == [1, 3, 10, 15]


def test_where_no_proposal_is_on_record_the_rounds_first_claim_stands_for_it() -> None:
    first, second = (
        a_trial("a", attempt("p.0-1", 5, 9), created=None),
        a_trial("b", attempt("p.0-1", 12, 20), created=None),
    )
    (slot,) = made(first, second).slots
    assert slot.idle == (Idle(WAITING, 9, 12),)


def test_a_proposal_is_never_later_than_the_claim() -> None:
    found = made(a_trial("a", attempt("p.0-1", 5, 9), created=7.0))
    assert found.waits == {"a": 0}
    assert found.stages[0].start == 5


def test_a_worker_whose_name_says_no_slot_is_a_pod_of_its_own() -> None:
    assert [slot.slot for slot in made(a_trial("a", attempt("someone", 5, 9))).slots] == [Slot("someone", 0)]


def test_a_search_of_which_no_trial_has_begun_has_none() -> None:
    assert timeline([], 5.0) is None
    assert timeline([a_trial("a")], 5.0) is None


# --- any search ---

TIMES = st.integers(0, 40)
ATTEMPTS = st.lists(
    st.tuples(st.sampled_from(["p.0-1", "p.0-2", "p.2-1", "q.0-1"]), TIMES, TIMES | st.none()), max_size=3
)


@st.composite
def any_trials(draw: st.DrawFn) -> list[Trial]:
    """Make trials with any times, in whatever contradiction."""
    found = []
    for index, drawn in enumerate(draw(st.lists(ATTEMPTS, min_size=1, max_size=6))):
        attempts = [attempt(worker, start, end, epoch=epoch) for epoch, (worker, start, end) in enumerate(drawn, 1)]
        # Only the last one may still run.
        ended = [replace(each, ended_at=each.ended_at or each.started_at) for each in attempts[:-1]]
        created = draw(TIMES | st.none())
        found.append(a_trial(f"t{index}", *ended, *attempts[-1:], created=created, round=draw(st.integers(1, 3))))
    return found


@given(trials=any_trials(), now=TIMES)
def test_claims_and_idle_times_fill_each_slot_without_overlaps(trials: list[Trial], now: float) -> None:
    found = timeline(trials, now)
    if found is None:
        assert not any(trial.attempts for trial in trials)
        return
    assert sum(len(slot.claims) for slot in found.slots) == sum(len(trial.attempts) for trial in trials)
    for slot in found.slots:
        spans = sorted([(each.start, each.end) for each in (*slot.claims, *slot.idle)])
        assert all(start <= end for start, end in spans)
        edges = [(slot.start, slot.start), *spans, (slot.end, slot.end)]
        assert all(before[1] == after[0] for before, after in pairwise(edges))
    assert found.busy_seconds + sum(found.idle_seconds.values()) == pytest.approx(found.slot_seconds)
    for stage in found.stages:
        assert 0 <= stage.busy_seconds <= stage.slot_seconds + 1e-9
