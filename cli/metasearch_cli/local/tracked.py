"""Log a local search to experiment trackers while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from metasearch.reconcile import Step
from metasearch.search.planner import Search
from metasearch_cli.trackers.background import BackgroundLog
from metasearch_cli.trackers.destinations import opened

if TYPE_CHECKING:
    from metasearch_cli.local.driver import Display


class TrackedDisplay:
    """Shows a search elsewhere, and in experiment trackers."""

    def __init__(self, display: Display, logs: Sequence[BackgroundLog]) -> None:
        self._display, self._logs = display, logs

    def show(self, search: Search, step: Step, now: float) -> None:
        self._display.show(search, step, now)
        for log in self._logs:
            log.offer(search.name, step.trials)


@contextmanager
def tracked(texts: Sequence[str], display: Display, warn: Callable[[str], None]) -> Iterator[Display]:
    """
    Give a display whose steps are logged to each of the destinations, too.

    Args:
        texts: of the form of `Destination.parse`; none for the display as it is.
        warn: gets a sentence where something cannot be logged.

    Raises:
        InvalidSpec: a destination has another form.
        MetaSearchError: its package is not installed, or the place cannot be used.
    """
    with opened(texts) as trackers:
        logs = [(destination, BackgroundLog(tracker, warn)) for destination, tracker in trackers]
        try:
            yield TrackedDisplay(display, [log for _, log in logs]) if logs else display
        finally:
            for destination, log in logs:
                if not log.close():
                    warn(f"{destination} lacks a part of the search; metasearch log DIR {destination} adds it")
