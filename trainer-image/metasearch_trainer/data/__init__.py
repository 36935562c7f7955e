"""Data sets: those that come with MetaSearch, those that installed packages add, and the user's own images."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from metasearch.api import Dataset, DatasetName, Task, Training
from metasearch.errors import InvalidData
from metasearch.extensions import Group, find
from metasearch_trainer.data import omniglot
from metasearch_trainer.data.folder import load as load_folder
from metasearch_trainer.data.images import ImageSet, Splits
from metasearch_trainer.data.resizing import resized

__all__ = ["BUILT_IN", "ImageSet", "Loader", "Splits", "load"]

Loader = Callable[[], Splits]
"""Reads a data set. A package adds one through an entry point of the group `metasearch.datasets`."""

BUILT_IN: Mapping[str, Loader] = {
    DatasetName.OMNIGLOT: omniglot.load,
}


def load(dataset: Dataset, task: Task, training: Training) -> Splits:
    """
    Read a data set and check that the task can be made of it.

    Raises:
        InvalidSpec: no data set of that name is installed.
        InvalidData: says which file, class or number is wrong, and what would be right.
    """
    if dataset.folder is None:
        loader = find(Group.DATASETS, str(dataset.name), BUILT_IN, "spec.dataset.name")
        splits = resized(loader(), dataset.image_size)
    else:
        splits = load_folder(dataset.folder, dataset.image_size)
    _require_room(splits, dataset, task, training)
    return splits


def _require_room(splits: Splits, dataset: Dataset, task: Task, training: Training) -> None:
    """Refuse a data set where a part has fewer classes than ways, or a class fewer images than a task takes."""
    name = dataset.folder.path if dataset.folder else str(dataset.name)
    evaluated = task.shots + 1, "task.shots and one query need"
    _require(splits.train, "training", name, task.ways, training.shots, "training.shots is", dataset.training_rotations)
    _require(splits.validation, "validation", name, task.ways, *evaluated)
    _require(splits.test, "test", name, task.ways, *evaluated)


def _require(images: ImageSet, part: str, name: str, ways: int, fewest: int, why: str, rotations: int = 1) -> None:
    classes = len(images.counts) * rotations
    if classes < ways:
        raise InvalidData(
            f"{name} has {classes} {part} class{'' if classes == 1 else 'es'} and task.ways is {ways}; "
            f"ways must be no more than that, or the split give more classes to {part}"
        )
    poorest = int(images.counts.argmin())
    if images.counts[poorest] < fewest:
        raise InvalidData(
            f"{part} class {images.class_names[poorest]!r} of {name} has {images.counts[poorest]} images and "
            f"{why} {fewest}; each class must have as many as a task takes"
        )
