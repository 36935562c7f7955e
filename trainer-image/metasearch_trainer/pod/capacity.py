"""A slot's part of its pod: a share of the memory, and a GPU."""

from __future__ import annotations

import torch

from metasearch.errors import InvalidSpec
from metasearch_trainer.memory import Cap
from metasearch_trainer.process_output import log

SUPERVISOR_SHARE = 0.1
"""
The share of the pod's memory that slots leave alone.

The supervisor holds some 50 MiB, the fork server what no slot shares with it, and the kernel counts the pages of files
that are written too for a while.
"""

MEBIBYTE = 2**20


def memory_share(limit: int | None, slots: int) -> Cap | None:
    """Return a slot's part of the container's memory limit in bytes, where there is one."""
    if limit is None:
        return None
    share = int(limit * (1 - SUPERVISOR_SHARE)) // slots
    of = f"the pod's memory limit of {limit // MEBIBYTE} MiB"
    return Cap(share, f"its slot's {share // MEBIBYTE} MiB of {of}" + (f" with {slots} slots" if slots > 1 else ""))


def require_room(share: Cap | None, held: int) -> None:
    """
    Check that a trial fits in beside what a slot holds anyway.

    Args:
        held: bytes that the slot's process holds before its first trial.

    Raises:
        InvalidSpec: none does, however small it is.
    """
    if share is not None and held >= share.bytes:
        raise InvalidSpec(
            f"before its first trial a slot holds {held // MEBIBYTE} MiB, and it may hold {share.source}; set a higher "
            "memory limit in spec.worker.template.resources, or fewer spec.worker.slots"
        )


def device_of(slot: int, gpus: float, *, needs_gpu: bool, visible: int | None = None) -> torch.device:
    """
    Return the GPU of a slot, in turn; the CPU where the pod has none.

    Args:
        gpus: how many the pod was given.
        needs_gpu: whether they are of a vendor whose GPUs PyTorch trains on.
        visible: how many PyTorch sees.

    Raises:
        InvalidSpec: it sees none of those that the pod needs. On the CPU the search would be right, take fifty times as
            long, and keep GPUs from others all the while.
    """
    devices = torch.cuda.device_count() if visible is None else visible
    if gpus > 0 and devices:
        return torch.device("cuda", slot % devices)
    if needs_gpu:
        raise InvalidSpec(
            f"the pod was given GPUs ({gpus:g}) and PyTorch sees none: spec.worker.template.image must have a PyTorch "
            "built for them, and the node their driver; to train on CPUs, ask for no GPU in "
            "spec.worker.template.resources"
        )
    if gpus > 0:
        log(f"the pod was given {gpus:g} GPUs that PyTorch does not know, so trials run on the CPU")
    return torch.device("cpu")
