"""The order in which trials are taken, the same from every store."""

from __future__ import annotations

from metasearch.search.trials import Stage, TrialSpec

Place = tuple[int, int, int, str]

_STAGES = {stage: index for index, stage in enumerate(Stage)}


def place(stage: Stage, level: int, priority: int, name: str) -> Place:
    """To sort by: the lowest is taken first."""
    return _STAGES[stage], level, priority, name


def place_of(spec: TrialSpec) -> Place:
    return place(spec.stage, spec.level, spec.priority, spec.name)
