"""
The ends of a search: more than one where it went on under a larger budget.

A driver records each, for the trials alone do not tell what had ended a search before it went on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from pydantic import Field

from metasearch.api import MetaSearchSpec
from metasearch.outcome.figures import MAX_ENDS, OutcomeModel
from metasearch.search import budget, pareto
from metasearch.search.planner import Phase, Plan, Search
from metasearch.search.trials import Stage, Trial


class End(OutcomeModel):
    """An end of a search, and what it had used and found by then."""

    at: float = Field(description="Unix time in seconds")
    phase: Phase
    limit: budget.Limit | None = Field(description="the limit of spec.budget that ended a stage early, if one did")
    trials: int = Field(description="search trials proposed, without those that a limit stopped")
    final_trials: int = Field(description="final trials, those of baselines too")
    wall_seconds: float = Field(description="since the search began, pauses left out")
    gpu_hours: float = Field(description="GPU share x hours, summed over all attempts, failed and lost ones too")
    best_score: float | None = Field(description="the best score of a search trial, in [0, 1]")
    spec_hash: str = Field(description="of spec.budget and spec.final as they were; with both the same it stays ended")


def end_of(search: Search, trials: Sequence[Trial], decided: Plan, now: float) -> End:
    """Describe the end of a search; `decided` is what `plan` says of the trials at `now`, a Unix time in seconds."""
    spent = budget.spent(trials, search.wall_seconds(now), now)
    ranked = pareto.ranked(trial for trial in trials if trial.spec.stage is Stage.SEARCH)
    return End(
        at=now,
        phase=decided.phase,
        limit=decided.limit,
        trials=spent.trials,
        final_trials=sum(trial.spec.stage is not Stage.SEARCH for trial in trials),
        wall_seconds=spent.wall_seconds,
        gpu_hours=spent.gpu_hours,
        best_score=ranked[0].score if ranked else None,
        spec_hash=spec_hash(search.spec),
    )


def with_end(earlier: Sequence[End], end: End) -> tuple[End, ...]:
    """Add an end to earlier ones. One that only repeats the last, since nothing was done in between, keeps its time."""
    if earlier and _work(earlier[-1]) == _work(end):
        return (*earlier[:-1], earlier[-1].model_copy(update={"spec_hash": end.spec_hash}))
    return (*earlier, end)[-MAX_ENDS:]


def stays_ended(ends: Sequence[End], spec: MetaSearchSpec) -> bool:
    """Tell whether a search that had come to these ends has, with this spec, no more than at the last of them."""
    return bool(ends) and ends[-1].spec_hash == spec_hash(spec)


def spec_hash(spec: MetaSearchSpec) -> str:
    """Return a digest of the parts of a spec that decide when a search is over and may change."""
    parts = [part.model_dump(mode="json", by_alias=True) for part in (spec.budget, spec.final)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _work(end: End) -> tuple[object, ...]:
    return end.phase, end.limit, end.trials, end.final_trials, end.best_score
