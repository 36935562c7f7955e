"""The GPUs of this machine, and how the workers of a run share them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

MPS_FOLDER = "/tmp/nvidia-mps"  # noqa: S108 (NVIDIA's choice; nothing is written there)
"""The folder in which NVIDIA's Multi-Process Service listens unless CUDA_MPS_PIPE_DIRECTORY names another."""

MPS_GAIN = 2.7
"""
The outer steps per second of many processes under MPS, in those of one: 207 against 77 on an H100, for the cells of
benchmarks/gpu.py.
"""


def count() -> int:
    """Return the number of GPUs that PyTorch can use."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def has_mps(environment: Mapping[str, str]) -> bool:
    """Return whether processes with these environment variables share GPUs by MPS."""
    return (Path(environment.get("CUDA_MPS_PIPE_DIRECTORY", MPS_FOLDER)) / "control").exists()


def trials_at_once(workers: int, gpus: int, shared_by_mps: bool) -> int:
    """
    Return how many trials go on as fast as one alone would.

    Args:
        workers: processes that train.
        gpus: 0 where they train on the CPU, each on a core of its own.
    """
    if gpus == 0:
        return workers
    return min(workers, round(gpus * MPS_GAIN) if shared_by_mps else gpus)


def sharing_sentence(workers: int, gpus: int, shared_by_mps: bool) -> str | None:
    """Say what would speed up workers that share GPUs; None where nothing would."""
    if gpus == 0 or workers <= gpus or shared_by_mps:
        return None
    what = "one GPU" if gpus == 1 else f"{gpus} GPUs"
    return (
        f"{workers} workers take turns on {what}, which is no faster than {'one' if gpus == 1 else gpus}; "
        "started under NVIDIA's MPS (nvidia-cuda-mps-control -d) they run side by side"
    )
