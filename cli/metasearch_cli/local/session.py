"""Run a search on this machine into a folder, and read such a folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from metasearch.api import MetaSearch, MetaSearchSpec
from metasearch.dataset_metadata import DatasetMetadata
from metasearch.errors import InvalidSpec, SearchFailed
from metasearch.outcome.ends import stays_ended
from metasearch.outcome.results import SearchResult, summarize
from metasearch.search.build import build_search, require_known_names, require_possible
from metasearch.search.planner import Phase, current_status
from metasearch.search.trials import Trial
from metasearch_cli.extras import Extra, is_installed, needing, require
from metasearch_cli.local.folder import RunFolder, recorded_ends, translated_disk_errors
from metasearch_cli.outcome.snapshot import Snapshot

if TYPE_CHECKING:
    from metasearch_cli.local.driver import Display


MOST_PER_CORE = 32
"""Workers per core at most. Several for a core make sense where they train on a GPU; each takes half a gigabyte."""


def run(
    resource: MetaSearch,
    output: Path | None,
    workers: int | None,
    resume: bool,
    display: Display,
    announce: Callable[[str], None] | None = None,
) -> Snapshot:
    """
    Run a search to its end, and write everything that belongs in its folder.

    Args:
        output: the folder; None for runs/<name>.
        workers: processes that train; None for `spec.parallelism`, at most one per core.
        resume: go on with what the folder holds, if anything.
        display: gets every step of the driver.
        announce: gets the sentences of an estimate of the time that a new search takes, before it starts; None for
            no estimate, which takes some seconds to measure.

    Returns:
        The search at its end, which may be that it failed: see `require_success`.

    Raises:
        MetaSearchError: a sentence for the user. Everything recorded stays.
        KeyboardInterrupt: passed on once the workers have ended; so is SystemExit.
    """
    # Before the start: a report that cannot be drawn would be found out after hours of training.
    require(Extra.TRAINER, "a run")
    require(Extra.REPORT, "the report of a run")
    from metasearch_cli.local.workers import WORKER_MODULE
    from metasearch_trainer.fork_server import open_launcher

    # First, so that the workers' imports and ours, seconds each, take place at the same time.
    with closing(open_launcher([WORKER_MODULE])) as launcher:
        from metasearch_cli.local import driver  # imports torch, which the other commands need not wait for
        from metasearch_trainer.torch_setup import threads

        spec, folder = resource.spec, RunFolder(output or default_output(resource))
        require_known_names(spec)
        require_possible(spec)
        data = summarize_data(spec)  # refuses wrong data before anything is written
        number = workers or default_workers(spec)
        _require_bearable(number)
        if announce is not None and not folder.store.exists():
            for remark in data.remarks:
                announce(remark)
            for sentence in estimate_time(spec, data, number):
                announce(sentence)
        # Workers have the other cores, and ranks are alike on all machines of a kind.
        with threads(1):
            result = driver.run(resource, folder, number, resume, display, launcher)
    # The driver's result, not one computed anew from the folder, which would be that of a later moment.
    snapshot = replace(load_snapshot(folder.path), result=result)
    publish(folder, snapshot)
    return snapshot


def default_workers(spec: MetaSearchSpec) -> int:
    """Return the number of workers of a run that was not given one: `parallelism`, but at most one per core."""
    return min(spec.parallelism, _cores())


def _require_bearable(workers: int) -> None:
    """Raise InvalidSpec where so many workers would only stand in each other's way, and in that of the machine."""
    most = MOST_PER_CORE * _cores()
    if workers > most:
        raise InvalidSpec(f"--workers is {workers}; at most {most} fit on the {_cores()} cores that this run may use")


