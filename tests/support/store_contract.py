"""The contract of trial stores. A store's own test file subclasses it and says how to open a store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import pytest
from builders import make_result, make_trial_spec

from metasearch.search.trials import (
    INTERRUPTED,
    LOST,
    CurvePoint,
    Progress,
    Reason,
    Stage,
    StaleClaim,
    State,
    Trial,
    TrialResult,
)
from metasearch.stores.base import TrialStore

ERROR = TrialResult(state=State.FAILED, reason=Reason.ERROR, message="boom")

OpenStore = Callable[[], TrialStore]
"""A function that opens the store anew, as another process would."""


class TrialStoreContract(ABC):
    """Subclasses give the fixture `open_store`; the store's maxAttempts must be 2."""

    @pytest.fixture
    @abstractmethod
    def open_store(self) -> OpenStore: ...

    @pytest.fixture
    def store(self, open_store: OpenStore) -> TrialStore:
        return open_store()

    def test_a_new_store_is_empty(self, store: TrialStore) -> None:
        assert list(store.trials()) == []
        assert store.claim("w", 0.0, 0.0) is None

    def test_a_proposed_trial_is_pending(self, store: TrialStore) -> None:
        spec = make_trial_spec("a", predicted=0.25, round_size=3)
        store.propose([spec])
        assert list(store.trials()) == [Trial(spec=spec)]

    def test_proposing_twice_makes_one_trial_and_leaves_it_as_it_is(self, store: TrialStore) -> None:
        store.propose([make_trial_spec("a", predicted=0.1)])
        store.claim("w", 0.0, 0.0)
        store.propose([make_trial_spec("a", predicted=0.9), make_trial_spec("b")])
        trials = {trial.name: trial for trial in store.trials()}
        assert trials["a"].state is State.RUNNING
        assert trials["a"].spec.predicted == 0.1
        assert set(trials) == {"a", "b"}

    def test_trials_are_claimed_by_stage_round_and_priority(self, store: TrialStore) -> None:
        store.propose(
            [
                make_trial_spec("final", stage=Stage.FINAL, round=1),
                make_trial_spec("second", round=1, priority=1),
                make_trial_spec("third", round=2, priority=0),
                make_trial_spec("first", round=1, priority=0),
            ]
        )
        names = []
        while claimed := store.claim("w", 0.0, 0.0):
            names.append(claimed.name)
        assert names == ["first", "second", "third", "final"]

    def test_a_trial_is_claimed_once(self, store: TrialStore, open_store: OpenStore) -> None:
        store.propose([make_trial_spec("a")])
        assert store.claim("one", 0.0, 0.0) is not None
        assert open_store().claim("other", 0.0, 0.0) is None

    def test_a_claim_is_on_record(self, store: TrialStore, open_store: OpenStore) -> None:
        store.propose([make_trial_spec("a")])
        claimed = store.claim("w", 7.0, 0.25)
        (recorded,) = open_store().trials()
        assert recorded == claimed
        assert (recorded.attempts[0].worker, recorded.attempts[0].gpus) == ("w", 0.25)

    def test_progress_is_on_record(self, store: TrialStore) -> None:
        store.propose([make_trial_spec("a")])
        claimed = self.claim(store)
        progress = Progress(5, (CurvePoint(5, 0.5),))
        assert not store.report(claimed, progress).stop_requested
        assert store.trials()[0].progress == progress

    def test_a_result_is_on_record(self, store: TrialStore, open_store: OpenStore) -> None:
        store.propose([make_trial_spec("a")])
        store.complete(self.claim(store), make_result(0.75), 9.0)
        (recorded,) = open_store().trials()
        assert (recorded.state, recorded.result) == (State.SUCCEEDED, make_result(0.75))
        assert recorded.attempts[0].ended_at == 9.0

    def test_the_first_result_stays(self, store: TrialStore) -> None:
        store.propose([make_trial_spec("a")])
        claimed = self.claim(store)
        store.complete(claimed, make_result(0.5), 1.0)
        with pytest.raises(StaleClaim):
            store.complete(claimed, make_result(0.9), 2.0)
        assert store.trials()[0].score == 0.5

    def test_a_late_result_of_a_lost_worker_is_refused(self, store: TrialStore) -> None:
        store.propose([make_trial_spec("a")])
        lost = self.claim(store, "lost")
        store.release("lost", 1.0, LOST)
        again = self.claim(store, "other")
        with pytest.raises(StaleClaim):
            store.complete(lost, make_result(0.1), 2.0)
        with pytest.raises(StaleClaim):
            store.report(lost, Progress(1))
        assert store.complete(again, make_result(0.9), 3.0).score == 0.9

    def test_releasing_a_worker_frees_what_it_holds_and_no_more(self, store: TrialStore) -> None:
        store.propose([make_trial_spec("a", priority=0), make_trial_spec("b", priority=1)])
        self.claim(store, "one")
        self.claim(store, "other")
        store.release("one", 1.0, INTERRUPTED)
        assert {trial.name: trial.state for trial in store.trials()} == {"a": State.PENDING, "b": State.RUNNING}

    def test_releasing_a_worker_that_holds_nothing_is_harmless(self, store: TrialStore) -> None:
        store.propose([make_trial_spec("a")])
        store.complete(self.claim(store, "w"), make_result(), 1.0)
        store.release("w", 2.0, LOST)
        store.release("nobody", 2.0, LOST)
        assert store.trials()[0].state is State.SUCCEEDED

    def test_a_failed_trial_is_tried_again_once(self, store: TrialStore) -> None:
        store.propose([make_trial_spec("a")])
        assert store.complete(self.claim(store), ERROR, 1.0).state is State.PENDING
        assert store.complete(self.claim(store), ERROR, 2.0).state is State.FAILED

    def test_a_stopped_pending_trial_is_over(self, store: TrialStore) -> None:
        store.propose([make_trial_spec("a")])
        store.request_stop(["a"])
        assert store.trials()[0].state is State.STOPPED
        assert store.claim("w", 0.0, 0.0) is None

    def test_a_running_trial_learns_at_its_next_report_that_it_is_to_stop(self, store: TrialStore) -> None:
        store.propose([make_trial_spec("a")])
        claimed = self.claim(store)
        store.request_stop(["a"])
        assert store.report(claimed, Progress(1)).stop_requested

    def test_stopping_a_finished_trial_changes_nothing(self, store: TrialStore) -> None:
        store.propose([make_trial_spec("a")])
        done = store.complete(self.claim(store), make_result(), 1.0)
        store.request_stop(["a"])
        assert list(store.trials()) == [done]

    @staticmethod
    def claim(store: TrialStore, worker: str = "w") -> Trial:
        claimed = store.claim(worker, 0.0, 0.0)
        assert claimed is not None
        return claimed
