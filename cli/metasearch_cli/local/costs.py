"""
Measure what the networks of a search cost on this machine, in some seconds.

A few small parts of real trainings are run, with the sizes of the search's spec, on noise instead of its images. Steps
that are alike are cut down to a few, and what is measured is scaled back.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from metasearch.api import (
    SETTINGS,
    Baseline,
    ImplicitSettings,
    InnerLoopSettings,
    LearnerSettings,
    MetaLearning,
    MetaSearchSpec,
    ReptileSettings,
    TruncatedSettings,
)
from metasearch.search.candidates import Candidate
from metasearch.search.cells import Cell
from metasearch.search.hyperparameters import typical_spec
from metasearch.search.space import CellSpace
from metasearch.search.trial_costs import CELLS_DRAWN, TYPICAL
from metasearch.search.trials import Progress, Stage, State, TrialSpec
from metasearch_cli.local import gpus
from metasearch_cli.local.estimate import Cost, Costs, estimate, sentences
from metasearch_trainer.data.images import ImageSet, Splits
from metasearch_trainer.evaluation import TASKS_AT_ONCE
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.storage import LocalStorage
from metasearch_trainer.trainer import Trainer

META_ITERATIONS = 3
"""The number of meta-iterations of a measured training. The first one warms up and is not counted."""

INNER_STEPS = 2
"""The most gradient steps per task in a measured training."""

PIXELS = 8_000
"""
The number of pixels that bounds a measurement: as many tasks are evaluated, and as many inner steps are taken, as there
are images of the search's size in so many pixels. So a measurement takes only seconds with large images, too.
"""

GPU_PIXELS = 100 * PIXELS
"""The same on a GPU, which takes as long for one task as for many: cut down, an evaluation would seem too long."""

FEWEST_IMAGES = 10
"""The fewest images of a class of noise for a meta-learner whose settings are unknown."""

# A backward pass computes two products, for the inputs and for the weights, where the forward pass computes one.
BACKWARD = 3
"""The approximate cost of a gradient step, in forward passes."""

L = TypeVar("L", bound=MetaLearning)


def measured_sentences(spec: MetaSearchSpec, channels: int, side: int, workers: int) -> list[str]:
    """
    Measure the costs on this machine's first GPU, or its CPU, and return the estimate for users.

    Args:
        channels: of the search's images.
        side: height and width of the search's images in pixels.
        workers: the number of processes that will train.

    Returns:
        Sentences; none of the time where the measurement failed.
    """
    number, shared_by_mps = gpus.count(), gpus.has_mps(os.environ)
    costs = measure(spec, channels, side, torch.device("cuda:0" if number else "cpu"))
    told = gpus.sharing_sentence(workers, number, shared_by_mps)
    if costs is None:
        return [told] if told else []
    at_once = gpus.trials_at_once(workers, number, shared_by_mps)
    return [*sentences(spec, estimate(spec, costs, at_once), workers), *([told] if told else [])]


def measure(
    spec: MetaSearchSpec,
    channels: int,
    side: int,
    device: torch.device,
    clock: Callable[[], float] = time.perf_counter,
) -> Costs | None:
    """
    Measure the costs of a search's networks by training some of them for a moment.

    Only the smallest and the largest cells are measured, since each takes up to some seconds. The sizes in between are
    interpolated. Where final trials are trained in another way, the largest cell is measured in that way too. Varied
    hyperparameters are in the middle of their distributions.

    Args:
        channels: of the search's images.
        side: height and width of the search's images in pixels.
        clock: returns seconds, from any start.

    Returns:
        The costs, or None where a training failed. The search would fail in the same way and say why.
    """
    spec = typical_spec(spec)
    largest = spec.space.max_blocks
    sizes = sorted({1, largest})
    with tempfile.TemporaryDirectory() as folder:
        storage = LocalStorage(Path(folder), weights=None)
        trainer = Trainer(_small(spec, side, device), _noise(spec, channels, side), device, storage)
        trials = [_trial(str(_typical(spec, trainer, blocks))) for blocks in sizes]
        if spec.final.training is not None:
            trials.append(_trial(trials[-1].candidate.architecture, Stage.FINAL))
        if spec.final.baselines:
            # About the costliest of the hand-made networks.
            trials.append(_trial(str(Baseline.CONV4), Stage.BASELINE))
        costs = [_cost(spec, trainer, trial, clock) for trial in trials]
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(costs):
        return None
    of_stage = {trial.stage: cost for trial, cost in zip(trials, known, strict=True)}
    all_sizes, cells = range(1, largest + 1), known[: len(sizes)]
    steps = np.interp(all_sizes, sizes, [cost.meta_iteration for cost in cells])
    tasks = np.interp(all_sizes, sizes, [cost.task for cost in cells])
    return Costs(
        tuple(Cost(float(step), float(task)) for step, task in zip(steps, tasks, strict=True)),
        baseline=of_stage.get(Stage.BASELINE),
        final=of_stage.get(Stage.FINAL),
    )


# --- small trainings ----------------------------------------------------------------------------------------------


def _small(spec: MetaSearchSpec, side: int, device: torch.device) -> MetaSearchSpec:
    """Return the spec with fewer steps and tasks, and with all that decides the cost of each unchanged."""
    fitting = (GPU_PIXELS if device.type == "cuda" else PIXELS) // side**2
    most_steps = max(1, min(INNER_STEPS, fitting))
    final = spec.final.training
    changes: dict[str, dict[str, Any]] = {
        # Each fold costs the same; the arithmetic multiplies.
        "evaluation": {"tasks": max(2, min(TASKS_AT_ONCE, fitting)), "curve_points": 1, "folds": 1},
        "final": {"tasks": 2, "training": None if final is None else _shorter(final, most_steps)},
        # The limits are meant for a whole trial in a worker's process, and this process holds other things as well.
        "budget": {"trial_time": None, "trial_memory": None},
    }
    parts = {part: getattr(spec, part).model_copy(update=fields) for part, fields in changes.items()}
    # Rotated copies would take memory and time to make, and cost the same to train on.
    dataset = spec.dataset.model_copy(update={"rotations": 1})
    return spec.model_copy(update={**parts, "training": _shorter(spec.training, most_steps), "dataset": dataset})


def _shorter(training: L, most_steps: int) -> L:
    """Return the training with no more gradient steps on a task than so many, where its settings say how many."""
    settings = training.settings
    if not isinstance(settings, ReptileSettings | InnerLoopSettings):
        return training
    fewer = {"inner_steps": min(most_steps, settings.inner_steps)}
    if settings.evaluation_steps is not None:
        fewer["evaluation_steps"] = min(most_steps, settings.evaluation_steps)
    if isinstance(settings, TruncatedSettings):
        fewer["window"] = min(settings.window, fewer["inner_steps"])
    return training.model_copy(update={SETTINGS[training.meta_learner]: settings.model_copy(update=fewer)})


def _noise(spec: MetaSearchSpec, channels: int, side: int) -> Splits:
    """Return random images of the search's size, enough for a task. The cost of training does not depend on them."""
    task, classes, count = spec.task, spec.task.ways, spec.task.shots + 1
    for training in (spec.training, spec.final.training or spec.training):
        settings = training.settings
        classes = max(classes, task.ways if settings is None else settings.classes(task))
        count = max(count, FEWEST_IMAGES if settings is None else settings.images_per_class(task))
    pixels = np.random.default_rng(0).integers(0, 256, (count, channels, side, side), dtype=np.uint8)
    images = ImageSet.of([(str(index), pixels) for index in range(classes)])
    return Splits(images, images, images)


