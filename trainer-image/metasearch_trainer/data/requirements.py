"""
Requirements of a search on its data set: enough classes, and enough images of each, for the tasks of every training.

A data set that lacks something is refused with a sentence before the first trial, in the same words to all who ask.
"""

from __future__ import annotations

from collections.abc import Iterator

from metasearch.api import LearnerSettings, MetaSearchSpec, ReptileSettings, Task
from metasearch.plurals import counted
from metasearch.search.hyperparameters import largest_training
from metasearch_trainer.data.images import ImageSet, Splits


def refusals(splits: Splits, spec: MetaSearchSpec) -> Iterator[str]:
    """
    Yield a sentence for each thing that a data set lacks for the tasks of a search.

    An installed package's meta-learner has settings that nobody else knows, so only its trials refuse what it lacks.
    """
    task, rotations = spec.task, spec.dataset.training_rotations
    name = spec.dataset.folder.path if spec.dataset.folder else str(spec.dataset.name)
    yield from _few_classes(splits.train, "training", name, task.ways, rotations)
    for where, training in (("training", largest_training(spec)), ("final.training", spec.final.training)):
        settings = None if training is None else training.settings
        if settings is not None:
            yield from _few_merged_classes(len(splits.train.counts) * rotations, name, settings, task, where)
            needed = settings.images_per_class(task)
            yield from _few_images(splits.train, "training", name, needed, f"a task of {where} takes")
    for part, images in (("validation", splits.validation), ("test", splits.test)):
        yield from _few_classes(images, part, name, task.ways)
        yield from _few_images(images, part, name, task.shots + 1, "task.shots and one query need")
    yield from _single_values(splits.train.side, spec)
    if spec.evaluation.folds > 1:
        yield from _fold_refusals(splits, spec, name)


def _single_values(side: int, spec: MetaSearchSpec) -> Iterator[str]:
    """
    Yield that a batch of one image leaves nothing to normalise, where the last cells see a single pixel.

    A mean and a variance of one value say nothing, and PyTorch refuses them.
    """
    halvings = spec.space.reductions + (spec.space.stem_stride == 2)
    if -(-side // 2**halvings) > 1:
        return
    for where, training in (("training", spec.training), ("final.training", spec.final.training)):
        reptile = None if training is None else training.settings
        if not isinstance(reptile, ReptileSettings):
            continue
        batches = (("innerBatchSize", reptile.inner_batch_size), ("evaluationBatchSize", reptile.evaluation_batch_size))
        for field, size in batches:
            if size == 1:
                yield (
                    f"{where}.reptile.{field} is 1 and {halvings} halvings of images of {side} pixels leave 1 pixel, "
                    f"so there is one value to normalise; {field} must be 2 or more, space.reductions less, or "
                    "dataset.imageSize more"
                )


def _fold_refusals(splits: Splits, spec: MetaSearchSpec, name: str) -> Iterator[str]:
    """Yield what a data set lacks for cross-validation, where all classes train and score."""
    folds, task = spec.evaluation.folds, spec.task
    classes = len(splits.train.counts) + len(splits.validation.counts)
    if classes // folds < task.ways:
        yield (
            f"{name} has {classes} training and validation classes, evaluation.folds is {folds} and task.ways is "
            f"{task.ways}; folds must be at most {max(1, classes // task.ways)}, so that each has the classes of a task"
        )
        return
    yield from _few_images(splits.train, "training", name, task.shots + 1, "task.shots and one query of a fold need")
    settings = largest_training(spec).settings
    if settings is not None:
        # The largest fold is left out of the smallest training.
        kept = (classes - -(-classes // folds)) * spec.dataset.training_rotations
        yield from _few_merged_classes(kept, name, settings, task, "training")
        needed = settings.images_per_class(task)
        yield from _few_images(splits.validation, "validation", name, needed, "a training task of another fold takes")


def _few_classes(images: ImageSet, part: str, name: str, ways: int, rotations: int = 1) -> Iterator[str]:
    classes = len(images.counts) * rotations
    if classes < ways:
        yield (
            f"{name} has {counted(classes, f'{part} class', f'{part} classes')} and task.ways is {ways}; "
            f"ways must be no more than that, or the split give more classes to {part}"
        )


def _few_merged_classes(classes: int, name: str, settings: LearnerSettings, task: Task, where: str) -> Iterator[str]:
    merged = settings.classes(task)
    # A learner that merges nothing needs no more classes than a task has ways, which is asked for elsewhere.
    if classes < merged and merged > task.ways:
        yield (
            f"{name} has {classes} training classes and {where} merges {merged // task.ways} tasks of {task.ways} into "
            f"one of {merged}; mergedTasks must be at most {classes // task.ways}"
        )


def _few_images(images: ImageSet, part: str, name: str, fewest: int, why: str) -> Iterator[str]:
    poorest = int(images.counts.argmin())
    if images.counts[poorest] < fewest:
        yield (
            f"{part} class {images.class_names[poorest]!r} of {name} has {images.counts[poorest]} images and "
            f"{why} {fewest}; each class must have as many as a task takes"
        )
