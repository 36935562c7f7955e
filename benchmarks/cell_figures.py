"""
Figures of measured cells that may say how good they are: sizes, zero-cost proxies, and what short trainings say.

Proxies are those of `proxies.py`, of untrained networks and one meta-batch of Omniglot's train classes, 16 tasks of 10
images each, as Prototypes draws them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from statistics import fmean, median

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import track
from scipy.stats import rankdata
from torch import Generator

from cell_table import LEARNERS, SPACE
from measured_cells import MeasuredCells
from metasearch.api import Task, Training
from metasearch.search.cells import parse_cell
from metasearch_trainer.data import omniglot
from metasearch_trainer.metalearners import build
from metasearch_trainer.network import cell_network
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import DeviceImages, sample_tasks, stream
from proxies import PROXIES, Batch, expected_synflow

Floats = npt.NDArray[np.float64]

TIMES = 3
"""The number of times that proxies are taken, each with other weights and images."""

ARITHMETIC, BEGINNING = "expected synflow", "training loss of the beginning"
"""The names of the figures that others are held against."""


@dataclass(frozen=True)
class Figure:
    """A figure of every cell that may say how good it is."""

    name: str
    values: tuple[Mapping[str, float], ...]
    """By cell; several where it was taken several times."""
    seconds: float
    """CPU time to take it once of one cell, the median over cells of three blocks."""
    again: Mapping[str, float] | None = None
    """Its values with another seed where there are some, of fewer cells, and `values` has one time only."""

    def of(self, cells: Sequence[str]) -> Floats:
        """Return the values of some cells, (times, cells)."""
        return np.array([[each[cell] for cell in cells] for each in self.values])

    @property
    def reliability(self) -> float | None:
        """The rank correlation of the cells of three blocks with themselves, taken another time; None where exact."""
        if self.again is not None:
            cells = list(self.again)
            return correlation(self.of(cells)[0], np.array([self.again[cell] for cell in cells]))
        values = self.of([cell for cell in self.values[0] if "|" in cell])
        pairs = [(first, second) for first in range(len(values)) for second in range(first)]
        return fmean(correlation(values[first], values[second]) for first, second in pairs) if pairs else None


def take_proxies(cells: Sequence[str]) -> list[Figure]:
    """Take every proxy of every cell."""
    cpu = torch.device("cpu")
    images = DeviceImages(omniglot.load().train.rotated(4), cpu)
    recipe = Recipe(task=Task(), training=Training.model_validate(LEARNERS["Prototypes"].settings))
    values: dict[str, list[dict[str, float]]] = {name: [{} for _ in range(TIMES)] for name in PROXIES}
    seconds: dict[str, list[float]] = {name: [] for name in PROXIES}
    for cell in track(cells, "proxies", console=Console(stderr=True), transient=True):
        network = cell_network(parse_cell(cell).canonical, SPACE, 1, omniglot.SIDE, recipe.task.ways)
        learner = build(recipe, network, cpu)
        for seed in range(TIMES):
            theta = network.layout.initial(Generator().manual_seed(seed)).float()
            rng = stream("zero cost", seed)
            batch = Batch.of(
                images.tasks(sample_tasks(rng, images.images, learner.training_tasks, learner.meta_batch_size))
            )
            for name, proxy in PROXIES.items():
                started = time.process_time()
                values[name][seed][cell] = proxy(network, theta, batch)
                if "|" in cell:
                    seconds[name].append(time.process_time() - started)
    return [_expected_synflow(cells), *(Figure(name, tuple(values[name]), median(seconds[name])) for name in PROXIES)]


def _expected_synflow(cells: Sequence[str]) -> Figure:
    started = time.process_time()
    values = {cell: expected_synflow(parse_cell(cell).canonical, SPACE, channels=1) for cell in cells}
    return Figure(ARITHMETIC, (values,), (time.process_time() - started) / len(cells))


def sizes(cells: MeasuredCells) -> list[Figure]:
    """Return what costs nothing."""
    trainings = cells.search_trials
    return [
        Figure("log parameters", ({cell: log(each.parameters) for cell, each in trainings.items()},), 0.0),
        Figure("log multiply-adds", ({cell: log(each.multiply_adds) for cell, each in trainings.items()},), 0.0),
    ]


def beginnings(cells: MeasuredCells) -> list[Figure]:
    """Return what a short training says: the loss of its first outer step or steps, and what screening goes by."""
    trainings, again = cells.search_trials, cells.second_seeds
    steps = next(iter(trainings.values())).first.meta_iteration
    whole = median(trainings[cell].first.training_seconds for cell in cells.pool)
    figures = []
    for count in (1, 3):
        first, second = (
            {cell: -fmean(each.training_loss[:count]) for cell, each in some.items()} for some in (trainings, again)
        )
        name = f"training loss of {count} outer step{'s' if count > 1 else ''}"
        figures.append(Figure(name, (first,), whole * count / steps, second))
    first, second = ({cell: each.beginning()[0] for cell, each in some.items()} for some in (trainings, again))
    return [*figures, Figure(BEGINNING, (first,), whole, second)]


def whole_trials(cells: MeasuredCells) -> Figure:
    """Return what search trials are scored by."""
    first, second = (
        {cell: each.last.likelihood()[0] for cell, each in some.items()}
        for some in (cells.search_trials, cells.second_seeds)
    )
    return Figure("score of a search trial", (first,), median(map(cells.whole_seconds, cells.pool)), second)


def correlation(first: Floats, second: Floats) -> float:
    """Return Spearman's rank correlation of (cells,) and (cells,)."""
    return float(correlations(first[None], second[None])[0])


def correlations(first: Floats, second: Floats) -> Floats:
    """Return Spearman's rank correlation of each row of (rows, cells) with that of another, (rows,)."""
    ranks = [rankdata(each, axis=1) for each in (first, second)]
    one, other = (each - each.mean(1, keepdims=True) for each in ranks)
    found: Floats = (one * other).sum(1) / np.sqrt((one**2).sum(1) * (other**2).sum(1))
    return found
