"""Checkpoints of a long trial, from which it goes on when its process has died."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from metasearch.errors import StoreUnavailable
from metasearch.search.trials import CurvePoint
from metasearch_trainer.metalearners.base import State

FORMAT = "metasearch-checkpoint/3"


@dataclass
class TrainingState:
    """The state of a training. A trial that is resumed from here ends exactly as one that never stopped."""

    learned: State
    meta_iteration: int = 0
    curve: tuple[CurvePoint, ...] = ()
    seconds: float = 0.0
    """Spent on it so far."""
    losses: Tensor | None = None
    """Sums of training losses, see `scoring.add_loss`; None where none were counted."""


def save_state(state: TrainingState, path: Path) -> None:
    """Write a checkpoint; a reader finds the old one or the new one, never half of one."""
    header = {
        "format": FORMAT,
        "integers": json.dumps(state.learned.integers),
        "meta_iteration": str(state.meta_iteration),
        "curve": json.dumps([[point.meta_iteration, point.score, point.error] for point in state.curve]),
        "seconds": repr(state.seconds),
        "losses": json.dumps(None if state.losses is None else state.losses.tolist()),
    }
    write_tensors(state.learned.tensors, header, path)


def load_state(path: Path, device: torch.device) -> TrainingState | None:
    """Read a checkpoint; None where there is none in our format, for a trial can always begin anew."""
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                return None
            return TrainingState(
                learned=State({name: file.get_tensor(name) for name in file.keys()}, json.loads(header["integers"])),  # noqa: SIM118
                meta_iteration=int(header["meta_iteration"]),
                curve=tuple(
                    CurvePoint(int(at), float(score), float(error)) for at, score, error in json.loads(header["curve"])
                ),
                seconds=float(header["seconds"]),
                losses=_losses(json.loads(header["losses"]), device),
            )
    except (FileNotFoundError, SafetensorError):
        return None


def _losses(sums: list[float] | None, device: torch.device) -> Tensor | None:
    return None if sums is None else torch.tensor(sums, dtype=torch.float64, device=device)


def write_tensors(tensors: dict[str, Tensor], header: dict[str, str], path: Path) -> None:
    """
    Write a safetensors file whole: under another name first, then moved into place.

    Raises:
        StoreUnavailable: the disk is full, or cannot be written for another reason.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
        save_file(contiguous, partial, metadata=header)
        with partial.open("rb") as written:
            os.fsync(written.fileno())  # before the move, lest a power cut leave an empty file of the right name
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise StoreUnavailable(
            f"{path} cannot be written ({error}); free the disk or mend the folder, then go on with --resume"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
