"""Which searches are driven."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from metasearch_operator.driver import Driver
from metasearch_operator.drives import Drives
from metasearch_operator.passes import Outcome, SearchGone

Json = dict[str, Any]

KEY = ("team-a", "test")


def search(version: int = 1, **metadata: str) -> Json:
    return {"metadata": {"namespace": "team-a", "name": "test", "resourceVersion": str(version), **metadata}}


class Drivers:
    """Real ones, whose passes only note what they looked at."""

    def __init__(self) -> None:
        self.made = 0
        self.looked_at: list[Json] = []
        self.problem: BaseException | None = None

    def make(self, resource: Json) -> Driver:
        self.made += 1
        return Driver(
            pass_over=self._pass_over,
            in_trouble=lambda _resource, _trouble: Outcome({}, is_news=False),
            record=lambda _resource, _status: True,
            read=lambda resource: resource,
            run_in_thread=self._at_once,
            tell=lambda _resource, _note: None,
            clock=lambda: 0.0,
            resource=resource,
        )

    def _pass_over(self, resource: Json) -> Outcome:
        self.looked_at.append(resource)
        if self.problem:
            raise self.problem
        return Outcome({}, is_news=False)

    async def _at_once(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return call(*arguments)

    async def reaches(self, passes: int) -> None:
        async with asyncio.timeout(10):
            while len(self.looked_at) < passes:
                await asyncio.sleep(0.01)


@pytest.fixture
def drivers() -> Drivers:
    return Drivers()


def run(drivers: Drivers, play: Callable[[Drives], Awaitable[None]]) -> None:
    async def stage() -> None:
        drives = Drives(drivers.make)
        await play(drives)
        await drives.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}  # none is left

    asyncio.run(stage())


def test_a_search_has_one_driver_which_hears_of_its_changes(drivers: Drivers) -> None:
    async def play(drives: Drives) -> None:
        drives.take_in(search(1))
        await drivers.reaches(1)
        drives.take_in(search(2))
        await drivers.reaches(2)
        drives.tell(KEY)
        await drivers.reaches(3)

    run(drivers, play)
    assert drivers.made == 1
    assert drivers.looked_at == [search(1), search(2), search(2)]


@pytest.mark.parametrize("how", ["gone", "leaving"])
def test_it_is_driven_no_more_once_it_is(how: str, drivers: Drivers) -> None:
    async def play(drives: Drives) -> None:
        drives.take_in(search(1))
        await drivers.reaches(1)
        if how == "gone":
            drives.end(KEY)
        else:
            drives.take_in(search(2, deletionTimestamp="2026-01-01T00:00:00Z"))
        drives.tell(KEY)
        async with asyncio.timeout(10):
            while len(asyncio.all_tasks()) > 1:
                await asyncio.sleep(0.01)

    run(drivers, play)
    assert drivers.looked_at == [search(1)]


def test_another_of_its_name_is_driven_anew(drivers: Drivers) -> None:
    async def play(drives: Drives) -> None:
        drives.take_in(search(1))
        await drivers.reaches(1)
        drives.end(KEY)
        drives.take_in(search(2))
        await drivers.reaches(2)

    run(drivers, play)
    assert drivers.made == 2


def test_one_that_ended_by_itself_begins_again_with_the_next_change(drivers: Drivers) -> None:
    async def play(drives: Drives) -> None:
        drivers.problem = SearchGone("test")
        drives.take_in(search(1))
        await drivers.reaches(1)
        await asyncio.sleep(0.05)
        drivers.problem = None
        drives.take_in(search(2))
        await drivers.reaches(2)

    run(drivers, play)
    assert drivers.made == 2


def test_a_driver_that_breaks_says_so(drivers: Drivers, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(BaseException):
        """Nothing that a driver would take for a failed pass."""

    async def play(drives: Drives) -> None:
        drivers.problem = Broken()
        drives.take_in(search(1))
        await drivers.reaches(1)
        await asyncio.sleep(0.05)

    with caplog.at_level(logging.ERROR):
        run(drivers, play)
    assert "team-a/test is driven no more until it changes" in caplog.text
