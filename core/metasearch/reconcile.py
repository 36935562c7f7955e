"""
One turn of the wheel, the same for a local run and for the operator: observe, plan, apply.

The drivers differ in the store they hand in, and in who starts workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from metasearch.search.planner import Plan, Search, plan
from metasearch.search.space import C
from metasearch.search.trials import Trial
from metasearch.stores.base import TrialBook


@dataclass(frozen=True)
class Turn:
    """What was seen, and what was done about it."""

    trials: Sequence[Trial]
    plan: Plan

    @property
    def has_acted(self) -> bool:
        """Whether the store has changed, so that it is worth looking again at once."""
        return bool(self.plan.propose or self.plan.stop)


def reconcile(search: Search[C], book: TrialBook, now: float) -> Turn:
    """Bring the store one step nearer to the end of the search; `now` is a Unix time in seconds."""
    trials = book.trials()
    decided = plan(search, trials, now)
    if decided.propose:
        book.propose(decided.propose)
    if decided.stop:
        book.request_stop(decided.stop)
    return Turn(trials, decided)
