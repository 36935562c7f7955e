"""A search is reconciled when something changes or is due; its status is written when it is news."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from metasearch.cluster.api import Refused
from metasearch.errors import StoreUnavailable
from metasearch.kubernetes.search_status import Condition, ConditionStatus, SearchStatus
from metasearch.kubernetes.times import Time
from metasearch_operator.diagnosis import Problem
from metasearch_operator.events import Event
from metasearch_operator.reconciler import ReconcileResult
from metasearch_operator.search_tasks import FIGURES_SECONDS, RESYNC_SECONDS, RETRY_BACKOFF, SearchLoop
from metasearch_operator.searches import status_json

Json = dict[str, Any]

EVENT = Event("Normal", "RoundStarted", "round 1: 10 cells to try", "round 1")
SEARCH: Json = {"metadata": {"namespace": "team-a", "name": "test"}, "status": status_json(SearchStatus(round=1))}


def not_ready(message: str) -> Condition:
    status = ConditionStatus.FALSE
    return Condition(
        type="Ready", status=status, reason="OperatorError", message=message, last_transition_time=Time.at(0)
    )


class LoopHarness:
    """A driver of a loop whose reconciles return what a test says; it records what the loop does."""

    def __init__(self) -> None:
        self.result: ReconcileResult | Exception = ReconcileResult(
            SearchStatus(round=2), is_urgent=True, events=[EVENT]
        )
        self.is_written: bool | Exception = True
        self.reconciled: Json = {}
        self.now = 0.0
        self.reconciles = 0
        self.written: list[SearchStatus] = []
        self.posted: list[Event] = []
        self.problems: list[Problem] = []
        self.shown: list[ReconcileResult] = []
        self.loop = SearchLoop(
            reconcile=self._reconcile,
            report_problem=self._report_problem,
            write_status=self._write_status,
            run_in_thread=self._at_once,
            post=lambda _resource, event: self.posted.append(event),
            show=lambda _resource, result: self.shown.append(result),
            clock=lambda: self.now,
            resource=SEARCH,
        )

    def reconcile_once(self) -> float:
        return asyncio.run(self.loop.reconcile_once())

    def _reconcile(self, resource: Json) -> ReconcileResult:
        self.reconciles += 1
        self.reconciled = resource
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def _report_problem(self, _resource: Json, problem: Problem) -> ReconcileResult:
        self.problems.append(problem)
        return ReconcileResult(SearchStatus(conditions=(not_ready(problem.message),)), is_urgent=True)

    def _write_status(self, _resource: Json, status: SearchStatus) -> bool:
        if isinstance(self.is_written, Exception):
            raise self.is_written
        self.written += [status] if self.is_written else []
        return self.is_written

    async def _at_once(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return call(*arguments)


@pytest.fixture
def harness() -> LoopHarness:
    return LoopHarness()


# --- writing ------------------------------------------------------------------------------------------------------


def test_news_is_written_and_posted(harness: LoopHarness) -> None:
    assert harness.reconcile_once() == RESYNC_SECONDS
    assert (harness.written, harness.posted) == ([SearchStatus(round=2)], [EVENT])


def test_what_is_on_record_is_not_written_again(harness: LoopHarness) -> None:
    harness.result = ReconcileResult(SearchStatus(round=1), is_urgent=True, events=[EVENT])
    assert harness.reconcile_once() == RESYNC_SECONDS
    assert not harness.written
    assert not harness.posted


def test_figures_alone_are_written_now_and_then(harness: LoopHarness) -> None:
    for second in range(int(2 * FIGURES_SECONDS) + 1):
        harness.now = float(second)
        harness.result = ReconcileResult(SearchStatus(best_score=f"0.{second:04d}"), is_urgent=False)
        assert harness.reconcile_once() == RESYNC_SECONDS
    assert harness.written == [
        SearchStatus(best_score=f"0.{second:04.0f}") for second in (0, FIGURES_SECONDS, 2 * FIGURES_SECONDS)
    ]


def test_news_does_not_wait_for_figures(harness: LoopHarness) -> None:
    harness.reconcile_once()
    harness.result = ReconcileResult(SearchStatus(round=3), is_urgent=True)
    harness.reconcile_once()
    assert harness.written == [SearchStatus(round=2), SearchStatus(round=3)]


def test_of_a_search_that_has_changed_meanwhile_nothing_is_posted(harness: LoopHarness) -> None:
    harness.is_written = False
    assert harness.reconcile_once() == RETRY_BACKOFF.first
    assert not harness.posted
    assert harness.loop.failures == 0


# --- failing ------------------------------------------------------------------------------------------------------


def test_a_server_that_does_not_answer_is_asked_again_later_and_later(harness: LoopHarness) -> None:
    harness.result = StoreUnavailable("no answer")
    pauses = [harness.reconcile_once() for _ in range(9)]
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    assert not harness.written


def test_after_a_reconcile_that_succeeded_failures_are_forgotten(harness: LoopHarness) -> None:
    harness.result = StoreUnavailable("no answer")
    harness.reconcile_once()
    harness.reconcile_once()
    harness.result = ReconcileResult(SearchStatus(round=2), is_urgent=True)
    assert harness.reconcile_once() == RESYNC_SECONDS
    harness.result = StoreUnavailable("no answer")
    assert harness.reconcile_once() == RETRY_BACKOFF.first


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(Refused("jobs.batch is forbidden"), "for now: jobs.batch is forbidden", id="a sentence of ours"),
        pytest.param(ZeroDivisionError("division"), "for now: ZeroDivisionError: division", id="what nobody foresaw"),
    ],
)
def test_an_unexpected_error_is_written_where_people_look(harness: LoopHarness, error: Exception, words: str) -> None:
    harness.result = error
    assert harness.reconcile_once() == RETRY_BACKOFF.first
    (problem,) = harness.problems
    assert problem.reason == "OperatorError"
    assert words in problem.message
    assert harness.shown[-1].status.conditions == (not_ready(problem.message),)  # in metrics, too
    assert harness.written == [SearchStatus(conditions=(not_ready(problem.message),))]


def test_only_what_nobody_foresaw_is_logged_with_a_traceback(
    harness: LoopHarness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.result = Refused("jobs.batch is forbidden")
    harness.reconcile_once()
    assert "jobs.batch is forbidden" in caplog.text
    assert "Traceback" not in caplog.text
    harness.result = ZeroDivisionError("division")
    harness.reconcile_once()
    assert "Traceback" in caplog.text


def test_a_failure_that_cannot_be_written_either_is_tried_again(harness: LoopHarness) -> None:
    harness.result = ZeroDivisionError("division")
    harness.is_written = StoreUnavailable("no answer")
    assert [harness.reconcile_once(), harness.reconcile_once()] == [RETRY_BACKOFF.first, 2 * RETRY_BACKOFF.first]


def test_a_status_that_is_refused_is_reported(harness: LoopHarness) -> None:
    harness.is_written = Refused("status.round: Invalid value")
    assert harness.reconcile_once() == RETRY_BACKOFF.first
    assert harness.problems[0].message.endswith("status.round: Invalid value")


# --- going on -----------------------------------------------------------------------------------------------------


def test_a_search_is_reconciled_whenever_something_has_changed(harness: LoopHarness) -> None:
    async def run() -> int:
        running = asyncio.create_task(harness.loop.run())
        for _ in range(3):
            before = harness.reconciles
            harness.loop.changed.set()
            async with asyncio.timeout(30):
                while harness.reconciles == before:
                    await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return harness.reconciles

    assert asyncio.run(run()) >= 3


def test_what_changes_during_a_reconcile_causes_another(harness: LoopHarness) -> None:
    async def reconcile_and_change(call: Callable[..., Any], *arguments: Any) -> Any:
        if harness.reconciles == 0:
            harness.loop.changed.set()  # as a reflector would, in the middle of the reconcile
        return call(*arguments)

    async def run() -> None:
        harness.loop.run_in_thread = reconcile_and_change
        running = asyncio.create_task(harness.loop.run())
        async with asyncio.timeout(RESYNC_SECONDS - 5):
            while harness.reconciles < 2:
                await asyncio.sleep(0.01)
        running.cancel()

    asyncio.run(run())
