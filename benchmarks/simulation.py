"""
A search in virtual time: the real planner and strategy, with invented or looked-up trials and any number of workers.

A worker takes its next trial as soon as it is free. The time of planning is left out.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from metasearch.search import planner
from metasearch.search.trials import Stage, State, Trial, TrialResult, TrialSpec, claim, complete
from metasearch.stores.order import sort_key

Order = Callable[[TrialSpec, int], tuple[Any, ...]]
"""Returns the key that waiting trials are sorted by, of a trial and the number of trials proposed before it."""


def by_priority(spec: TrialSpec, position: int) -> tuple[Any, ...]:
    """Order trials as real workers claim them."""
    del position
    return sort_key(spec)


@dataclass(frozen=True)
class Ended:
    """A trial with its result, and when a worker had it, in seconds from the beginning of the search."""

    trial: Trial
    begun: float
    ended: float


def simulate(
    search: planner.Search,
    result: Callable[[TrialSpec], TrialResult],
    seconds: Callable[[TrialSpec], float] = lambda _: 1.0,
    workers: int = 1,
    order: Order = by_priority,
) -> Iterator[Ended]:
    """
    Run the search stage; yields every trial as it ends.

    Args:
        result: what a trial ends with.
        seconds: how long it takes.
    """
    now = 0.0
    trials: dict[str, Trial] = {}
    waiting: list[tuple[tuple[Any, ...], str]] = []
    running: list[tuple[float, str, float]] = []
    while True:
        # Always at the same time, since no limit on time is simulated.
        step = planner.plan(search, list(trials.values()), now=0.0)
        if step.phase is not planner.Phase.SEARCHING:
            return
        for spec in step.propose:
            if spec.stage is Stage.SEARCH:
                heapq.heappush(waiting, (order(spec, len(trials)), spec.name))
                trials[spec.name] = Trial(spec=spec)
        while waiting and len(running) < workers:
            _, name = heapq.heappop(waiting)
            trials[name] = claim(trials[name], "worker", now=0.0, gpus=0.0)
            heapq.heappush(running, (now + seconds(trials[name].spec), name, now))
        if not running:
            return
        now, name, begun = heapq.heappop(running)
        claimed = trials[name]
        trials[name] = complete(claimed, claimed.epoch, result(claimed.spec), now=0.0, max_attempts=1)
        yield Ended(trials[name], begun, now)


@dataclass(frozen=True)
class Moment:
    """A search at a moment at which trials have begun or ended."""

    now: float
    """Seconds from the beginning of the search."""
    trials: Sequence[Trial]
    phase: planner.Phase


def course(
    search: planner.Search,
    result: Callable[[TrialSpec], TrialResult],
    seconds: Callable[[TrialSpec], float],
    workers: int,
) -> Iterator[Moment]:
    """Run a whole search, the final stage too, with the times on record; yields it after every end of a trial."""
    now, trials = 0.0, dict[str, Trial]()
    running: list[tuple[float, str, int]] = []
    free = list(range(workers))
    while True:
        step = planner.plan(search, list(trials.values()), now)
        trials |= {spec.name: Trial(spec=spec) for spec in step.propose if spec.name not in trials}
        pending = sorted((each.spec for each in trials.values() if each.state is State.PENDING), key=sort_key)
        for spec in pending[: len(free)]:
            slot = free.pop()
            trials[spec.name] = claim(trials[spec.name], f"session.{slot}-1", now, gpus=0.0)
            heapq.heappush(running, (now + seconds(spec), spec.name, slot))
        yield Moment(now, list(trials.values()), step.phase)
        if step.phase.is_over:
            return
        now, name, slot = heapq.heappop(running)
        free.append(slot)
        trials[name] = complete(trials[name], trials[name].epoch, result(trials[name].spec), now, max_attempts=1)
