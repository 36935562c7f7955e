"""
Reconcile the trials on record with what a search needs: observe, plan, apply.

Local runs and the operator share this step. They differ in the store they pass, and in who starts the workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from metasearch.search.planner import Plan, Search, plan
from metasearch.search.trials import Trial
from metasearch.stores.base import TrialRegistry


@dataclass(frozen=True)
class Step:
    """The trials that were read, and the plan that was applied to them."""

    trials: Sequence[Trial]
    plan: Plan

    @property
    def changed(self) -> bool:
        """True if the store was changed, so that the caller should reconcile again without waiting."""
        return bool(self.plan.propose or self.plan.stop)


def reconcile(search: Search, registry: TrialRegistry, now: float) -> Step:
    """
    Bring the store one step nearer to the end of the search.

    Args:
        now: Unix time in seconds.

    Raises:
        StoreUnavailable: the store cannot be used now; to call this again is safe.
    """
    trials = registry.trials()
    decided = plan(search, trials, now)
    # A driver that dies half-way leaves a part of this done; the next plan has the rest.
    if decided.propose:
        registry.propose(decided.propose)
    if decided.stop:
        registry.request_stop(decided.stop)
    return Step(trials, decided)
