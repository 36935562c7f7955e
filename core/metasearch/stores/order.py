"""
The order in which trials are claimed, the same from every store: by stage, round and priority, then by name.

Within a round, priorities decide; so a strategy without rounds, which proposes everything in round 1, orders all of its
trials by them.
"""

from __future__ import annotations

from metasearch.search.trials import Stage, TrialSpec

ClaimOrder = tuple[int, int, int, str]
"""Trials sort by it; the lowest is claimed first."""

# As they are declared: final trials come after the search, and baselines after those that may be delivered.
_STAGES = {stage: index for index, stage in enumerate(Stage)}


def claim_order(stage: Stage, round: int, priority: int, name: str) -> ClaimOrder:
    """Return the sort key of a trial's parts."""
    return _STAGES[stage], round, priority, name


def sort_key(spec: TrialSpec) -> ClaimOrder:
    """Return the sort key of a trial."""
    return claim_order(spec.stage, spec.round, spec.priority, spec.name)
