"""Current, peak and maximum memory of this process. Linux knows all three; elsewhere less is known."""

from __future__ import annotations

import ctypes
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from metasearch.quantities import Memory

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_RESET_PEAK = "5"  # proc(5): resets the peak resident set size


@dataclass(frozen=True)
class Cap:
    """The most that the process of a trial may hold."""

    bytes: int
    source: str
    """The setting it comes from, worded for the sentence `the trial needs more than ...`."""

    @classmethod
    def of_trial(cls, limit: Memory | None) -> Cap | None:
        """Return the cap of `budget.trialMemory`, where it is given."""
        return None if limit is None else cls(limit.bytes, f"budget.trialMemory ({limit})")


def lowest(*caps: Cap | None) -> Cap | None:
    """Return the lowest of several caps, the one that holds, if there is any."""
    return min((cap for cap in caps if cap is not None), key=lambda cap: cap.bytes, default=None)


def resident_bytes() -> int:
    """Return the bytes that this process holds now."""
    return int(psutil.Process().memory_info().rss)


def give_back_freed() -> None:
    """Return memory to the system that the allocator keeps for later, where it can (glibc)."""
    # It takes some milliseconds per GiB, and the next trial would ask for the pages again: not called without need.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def reset_peak(device: torch.device) -> None:
    """Begin to measure peaks anew, where the system can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with suppress(OSError):  # not Linux, or not allowed: the peak is then that of the process
        _CLEAR_REFS.write_text(_RESET_PEAK)


def peak_bytes(device: torch.device) -> int:
    """Return the most bytes held since `reset_peak`: on the GPU where there is one, else by the process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    with suppress(OSError):
        return _status_bytes("VmHWM")
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): kilobytes on Linux, bytes on macOS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@contextmanager
def limited(most_bytes: int | None) -> Iterator[None]:
    """
    Let the process hold no more than `most_bytes` for a while; what would exceed it raises MemoryError or RuntimeError.

    Linux counts private memory that is asked for, used or not, so the limit is put as far above what is asked for now
    as `most_bytes` is above what is held now.
    """
    if most_bytes is None or not sys.platform.startswith("linux"):
        yield
        return
    held = resident_bytes()
    if held > most_bytes / 2:  # or memory that earlier trials have freed would be counted against this one
        give_back_freed()
        held = resident_bytes()
    if held > most_bytes:
        raise MemoryError(f"{held} bytes are held before training begins")
    # RLIMIT_DATA counts private writable memory (since Linux 4.7, getrlimit(2)). RLIMIT_AS would count libraries and
    # files that are only mapped as well. The hard limit stays, since a process may not raise it again.
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (_status_bytes("VmData") + most_bytes - held, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _status_bytes(field: str) -> int:
    """Read a field of /proc/self/status, which counts in kB, and return it in bytes."""
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{_STATUS} has no {field}")
