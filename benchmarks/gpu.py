"""
The trainer on a GPU: equality with the CPU, outer steps per second of one candidate and of many, memory.

    python benchmarks/gpu.py --short        about three minutes
    python benchmarks/gpu.py                about ten

Steps are Reptile's on real Omniglot, with the default settings: 5 tasks of 8 inner steps on 10 images of 28x28. They
run as the trainer runs them, as a CUDA graph with kernels of our own; beside it launched one by one, and with PyTorch's
own convolutions. Candidates share a GPU as graphs on streams of one process, or as processes, where NVIDIA's MPS can be
started. Without a GPU the script runs to its end on the CPU, one candidate at a time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import torch
import torch.nn.functional as F
from torch import Tensor

from metasearch.api import SETTINGS, Space, Task, Training
from metasearch.search.cells import parse_cell
from metasearch_trainer import layers
from metasearch_trainer.data import omniglot
from metasearch_trainer.metalearners import build
from metasearch_trainer.metalearners.base import MetaLearner, State
from metasearch_trainer.network import CellNetwork
from metasearch_trainer.outer_steps import GraphedSteps, LaunchedSteps, OuterSteps, outer_steps
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import DeviceImages, SampledTasks, sample_tasks, stream
from metasearch_trainer.torch_setup import prepare_torch
from reporting import Claim, parser, publish
from trainer_speed import CELLS

CPU = torch.device("cpu")
GPU = torch.device("cuda" if torch.cuda.is_available() else "cpu")
CANDIDATES = (1, 4, 8, 20, 40)
GOAL_STEPS, GOAL_CANDIDATES = 126, 20
"""Outer steps per second with which 455 candidates of 1,000 are trained in an hour, and candidates at a time."""

SECONDS, SHORT_SECONDS = 4.0, 1.5
"""The length of a measurement."""

PEAK = {"H100": 66.9e12, "H200": 66.9e12, "A100": 19.5e12}
"""Multiply-adds in 32 bits without tensor cores, counted as two operations each, per second (data sheets, SXM)."""


def main() -> int:
    """Measure everything, and print the tables."""
    arguments = _arguments()
    if arguments.child:
        return _child(arguments.child, arguments.seconds)
    prepare_torch()
    seconds = SHORT_SECONDS if arguments.short else SECONDS
    images = _images(GPU)
    tables: dict[str, list[dict[str, Any]]] = {}

    def show(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Print a table as soon as it is there, for a lent GPU may be gone before the last one."""
        if rows:
            publish(f"gpu: {name}", rows, [], None)
            tables[name] = rows
        return rows

    claims = [_as_exact_as_the_cpu(show("equality", [_gradient_errors(name) for name in CELLS]))]
    speed = show("one candidate", [_speed(name, images, seconds) for name in CELLS])
    many = show("many", _many(images, seconds, (1, 20) if arguments.short else CANDIDATES))
    if GPU.type == "cuda":
        learners = show("learners", [_learner(name, images) for name in SETTINGS])
        are_equal = all(row["equal"] for row in learners)
        claims.append(Claim("every learner's graph does what its launched steps do, bit by bit", are_equal))
        best = max(row["steps/s"] for row in many if row["candidates"] >= GOAL_CANDIDATES)
        text = f"{best:.0f} outer steps per second with {GOAL_CANDIDATES} candidates or more, at least {GOAL_STEPS}"
        claims.append(Claim(text, best >= GOAL_STEPS))
    return publish("gpu", speed, claims, arguments.json, **tables)


# --- what is trained ----------------------------------------------------------------------------------------------


def _images(device: torch.device) -> DeviceImages:
    return DeviceImages(omniglot.load().train.rotated(4), device)


def _begun(cell: str, device: torch.device, learner: str = "Reptile") -> tuple[MetaLearner, State]:
    network = CellNetwork(parse_cell(CELLS[cell]), Space(), 1, omniglot.SIDE, Task().ways)
    made = build(Recipe(training=Training.model_validate({"metaLearner": learner})), network, device)
    return made, made.initial_state(torch.Generator().manual_seed(0))


def _meta_batches(learner: MetaLearner, images: DeviceImages, number: int) -> list[SampledTasks]:
    return [
        sample_tasks(stream("gpu", index), images.images, learner.training_tasks, learner.meta_batch_size)
        for index in range(number)
    ]


# --- equality -----------------------------------------------------------------------------------------------------


