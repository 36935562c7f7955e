"""Build the search that `plan` works on from a resource's spec."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from metasearch.api import META_LEARNERS, DatasetName, MetaSearchSpec, Operation
from metasearch.errors import InvalidSpec
from metasearch.extensions import Group, require_known
from metasearch.search import strategies, surrogates
from metasearch.search.confirmation import strategy_spec
from metasearch.search.constrained_space import ConstrainedSpace
from metasearch.search.hyperparameters import VariedHyperparameters
from metasearch.search.joint_space import JointSpace
from metasearch.search.network_latency import require_parts
from metasearch.search.network_limits import Figures, NetworkLimits, images_of
from metasearch.search.planner import Search
from metasearch.search.space import CellSpace, Space
from metasearch.search.strategies.beginning import initial
from metasearch.search.strategies.grid import require_fitting


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


def build_space(spec: MetaSearchSpec) -> Space[Any]:
    """
    Build the space of a spec's candidates: cells, or cells with hyperparameters, within the constraints.

    Raises:
        InvalidSpec: no candidate is within them, or hyperparameters cannot be drawn together.
    """
    limits = NetworkLimits(spec)
    space, figures = _unlimited_space(spec, limits)
    if not limits.are_given:
        return space
    constrained: ConstrainedSpace[Any] = ConstrainedSpace(space, lambda candidates: limits.admit(figures(candidates)))
    if not constrained.smallest():
        raise InvalidSpec(limits.explain(figures(space.smallest())))
    return constrained


def random_figures(spec: MetaSearchSpec, number: int, rng: np.random.Generator) -> Figures:
    """Compute the figures of random candidates of a spec within its constraints, as many as asked for."""
    space, (_, figures) = build_space(spec), _unlimited_space(spec, NetworkLimits(spec))
    return figures([space.sample(rng) for _ in range(number)])


def _unlimited_space(
    spec: MetaSearchSpec, limits: NetworkLimits
) -> tuple[Space[Any], Callable[[Sequence[Any]], Figures]]:
    """Return the space without constraints, and what computes the figures of its candidates."""
    cells = CellSpace(spec.space.operations, spec.space.max_blocks, spec.space)
    if spec.search.hyperparameters:
        joint = JointSpace(cells, VariedHyperparameters(spec), spec.seed, limits)
        return joint, joint.figures
    return cells, lambda candidates: limits.figures(
        cells.networks(candidates), lambda: [spec.training] * len(candidates)
    )


def require_known_names(spec: MetaSearchSpec) -> None:
    """
    Refuse a spec that names a part of a search that is unknown here, or that no candidate meets. Nothing is imported.

    A driver calls this before it runs a search. On a cluster the operator and the workers must both know the names, so
    a package that adds one must be in both images.

    Raises:
        InvalidSpec: says which name, and which are known; or which constraint.
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
    require_parts(spec, images_of(spec))
    build_space(spec).smallest()
