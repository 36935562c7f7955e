"""
A worker of a local run: `python -m metasearch_trainer.local_worker`.

It ends when the process that started it is gone, and leaves Ctrl-C to the driver.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

import torch

from metasearch.api import MetaSearchSpec
from metasearch.errors import InvalidData, MetaSearchError
from metasearch.loading import parse_search
from metasearch.retry import Retry
from metasearch.storage_layout import CHECKPOINTS, WEIGHTS
from metasearch.stores.sqlite import SqliteStore
from metasearch_trainer import kernel_support
from metasearch_trainer.data import load
from metasearch_trainer.process_output import log
from metasearch_trainer.shutdown import ShutdownSignal, WorkerShutdown
from metasearch_trainer.signs_of_life import SignOfLife
from metasearch_trainer.storage import LocalStorage
from metasearch_trainer.torch_setup import prepare_torch
from metasearch_trainer.trainer import Trainer
from metasearch_trainer.worker import Worker, WorkerEnvironment


def main() -> int:
    """Run trials from a local store until the driver ends or says so; return the exit code."""
    arguments = _arguments()
    prepare_torch()
    shutdown = ShutdownSignal(arguments.parent)
    try:
        # As recorded in the store, not from the user's file, which may have changed since the driver read it.
        spec = _recorded_spec(arguments.store)
        store = SqliteStore(arguments.store, spec.budget.max_attempts)
        folder = arguments.store.parent
        trainer = Trainer(
            spec,
            load(spec),
            torch.device(arguments.device),
            LocalStorage(checkpoints=folder / CHECKPOINTS, weights=folder / WEIGHTS),
        )
        if slower := kernel_support.advice(trainer.device.type, kernel_support.missing()):
            log(slower)
        environment = WorkerEnvironment(
            now=time.time,
            # A plain sleep: a result that cannot be recorded is worth the seconds that it delays the worker's end.
            retry=Retry(time.monotonic, time.sleep, random.random, log),
            is_shutting_down=shutdown.is_due,
            give_sign_of_life=SignOfLife(arguments.alive).give if arguments.alive else lambda: None,
        )
        return Worker(arguments.name, arguments.gpus, store, trainer, environment).work()
    except WorkerShutdown:
        return 0
    except MetaSearchError as error:
        log(error)
        return error.exit_code


def _recorded_spec(path: Path) -> MetaSearchSpec:
    """Return the spec of the search that a store belongs to."""
    store = SqliteStore(path)
    try:
        row = store.search()
    finally:
        store.close()
    if row is None:
        raise InvalidData(f"{path} holds no search yet; a worker is started by metasearch run")
    return parse_search(row.resource, where=str(path)).spec


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run trials of a local search.")
    parser.add_argument("--store", type=Path, required=True, help="the search's trials.db")
    parser.add_argument("--name", required=True, help="the worker's name, which its claims have")
    parser.add_argument("--alive", type=Path, help="a file to touch as a sign of life")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda:0 and so on")
    parser.add_argument("--gpus", type=float, default=0.0, help="share of GPUs held, for the account")
    parser.add_argument("--parent", type=int, required=True, help="the process without which this one ends")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
