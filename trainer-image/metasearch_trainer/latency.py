"""
Measure how long networks and their parts take to classify, as a delivered learner runs them.

A learner classifies new images behind the support images of its task, whose statistics normalise the batch, with its
own weights. So a part is given a batch of so many images, and takes its weights out of a flat vector as in a network.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from metasearch import api
from metasearch.api.latency import CLASSIFIER, CONCATENATION, INPUT, STEM, SUM, Part
from metasearch.search.encoded_cells import Floats
from metasearch_trainer.layers import concatenate, pool_globally
from metasearch_trainer.network import stack_tasks
from metasearch_trainer.network_parts import classifier, convolution, operation
from metasearch_trainer.parameters import ParameterLayout, Weights
from metasearch_trainer.shifts import copies

WARM_UP = 5
"""Runs that are not timed: the first ones choose kernels and ask for memory."""


@dataclass(frozen=True)
class Batch:
    """The images of one forward pass, their copies included."""

    support: int
    queries: int

    @classmethod
    def of(cls, spec: api.MetaSearchSpec, images: int) -> Batch:
        """
        Return the batch in which a spec's learner classifies images.

        Args:
            images: classified at a time.
        """
        number = copies(spec.evaluation.shifts)
        return cls(number * spec.task.ways * spec.task.shots, number * images)

    @property
    def size(self) -> int:
        return self.support + self.queries


def measure_parts(parts: Sequence[Part], batch: Batch, device: torch.device, repeats: int) -> dict[Part, float]:
    """Return the median latency of each part in milliseconds."""
    milliseconds = measure([part_runner(part, batch, device) for part in parts], device, repeats)
    return dict(zip(parts, np.median(milliseconds, axis=0).tolist(), strict=True))


def measure(
    runs: Sequence[Callable[[], object]],
    device: torch.device,
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Floats:
    """
    Time functions in turn, so that what else the machine does meets all of them alike.

    Args:
        clock: returns seconds.

    Returns:
        Milliseconds, (repeats, functions).
    """
    with torch.no_grad():
        for run in (run for _ in range(WARM_UP) for run in runs):
            run()
        return np.array([[_milliseconds(run, device, clock) for run in runs] for _ in range(repeats)])


def _milliseconds(run: Callable[[], object], device: torch.device, clock: Callable[[], float]) -> float:
    started = clock()
    run()
    if device.type == "cuda":  # which returns before it has computed anything
        torch.cuda.synchronize(device)
    return 1000 * (clock() - started)


def part_runner(part: Part, batch: Batch, device: torch.device) -> Callable[[], object]:
    """Return a function that runs a part once, on random images and with random weights."""
    layout, generator = ParameterLayout(), Generator().manual_seed(0)
    forward = _forward(part, layout)
    images = torch.rand(1, batch.size, part.channels, part.side, part.side, generator=generator).to(device)
    x = images if part.name == STEM else stack_tasks(images)
    if not layout.parameters:
        return lambda: forward(Weights([]), x)
    flat = layout.initial(generator)[None].to(device, torch.float32)
    return lambda: forward(Weights(layout.views(flat), batch.support), x)


def _forward(part: Part, layout: ParameterLayout) -> Callable[[Weights, Tensor], Tensor]:
    """Return what a network of one task computes at a part, whose parameters are added to the layout."""
    if part.name == STEM:
        stem = convolution(layout, "part", part)
        return lambda weights, images: stem(weights, stack_tasks(images))
    if part.name == INPUT:
        return convolution(layout, "part", part)
    if part.name == SUM:
        return lambda _, x: x + x
    if part.name == CONCATENATION:
        return lambda _, x: concatenate([x] * (part.filters // part.channels), tasks=1)
    if part.name == CLASSIFIER:
        head = classifier(layout, "part", part)
        return lambda weights, x: head(weights, pool_globally(x, tasks=1))
    return operation(layout, "part", part)
