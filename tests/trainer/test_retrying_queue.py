"""A queue whose store may be out of reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from builders import make_result, make_trial_spec
from unreliable_store import UnreliableStore
from virtual_clock import VirtualClock

from metasearch.cluster.api import Forbidden, Refused
from metasearch.errors import StoreUnavailable
from metasearch.search.trials import LOST, CurvePoint, Progress, Reason, StaleClaim, State, Trial
from metasearch_trainer.retrying_queue import MAX_REFUSALS, SEND_SECONDS, STOP_CHECK_SECONDS, RetryingQueue
from metasearch_trainer.spool import Spool


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def store(tmp_path: Path, clock: VirtualClock) -> Iterator[UnreliableStore]:
    opened = UnreliableStore(tmp_path / "trials.db", clock)
    opened.propose([make_trial_spec("a", priority=0), make_trial_spec("b", priority=1)])
    yield opened
    opened.close()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool" / "slot-0.json")


@pytest.fixture
def queue(store: UnreliableStore, spool: Spool, clock: VirtualClock) -> RetryingQueue:
    return RetryingQueue(store, spool, clock.retry())


def claim(queue: RetryingQueue) -> Trial:
    claimed = queue.claim("w", 1.0, 0.5)
    assert claimed is not None
    return claimed


def recorded(store: UnreliableStore, name: str = "a") -> Trial:
    return store.recorded(name)


# --- claims ---


def test_without_the_store_there_is_nothing_to_do(queue: RetryingQueue, store: UnreliableStore) -> None:
    store.is_cut = True
    assert queue.claim("w", 1.0, 0.0) is None
    store.is_cut = False
    assert claim(queue).name == "a"


def test_a_claim_whose_answer_was_lost_is_taken_up(queue: RetryingQueue, store: UnreliableStore) -> None:
    store.loses_answers = True
    assert queue.claim("w", 1.0, 0.0) is None
    assert claim(queue) == recorded(store, "a")
    assert recorded(store, "b").state is State.PENDING


# --- reports ---


def run(queue: RetryingQueue, claimed: Trial, clock: VirtualClock, seconds: int) -> None:
    """Train, and report every second."""
    for second in range(1, seconds + 1):
        clock.time += 1
        queue.report(claimed, Progress(second))


def test_a_trial_of_half_a_minute_costs_two_writes(
    queue: RetryingQueue, store: UnreliableStore, clock: VirtualClock
) -> None:
    claimed = claim(queue)
    run(queue, claimed, clock, 29)
    queue.complete(claimed, make_result(), 2.0)
    assert store.writes == ["claim", "complete"]


def test_a_trial_of_a_minute_costs_three_writes_and_a_longer_one_few_more(
    queue: RetryingQueue, store: UnreliableStore, clock: VirtualClock
) -> None:
    claimed = claim(queue)
    run(queue, claimed, clock, 60)
    assert store.writes == ["claim", "report"]
    assert 30 <= recorded(store).progress.meta_iteration <= 35
    run(queue, claimed, clock, 3540)
    assert store.writes.count("report") <= 10


def test_a_trial_that_is_to_stop_is_reported_within_seconds(
    queue: RetryingQueue, store: UnreliableStore, clock: VirtualClock
) -> None:
    claimed = claim(queue)
    store.request_stop(["a"])
    clock.time += STOP_CHECK_SECONDS - 0.1
    assert not queue.report(claimed, Progress(1)).stop_requested
    clock.time += 0.2
    assert queue.report(claimed, Progress(2)).stop_requested
    assert store.writes == ["claim"]


def test_a_trial_that_was_given_to_another_is_void(
    queue: RetryingQueue, store: UnreliableStore, clock: VirtualClock
) -> None:
    claimed = claim(queue)
    store.release("w", 2.0, LOST)
    clock.time += STOP_CHECK_SECONDS
    with pytest.raises(StaleClaim):
        queue.report(claimed, Progress(1))


def test_training_goes_on_without_the_store(queue: RetryingQueue, store: UnreliableStore, clock: VirtualClock) -> None:
    claimed = claim(queue)
    store.is_cut = True
    run(queue, claimed, clock, 120)
    assert clock.waits == []


def test_a_store_that_takes_long_to_answer_takes_a_tenth_of_the_time(
    queue: RetryingQueue, store: UnreliableStore, clock: VirtualClock
) -> None:
    claimed = claim(queue)
    store.is_cut, store.answer_seconds, began = True, 20.0, clock.time
    run(queue, claimed, clock, 1000)
    assert clock.time - began <= 1.11 * 1000


def test_progress_that_is_no_number_does_not_end_the_trial(
    queue: RetryingQueue, store: UnreliableStore, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Trial:
        raise Refused("not valid")

    claimed = claim(queue)
    monkeypatch.setattr(store, "report", refuse)
    clock.time += 40
    assert queue.report(claimed, Progress(1, (CurvePoint(1, float("nan")),))) == claimed


# --- results ---


def test_a_result_is_on_disk_until_it_is_on_record(queue: RetryingQueue, store: UnreliableStore, spool: Spool) -> None:
    on_disk = []
    store.is_cut = True
    clock = VirtualClock(at_wait=lambda: on_disk.append(spool.read()))
    retrying = RetryingQueue(store, spool, clock.retry())
    claimed = store_claim(store)
    with pytest.raises(StoreUnavailable):
        retrying.complete(claimed, make_result(0.7), 9.0)
    assert {found.result.score for found in on_disk if found} == {0.7}
    store.is_cut = False
    assert queue.send_spooled() == recorded(store)
    assert (recorded(store).score, recorded(store).attempts[0].ended_at) == (0.7, 9.0)
    assert not spool.path.exists()


def store_claim(store: UnreliableStore) -> Trial:
    store.is_cut, before = False, store.is_cut
    claimed = store.claim("w", 1.0, 0.0)
    store.is_cut = before
    assert claimed is not None
    return claimed


def test_a_result_is_tried_for_ten_minutes_with_pauses_that_differ(
    queue: RetryingQueue, store: UnreliableStore, spool: Spool, clock: VirtualClock
) -> None:
    claimed = claim(queue)
    store.is_cut = True
    with pytest.raises(StoreUnavailable):
        queue.complete(claimed, make_result(), 2.0)
    assert SEND_SECONDS <= sum(clock.waits) <= SEND_SECONDS + 40
    assert len(clock.waits) < 40
    assert len(set(clock.waits)) > 10
    assert spool.read() is not None


def test_a_store_that_comes_back_gets_the_result(
    queue: RetryingQueue, store: UnreliableStore, clock: VirtualClock
) -> None:
    claimed = claim(queue)
    store.is_cut = True
    clock.at_wait = lambda: setattr(store, "is_cut", clock.time < 400)
    assert queue.complete(claimed, make_result(0.7), 2.0).score == 0.7


def test_a_result_of_a_trial_that_another_has_is_dropped(
    queue: RetryingQueue, store: UnreliableStore, spool: Spool
) -> None:
    claimed = claim(queue)
    store.release("w", 2.0, LOST)
    with pytest.raises(StaleClaim):
        queue.complete(claimed, make_result(), 2.0)
    assert spool.read() is None
    assert queue.send_spooled() is None


def test_a_spooled_result_of_a_trial_that_another_has_is_dropped(
    queue: RetryingQueue, store: UnreliableStore, spool: Spool
) -> None:
    claimed = claim(queue)
    store.is_cut = True
    with pytest.raises(StoreUnavailable):
        queue.complete(claimed, make_result(), 2.0)
    store.is_cut = False
    store.release("w", 2.0, LOST)
    assert queue.send_spooled() is None
    assert not spool.path.exists()


def test_a_result_that_is_refused_is_a_failure_that_is_tried_again(
    queue: RetryingQueue, store: UnreliableStore, spool: Spool
) -> None:
    for attempt in (1, 2):
        queue.complete(claim(queue), make_result(float("nan")), 2.0)
        assert recorded(store).attempts[-1].outcome == Reason.ERROR
        assert len(recorded(store).attempts) == attempt
    result = recorded(store).result
    assert result is not None
    assert (result.state, result.reason) == (State.FAILED, Reason.ERROR)
    assert result.message == "the result was refused (status.result.score must be a number)"
    assert spool.read() is None


def test_a_refusal_is_not_believed_at_once(queue: RetryingQueue, store: UnreliableStore, clock: VirtualClock) -> None:
    store.refusals = MAX_REFUSALS
    assert queue.complete(claim(queue), make_result(0.7), 2.0).score == 0.7
    assert len(clock.waits) == MAX_REFUSALS


def test_where_nothing_is_accepted_the_worker_ends(queue: RetryingQueue, store: UnreliableStore, spool: Spool) -> None:
    claimed = claim(queue)
    store.refusals = 99
    with pytest.raises(Refused):
        queue.complete(claimed, make_result(), 2.0)
    assert spool.read() is None


def test_a_result_that_may_not_be_written_now_is_kept_until_it_may(
    queue: RetryingQueue, store: UnreliableStore, spool: Spool, clock: VirtualClock
) -> None:
    claimed = claim(queue)
    store.forbids = True
    with pytest.raises(StoreUnavailable, match="may not"):
        queue.complete(claimed, make_result(0.7), 2.0)
    assert SEND_SECONDS <= sum(clock.waits) <= SEND_SECONDS + 40
    assert spool.read() is not None
    store.forbids = False
    assert queue.send_spooled() == recorded(store)
    assert recorded(store).score == 0.7


def test_trials_that_may_not_be_claimed_now_are_waited_for_and_not_for_ever(
    queue: RetryingQueue, store: UnreliableStore, clock: VirtualClock
) -> None:
    store.forbids = True
    assert queue.claim("w", 1.0, 0.0) is None
    clock.time += SEND_SECONDS - 1
    assert queue.claim("w", 1.0, 0.0) is None
    store.forbids = False
    assert claim(queue).name == "a"
    store.forbids = True
    assert queue.claim("w", 1.0, 0.0) is None
    clock.time += SEND_SECONDS
    with pytest.raises(Forbidden):
        queue.claim("w", 1.0, 0.0)


def test_a_result_is_kept_to_the_last_bit(spool: Spool, store: UnreliableStore, queue: RetryingQueue) -> None:
    claimed, result = claim(queue), replace(make_result(1 / 3), wall_seconds=0.1 + 0.2)
    store.is_cut = True
    with pytest.raises(StoreUnavailable):
        queue.complete(claimed, result, 2.0)
    unsent = spool.read()
    assert unsent is not None
    assert (unsent.claimed, unsent.result) == (claimed, result)


def test_a_spool_that_cannot_be_read_is_no_reason_to_end(queue: RetryingQueue, spool: Spool) -> None:
    spool.path.parent.mkdir()
    spool.path.write_text('{"claimed": ')
    assert queue.send_spooled() is None
    assert not spool.path.exists()


def test_a_full_disk_does_not_keep_a_result_from_its_store(
    tmp_path: Path, store: UnreliableStore, clock: VirtualClock, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    queue = RetryingQueue(store, Spool(tmp_path / "file" / "slot-0.json"), clock.retry())
    assert queue.complete(claim(queue), make_result(0.7), 2.0).score == 0.7
    assert "slot-0.json cannot be written (File exists)" in capfd.readouterr().err