def _gradient_errors(cell: str) -> dict[str, Any]:
    """Compare the gradient of a meta-batch's support loss with the CPU's in 64 bits."""
    generator = torch.Generator().manual_seed(0)
    network = CellNetwork(parse_cell(CELLS[cell]), Space(), 1, omniglot.SIDE, Task().ways)
    phi = network.layout.initial(generator).repeat(5, 1)
    phi += 0.05 * torch.randn(phi.shape, generator=generator, dtype=torch.float64)  # tasks with weights of their own
    learner, _ = _begun(cell, CPU)
    images = _images(CPU)
    support = images.tasks(_meta_batches(learner, images, 1)[0]).support
    pixels, labels = support.batch(0)

    def gradient(device: torch.device, dtype: torch.dtype) -> Tensor:
        parameters = phi.to(device, dtype).requires_grad_()
        logits = network(parameters, pixels.to(device, dtype))
        loss = F.cross_entropy(logits.flatten(0, 1), labels.to(device).flatten())
        return torch.autograd.grad(loss, parameters)[0].cpu().double()

    exact = gradient(CPU, torch.float64)

    def error(found: Tensor) -> float:
        return float((found - exact).norm() / exact.norm())

    row = {"cell": cell, "CPU": error(gradient(CPU, torch.float32)), "kernels": error(gradient(GPU, torch.float32))}
    with _without_kernels():
        row["PyTorch"] = error(gradient(GPU, torch.float32))
    return row


def _learner(name: str, images: DeviceImages) -> dict[str, Any]:
    """Compare a learner's graph with its launched steps, bit by bit."""
    states, seconds = [], []
    for way in (LaunchedSteps, GraphedSteps):
        learner, state = _begun("one block", GPU, name)
        steps, batches = way(learner, state, images), _meta_batches(learner, images, 4)
        steps.take(batches[0], 0)
        _wait()
        started = time.perf_counter()
        for index, batch in enumerate(batches[1:], 1):
            steps.take(batch, index / 4)
        _wait()
        seconds.append((time.perf_counter() - started) / 3)
        states.append(state)
    launched, graphed = (torch.cat([each.flatten() for each in state.tensors.values()]) for state in states)
    return {
        "learner": name,
        "equal": bool((launched == graphed).all()),
        "launched, steps/s": 1 / seconds[0],
        "graph, steps/s": 1 / seconds[1],
    }


def _as_exact_as_the_cpu(rows: Sequence[Mapping[str, Any]]) -> Claim:
    most = max(row["kernels"] / row["CPU"] for row in rows)
    return Claim(f"gradients differ from the exact ones by {most:.2f} times as much as the CPU's, at most 2", most <= 2)


@contextmanager
def _without_kernels() -> Iterator[None]:
    """Use PyTorch's operations on the GPU."""
    layers.HAS_KERNELS = False
    try:
        yield
    finally:
        layers.HAS_KERNELS = True


# --- speed --------------------------------------------------------------------------------------------------------


def _rate(take: Callable[[], object], seconds: float) -> float:
    """Return calls per second, after a first one."""
    take()
    _wait()
    calls, started = 0, time.perf_counter()
    while (spent := time.perf_counter() - started) < seconds:
        for _ in range(5):
            take()
        _wait()
        calls += 5
    return calls / spent


def _wait() -> None:
    if GPU.type == "cuda":
        torch.cuda.synchronize()


def _steps_per_second(
    way: Callable[[MetaLearner, State, DeviceImages], OuterSteps], cell: str, images: DeviceImages, seconds: float
) -> float:
    learner, state = _begun(cell, GPU)
    steps, batches = way(learner, state, images), _meta_batches(learner, images, 5)
    turns = iter(range(10**9))
    return _rate(lambda: steps.take(batches[next(turns) % 5], 0.5), seconds)


def _speed(cell: str, images: DeviceImages, seconds: float) -> dict[str, Any]:
    """Measure one candidate by itself."""
    learner, _ = _begun(cell, GPU)
    started = time.perf_counter()
    _steps_per_second(outer_steps, cell, images, 0)
    first = time.perf_counter() - started
    if GPU.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    ours = _steps_per_second(outer_steps, cell, images, seconds)
    row = {"cell": cell, "steps/s": ours, "first step s": first}
    if GPU.type != "cuda":
        return row
    row["peak MiB"] = torch.cuda.max_memory_allocated() / 2**20
    row["launched"] = _steps_per_second(LaunchedSteps, cell, images, seconds / 2)
    with _without_kernels():
        row["PyTorch, graph"] = _steps_per_second(GraphedSteps, cell, images, seconds / 2)
        torch.backends.cudnn.allow_tf32 = True
        row["the same, TF32"] = _steps_per_second(GraphedSteps, cell, images, seconds / 2)
        torch.backends.cudnn.allow_tf32 = False
    return row | {"share of peak": _share_of_peak(learner, ours)}


