"""
The program in a slot: `python -m metasearch_trainer.pod.slot`.

It loads PyTorch and the data once, then runs trials until it is told to leave or is worn.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import sys
import time
from pathlib import Path

from metasearch.api import Dataset, MetaSearchSpec
from metasearch.cluster.api import NotFound
from metasearch.errors import MetaSearchError
from metasearch.kubernetes.storage_layout import address_of, search_folder
from metasearch.search.trials import State
from metasearch_trainer import memory
from metasearch_trainer.backoff import Backoff, Patience
from metasearch_trainer.data import load
from metasearch_trainer.endings import RECYCLED, say
from metasearch_trainer.leaving import Leaving
from metasearch_trainer.pod.capacity import Wear, device_of, memory_share, require_room
from metasearch_trainer.pod.search import Json, open_store, read_search, spec_of
from metasearch_trainer.pod.settings import Places, Pod, open_api, parser, settings_of
from metasearch_trainer.runtime import prepare_torch
from metasearch_trainer.shelves import MountedFolder, ObjectStore
from metasearch_trainer.spool import PatientQueue, Spool
from metasearch_trainer.storage import Folders, KeptOutside, Storage
from metasearch_trainer.trial import Trainer
from metasearch_trainer.worker import Surroundings, Worker, WorkerLeaves

IDLE = Backoff(first=0.5, most=5.0)


def main() -> int:
    """Returns the exit code; see `supervisor` for what it makes of it."""
    arguments = _arguments()
    prepare_torch()
    leaving = Leaving(arguments.parent)
    try:
        return _work(arguments, leaving)
    except WorkerLeaves:
        return 0
    except NotFound:
        return RECYCLED  # the search is gone; the supervisor will see it too
    except MetaSearchError as error:
        say(error)
        return error.exit_code


def _work(arguments: argparse.Namespace, leaving: Leaving) -> int:
    settings, pod, api = settings_of(arguments), Pod.of(os.environ), open_api()
    patience = _patience(leaving)
    search = read_search(api, pod, settings.search, patience)
    queue = PatientQueue(open_store(api, pod, search), Spool(settings.spool(arguments.slot)), patience)
    sent = queue.send_spooled()

    spec = spec_of(search)
    storage = open_storage(spec, search, settings.places, patience)
    if sent is not None and sent.state in (State.SUCCEEDED, State.STOPPED):
        storage.forget(sent.spec)
    share = memory_share(pod.memory_limit, settings.slots)
    trainer = Trainer(
        spec,
        load(mounted(spec.dataset, settings.places), spec.task, spec.training),
        device_of(arguments.slot, settings.gpus),
        storage,
        cap=share,
    )
    require_room(share, memory.resident_bytes())
    settings.ready(arguments.worker).touch()
    say(f"{arguments.worker} is ready on {trainer.device}")
    world = _surroundings(leaving, patience, Wear(settings.max_trials, trainer.cap), settings.busy(arguments.slot))
    return Worker(arguments.worker, settings.gpus / settings.slots, queue, trainer, world).work()


def mounted(dataset: Dataset, places: Places) -> Dataset:
    """A data set with the path at which the pod sees it."""
    folder = dataset.folder
    if folder is None or folder.claim is None:
        return dataset
    there = folder.model_copy(update={"path": str(places.data / folder.path)})
    return dataset.model_copy(update={"folder": there})


def open_storage(spec: MetaSearchSpec, search: Json, places: Places, patience: Patience) -> Storage:
    """Where checkpoints and weights go, as spec.storage says."""
    if spec.storage is None:
        return Folders(places.scratch / "checkpoints", weights=None)
    folder = search_folder(search)
    shelf = ObjectStore(address_of(spec.storage.url, folder)) if spec.storage.url else None
    return KeptOutside(places.scratch, shelf or MountedFolder(places.storage / folder), patience)


def _patience(leaving: Leaving) -> Patience:
    def wait(seconds: float) -> None:
        if leaving.wait(seconds):
            raise WorkerLeaves

    return Patience(time.monotonic, wait, random.random)


def _surroundings(leaving: Leaving, patience: Patience, wear: Wear, busy: Path) -> Surroundings:
    def tell_busy(is_busy: bool) -> None:
        with contextlib.suppress(OSError):  # no trial is worth less for it
            busy.touch() if is_busy else busy.unlink(missing_ok=True)

    return Surroundings(
        now=time.time,
        monotonic=time.monotonic,
        wait=patience.wait,
        is_leaving=leaving.is_due,
        idle_seconds=lambda times: IDLE.pause(times, random.random()),
        tell_busy=tell_busy,
        is_worn=wear.after_trial,
        retry_seconds=(),
    )


def _arguments() -> argparse.Namespace:
    made = parser("Run trials of a search on a cluster, in one slot of a pod.")
    made.add_argument("--slot", type=int, required=True, help="number of the slot, counted from 0")
    made.add_argument("--worker", required=True, help="how claims are signed")
    made.add_argument("--parent", type=int, required=True, help="process id of the supervisor")
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
