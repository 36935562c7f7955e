"""
Log a search while it runs, in a thread: a tracking server that is slow or away must not delay the search.

Only the newest state counts. What could not be written is written with the next one, for it is all on record.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from metasearch.errors import StoreUnavailable
from metasearch.search.trials import Trial
from metasearch_cli.trackers.records import Changes, Tracker

RETRY_SECONDS = 10.0
"""Time between two attempts to reach a tracker that is away."""

CLOSE_SECONDS = 30.0
"""Time that the last write may take, once the search has ended."""


class BackgroundLog:
    """Writes the newest state of a search to a tracker, again and again."""

    def __init__(self, tracker: Tracker, warn: Callable[[str], None], retry_seconds: float = RETRY_SECONDS) -> None:
        """
        Args:
            warn: gets a sentence when the tracker is away, once for as long as it is. Called from the thread.
        """
        self._changes, self._warn, self._retry_seconds = Changes(tracker), warn, retry_seconds
        self._news, self._newest = threading.Condition(), list[tuple[str, Sequence[Trial]]]()
        self._is_closing = self._is_away = False
        self._thread = threading.Thread(target=self._work, name="tracker", daemon=True)
        self._thread.start()

    def offer(self, search: str, trials: Sequence[Trial]) -> None:
        """Take the newest state; an earlier one that is not written yet is dropped. It never waits."""
        with self._news:
            self._newest[:] = [(search, trials)]
            self._news.notify()

    def close(self) -> bool:
        """Write the newest state, and end; return False where that cannot be done, or not in time."""
        with self._news:
            self._is_closing = True
            self._news.notify()
        self._thread.join(CLOSE_SECONDS)
        return not (self._thread.is_alive() or self._is_away or self._newest)

    def _work(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._newest or self._is_closing)
                if not self._newest:
                    return
                search, trials = self._newest.pop()
            try:
                self._changes.write(search, trials)
                self._is_away = False
            except StoreUnavailable as error:
                if not self._wait_to_retry(error, search, trials):
                    return

    def _wait_to_retry(self, error: StoreUnavailable, search: str, trials: Sequence[Trial]) -> bool:
        """Keep what could not be written unless there is newer, and wait; return False where the log is closed."""
        if not self._is_away:
            self._warn(f"{error}; the search goes on, and this is tried again")
        self._is_away = True
        with self._news:
            if self._is_closing:
                return False
            if not self._newest:
                self._newest.append((search, trials))
            self._news.wait_for(lambda: self._is_closing, self._retry_seconds)
        return True
