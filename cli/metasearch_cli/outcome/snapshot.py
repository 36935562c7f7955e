"""A search at one moment, wherever it runs, and the files and networks that can be made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from metasearch.errors import SearchFailed
from metasearch.outcome.figures import FoundNetwork
from metasearch.outcome.results import SearchResult
from metasearch.outcome.timeline import Timeline, timeline
from metasearch.search.trials import Trial
from metasearch.storage_layout import file_name
from metasearch_cli.extras import Extra, needing
from metasearch_cli.outcome.export import drop_beyond, export, require_delivered, require_front
from metasearch_cli.report import write_report

if TYPE_CHECKING:
    from metasearch_trainer.learner import FewShotLearner

Weights = Callable[[FoundNetwork[float]], AbstractContextManager[Path]]
"""Gives a folder with a network's weights, `<trial>.safetensors`, for as long as the context lasts.

Raises MetaSearchError where there are none."""


@dataclass(frozen=True)
class Snapshot:
    """The recorded trials of a search, and its result so far. The Python API calls it a run."""

    trials: Sequence[Trial]
    result: SearchResult
    weights: Weights
    report: Path
    """The default file of the report."""
    trace: Path
    """The default file of the trace."""
    best: Path
    """The default folder of the delivered network."""
    front: Path
    """The default folder of the networks of a delivered front, which have folders in it."""

    def write_report(self, output: Path | None = None) -> Path:
        """Write the report anew, and return its path."""
        target = output or self.report
        write_report(target, self.result, self.trials)
        return target

    def timeline(self) -> Timeline:
        """
        Return which trial each slot had at which time.

        Raises:
            SearchFailed: no trial has begun.
        """
        found = timeline(self.trials, self.result.search.seen_at)
        if found is None:
            raise SearchFailed(
                f"no trial of the search {self.result.search.name!r} has begun, so there is nothing to trace; try "
                "again once metasearch status counts one as running"
            )
        return found

    def export(self, output: Path | None = None) -> Path:
        """
        Write the folder of the delivered network, and return its path.

        Raises:
            SearchFailed: the search has delivered none (yet).
        """
        target, network = output or self.best, require_delivered(self.result)
        with self.weights(network) as weights:
            export(self.result, network, weights, target)
        return target

    def export_front(self, output: Path | None = None) -> list[Path]:
        """
        Write the folders of a delivered front's networks, 1, 2, ..., and return their paths, best score first.

        Raises:
            SearchFailed: the search has delivered no front (yet).
        """
        target, written = output or self.front, list[Path]()
        for number, network in enumerate(require_front(self.result), start=1):
            written.append(target / str(number))
            with self.weights(network) as weights:
                export(self.result, network, weights, written[-1])
        drop_beyond(target, len(written))
        return written

    def learner(self, device: str = "cpu") -> FewShotLearner:
        """
        Load the delivered network, ready to learn new classes.

        Args:
            device: of PyTorch, such as cuda:0.

        Raises:
            SearchFailed: the search has delivered none (yet).
            MetaSearchError: PyTorch is not installed.
        """
        # Only now, for snapshots are made by commands that have no PyTorch.
        with needing(Extra.TRAINER, "a network"):
            from metasearch_trainer.learner import FewShotLearner

        network = require_delivered(self.result)
        with self.weights(network) as weights:
            return FewShotLearner.load(weights / file_name(network.trials[0]), device)
