"""What a slot may use of its pod."""

from __future__ import annotations

from collections.abc import Callable

import torch

from metasearch.errors import InvalidSpec
from metasearch_trainer.endings import say
from metasearch_trainer.memory import Cap, give_back_freed, resident_bytes

SUPERVISOR_SHARE = 0.1
"""Of the pod's memory: the supervisor holds some 50 MiB, and files that are written are counted too for a while."""

MEBIBYTE = 2**20
GROWTH = 256 * MEBIBYTE


def memory_share(limit: int | None, slots: int) -> Cap | None:
    """A slot's part of the container's memory limit, where there is one."""
    if limit is None:
        return None
    share = int(limit * (1 - SUPERVISOR_SHARE)) // slots
    of = f"the pod's memory limit of {limit // MEBIBYTE} MiB"
    return Cap(share, f"its slot's {share // MEBIBYTE} MiB of {of}" + (f" with {slots} slots" if slots > 1 else ""))


def require_room(share: Cap | None, held: int) -> None:
    """
    See that a trial fits in beside what a slot holds anyway.

    Raises:
        InvalidSpec: it cannot, however small it is.
    """
    if share is not None and held >= share.bytes:
        raise InvalidSpec(
            f"before its first trial a slot holds {held // MEBIBYTE} MiB, and it may hold {share.source}; set a higher "
            "memory limit in spec.worker.template.resources, or fewer spec.worker.slots"
        )


def device_of(slot: int, gpus: float, visible: int | None = None) -> torch.device:
    """The GPU of a slot, in turn; the CPU where the pod has none."""
    devices = torch.cuda.device_count() if visible is None else visible
    if gpus > 0 and devices:
        return torch.device("cuda", slot % devices)
    if gpus > 0:
        say(f"the pod was given {gpus:g} GPUs and PyTorch sees none, so trials run on the CPU; see the trainer's image")
    return torch.device("cpu")


class Wear:
    """
    When a slot's process is to be replaced: after so many trials, or once it holds what no trial gives back.

    What a process holds after a trial says little: the allocator keeps what was freed, hundreds of MiB more or less
    from one trial to the next. What is left once that is given back stays within some 10 MiB over many trials
    (docs/workers.md has figures), so 256 MiB more than after the first trial is a leak. Under a cap it is worn as soon
    as a quarter of what the cap left for trials is gone.
    """

    def __init__(
        self,
        max_trials: int,
        cap: Cap | None,
        held: Callable[[], int] = resident_bytes,
        give_back: Callable[[], None] = give_back_freed,
    ) -> None:
        """
        Args:
            held: bytes that the process holds.
            give_back: gives back what is free; it takes time, so it is not called without need.
        """
        self._left, self._cap, self._held, self._give_back = max_trials, cap, held, give_back
        self._first: int | None = None

    def after_trial(self) -> bool:
        """Whether it is worn."""
        self._left -= 1
        if self._first is None:
            self._give_back()
            self._first = self._held()
        most = self._first + self._bearable(self._first)
        if self._held() > most:
            self._give_back()
        return self._left <= 0 or self._held() > most

    def _bearable(self, first: int) -> float:
        return GROWTH if self._cap is None else min(GROWTH, max(0, self._cap.bytes - first) / 4)
