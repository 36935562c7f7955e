"""Build the search that `plan` works on from a resource's spec."""

from __future__ import annotations

from metasearch.api import META_LEARNERS, DatasetName, MetaSearchSpec, Operation
from metasearch.extensions import Group, require_known
from metasearch.search import strategies, surrogates
from metasearch.search.confirmation import strategy_spec
from metasearch.search.planner import Search
from metasearch.search.space import CellSpace
from metasearch.search.strategies.beginning import initial
from metasearch.search.strategies.grid import require_fitting


def build_space(spec: MetaSearchSpec) -> CellSpace:
    """Build the space of a search's candidates."""
    return CellSpace(spec.space.operations, spec.space.max_blocks, spec.space)


def build_search(name: str, spec: MetaSearchSpec, started_at: float, paused_seconds: float = 0.0) -> Search:
    """
    Build the search that a spec describes.

    Args:
        started_at: a Unix time in seconds.

    Raises:
        InvalidSpec: the strategy is unknown here. Other names are not checked (see `require_known_names`), so that a
            search can be looked at where the parts that train it are not installed.
    """
    space = build_space(spec)
    strategy = strategies.build(strategy_spec(spec), space, surrogates.factory(spec.search.surrogate, space))
    return Search(name, spec, space, strategy, started_at, paused_seconds)


def require_possible(spec: MetaSearchSpec) -> None:
    """
    Refuse a search that cannot be run as it is asked for, though each of its fields by itself is right.

    A driver calls this before it runs a search, once the names are known.

    Raises:
        InvalidSpec: says what goes together with what, and what would be right.
    """
    space = build_space(spec)
    initial(spec, space)
    if spec.search.strategy == "Grid":
        require_fitting(spec, space)


def require_known_names(spec: MetaSearchSpec) -> None:
    """
    Refuse a spec that names a part of a search that is unknown here. Nothing is imported for it.

    A driver calls this before it runs a search. On a cluster the operator and the workers must both know the names, so
    a package that adds one must be in both images.

    Raises:
        InvalidSpec: says which name, and which are known.
    """
    require_known(Group.STRATEGIES, spec.search.strategy, strategies.BUILT_IN, "spec.search.strategy")
    require_known(Group.SURROGATES, spec.search.surrogate.type, surrogates.BUILT_IN, "spec.search.surrogate.type")
    # By name only: the layers of operations are the trainer's, and importing them would take PyTorch.
    for operation in spec.space.operations:
        require_known(Group.OPERATIONS, operation, list(Operation), "spec.space.operations")
    for where, training in (("training", spec.training), ("final.training", spec.final.training)):
        if training is not None:
            require_known(Group.META_LEARNERS, training.meta_learner, META_LEARNERS, f"spec.{where}.metaLearner")
    if spec.dataset.name is not None:
        require_known(Group.DATASETS, spec.dataset.name, list(DatasetName), "spec.dataset.name")