def _cores() -> int:
    """Return the number of cores that this process may use, which in a container or a batch job are not all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_output(resource: MetaSearch) -> Path:
    """Return the folder of a run that was not given one."""
    return Path("runs", resource.metadata.name)


def require_success(snapshot: Snapshot) -> None:
    """Raise SearchFailed where a search ended without a network."""
    search = snapshot.result.search
    if search.phase is Phase.FAILED:
        raise SearchFailed(
            f"the search {search.name!r} failed: {search.message}; see metasearch trials {snapshot.report.parent}"
        )


@dataclass(frozen=True)
class DataSummary:
    """The data of a search in figures."""

    sentence: str
    """Classes of each split, number and size of the images, for people."""
    channels: int
    side: int
    """Height and width of an image in pixels."""
    remarks: tuple[str, ...] = ()
    """Sentences on what is passed over of a folder, and what is made of its images."""


def inspect(spec: MetaSearchSpec) -> DatasetMetadata:
    """
    Measure the data set that a spec names, whatever tasks can be made of it.

    Raises:
        InvalidData: a file is missing or cannot be read.
        MetaSearchError: what reads it is not installed.
    """
    with needing(Extra.TRAINER, "a look at the data"):
        from metasearch_trainer import dataset_metadata

    return dataset_metadata.inspect(spec)


def summarize_data(spec: MetaSearchSpec) -> DataSummary:
    """
    Load the data that a spec names, and count its classes.

    Raises:
        InvalidData: the data is missing, unreadable or too little for the task.
        MetaSearchError: what reads it is not installed.
    """
    with needing(Extra.TRAINER, "a look at the data"):
        from metasearch_trainer.data import load, remarks

    splits = load(spec)
    parts = (("training", splits.train), ("validation", splits.validation), ("test", splits.test))
    classes = ", ".join(f"{len(images.counts)} {part} classes" for part, images in parts)
    images, side, channels = sum(part.counts.sum() for _, part in parts), splits.train.side, splits.train.channels
    sentence = f"{classes}, {images:,} images of {side} x {side} pixels in {'grey' if channels == 1 else 'colour'}"
    folder = spec.dataset.folder
    said = tuple(remarks(folder, spec.dataset.image_size)) if folder else ()
    return DataSummary(sentence, channels, side, said)


def estimate_time(spec: MetaSearchSpec, data: DataSummary, workers: int) -> list[str]:
    """
    Return sentences that say about how long a search takes on this machine, and what does not fit its budget.

    Empty where PyTorch, which the estimate measures, is not installed.
    """
    if not is_installed(Extra.TRAINER):
        return []
    from metasearch_cli.local import costs
    from metasearch_trainer.torch_setup import threads

    with threads(1):  # as a worker has it
        return costs.measured_sentences(spec, data.channels, data.side, workers)


def publish(folder: RunFolder, snapshot: Snapshot) -> None:
    """Write result.json, report.html and, where there is a network, best/; where a front is delivered, front/ too."""
    with translated_disk_errors(folder.path):
        # The figures first: should the weights be gone or the drawing fail, they are there.
        text = snapshot.result.model_dump_json(by_alias=True, indent=2)
        folder.result.write_text(text + "\n", encoding="utf-8")
        if snapshot.result.delivered is not None:
            snapshot.export()
        if snapshot.result.delivered_front:
            snapshot.export_front()
        snapshot.write_report()


def load_snapshot(path: Path) -> Snapshot:
    """Read a run's folder, whether its search is under way or over."""
    folder = RunFolder(path)
    store = folder.open_store()
    try:
        row, trials, ends = store.search(), store.trials(), recorded_ends(store)
    finally:
        store.close()
    if row is None:
        raise folder.holds_no_search()
    search = build_search(row.name, folder.recorded_resource(row).spec, row.started_at, row.paused_seconds)
    # A search that nobody drives has used no time since its driver was last seen.
    now = min(time.time(), row.seen_at)
    stands = current_status(search, trials, now, has_ended=stays_ended(ends, search.spec))
    result = summarize(search, trials, stands, now, ends)
    return snapshot_of(folder, trials, result)


def snapshot_of(folder: RunFolder, trials: Sequence[Trial], result: SearchResult) -> Snapshot:
    """Return what is known of a search together with the places in its folder."""
    return Snapshot(
        trials,
        result,
        lambda _: nullcontext(folder.weights),
        report=folder.report,
        trace=folder.trace,
        best=folder.best,
        front=folder.front,
    )
