"""Data sets: those that come with MetaSearch, those that installed packages add, and the user's own images."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from metasearch.api import DatasetName, MetaSearchSpec, Task
from metasearch.errors import InvalidData
from metasearch.extensions import Group, find
from metasearch.search.hyperparameters import largest_training
from metasearch_trainer.data import omniglot
from metasearch_trainer.data.folder import load as load_folder
from metasearch_trainer.data.images import ImageSet, Splits
from metasearch_trainer.data.resizing import resized

__all__ = ["BUILT_IN", "ImageSet", "Loader", "Splits", "load"]

Loader = Callable[[], Splits]
"""Reads a data set. A package adds one through an entry point of the group `metasearch.datasets`."""

BUILT_IN: Mapping[str, Loader] = {
    DatasetName.OMNIGLOT: omniglot.load,
    DatasetName.OMNIGLOT_RANDOM: omniglot.load_random,
}


def load(spec: MetaSearchSpec) -> Splits:
    """
    Read the data set of a search and check that its tasks can be made of it.

    Raises:
        InvalidSpec: no data set of that name is installed.
        InvalidData: says which file, class or number is wrong, and what would be right.
    """
    dataset = spec.dataset
    if dataset.folder is None:
        loader = find(Group.DATASETS, str(dataset.name), BUILT_IN, "spec.dataset.name")
        splits = resized(loader(), dataset.image_size)
    else:
        splits = load_folder(dataset.folder, dataset.image_size)
    _require_room(splits, spec)
    return splits


def _require_room(splits: Splits, spec: MetaSearchSpec) -> None:
    """Refuse a data set where a part has fewer classes than tasks take at once, or a class fewer images."""
    dataset, task = spec.dataset, spec.task
    name = dataset.folder.path if dataset.folder else str(dataset.name)
    rotations = dataset.training_rotations
    _require_classes(splits.train, "training", name, task.ways, rotations)
    for where, training in (("training", largest_training(spec)), ("final.training", spec.final.training)):
        settings = None if training is None else training.settings
        if settings is not None:  # only its trials know what an installed package's learner takes
            _require_merged_classes(len(splits.train.counts) * rotations, name, settings.classes(task), task, where)
            _require_images(splits.train, "training", name, settings.images_per_class(task), f"a task of {where} takes")
    for part, images in (("validation", splits.validation), ("test", splits.test)):
        _require_classes(images, part, name, task.ways)
        _require_images(images, part, name, task.shots + 1, "task.shots and one query need")


def _require_classes(images: ImageSet, part: str, name: str, ways: int, rotations: int = 1) -> None:
    classes = len(images.counts) * rotations
    if classes < ways:
        raise InvalidData(
            f"{name} has {classes} {part} class{'' if classes == 1 else 'es'} and task.ways is {ways}; "
            f"ways must be no more than that, or the split give more classes to {part}"
        )


def _require_merged_classes(classes: int, name: str, merged: int, task: Task, where: str) -> None:
    if classes < merged:
        raise InvalidData(
            f"{name} has {classes} training classes and {where} merges {merged // task.ways} tasks of {task.ways} into "
            f"one of {merged}; mergedTasks must be at most {classes // task.ways}"
        )


def _require_images(images: ImageSet, part: str, name: str, fewest: int, why: str) -> None:
    poorest = int(images.counts.argmin())
    if images.counts[poorest] < fewest:
        raise InvalidData(
            f"{part} class {images.class_names[poorest]!r} of {name} has {images.counts[poorest]} images and "
            f"{why} {fewest}; each class must have as many as a task takes"
        )
