"""From a resource to the search that `plan` is asked about."""

from __future__ import annotations

from metasearch.api import META_LEARNERS, DatasetName, MetaSearchSpec, Operation
from metasearch.extensions import Group, require_known
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


def require_known_names(spec: MetaSearchSpec) -> None:
    """
    Refuse a search whose meta-learner, operations or data set are unknown here.

    On a cluster the operator and the workers must both know them, so both images need the package that adds one.

    Raises:
        InvalidSpec: says which name, and which are known.
    """
    require_known(Group.META_LEARNERS, spec.training.meta_learner, META_LEARNERS, "spec.training.metaLearner")
    for operation in spec.space.operations:
        require_known(Group.OPERATIONS, operation, list(Operation), "spec.space.operations")
    if spec.dataset.name is not None:
        require_known(Group.DATASETS, spec.dataset.name, list(DatasetName), "spec.dataset.name")
