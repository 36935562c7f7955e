"""A search at one moment, wherever it runs, and what the commands make of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from metasearch.outcome.results import FinalNetwork, SearchResult
from metasearch.search.trials import Trial
from metasearch_cli.export import export, require_delivered
from metasearch_cli.report import write_report

Weights = Callable[[FinalNetwork], AbstractContextManager[Path]]
"""Lends a folder with a network's weights, `<trial>.safetensors`; raises MetaSearchError where there are none."""


@dataclass(frozen=True)
class Snapshot:
    """What is on record of a search."""

    trials: Sequence[Trial]
    result: SearchResult
    weights: Weights
    report: Path
    """Where its report goes, unless told otherwise."""
    best: Path
    """Where the delivered network goes, unless told otherwise."""

    def write_report(self, output: Path | None = None) -> Path:
        """Write the report anew; returns its path."""
        target = output or self.report
        write_report(target, self.result, self.trials)
        return target

    def export(self, output: Path | None = None) -> Path:
        """Write the delivered network's folder; returns its path."""
        target = output or self.best
        with self.weights(require_delivered(self.result)) as weights:
            export(self.result, weights, target)
        return target
