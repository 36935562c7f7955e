"""A fake worker: it completes trials with invented results and trains nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from builders import pretend_result
from devcluster.searches import SearchHandle

from metasearch.search.trials import StaleClaim, Trial, TrialResult

Measure = Callable[[Trial], TrialResult]


@contextmanager
def fake_worker(search: SearchHandle, measure: Measure = lambda trial: pretend_result(trial.spec)) -> Iterator[None]:
    """Run a fake worker in a thread: it completes each trial at once with the result that `measure` invents."""
    done = threading.Event()

    def work() -> None:
        store = search.store()
        while not done.is_set():
            claimed = store.claim(f"fake-worker-{search.name}.0-1", time.time(), 0.0)
            if claimed is None:
                done.wait(0.1)
            else:
                with suppress(StaleClaim):  # the test has deleted it
                    store.complete(claimed, measure(claimed), time.time())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
