"""A data set and a spec so small that a trial takes a fraction of a second."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from builders import make_spec, make_trial_spec, merged

from metasearch.search.trials import Progress, Stage, TrialResult, TrialSpec
from metasearch_trainer.data.images import ImageSet, Splits
from metasearch_trainer.storage import LocalStorage
from metasearch_trainer.trainer import Trainer

META_ITERATIONS = 8


def bars(first: int, classes: int = 6) -> ImageSet:
    """Make classes that differ in the position and direction of a bar, with noise."""
    rng = np.random.default_rng(first)
    made = []
    for index in range(first, first + classes):
        pixels = rng.integers(0, 80, (8, 1, 10, 10), dtype=np.uint8)
        position = index % 9
        pixels[(..., position, slice(None)) if index % 2 else (..., slice(None), position)] = 250
        made.append((f"bar{index}", pixels))
    return ImageSet.of(made)


SPLITS = Splits(train=bars(0, 9), validation=bars(9), test=bars(15))


TINY_SETTINGS = {
    "reptile": {"metaStepSize": "0.5"},
    "prototypes": {"metaBatchSize": 2, "mergedTasks": 2, "shots": 2, "queries": 2},
}
"""Settings of meta-learners with which `SPLITS` has enough classes; those of others are small by default."""


def tiny_spec(**changes: Any) -> Any:
    """Make a spec whose trials take `META_ITERATIONS`; Reptile's settings go where another learner is named."""
    spec: dict[str, Any] = {
        "dataset": {"name": "omniglot", "rotations": 1},
        "task": {"ways": 3},
        "space": {"filters": 4, "reductions": 1, "maxBlocks": 2},
        "training": {
            "metaIterations": META_ITERATIONS,
            "reptile": {
                "metaBatchSize": 2,
                "innerSteps": 3,
                "shots": 3,
                "innerLearningRate": "0.02",
                "evaluationSteps": 5,
            },
        },
        "evaluation": {"tasks": 20, "curvePoints": 4, "curveTasks": 10},
        "final": {"tasks": 15, "metaIterations": META_ITERATIONS},
    }
    if changes.get("training", {}).get("metaLearner", "Reptile") != "Reptile":
        del spec["training"]["reptile"]
    return make_spec(**merged(spec, changes))


def tiny_trainer(folder: Path, clock: Callable[[], float] | None = None, **changes: Any) -> Trainer:
    folders = LocalStorage(checkpoints=folder / "checkpoints", weights=folder / "weights")
    trainer = Trainer(tiny_spec(**changes), SPLITS, torch.device("cpu"), folders)
    if clock is not None:
        trainer.clock = clock
    return trainer


def tiny_trial(name: str = "tiny-1-a", **changes: Any) -> TrialSpec:
    defaults: dict[str, Any] = {"candidate": "conv3x3(-1)+max_pool3x3(-2)", "meta_iterations": META_ITERATIONS}
    return make_trial_spec(name, **defaults | changes)


def final_trial(**changes: Any) -> TrialSpec:
    return tiny_trial("tiny-1-final", stage=Stage.FINAL, **changes)


def ignore(progress: Progress) -> None:
    """Observe progress without asking for anything."""
    del progress


MEASURED = ("wall_seconds", "part_seconds", "peak_memory_bytes", "latency_ms")


def repeatable(result: TrialResult) -> TrialResult:
    """Return a result without the values that differ from run to run."""
    return replace(result, **dict.fromkeys(MEASURED))


class HalfMinuteClock:
    """A fake clock that moves half a minute at every reading, so that every checkpoint is due."""

    def __init__(self) -> None:
        self._ticks: Iterator[float] = itertools.count(step=31.0)

    def __call__(self) -> float:
        return next(self._ticks)
