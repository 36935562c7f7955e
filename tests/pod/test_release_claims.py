"""Claims of ended processes are released."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import make_result, make_trial_spec
from local_search import wait_until
from unreliable_store import UnreliableStore
from virtual_clock import VirtualClock

from metasearch.cluster.api import Forbidden, Refused
from metasearch.errors import StoreUnavailable
from metasearch.retry import Backoff
from metasearch.search.trials import INTERRUPTED, LOST, Reason, State, Trial
from metasearch_trainer.pod.release_claims import OUT_OF_MEMORY, ClaimReleaser, EndedWorker
from metasearch_trainer.spool import PendingResult, Spool


@pytest.fixture
def store(tmp_path: Path) -> Iterator[UnreliableStore]:
    opened = UnreliableStore(tmp_path / "trials.db", VirtualClock())
    opened.propose([make_trial_spec("a", priority=0), make_trial_spec("b", priority=1)])
    yield opened
    opened.close()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "slot-0.json")


@pytest.fixture
def releaser(store: UnreliableStore) -> ClaimReleaser:
    return ClaimReleaser(store, now=lambda: 7.0)


def claim(store: UnreliableStore, worker: str) -> Trial:
    claimed = store.claim(worker, 1.0, 0.0)
    assert claimed is not None
    return claimed


@pytest.mark.parametrize("outcome", [LOST, INTERRUPTED])
def test_what_a_process_held_is_free_again(
    releaser: ClaimReleaser, store: UnreliableStore, spool: Spool, outcome: str
) -> None:
    claim(store, "dead")
    claim(store, "alive")
    releaser.release(EndedWorker("dead", spool, outcome))
    freed = store.recorded("a")
    assert (freed.state, freed.attempts[0].outcome, freed.attempts[0].ended_at) == (State.PENDING, outcome, 7.0)
    assert store.recorded("b").holder == "alive"


def test_lack_of_memory_is_the_trials_own_failure(
    releaser: ClaimReleaser, store: UnreliableStore, spool: Spool
) -> None:
    for state in (State.PENDING, State.FAILED):
        claim(store, "dead")
        releaser.release(EndedWorker("dead", spool, OUT_OF_MEMORY))
        assert store.recorded("a").state is state
    assert {attempt.outcome for attempt in store.recorded("a").attempts} == {Reason.OUT_OF_MEMORY}


def test_a_trial_whose_result_waits_is_left_to_the_next_process(
    releaser: ClaimReleaser, store: UnreliableStore, spool: Spool
) -> None:
    spool.put(PendingResult(claim(store, "dead"), make_result(0.7), 5.0))
    releaser.release(EndedWorker("dead", spool, LOST))
    assert store.recorded("a").holder == "dead"
    assert spool.read() is not None


def test_after_the_last_process_the_result_is_sent(
    releaser: ClaimReleaser, store: UnreliableStore, spool: Spool
) -> None:
    spool.put(PendingResult(claim(store, "dead"), make_result(0.7), 5.0))
    releaser.release(EndedWorker("dead", spool, INTERRUPTED, is_last=True))
    assert (store.recorded("a").score, store.recorded("a").attempts[0].ended_at) == (0.7, 5.0)


def test_a_result_that_comes_too_late_is_dropped(releaser: ClaimReleaser, store: UnreliableStore, spool: Spool) -> None:
    spool.put(PendingResult(claim(store, "dead"), make_result(0.7), 5.0))
    store.release("dead", 6.0, LOST)
    releaser.release(EndedWorker("dead", spool, INTERRUPTED, is_last=True))
    assert store.recorded("a").state is State.PENDING


class FlakyStore:
    """A fake store that cannot be reached at first, then forbids, then refuses, then answers."""

    def __init__(self) -> None:
        self.answers: list[Exception] = [StoreUnavailable("cut"), Forbidden("may not"), Refused("not valid")]
        self.asked: list[str] = []

    def held_by(self, worker: str) -> list[Trial]:
        self.asked.append(worker)
        if self.answers:
            raise self.answers.pop(0)
        return []


def test_claims_are_released_in_turn_once_the_store_can_be_reached(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("metasearch_trainer.pod.release_claims.RETRY_BACKOFF", Backoff(0.0, 0.0))
    store = FlakyStore()
    releaser = ClaimReleaser(store)  # type: ignore[arg-type]
    for worker in ("one", "two"):
        releaser.add(EndedWorker(worker, spool, LOST))
    assert not releaser.wait_until_released(0.0)
    releaser.start()
    assert releaser.wait_until_released(30.0)
    wait_until(lambda: store.asked == ["one", "one", "one", "two"])
    assert "what one had claimed cannot be released: not valid" in capfd.readouterr().err
