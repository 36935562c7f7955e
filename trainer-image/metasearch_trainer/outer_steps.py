"""
The outer steps of a training: launched kernel by kernel, or as a CUDA graph.

An outer step is thousands of kernels, each of which a GPU has done sooner than Python launches the next. A graph of the
whole step is recorded before the first one, and launched as one from then on. It reads and writes the same memory
every time: the tensors of the learner's state, and buffers into which each meta-batch's rows are copied. Images are
gathered within the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor

from metasearch_trainer.metalearners.base import MetaLearner, State
from metasearch_trainer.tasks import DeviceImages, SampledTasks

Recorded = tuple[Callable[[], None], Tensor]
"""Repeats a function, and the tensor that then holds what it returned."""


class OuterSteps(Protocol):
    """Takes the outer steps of one training."""

    def take(self, sampled: SampledTasks, share: float) -> Tensor:
        """
        Learn from a meta-batch.

        Args:
            share: of the training that is done, in [0, 1).

        Returns:
            The loss () of `MetaLearner.outer_step`; the next step may overwrite it.
        """
        ...


def outer_steps(learner: MetaLearner, learned: State, images: DeviceImages) -> OuterSteps:
    """Return the way to take outer steps, which move the state `learned`, on the device of the images."""
    if images.device.type == "cuda":
        return GraphedSteps(learner, learned, images)
    return LaunchedSteps(learner, learned, images)


class LaunchedSteps:
    """Launches every kernel of every step."""

    def __init__(self, learner: MetaLearner, learned: State, images: DeviceImages) -> None:
        self._learner, self._learned, self._images = learner, learned, images

    def take(self, sampled: SampledTasks, share: float) -> Tensor:
        progress = torch.tensor(share, dtype=torch.float64, device=self._images.device)
        return self._learner.outer_step(self._learned, self._images.tasks(sampled), progress)


class GraphedSteps:
    """Records one step, and repeats the recording."""

    def __init__(
        self,
        learner: MetaLearner,
        learned: State,
        images: DeviceImages,
        record: Callable[[Callable[[], Tensor], Mapping[str, Tensor]], Recorded] | None = None,
    ) -> None:
        """
        Args:
            record: makes a recording of a function that moves tensors, which it leaves as they are.
        """
        self._learner, self._learned, self._images = learner, learned, images
        self._record = record or cuda_graph
        self._progress = torch.zeros((), dtype=torch.float64, device=images.device)
        self._rows: tuple[Tensor, ...] = ()
        self._recorded: Recorded | None = None

    def take(self, sampled: SampledTasks, share: float) -> Tensor:
        arrays = [torch.from_numpy(rows) for rows in sampled.arrays]
        if self._recorded is None:
            self._rows = tuple(rows.to(self._images.device) for rows in arrays)
            with torch.cuda.device_of(self._progress):  # streams are of the current GPU, which may be another
                self._recorded = self._record(lambda: self._step(sampled.ways), self._learned.tensors)
        for buffer, rows in zip(self._rows, arrays, strict=True):
            buffer.copy_(rows, non_blocking=True)
        self._progress.fill_(share)
        repeat, loss = self._recorded
        repeat()
        return loss

    def _step(self, ways: int) -> Tensor:
        return self._learner.outer_step(self._learned, self._images.tasks_at(*self._rows, ways=ways), self._progress)


def cuda_graph(function: Callable[[], Tensor], moved: Mapping[str, Tensor]) -> Recorded:
    """Record the kernels of a function on the current device; the tensors that it moves stay as they are."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side), preserved(moved):
        function()  # once before, for libraries then compile and choose kernels, and allocate what they keep
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # Thread-local: other threads of the process may allocate in the meantime, for trainings of their own.
    with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
        result = function()
    return graph.replay, result


@contextmanager
def preserved(tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Give tensors back their values at the end of the context, in place."""
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    yield
    for name, tensor in tensors.items():
        tensor.copy_(before[name])
