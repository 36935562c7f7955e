"""A worker claims, runs and records trials."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from builders import make_result, make_trial_spec

from metasearch.errors import StoreUnavailable
from metasearch.exit_codes import EXIT_RESTART
from metasearch.retry import Retry
from metasearch.search.trials import LOST, CurvePoint, Progress, Reason, State, Trial, TrialResult, TrialSpec
from metasearch.stores.sqlite import SqliteStore
from metasearch_trainer.shutdown import WorkerShutdown
from metasearch_trainer.trial import Observer, TrialEnded
from metasearch_trainer.worker import RECORD_BACKOFF, RECORD_SECONDS, Worker, WorkerEnvironment

Act = Callable[[TrialSpec, Observer], TrialResult]


class FakeTrainer:
    """A trainer that does what the test says instead of training; what is tested here is the loop around it."""

    def __init__(self, act: Act, forget: Callable[[TrialSpec], None] = lambda _: None) -> None:
        self.run, self.forget = act, forget


class FakeClock:
    """A fake clock whose time passes only when it is waited for; the worker is asked to end at its first wait."""

    def __init__(self, step_seconds: float = 0.0) -> None:
        self.time, self.step_seconds = 100.0, step_seconds
        self.is_shutting_down, self.waits = False, list[float]()

    def look(self) -> float:
        self.time += self.step_seconds
        return self.time

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds
        self.is_shutting_down = True

    def environment(self) -> WorkerEnvironment:
        retry = Retry(self.look, self.wait, lambda: 0.5, lambda _: None)
        return WorkerEnvironment(lambda: self.time, retry, lambda: self.is_shutting_down)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "trials.db", max_attempts=1)
    opened.propose([make_trial_spec("a", priority=0), make_trial_spec("b", priority=1)])
    yield opened
    opened.close()


def test_whoever_asks_hears_whether_there_is_work(store: SqliteStore) -> None:
    heard: list[bool] = []
    clock = FakeClock()
    environment = replace(clock.environment(), set_busy=heard.append)
    Worker("w", 0.0, store, FakeTrainer(lambda _spec, _observe: make_result()), environment).work()
    assert heard == [True, True, False]


def states(store: SqliteStore) -> dict[str, State]:
    return {trial.name: trial.state for trial in store.trials()}


def work(store: SqliteStore, act: Act, clock: FakeClock | None = None) -> int:
    return Worker("w", 0.5, store, FakeTrainer(act), (clock or FakeClock()).environment()).work()


def test_a_worker_runs_what_there_is_and_then_waits(store: SqliteStore) -> None:
    clock = FakeClock()
    assert work(store, lambda trial, _: make_result(0.1 if trial.name == "a" else 0.2), clock) == 0
    assert {trial.name: trial.score for trial in store.trials()} == {"a": 0.1, "b": 0.2}
    assert len(clock.waits) == 1


def test_a_worker_waits_longer_the_longer_there_is_no_work(store: SqliteStore) -> None:
    clock, asked = FakeClock(), list[int]()

    def wait(seconds: float) -> None:
        clock.time += seconds
        if seconds == 0.3:
            store.propose([make_trial_spec("late")])
        clock.is_shutting_down = len(asked) == 5

    def idle_seconds(times: int) -> float:
        asked.append(times)
        return times / 10

    environment = clock.environment()
    environment = replace(environment, retry=replace(environment.retry, sleep=wait), idle_seconds=idle_seconds)
    Worker("w", 0.0, store, FakeTrainer(lambda *_: make_result()), environment).work()
    assert asked == [0, 1, 2, 3, 0]
    assert states(store)["late"] is State.SUCCEEDED


def test_a_worker_that_should_be_recycled_asks_for_it_after_its_trial(store: SqliteStore) -> None:
    environment = replace(FakeClock().environment(), should_recycle=lambda: True)
    assert Worker("w", 0.0, store, FakeTrainer(lambda *_: make_result()), environment).work() == EXIT_RESTART
    assert states(store) == {"a": State.SUCCEEDED, "b": State.PENDING}


def test_a_failed_trial_is_recorded_and_the_worker_asks_to_be_replaced(store: SqliteStore) -> None:
    failed = TrialResult(state=State.FAILED, reason=Reason.ERROR, message="boom")
    assert work(store, lambda *_: failed) == EXIT_RESTART
    assert states(store) == {"a": State.FAILED, "b": State.PENDING}


def test_a_diverged_trial_is_no_reason_to_replace_the_worker(store: SqliteStore) -> None:
    diverged = TrialResult(state=State.FAILED, reason=Reason.DIVERGED, message="NaN")
    assert work(store, lambda *_: diverged) == 0
    assert set(states(store).values()) == {State.FAILED}


def test_a_worker_that_is_told_to_shut_down_leaves_its_claim_open(store: SqliteStore) -> None:
    clock = FakeClock()

    def act(_: TrialSpec, observe: Observer) -> TrialResult:
        clock.is_shutting_down = True
        observe(Progress(1))
        raise AssertionError("the observer lets a worker go on that shuts down")

    with pytest.raises(WorkerShutdown):
        work(store, act, clock)
    assert states(store)["a"] is State.RUNNING


def test_training_is_forgotten_only_when_its_result_is_on_record(store: SqliteStore) -> None:
    def act(trial: TrialSpec, _: Observer) -> TrialResult:
        return make_result() if trial.name == "a" else TrialResult(state=State.FAILED, reason=Reason.DIVERGED)

    def forget(trial: TrialSpec) -> None:
        assert states(store)[trial.name] is State.SUCCEEDED
        forgotten.append(trial.name)

    forgotten: list[str] = []
    Worker("w", 0.0, store, FakeTrainer(act, forget), FakeClock().environment()).work()
    assert forgotten == ["a"]  # the other failed, and might be tried again from where it was


def test_progress_is_recorded_at_most_once_a_second(store: SqliteStore) -> None:
    recorded: list[int] = []

    def act(_: TrialSpec, observe: Observer) -> TrialResult:
        for iteration in range(1, 11):
            observe(Progress(iteration))
            recorded.append(store.trials()[0].progress.meta_iteration)
        return make_result()

    store.request_stop(["b"])
    work(store, act, FakeClock(step_seconds=0.3))
    assert recorded == [0, 0, 0, 4, 4, 4, 4, 8, 8, 8]


def test_progress_is_recorded_with_its_time_and_where_it_began(store: SqliteStore) -> None:
    clock = FakeClock()

    def act(_: TrialSpec, observe: Observer) -> TrialResult:
        clock.time += 7.5
        observe(Progress(9, started_from=5))
        assert store.trials()[0].progress == Progress(9, started_from=5, reported_at=107.5)
        return make_result()

    store.request_stop(["b"])
    work(store, act, clock)


def test_a_new_point_of_the_curve_is_recorded_at_once(store: SqliteStore) -> None:
    def act(_: TrialSpec, observe: Observer) -> TrialResult:
        observe(Progress(1, (CurvePoint(1, 0.5),)))
        assert store.trials()[0].progress.curve == (CurvePoint(1, 0.5),)
        return make_result()

    store.request_stop(["b"])
    work(store, act)


def test_a_trial_that_is_to_stop_is_told_at_its_next_report(store: SqliteStore) -> None:
    def act(_: TrialSpec, observe: Observer) -> TrialResult:
        store.request_stop(["a", "b"])
        with pytest.raises(TrialEnded) as ended:
            observe(Progress(1, (CurvePoint(1, 0.5),)))
        return make_result(state=ended.value.state, reason=ended.value.reason)

    work(store, act)
    assert states(store) == {"a": State.STOPPED, "b": State.STOPPED}


def test_a_worker_whose_trial_was_given_to_another_drops_it_and_goes_on(store: SqliteStore) -> None:
    def act(trial: TrialSpec, _: Observer) -> TrialResult:
        if trial.name == "a" and store.trials()[0].epoch == 1:
            store.release("w", 0.0, LOST)
            store.claim("other", 0.0, 0.0)
        return make_result(0.5)

    work(store, act)
    trials = {trial.name: trial for trial in store.trials()}
    assert (trials["a"].state, trials["a"].attempts[-1].worker) == (State.RUNNING, "other")
    assert trials["b"].state is State.SUCCEEDED


class FullDisk(SqliteStore):
    """A store that refuses results for a while."""

    refusals = 3

    def complete(self, claimed: Trial, result: TrialResult, now: float) -> Trial:
        if self.refusals > 0:
            self.refusals -= 1
            raise StoreUnavailable("full")
        return super().complete(claimed, result, now)


def test_a_result_that_cannot_be_recorded_now_is_tried_again(store: SqliteStore) -> None:
    full, clock = FullDisk(store.path), FakeClock()
    full.request_stop(["b"])
    work(full, lambda *_: make_result(0.7), clock)
    full.close()
    assert clock.waits == [RECORD_BACKOFF.pause(failures) for failures in range(3)] == [0.5, 1.0, 2.0]
    assert store.trials()[0].score == 0.7


def test_a_result_that_can_never_be_recorded_ends_the_worker(store: SqliteStore) -> None:
    full, clock = FullDisk(store.path), FakeClock()
    full.refusals = 99
    with pytest.raises(StoreUnavailable):
        work(full, lambda *_: make_result(0.7), clock)
    full.close()
    assert RECORD_SECONDS <= sum(clock.waits) <= RECORD_SECONDS + RECORD_BACKOFF.longest
    assert states(store)["a"] is State.RUNNING
