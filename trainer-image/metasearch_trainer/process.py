"""
A worker as a process of its own, beside the driver that started it: `python -m metasearch_trainer.process`.

It ends when its driver is gone, and leaves Ctrl-C to the driver.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch

from metasearch.api import MetaSearchSpec
from metasearch.errors import InvalidData, MetaSearchError
from metasearch.stores.sqlite import SqliteStore
from metasearch_trainer.data import load
from metasearch_trainer.endings import say
from metasearch_trainer.leaving import Leaving
from metasearch_trainer.runtime import prepare_torch
from metasearch_trainer.storage import Folders
from metasearch_trainer.trial import Trainer
from metasearch_trainer.worker import Surroundings, Worker, WorkerLeaves


def main() -> int:
    """Run trials from a local store until the driver ends or says so."""
    arguments = _arguments()
    prepare_torch()
    leaving = Leaving(arguments.parent)
    try:
        store = SqliteStore(arguments.store)
        row = store.search()
        if row is None:
            raise InvalidData(f"{arguments.store} holds no search yet; a worker is started by metasearch run")
        spec = MetaSearchSpec.model_validate_json(row.spec)
        store.max_attempts = spec.budget.max_attempts
        folder = arguments.store.parent
        trainer = Trainer(
            spec,
            load(spec.dataset, spec.task, spec.training),
            torch.device(arguments.device),
            Folders(checkpoints=folder / "checkpoints", weights=folder / "weights"),
        )
        world = Surroundings(time.time, time.monotonic, time.sleep, leaving.is_due)
        return Worker(arguments.name, arguments.gpus, store, trainer, world).work()
    except WorkerLeaves:
        return 0
    except MetaSearchError as error:
        say(error)
        return error.exit_code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run trials of a local search.")
    parser.add_argument("--store", type=Path, required=True, help="the search's trials.db")
    parser.add_argument("--name", required=True, help="how claims are signed")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda:0 and so on")
    parser.add_argument("--gpus", type=float, default=0.0, help="share of GPUs held, for the account")
    parser.add_argument("--parent", type=int, required=True, help="process id of the driver")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
