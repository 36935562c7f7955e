"""Long measurements: each run in a process of its own, and kept in a folder, so that an interrupted one goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol, TypeVar

from rich.console import Console
from rich.progress import track


class Run(Protocol):
    """A measurement to make; a frozen dataclass."""

    @property
    def file_name(self) -> str:
        """A name under which its figures are kept; equal runs have equal names."""
        ...


R = TypeVar("R", bound=Run)


def measure_missing(
    runs: Sequence[R], measure: Callable[[R], Any], folder: Path, processes: int, noun: str
) -> list[dict[str, Any]]:
    """
    Measure the runs that have no figures in the folder, and return the figures of all, in the order of the runs.

    Args:
        measure: returns a dataclass of figures with a field `run`. It is called in a process of its own: peak memory is
            a process's, and a long training must not find a warm allocator.
        processes: runs at once.
        noun: names the runs in the progress bar.

    Returns:
        The fields of each, that of its run as a dictionary too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [run for run in runs if not (folder / run.file_name).exists()]
    with ProcessPoolExecutor(processes, get_context("spawn"), max_tasks_per_child=1) as pool:
        finished = pool.map(measure, missing)
        for figures in track(finished, noun, len(missing), console=Console(stderr=True), transient=True):
            (folder / figures.run.file_name).write_text(json.dumps(asdict(figures)), encoding="utf-8")
    return [json.loads((folder / run.file_name).read_text(encoding="utf-8")) for run in runs]
