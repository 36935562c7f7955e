"""When a search is looked at, and when its status is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from metasearch.cluster.api import Refused
from metasearch.errors import StoreUnavailable
from metasearch_operator.driver import FIGURES_SECONDS, REREAD_SECONDS, RESYNC_SECONDS, RETRY_SECONDS, Driver
from metasearch_operator.notes import Note
from metasearch_operator.passes import Outcome, SearchGone
from metasearch_operator.troubles import Trouble

Json = dict[str, Any]

NOTE = Note("Normal", "LevelStarted", "level 1: 10 cells to try")
SEARCH: Json = {"metadata": {"namespace": "team-a", "name": "test"}, "status": {"level": 1}}


class Desk:
    """What the driver works with: passes that come to what a test says, and a record of what was done."""

    def __init__(self) -> None:
        self.outcome: Outcome | Exception = Outcome({"level": 2}, is_news=True, notes=[NOTE])
        self.is_recorded: bool | Exception = True
        self.there: Json | Exception = SEARCH
        self.looked_at: Json = {}
        self.now = 0.0
        self.passes = 0
        self.written: list[Json] = []
        self.told: list[Note] = []
        self.troubles: list[Trouble] = []
        self.driver = Driver(
            pass_over=self._pass_over,
            in_trouble=self._in_trouble,
            record=self._record,
            read=self._read,
            run_in_thread=self._at_once,
            tell=lambda _resource, note: self.told.append(note),
            clock=lambda: self.now,
            resource=SEARCH,
        )

    def turn(self) -> float:
        return asyncio.run(self.driver.turn())

    def _read(self, _resource: Json) -> Json:
        if isinstance(self.there, Exception):
            raise self.there
        return self.there

    def _pass_over(self, resource: Json) -> Outcome:
        self.passes += 1
        self.looked_at = resource
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def _in_trouble(self, _resource: Json, trouble: Trouble) -> Outcome:
        self.troubles.append(trouble)
        return Outcome({"trouble": trouble.message}, is_news=True)

    def _record(self, _resource: Json, status: Json) -> bool:
        if isinstance(self.is_recorded, Exception):
            raise self.is_recorded
        self.written += [status] if self.is_recorded else []
        return self.is_recorded

    async def _at_once(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return call(*arguments)


@pytest.fixture
def desk() -> Desk:
    return Desk()


# --- writing ------------------------------------------------------------------------------------------------------


def test_news_is_written_and_told(desk: Desk) -> None:
    assert desk.turn() == RESYNC_SECONDS
    assert (desk.written, desk.told) == ([{"level": 2}], [NOTE])


def test_what_is_on_record_is_not_written_again(desk: Desk) -> None:
    desk.outcome = Outcome({"level": 1}, is_news=True, notes=[NOTE])
    assert desk.turn() == RESYNC_SECONDS
    assert not desk.written
    assert not desk.told


def test_figures_alone_are_written_now_and_then(desk: Desk) -> None:
    for second in range(int(2 * FIGURES_SECONDS) + 1):
        desk.now = float(second)
        desk.outcome = Outcome({"second": second}, is_news=False)
        assert desk.turn() == RESYNC_SECONDS
    assert desk.written == [{"second": 0}, {"second": FIGURES_SECONDS}, {"second": 2 * FIGURES_SECONDS}]


def test_news_does_not_wait_for_figures(desk: Desk) -> None:
    desk.turn()
    desk.outcome = Outcome({"level": 3}, is_news=True)
    desk.turn()
    assert desk.written == [{"level": 2}, {"level": 3}]


def test_of_a_search_that_has_changed_meanwhile_nothing_is_told(desk: Desk) -> None:
    desk.is_recorded = False
    assert desk.turn() == RETRY_SECONDS[0]
    assert not desk.told
    assert desk.driver.failures == 0


# --- what nobody told of --------------------------------------------------------------------------------------------


def test_a_search_that_nobody_told_of_for_long_is_read(desk: Desk) -> None:
    desk.there = {**SEARCH, "status": {"level": 3}}
    desk.now = REREAD_SECONDS - 1
    desk.turn()
    assert desk.looked_at == SEARCH
    desk.now = REREAD_SECONDS
    desk.turn()
    assert desk.looked_at == desk.there


def test_one_that_was_told_of_is_not(desk: Desk) -> None:
    desk.there = AssertionError("was read")
    desk.now = REREAD_SECONDS
    desk.driver.take_in(changed := {**SEARCH, "status": {"level": 4}})
    desk.turn()
    assert desk.looked_at == changed
    assert desk.driver.news.is_set()


def test_where_it_is_gone_there_is_no_pass(desk: Desk) -> None:
    desk.there = SearchGone("test")
    desk.now = REREAD_SECONDS
    with pytest.raises(SearchGone):
        desk.turn()
    assert desk.passes == 0
    asyncio.run(desk.driver.drive())  # ends


def test_it_is_read_again_where_that_failed(desk: Desk) -> None:
    desk.there = StoreUnavailable("no answer")
    desk.now = REREAD_SECONDS
    assert desk.turn() == RETRY_SECONDS[0]
    desk.there = {**SEARCH, "status": {"level": 3}}
    desk.turn()
    assert desk.looked_at == desk.there


# --- failing ------------------------------------------------------------------------------------------------------


def test_a_server_that_does_not_answer_is_asked_again_later_and_later(desk: Desk) -> None:
    desk.outcome = StoreUnavailable("no answer")
    pauses = [desk.turn() for _ in range(len(RETRY_SECONDS) + 2)]
    assert pauses == [*RETRY_SECONDS, RETRY_SECONDS[-1], RETRY_SECONDS[-1]]
    assert not desk.written


def test_after_a_pass_that_went_well_failures_are_forgotten(desk: Desk) -> None:
    desk.outcome = StoreUnavailable("no answer")
    desk.turn()
    desk.turn()
    desk.outcome = Outcome({"level": 2}, is_news=True)
    assert desk.turn() == RESYNC_SECONDS
    desk.outcome = StoreUnavailable("no answer")
    assert desk.turn() == RETRY_SECONDS[0]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(Refused("jobs.batch is forbidden"), "for now: jobs.batch is forbidden", id="a sentence of ours"),
        pytest.param(ZeroDivisionError("division"), "for now: ZeroDivisionError: division", id="what nobody foresaw"),
    ],
)
def test_what_was_not_foreseen_is_told_where_people_look(desk: Desk, error: Exception, words: str) -> None:
    desk.outcome = error
    assert desk.turn() == RETRY_SECONDS[0]
    (trouble,) = desk.troubles
    assert trouble.reason == "OperatorError"
    assert words in trouble.message
    assert desk.written == [{"trouble": trouble.message}]


def test_a_failure_that_cannot_be_written_either_is_tried_again(desk: Desk) -> None:
    desk.outcome = ZeroDivisionError("division")
    desk.is_recorded = StoreUnavailable("no answer")
    assert [desk.turn(), desk.turn()] == list(RETRY_SECONDS[:2])


def test_a_status_that_is_refused_is_told(desk: Desk) -> None:
    desk.is_recorded = Refused("status.level: Invalid value")
    assert desk.turn() == RETRY_SECONDS[0]
    assert desk.troubles[0].message.endswith("status.level: Invalid value")


# --- going on -----------------------------------------------------------------------------------------------------


def test_a_search_is_looked_at_whenever_something_has_changed(desk: Desk) -> None:
    async def run() -> int:
        driving = asyncio.create_task(desk.driver.drive())
        for _ in range(3):
            before = desk.passes
            desk.driver.news.set()
            async with asyncio.timeout(30):
                while desk.passes == before:
                    await asyncio.sleep(0.01)
        driving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await driving
        return desk.passes

    assert asyncio.run(run()) >= 3


def test_what_changes_during_a_pass_is_looked_at_after_it(desk: Desk) -> None:
    async def pass_and_change(call: Callable[..., Any], *arguments: Any) -> Any:
        if desk.passes == 0:
            desk.driver.news.set()  # as a reflector would, in the middle of the pass
        return call(*arguments)

    async def run() -> None:
        desk.driver.run_in_thread = pass_and_change
        driving = asyncio.create_task(desk.driver.drive())
        async with asyncio.timeout(RESYNC_SECONDS - 5):
            while desk.passes < 2:
                await asyncio.sleep(0.01)
        driving.cancel()

    asyncio.run(run())
