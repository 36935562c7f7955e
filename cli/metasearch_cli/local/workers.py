"""The worker processes of a local run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from metasearch.errors import MetaSearchError, SearchFailed, StoreUnavailable
from metasearch.exit_codes import error_type
from metasearch.worker_names import WorkerName
from metasearch_trainer.process_output import LogFile
from metasearch_trainer.process_pool import PoolFailure, ProcessPool
from metasearch_trainer.processes import Launcher, Program
from metasearch_trainer.signs_of_life import last_sign

WORKER_MODULE = "metasearch_trainer.local_worker"


@dataclass(frozen=True)
class Device:
    """The device that a worker trains on."""

    name: str
    """cpu, or cuda:0 and so on."""
    gpus: float
    """The share of a GPU that one worker has."""


def open_pool(
    store: Path, logs: Path, devices: Sequence[Device], session: str, launcher: Launcher, clock: Callable[[], float]
) -> ProcessPool:
    """
    Return the workers of one driver; none runs yet.

    Args:
        devices: one per worker.
        session: tells this driver's workers from an earlier one's.
        clock: monotonic, in seconds.
    """

    def program(worker: WorkerName) -> Program:
        device = devices[worker.slot]
        arguments = ["--store", str(store), "--name", str(worker)]
        arguments += ["--device", device.name, "--gpus", str(device.gpus)]
        alive_path(logs, worker.slot).unlink(missing_ok=True)
        arguments += ["--alive", str(alive_path(logs, worker.slot))]
        return Program(WORKER_MODULE, arguments, title=f"worker-{worker.slot}-{worker.start}")

    return ProcessPool(
        session,
        program,
        [LogFile(log_path(logs, slot)) for slot in range(len(devices))],
        launcher,
        # However long it lived: the next one would train in vain as well.
        is_fatal=lambda _slot, code: code == StoreUnavailable.exit_code,
        last_sign=lambda worker: last_sign(alive_path(logs, worker.slot)),
        clock=clock,
    )


def log_path(logs: Path, slot: int) -> Path:
    """Return the file that holds what a slot's workers print."""
    return logs / f"worker-{slot}.log"


def alive_path(logs: Path, slot: int) -> Path:
    """Return the file that a slot's worker touches as a sign of life."""
    return logs / f".worker-{slot}.alive"


def as_error(failure: PoolFailure, store: Path, logs: Path) -> MetaSearchError:
    """Return the error that ends the run when its workers cannot work."""
    if failure.code == StoreUnavailable.exit_code:
        # A worker whose log is on the full disk could not say why.
        return StoreUnavailable(
            failure.sentence
            or f"{store.parent} cannot be written; free the disk or mend the folder, then go on with --resume"
        )
    kind = error_type(failure.code) or SearchFailed
    return kind(f"{failure.sentence} (see {log_path(logs, failure.slot)})")
