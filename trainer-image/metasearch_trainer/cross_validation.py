"""
Cross-validation over classes: a search trial is trained once for each fold of the classes, and scored on that fold.

The training and the validation classes are merged and cut into `evaluation.folds` folds, the same for all trials of a
search. Each is left out of one training, which never sees it. All trainings of a trial take an outer step in turn, so
that a point of the learning curve, a threshold and a checkpoint mean the same meta-iteration of all of them. Their
states lie in one, as the running mean of weights does, so that a checkpoint keeps all.

Where there is no cross-validation, there is one fold, and a state stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metasearch.api import MetaSearchSpec
from metasearch_trainer.data.images import Splits
from metasearch_trainer.metalearners.base import THETA, State
from metasearch_trainer.tasks import DeviceImages, stream

ClassIndices = npt.NDArray[np.int64]


# --- classes ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fold:
    """The classes of one training."""

    train: DeviceImages
    """To train on, with rotated copies where the search has them."""
    scored: DeviceImages
    """To score on; left out of the training, and never rotated."""
    stream: tuple[object, ...] = ()
    """Added to the names of random streams, so that folds draw different tasks."""


@dataclass(frozen=True)
class Images:
    """The images of a search on the device that trains."""

    train: DeviceImages
    validation: DeviceImages
    test: DeviceImages
    folds: tuple[Fold, ...] = ()
    """Those that search trials are trained and scored on instead; empty where there is no cross-validation."""

    @classmethod
    def of(cls, splits: Splits, spec: MetaSearchSpec, device: torch.device) -> Images:
        """Copy the images of a search to a device, once each, whatever the number of folds."""
        rotations, number = spec.dataset.training_rotations, spec.evaluation.folds
        test = DeviceImages(splits.test, device)
        if number == 1:
            train = DeviceImages(splits.train.rotated(rotations), device)
            return cls(train, DeviceImages(splits.validation, device), test)
        merged = splits.train.merged_with(splits.validation)
        everything = DeviceImages(merged.rotated(rotations), device)
        in_training, classes = len(splits.train.counts), len(merged.counts)

        def turned(chosen: ClassIndices) -> DeviceImages:
            # Turn after turn, as `rotated` lists classes: so final trials draw the tasks that they draw without folds.
            return everything.of_classes(np.concatenate([chosen + turn * classes for turn in range(rotations)]))

        folds = []
        for index, left_out in enumerate(cut(classes, number, spec.seed)):
            kept = np.setdiff1d(np.arange(classes), left_out)
            folds.append(Fold(turned(kept), everything.of_classes(left_out), ("fold", index)))
        validation = everything.of_classes(np.arange(in_training, classes))
        return cls(turned(np.arange(in_training)), validation, test, tuple(folds))


def cut(classes: int, folds: int, seed: int) -> list[ClassIndices]:
    """
    Divide classes at random into folds whose sizes differ by one at most.

    Args:
        classes: their number, at least that of folds.
        seed: the search's; the cut depends on nothing else.

    Returns:
        The indices of each fold's classes, in ascending order.
    """
    shuffled = stream(seed, "folds").permutation(classes)
    return [np.sort(fold) for fold in np.array_split(shuffled, folds)]


# --- states -------------------------------------------------------------------------------------------------------


def side_by_side(states: Sequence[State]) -> State:
    """Join the states of a trial's folds into one, which shares their tensors. The first keeps its names."""
    tensors, integers = dict[str, Tensor](), dict[str, int]()
    for index, state in enumerate(states):
        tensors |= {_prefix(index) + name: tensor for name, tensor in state.tensors.items()}
        integers |= {_prefix(index) + name: number for name, number in state.integers.items()}
    return State(tensors, integers)


def states_of(learned: State, folds: int) -> list[State]:
    """Part what `side_by_side` has joined; an outer step on one of the parts writes into the joined state's tensors."""
    if folds == 1:
        return [learned]
    names = [name for name in learned.tensors if not name.startswith(_FOLD)]
    integers = [name for name in learned.integers if not name.startswith(_FOLD)]
    return [
        State(
            {name: learned.tensors[_prefix(index) + name] for name in names},
            {name: learned.integers[_prefix(index) + name] for name in integers},
        )
        for index in range(folds)
    ]


def thetas(learned: State) -> list[Tensor]:
    """Return the network's parameters of each fold, (size,) each."""
    return [tensor for name, tensor in learned.tensors.items() if _THETA.fullmatch(name)]


# A name that no learner gives to a tensor of its own; the first fold has none, so that a state without folds is itself.
_FOLD = "fold "
_THETA = re.compile(rf"({_FOLD}\d+ )?{THETA}")


def _prefix(index: int) -> str:
    """Return the beginning of the names of a fold's tensors in a joined state."""
    return f"{_FOLD}{index} " if index else ""
