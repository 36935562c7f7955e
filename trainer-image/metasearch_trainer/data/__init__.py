"""Data sets: those that come with MetaSearch, those that installed packages add, and the user's own images."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from metasearch.api import DatasetName, MetaSearchSpec
from metasearch.errors import InvalidData
from metasearch.extensions import Group, find
from metasearch_trainer.data import omniglot
from metasearch_trainer.data.folder import load as load_folder
from metasearch_trainer.data.images import ImageSet, Splits
from metasearch_trainer.data.remarks import remarks
from metasearch_trainer.data.requirements import refusals
from metasearch_trainer.data.resizing import resized

__all__ = ["BUILT_IN", "ImageSet", "Loader", "Splits", "load", "read", "refusals", "remarks"]

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
    splits = read(spec)
    if sentence := next(refusals(splits, spec), None):
        raise InvalidData(sentence)
    return splits


def read(spec: MetaSearchSpec) -> Splits:
    """Read the data set of a search, as `load` does, whatever tasks can be made of it."""
    dataset = spec.dataset
    if dataset.folder is not None:
        return load_folder(dataset.folder, dataset.image_size)
    loader = find(Group.DATASETS, str(dataset.name), BUILT_IN, "spec.dataset.name")
    return resized(loader(), dataset.image_size)
