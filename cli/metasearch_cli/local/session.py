"""What the commands do with a run's folder."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path

from rich.console import Console

from metasearch.api import MetaSearch, MetaSearchSpec
from metasearch.errors import SearchFailed
from metasearch.loading import parse_search
from metasearch.outcome.results import SearchResult, summarize
from metasearch.search.definition import define
from metasearch.search.planner import Phase, standing
from metasearch.search.trials import Trial
from metasearch_cli.export import export
from metasearch_cli.local.display import display_for
from metasearch_cli.local.folder import RunFolder, translated_disk_errors
from metasearch_cli.local.workers import WORKER_MODULE
from metasearch_cli.report import write_report as write_report_file
from metasearch_cli.snapshot import Snapshot
from metasearch_cli.tables import print_status
from metasearch_trainer.data import load
from metasearch_trainer.processes import Launcher

DEFAULT_OUTPUT = Path("runs")


def run_and_report(
    resource: MetaSearch, output: Path | None, workers: int | None, resume: bool, console: Console
) -> SearchResult:
    """Run a search to its end and write all that belongs in its folder; raises SearchFailed where it found nothing."""
    from metasearch_trainer.fork_server import open_launcher

    # First, so that the workers' imports and ours, seconds each, take place at the same time.
    with closing(open_launcher([WORKER_MODULE])) as launcher:
        return _run_and_report(resource, output, workers, resume, console, launcher)


def _run_and_report(
    resource: MetaSearch,
    output: Path | None,
    workers: int | None,
    resume: bool,
    console: Console,
    launcher: Launcher,
) -> SearchResult:
    import torch  # here, for a second of import time that the other commands need not spend

    from metasearch_cli.local import driver, estimate

    torch.set_num_threads(1)  # the workers have the other cores; and the same sums on every machine of a kind
    spec, folder = resource.spec, RunFolder(output or DEFAULT_OUTPUT / resource.metadata.name)
    # Before anything is made, for what is wrong with the data is the user's to mend.
    images = load(spec.dataset, spec.task, spec.training).train
    channels, side = images.channels, images.side
    del images  # each worker has its own
    number = workers or default_workers(spec)
    if not folder.store.exists():
        for sentence in estimate.foretell(spec, channels, side, number):
            console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    with display_for(console) as display:
        result = driver.run(resource, folder, number, resume, display, launcher)
    publish(folder, result, look(folder.path).trials)
    print_status(console, result)
    if result.search.phase is Phase.FAILED:
        raise SearchFailed(
            f"the search {result.search.name!r} failed: {result.search.message}; see metasearch trials {folder.path}"
        )
    console.print(f"report: {folder.report}", markup=False, highlight=False, soft_wrap=True)
    return result


def default_workers(spec: MetaSearchSpec) -> int:
    """As many as may run at once, and no more than there are cores."""
    return min(spec.parallelism, os.cpu_count() or 1)


def publish(folder: RunFolder, result: SearchResult, trials: Sequence[Trial]) -> None:
    """Write result.json, report.html and, where there is a network, best/."""
    with translated_disk_errors(folder.path):
        folder.result.write_text(result.model_dump_json(by_alias=True, indent=2) + "\n", encoding="utf-8")
        if result.delivered is not None:
            export(result, folder.weights, folder.best)
        write_report_file(folder.report, result, trials)


def look(path: Path) -> Snapshot:
    """Read a run's folder, whether its search is under way or over."""
    folder = RunFolder(path)
    store = folder.open_store()
    try:
        row, trials = store.search(), store.trials()
    finally:
        store.close()
    if row is None:
        raise folder.holds_no_search()
    search = define(row.name, parse_search(row.resource, where=str(path)).spec, row.started_at, row.paused_seconds)
    now = min(time.time(), row.seen_at)
    result = summarize(search, trials, standing(search, trials, now), now)
    return Snapshot(trials, result, lambda _: nullcontext(folder.weights), folder.report, folder.best)