def _typical(spec: MetaSearchSpec, trainer: Trainer, blocks: int) -> Cell:
    """Draw cells with so many blocks, and return the one at the quantile `TYPICAL` of their multiply-adds."""
    # A seed of its own, so that two estimates of one search measure the same cells.
    space, rng = CellSpace(spec.space.operations, blocks), np.random.default_rng(blocks)
    drawn = [space.sample(rng) for _ in range(CELLS_DRAWN)]
    drawn.sort(key=lambda cell: trainer.network(_trial(str(cell))).multiply_adds)
    return drawn[round(TYPICAL * (len(drawn) - 1))]


def _trial(candidate: str, stage: Stage = Stage.SEARCH) -> TrialSpec:
    return TrialSpec(
        name="estimate",
        stage=stage,
        round=1,
        candidate=Candidate(candidate),
        seed=0,
        meta_iterations=META_ITERATIONS,
        round_size=1,
    )


# --- their costs --------------------------------------------------------------------------------------------------


def _cost(spec: MetaSearchSpec, trainer: Trainer, trial: TrialSpec, clock: Callable[[], float]) -> Cost | None:
    """Return the cost of a network, from the times at which a small training of it reports; None if it fails."""
    trainer.forget(trial)  # all trials here have one name, so an earlier one's checkpoint would be gone on with
    times: list[float] = []

    def observe(_: Progress) -> None:
        if trainer.device.type == "cuda":
            torch.cuda.synchronize(trainer.device)  # a step is launched long before it is done
        times.append(clock())

    if trainer.run(trial, observe).state is not State.SUCCEEDED:
        return None
    # A training reports after each meta-iteration and then after each part of an evaluation, of which there is one:
    # `_small` has no more than TASKS_AT_ONCE tasks.
    ends_of_steps, end_of_evaluation = times[:META_ITERATIONS], times[META_ITERATIONS]
    # The fastest: whatever else the machine does can only make a step slower.
    training = min(after - before for before, after in itertools.pairwise(ends_of_steps))
    evaluation = end_of_evaluation - ends_of_steps[-1]
    whole, small = Recipe.of(spec, trial), Recipe.of(trainer.spec, trial)
    return Cost(
        meta_iteration=training * _gradients(whole.training.settings) / _gradients(small.training.settings),
        task=evaluation / small.evaluation.tasks * _images_of_task(whole) / _images_of_task(small),
    )


def _gradients(settings: LearnerSettings | None) -> int:
    """Return the approximate number of gradients that a learner computes of a training task; 1 where unknown."""
    if isinstance(settings, ReptileSettings):
        return settings.inner_steps
    gradients = 1  # that of the query loss
    if isinstance(settings, InnerLoopSettings):
        gradients += settings.inner_steps
    if isinstance(settings, ImplicitSettings):
        gradients += 2 * settings.conjugate_gradient_steps  # each with a Hessian product, which costs about two
    return gradients


def _images_of_task(recipe: Recipe) -> int:
    """Return the approximate cost of one task of an evaluation, in forward passes of one image."""
    ways, shots, settings = recipe.task.ways, recipe.task.shots, recipe.training.settings
    images = 0  # that adapting goes through
    if isinstance(settings, ReptileSettings):
        images = settings.evaluation_steps * settings.evaluation_batch_size
    elif isinstance(settings, InnerLoopSettings):
        images = (settings.evaluation_steps or settings.inner_steps) * ways * shots
    # For the accuracy of queries alone, each is classified in a batch with the whole support set.
    alone = ways * (ways * shots + 1)
    return BACKWARD * images + ways + alone
