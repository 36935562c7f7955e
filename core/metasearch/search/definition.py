"""From a resource to the search that `plan` is asked about."""

from __future__ import annotations

from metasearch.api import MetaSearchSpec
from metasearch.search.cells import Cell
from metasearch.search.planner import Search
from metasearch.search.space import CellSpace
from metasearch.search.strategies import build as build_strategy
from metasearch.search.surrogates import build as build_surrogate


def define(name: str, spec: MetaSearchSpec, started_at: float, paused_seconds: float = 0.0) -> Search[Cell]:
    """The search that a resource describes; `started_at` is a Unix time in seconds."""
    space = CellSpace(spec.space.operations, spec.space.max_blocks)
    surrogate = build_surrogate(spec.search.surrogate, space.vocabulary_size, space.step_width)
    return Search(name, spec, space, build_strategy(spec, space, surrogate), started_at, paused_seconds)
