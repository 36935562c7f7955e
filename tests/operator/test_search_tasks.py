"""There is one task for each search that exists."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from metasearch.cluster.reflector import SearchKey
from metasearch.kubernetes.search_status import SearchStatus
from metasearch_operator.reconciler import ReconcileResult
from metasearch_operator.search_tasks import SearchLoop, SearchTasks
from metasearch_operator.searches import SearchGone, search_key

Json = dict[str, Any]

KEY = ("team-a", "test")


def search(version: int = 1, **metadata: str) -> Json:
    metadata = {"namespace": "team-a", "name": "test", "resourceVersion": str(version), **metadata}
    return {"metadata": metadata, "spec": {}}


class Loops:
    """A maker of real loops whose reconciles only record their resource."""

    def __init__(self) -> None:
        self.made = 0
        self.reconciled: list[Json] = []
        self.problem: BaseException | None = None
        self.shown: set[SearchKey] = set()
        """The searches of which there are metrics."""

    def make(self, resource: Json) -> SearchLoop:
        self.made += 1
        return SearchLoop(
            reconcile=self._reconcile,
            report_problem=lambda _resource, _problem: ReconcileResult(SearchStatus(), is_urgent=False),
            write_status=lambda _resource, _status: True,
            run_in_thread=self._at_once,
            post=lambda _resource, _event: None,
            show=lambda resource, _result: self.shown.add(search_key(resource)),
            clock=lambda: 0.0,
            resource=resource,
        )

    def _reconcile(self, resource: Json) -> ReconcileResult:
        self.reconciled.append(resource)
        if self.problem:
            raise self.problem
        return ReconcileResult(SearchStatus(), is_urgent=False)

    async def _at_once(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return call(*arguments)

    async def reaches(self, reconciles: int) -> None:
        async with asyncio.timeout(10):
            while len(self.reconciled) < reconciles:
                await asyncio.sleep(0.01)


@pytest.fixture
def loops() -> Loops:
    return Loops()


def run(loops: Loops, play: Callable[[SearchTasks], Awaitable[None]]) -> None:
    async def stage() -> None:
        tasks = SearchTasks(loops.make, loops.shown.discard)
        await play(tasks)
        await tasks.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}  # none is left

    asyncio.run(stage())


def test_a_search_has_one_task_which_is_woken_by_its_changes(loops: Loops) -> None:
    async def play(tasks: SearchTasks) -> None:
        tasks.upsert(search(1))
        await loops.reaches(1)
        tasks.upsert(search(2))
        await loops.reaches(2)
        tasks.wake(KEY)
        await loops.reaches(3)

    run(loops, play)
    assert loops.made == 1
    assert loops.reconciled == [search(1), search(2), search(2)]


@pytest.mark.parametrize("how", ["gone", "terminating"])
def test_its_task_ends_once_it_is(how: str, loops: Loops) -> None:
    async def play(tasks: SearchTasks) -> None:
        tasks.upsert(search(1))
        await loops.reaches(1)
        assert loops.shown == {KEY}
        if how == "gone":
            tasks.remove(KEY)
        else:
            tasks.upsert(search(2, deletionTimestamp="2026-01-01T00:00:00Z"))
        tasks.wake(KEY)
        async with asyncio.timeout(10):
            while len(asyncio.all_tasks()) > 1:
                await asyncio.sleep(0.01)

    run(loops, play)
    assert loops.reconciled == [search(1)]
    assert not loops.shown


def test_another_of_its_name_has_a_task_of_its_own(loops: Loops) -> None:
    async def play(tasks: SearchTasks) -> None:
        tasks.upsert(search(1))
        await loops.reaches(1)
        tasks.remove(KEY)
        tasks.upsert(search(2))
        await loops.reaches(2)

    run(loops, play)
    assert loops.made == 2


def test_one_that_ended_by_itself_begins_again_with_the_next_change(loops: Loops) -> None:
    async def play(tasks: SearchTasks) -> None:
        loops.problem = SearchGone("test")
        tasks.upsert(search(1))
        await loops.reaches(1)
        await asyncio.sleep(0.05)
        loops.problem = None
        tasks.upsert(search(2))
        await loops.reaches(2)

    run(loops, play)
    assert loops.made == 2


@pytest.mark.parametrize(("manager", "tasks"), [("metasearch.dev/operator", 1), ("kueue.x-k8s.io/multikueue", 0)])
def test_a_search_that_another_controller_runs_is_left_alone(manager: str, tasks: int, loops: Loops) -> None:
    async def play(known: SearchTasks) -> None:
        known.upsert({**search(1), "spec": {"managedBy": manager}})
        assert len(known.unfinished()) == tasks

    run(loops, play)
    assert loops.made == tasks


# --- listed again -------------------------------------------------------------------------------------------------


def test_a_search_of_which_no_event_came_has_a_task(loops: Loops) -> None:
    async def play(tasks: SearchTasks) -> None:
        tasks.replace(None, [search(1)], "5")
        await loops.reaches(1)

    run(loops, play)
    assert loops.reconciled == [search(1)]


@pytest.mark.parametrize(("listed", "reconciles"), [(3, 2), (2, 1), (1, 1)])
def test_only_a_newer_version_of_a_search_is_taken_over(listed: int, reconciles: int, loops: Loops) -> None:
    async def play(tasks: SearchTasks) -> None:
        tasks.upsert(search(2))
        await loops.reaches(1)
        tasks.replace("team-a", [search(listed)], "5")
        await loops.reaches(reconciles)
        await asyncio.sleep(0.05)

    run(loops, play)
    assert loops.reconciled == [search(2), search(3)][:reconciles]


@pytest.mark.parametrize(
    ("namespace", "version", "stays"),
    [
        pytest.param(None, "5", False, id="gone"),
        pytest.param("team-a", "5", False, id="gone from its namespace"),
        pytest.param("team-b", "5", True, id="of another namespace"),
        pytest.param(None, "1", True, id="made since the list"),
    ],
)
def test_a_search_whose_deletion_was_not_told_has_no_task(
    namespace: str | None, version: str, stays: bool, loops: Loops
) -> None:
    async def play(tasks: SearchTasks) -> None:
        tasks.upsert(search(2))
        await loops.reaches(1)
        tasks.replace(namespace, [], version)
        assert (KEY in tasks.unfinished()) is stays
        assert (KEY in loops.shown) is stays
        await asyncio.sleep(0.05)

    run(loops, play)


def test_searches_that_have_ended_are_not_listed_again(loops: Loops) -> None:
    succeeded = {"type": "Succeeded", "status": "True", "reason": "BudgetSpent", "message": ""}
    conditions = [{**succeeded, "lastTransitionTime": "2026-01-01T00:00:00Z"}]

    async def play(tasks: SearchTasks) -> None:
        tasks.upsert({**search(1), "status": {"conditions": conditions}})
        assert not tasks.unfinished()
        tasks.upsert(search(2))
        assert tasks.unfinished() == [KEY]

    run(loops, play)


def test_a_task_that_breaks_is_logged(loops: Loops, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(BaseException):
        """A BaseException, since a loop would take an Exception for a failed reconcile."""

    async def play(tasks: SearchTasks) -> None:
        loops.problem = Broken()
        tasks.upsert(search(1))
        await loops.reaches(1)
        await asyncio.sleep(0.05)

    with caplog.at_level(logging.ERROR):
        run(loops, play)
    assert "team-a/test is not reconciled any more until it changes" in caplog.text
