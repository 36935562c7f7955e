"""The driver `local` of the Python API: the same runs as those of `metasearch run`, without a terminal."""

from __future__ import annotations

from pathlib import Path

from metasearch.api import MetaSearch
from metasearch.dataset_metadata import DatasetMetadata
from metasearch.outcome.results import summarize
from metasearch.python_api import Progress
from metasearch.reconcile import Step
from metasearch.search.planner import Search
from metasearch_cli.local import session
from metasearch_cli.local.folder import RunFolder
from metasearch_cli.outcome.snapshot import Snapshot


class LocalDriver:
    """A `metasearch.python_api.Driver` that trains in processes on this machine."""

    def run(
        self, resource: MetaSearch, folder: Path | None, workers: int | None, resume: bool, progress: Progress | None
    ) -> Snapshot:
        folder = folder or session.default_output(resource)
        snapshot = session.run(resource, folder, workers, resume, _Callback(RunFolder(folder), progress))
        session.require_success(snapshot)
        return snapshot

    def open(self, folder: Path) -> Snapshot:
        return session.load_snapshot(folder)

    def inspect(self, resource: MetaSearch) -> DatasetMetadata:
        return session.inspect(resource.spec)


class _Callback:
    """A display that hands each step to the user's function."""

    def __init__(self, folder: RunFolder, progress: Progress | None) -> None:
        self._folder, self._progress = folder, progress

    def show(self, search: Search, step: Step, now: float) -> None:
        if self._progress is not None:
            result = summarize(search, step.trials, step.plan, now)
            self._progress(session.snapshot_of(self._folder, step.trials, result))
