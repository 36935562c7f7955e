"""The operator lists once a minute what its watches may have missed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from metasearch.cluster.reflector import SearchKey
from metasearch.errors import StoreUnavailable
from metasearch_operator import resync

Json = dict[str, Any]


class Recording:
    """An API server, tasks and a cache that record what is asked of them."""

    def __init__(self, *, is_away: bool = False) -> None:
        self.is_away = is_away
        self.replaced: list[tuple[str | None, list[Json], str]] = []
        self.refreshed: list[SearchKey] = []

    def list_all(self, path: str) -> tuple[list[Json], str]:
        if self.is_away:
            raise StoreUnavailable("no answer")
        return [{"path": path}], "7"

    def replace(self, namespace: str | None, listed: list[Json], version: str) -> None:
        self.replaced.append((namespace, listed, version))

    def unfinished(self) -> list[SearchKey]:
        return [("team-a", "one"), ("team-a", "two")]

    def refresh(self, key: SearchKey) -> None:
        self.refreshed.append(key)
        if self.is_away:
            raise StoreUnavailable("no answer")


async def at_once(call: Callable[..., Any], *arguments: Any) -> Any:
    return call(*arguments)


def read(recording: Recording, namespaces: list[str], rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the task list so many times."""
    passed: list[float] = []

    async def pause(seconds: float) -> None:
        passed.append(seconds)
        if len(passed) > rounds:
            raise asyncio.CancelledError

    monkeypatch.setattr(resync.asyncio, "sleep", pause)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(
            resync.keep_reading(recording, namespaces, recording, recording.refresh, at_once)  # type: ignore[arg-type]
        )
    assert set(passed) == {resync.REREAD_SECONDS}


def test_searches_and_what_belongs_to_those_that_go_on_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    recording = Recording()
    read(recording, [], 2, monkeypatch)
    assert recording.replaced == [(None, [{"path": "/apis/metasearch.dev/v1alpha1/metasearches"}], "7")] * 2
    assert recording.refreshed == [("team-a", "one"), ("team-a", "two")] * 2


def test_each_namespace_is_listed_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    recording = Recording()
    read(recording, ["team-a", "team-b"], 1, monkeypatch)
    assert [namespace for namespace, _, _ in recording.replaced] == ["team-a", "team-b"]


def test_a_server_that_is_away_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recording = Recording(is_away=True)
    with caplog.at_level(logging.WARNING):
        read(recording, [], 2, monkeypatch)
    assert not recording.replaced
    assert recording.refreshed == [("team-a", "one"), ("team-a", "two")] * 2
    assert "the searches in all namespaces cannot be listed again: no answer" in caplog.text
    assert "team-a/two cannot be listed again: no answer" in caplog.text
