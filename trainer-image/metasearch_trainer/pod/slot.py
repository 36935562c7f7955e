"""
The program in a slot: `python -m metasearch_trainer.pod.slot`.

It loads the data once, then runs trials until it has to shut down or is due to be replaced.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from metasearch.api import Dataset, MetaSearchSpec
from metasearch.cluster.api import NotFound
from metasearch.errors import MetaSearchError
from metasearch.exit_codes import EXIT_RESTART
from metasearch.retry import Backoff, Retry
from metasearch.search.trials import State
from metasearch.storage_layout import CHECKPOINTS, address_of, search_folder
from metasearch.worker_names import WorkerName
from metasearch_trainer import kernel_support, memory
from metasearch_trainer.artifact_stores import MountedFolder, ObjectStore
from metasearch_trainer.data import load
from metasearch_trainer.pod.capacity import device_of, memory_share, require_room
from metasearch_trainer.pod.recycling import RecyclePolicy
from metasearch_trainer.pod.search import Json, open_store, read_search, spec_of
from metasearch_trainer.pod.settings import MountPaths, Pod, Settings, argument_parser, open_api
from metasearch_trainer.pod.slot_counts import CountingTrainer, SlotCounter
from metasearch_trainer.pod.spec_changes import SpecChanges
from metasearch_trainer.process_output import log
from metasearch_trainer.retrying_queue import RetryingQueue
from metasearch_trainer.shutdown import ShutdownSignal, WorkerShutdown
from metasearch_trainer.signs_of_life import SignOfLife
from metasearch_trainer.spool import Spool
from metasearch_trainer.storage import LocalStorage, RemoteStorage, Storage
from metasearch_trainer.torch_setup import prepare_torch
from metasearch_trainer.trainer import Trainer
from metasearch_trainer.worker import Worker, WorkerEnvironment

IDLE_BACKOFF = Backoff(first=0.5, longest=5.0, jitter=0.25)
"""Pauses between two requests for work where there is none."""


def main() -> int:
    """Run trials; return the exit code, whose meaning `supervisor` lists."""
    arguments = _arguments()
    prepare_torch()
    shutdown = ShutdownSignal(arguments.parent)
    try:
        return _work(arguments, shutdown)
    except WorkerShutdown:
        return 0
    except NotFound:
        return EXIT_RESTART  # the search is gone; the supervisor will see it too
    except MetaSearchError as error:
        log(error)
        return error.exit_code


def _work(arguments: argparse.Namespace, shutdown: ShutdownSignal) -> int:
    settings, pod, api = Settings.from_arguments(arguments), Pod.from_environment(os.environ), open_api()
    worker = WorkerName.parse(arguments.worker)
    alive = SignOfLife(settings.alive(worker))
    retry = _retry(shutdown, alive)
    spool = Spool(settings.spool(worker.slot))
    search = read_search(api, pod, settings.search, retry, has_result=spool.read() is not None)
    queue = RetryingQueue(open_store(api, pod, search), spool, retry)
    # Before anything that may fail: hours of another process's training may be in the spool.
    sent = queue.send_spooled()

    spec = spec_of(search)
    storage = open_storage(spec, search, settings.paths, retry)
    # The checkpoint of a trial whose result is on record: the process that trained it did not live to remove it.
    if sent is not None and sent.state in (State.SUCCEEDED, State.STOPPED):
        storage.forget(sent.spec)
    share = memory_share(pod.memory_limit, settings.slots)
    counter = SlotCounter(settings.counts_of(worker))
    trainer = Trainer(
        spec,
        load(spec.model_copy(update={"dataset": mounted(spec.dataset, settings.paths)})),
        device_of(worker.slot, settings.gpus, needs_gpu=settings.needs_gpu),
        storage,
        cap=share,
        on_step=counter.outer_step,
    )
    # Only now, with the images loaded, which the process keeps for all its trials.
    require_room(share, memory.resident_bytes())
    settings.ready(worker).touch()
    log(f"{worker} is ready on {trainer.device}")
    if slower := kernel_support.advice(trainer.device.type, kernel_support.missing()):
        log(slower)
    policy = RecyclePolicy(settings.max_trials, trainer.cap)
    changes = SpecChanges(settings.spec_changes)
    environment = replace(
        _environment(shutdown, retry, policy, counter, settings.busy(worker.slot), alive, api.clock.now),
        is_outdated=lambda: changes.is_newer(search),
    )
    counting = CountingTrainer(trainer, counter, trainer.device)
    return Worker(str(worker), settings.gpus / settings.slots, queue, counting, environment).work()


def mounted(dataset: Dataset, paths: MountPaths) -> Dataset:
    """Return a data set with the path at which the pod sees it."""
    folder = dataset.folder
    if folder is None or folder.claim is None:
        return dataset
    there = folder.model_copy(update={"path": str(paths.data / folder.path)})
    return dataset.model_copy(update={"folder": there})


def open_storage(spec: MetaSearchSpec, search: Json, paths: MountPaths, retry: Retry) -> Storage:
    """Return the storage of checkpoints and weights that spec.storage names."""
    if spec.storage is None:
        return LocalStorage(paths.scratch / CHECKPOINTS, weights=None)
    folder = search_folder(search)
    url = spec.storage.url
    store = ObjectStore(address_of(url, folder)) if url else MountedFolder(paths.storage / folder)
    return RemoteStorage(paths.scratch, store, retry)


def _retry(shutdown: ShutdownSignal, alive: SignOfLife) -> Retry:
    def sleep(seconds: float) -> None:
        alive.give()
        # A slot that waits for the API server for minutes must still end within seconds.
        if shutdown.wait(seconds):
            raise WorkerShutdown

    return Retry(time.monotonic, sleep, random.random, log)


def _environment(
    shutdown: ShutdownSignal,
    retry: Retry,
    policy: RecyclePolicy,
    counter: SlotCounter,
    busy: Path,
    alive: SignOfLife,
    now: Callable[[], float],
) -> WorkerEnvironment:
    def set_busy(is_busy: bool) -> None:
        if not is_busy:
            counter.wait()
        with contextlib.suppress(OSError):  # the file only helps Kubernetes choose which pod to remove
            busy.touch() if is_busy else busy.unlink(missing_ok=True)

    return WorkerEnvironment(
        now=now,
        retry=retry,
        is_shutting_down=shutdown.is_due,
        idle_seconds=lambda times: IDLE_BACKOFF.pause(times, random.random()),
        set_busy=set_busy,
        should_recycle=policy.should_recycle,
        give_sign_of_life=alive.give,
        record_seconds=0.0,  # RetryingQueue tries for ten minutes by itself
    )


def _arguments() -> argparse.Namespace:
    parser = argument_parser("Run trials of a search on a cluster, in one slot of a pod.")
    parser.add_argument("--worker", required=True, help="how claims are signed, POD.SLOT-START")
    parser.add_argument("--parent", type=int, required=True, help="the process without which this one ends")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
