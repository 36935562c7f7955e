"""Plans a search to its end with invented results, in virtual time, with as many workers as wanted."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Container, Iterable, Sequence

from builders import STARTED, completed

from metasearch.search import trials as life
from metasearch.search.planner import Plan, Search, plan
from metasearch.search.trials import Trial, TrialResult, TrialSpec
from metasearch.stores.order import sort_key

Measure = Callable[[TrialSpec], TrialResult]


def run_planned(
    search: Search,
    measure: Measure,
    workers: int = 1,
    seconds: Callable[[TrialSpec], float] = lambda spec: float(spec.meta_iterations),
    trials: Sequence[Trial] = (),
) -> tuple[list[Trial], Plan]:
    """
    Run a search until it is over.

    Args:
        measure: invents the result of a trial.
        seconds: invents how long it takes.
        trials: to go on with; running ones are over at once.
    """
    recorded = {trial.name: trial for trial in trials}
    running: list[tuple[float, str]] = []
    now = STARTED
    while True:
        decided = plan(search, _with_claims(recorded.values(), {name for _, name in running}, now), now)
        recorded |= {spec.name: Trial(spec=spec) for spec in decided.propose if spec.name not in recorded}
        recorded |= {name: life.request_stop(recorded[name]) for name in decided.stop}
        running = sorted(each for each in running if not recorded[each[1]].state.is_over)
        if decided.phase.is_over:
            return list(recorded.values()), decided
        pending = [trial.spec for trial in recorded.values() if trial.state is life.State.PENDING]
        busy = {name for _, name in running}
        for spec in sorted((each for each in pending if each.name not in busy), key=sort_key):
            if len(running) < workers:
                heapq.heappush(running, (now + seconds(spec), spec.name))
        if decided.stop and not running:
            continue
        assert running, f"nothing to do and not over: {decided}"
        now, name = heapq.heappop(running)
        recorded[name] = completed(recorded[name], measure(recorded[name].spec), now, now)


def _with_claims(trials: Iterable[Trial], running: Container[str], now: float) -> list[Trial]:
    """Return the trials as a driver sees them: those of these names have a worker."""
    return [life.claim(trial, "worker", now, gpus=0.0) if trial.name in running else trial for trial in trials]