def _share_of_peak(learner: MetaLearner, steps_per_second: float) -> float:
    """Return the share of the card's arithmetic in 32 bits; a backward pass counts as two forward ones."""
    passes = learner.training_tasks.passes
    images = learner.meta_batch_size * passes.steps * (passes.batch or 0)
    name = torch.cuda.get_device_name()
    peak = next((flops for card, flops in PEAK.items() if card in name), float("nan"))
    return 3 * 2 * learner.network.multiply_adds * images * steps_per_second / peak


# --- many candidates ----------------------------------------------------------------------------------------------


def _many(images: DeviceImages, seconds: float, candidates: Sequence[int]) -> list[dict[str, Any]]:
    """Measure several candidates on one GPU; the cells take turns, as the heavy and the light of a search."""
    if GPU.type != "cuda":
        return [{"way": "alone", "candidates": 1, "steps/s": _steps_per_second(outer_steps, "light", images, seconds)}]
    rows = [_streams(number, images, seconds) for number in candidates]
    with _mps() as environment:
        if environment is not None:
            rows += [_processes(number, seconds, environment) for number in candidates if number <= 20]
    return rows


def _cells(number: int) -> list[str]:
    names = list(CELLS)
    # The heavier ones first: of five blocks, as most candidates of a search are.
    return [names[-1 - index % 3] for index in range(number)]


def _streams(number: int, images: DeviceImages, seconds: float) -> dict[str, Any]:
    """Launch the graphs of several candidates from one thread, each on a stream of its own."""
    torch.cuda.empty_cache()
    made = []
    for cell in _cells(number):
        learner, state = _begun(cell, GPU)
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            steps = GraphedSteps(learner, state, images)
            batches = _meta_batches(learner, images, 2)
            steps.take(batches[0], 0.5)
        made.append((side, steps, batches))

    def take() -> None:
        for side, steps, batches in made:
            with torch.cuda.stream(side):
                steps.take(batches[1], 0.5)

    rate = number * _rate(take, seconds)
    return {
        "way": "streams",
        "candidates": number,
        "steps/s": rate,
        "MiB": torch.cuda.memory_reserved() / 2**20,
    }


def _processes(number: int, seconds: float, environment: Mapping[str, str]) -> dict[str, Any]:
    """Train in several processes, each as a worker does."""
    command = [sys.executable, __file__, "--seconds", str(seconds), "--child"]
    children = [
        subprocess.Popen(
            [*command, cell],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        for cell in _cells(number)
    ]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    used = _used_mebibytes()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    rates = [float(child.communicate(timeout=120)[0]) for child in children]
    return {"way": "processes", "candidates": number, "steps/s": sum(rates), "MiB": used}


def _child(cell: str, seconds: float) -> int:
    """Train in a process that the benchmark has started: say when ready, wait for a line, print steps per second."""
    prepare_torch()
    images = _images(GPU)
    learner, state = _begun(cell, GPU)
    steps, batches = outer_steps(learner, state, images), _meta_batches(learner, images, 2)
    steps.take(batches[0], 0.5)
    _wait()
    print("ready", flush=True)
    sys.stdin.readline()
    print(_rate(lambda: steps.take(batches[1], 0.5), seconds), flush=True)
    return 0


def _used_mebibytes() -> float:
    free, total = torch.cuda.mem_get_info()
    return (total - free) / 2**20


@contextmanager
def _mps() -> Iterator[dict[str, str] | None]:
    """Run NVIDIA's server that lets processes use a GPU at the same time; None where there is none."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        control, merged = "nvidia-cuda-mps-control", {**os.environ, **environment}
        try:
            subprocess.run([control, "-d"], check=True, env=merged, timeout=20)
        except (OSError, subprocess.SubprocessError):
            yield None
            return
        try:
            yield environment
        finally:
            subprocess.run([control], input="quit\n", text=True, check=False, env=merged, timeout=20)


def _arguments() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--short", action="store_true", help="about three minutes")
    made.add_argument("--child", metavar="CELL", help=argparse.SUPPRESS)
    made.add_argument("--seconds", type=float, default=SECONDS, help=argparse.SUPPRESS)
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
