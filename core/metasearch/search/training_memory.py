"""The memory that the gradients of an outer step keep, by arithmetic, so that it is known before a trial begins."""

from __future__ import annotations

from metasearch.api import InnerLoopSettings, LearnerSettings, PrototypesSettings, QuerySettings, ReptileSettings, Task
from metasearch.search.encoded_cells import Floats

VALUE_BYTES = 4
"""Networks are trained in single precision."""

DIFFERENTIABLE_FACTOR = 1.6
"""
Bytes that a differentiable support gradient keeps, for each byte that its forward pass does.

Measured on four networks as the growth of peak memory with the number of steps: 1.6 to 2.0. The lowest, so that no
trial is refused that fits.
"""


def kept_bytes(settings: LearnerSettings | None, task: Task, values_per_image: Floats, parameters: Floats) -> Floats:
    """
    Return the bytes that are kept at a time for a gradient of an outer step: the values between the layers, and the
    weights that each task of a meta-batch has of its own, (networks,).

    Exact inner steps, which are differentiated themselves, count for each step.

    Args:
        settings: None for an installed package's learner, of which one task with one query per class is counted.
        values_per_image: those that a forward pass keeps for its backward pass, (networks,).
        parameters: (networks,).
    """
    return VALUE_BYTES * (images_at_once(settings, task) * values_per_image + _weights_at_once(settings) * parameters)


def images_at_once(settings: LearnerSettings | None, task: Task) -> float:
    """
    Return the number of images for which the values between layers are kept at a time, all tasks together.

    Those of exact inner steps count for each step, and by what more they keep.
    """
    if isinstance(settings, ReptileSettings):
        return settings.meta_batch_size * settings.inner_batch_size
    if not isinstance(settings, QuerySettings):
        return task.ways * (task.shots + 1)
    support, queries = task.ways * (settings.shots or task.shots), task.ways * settings.queries
    if isinstance(settings, PrototypesSettings):
        return settings.meta_batch_size * (support + queries)
    if steps := _unrolled_steps(settings):
        return settings.meta_batch_size * (DIFFERENTIABLE_FACTOR * steps * support + queries)
    return settings.meta_batch_size * max(support, queries)


def _weights_at_once(settings: LearnerSettings | None) -> int:
    """Return the number of sets of weights that are kept at a time."""
    if settings is None or isinstance(settings, PrototypesSettings):
        return 1
    return settings.meta_batch_size * (1 + _unrolled_steps(settings))


def _unrolled_steps(settings: LearnerSettings) -> int:
    return settings.unrolled_steps if isinstance(settings, InnerLoopSettings) else 0
