"""The memory that the gradients of an outer step keep, by arithmetic, so that it is known before a trial begins."""

from __future__ import annotations

from metasearch.api import InnerLoopSettings, LearnerSettings, PrototypesSettings, QuerySettings, ReptileSettings, Task

VALUE_BYTES = 4
"""Networks are trained in single precision."""

DIFFERENTIABLE_FACTOR = 1.6
"""
Bytes that a differentiable support gradient keeps, for each byte that its forward pass does.

Measured on four networks as the growth of peak memory with the number of steps: 1.6 to 2.0. The lowest, so that no
trial is refused that fits.
"""


def images_at_once(settings: LearnerSettings | None, task: Task) -> float:
    """
    Return the number of images for which the values between layers are kept at a time, all tasks of a meta-batch
    together.

    Those of exact inner steps, which are differentiated themselves, count for each step and by what more they keep.

    Args:
        settings: None for an installed package's learner, of which one task with one query per class is counted.
    """
    if isinstance(settings, ReptileSettings):
        return settings.meta_batch_size * settings.inner_batch_size
    if not isinstance(settings, QuerySettings):
        return task.ways * (task.shots + 1)
    support, queries = task.ways * (settings.shots or task.shots), task.ways * settings.queries
    if isinstance(settings, PrototypesSettings):
        return settings.meta_batch_size * (support + queries)
    steps = settings.unrolled_steps if isinstance(settings, InnerLoopSettings) else 0
    if steps:
        return settings.meta_batch_size * (DIFFERENTIABLE_FACTOR * steps * support + queries)
    return settings.meta_batch_size * max(support, queries)
