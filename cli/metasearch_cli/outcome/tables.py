"""Print the state of a search and its trials, the same for a local run and for a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from metasearch.outcome.figures import CellSummary, Estimate, FinalNetwork
from metasearch.outcome.results import SearchResult
from metasearch.outcome.rounds import Round
from metasearch.search.cells import parse_cell
from metasearch.search.trials import Stage, Trial
from metasearch_cli.outcome import listing
from metasearch_cli.outcome.listing import Value, text_of
from metasearch_cli.outcome.progress import progress_sentence
from metasearch_cli.report.certainty import certainty
from metasearch_cli.report.earlier_ends import earlier_ends
from metasearch_cli.report.examination import examination

_COLUMNS: Mapping[str, Callable[[Trial], Value]] = {
    "name": lambda trial: trial.name,
    "stage": lambda trial: trial.spec.stage,
    "round": lambda trial: trial.spec.round,
    "blocks": lambda trial: _blocks(trial),
    "metaIterations": lambda trial: trial.spec.meta_iterations,
    "isBeginning": lambda trial: trial.spec.is_beginning,
    "state": lambda trial: trial.state,
    "reason": lambda trial: trial.result.reason if trial.result else None,
    "score": lambda trial: trial.score,
    "predicted": lambda trial: trial.spec.predicted,
    "isDrawn": lambda trial: trial.spec.is_drawn,
    "parameterCount": lambda trial: trial.result.parameter_count if trial.result else None,
    "multiplyAdds": lambda trial: trial.result.multiply_adds if trial.result else None,
    "wallSeconds": lambda trial: trial.result.wall_seconds if trial.result else None,
    "replaces": lambda trial: trial.spec.replaces,
    "attempts": lambda trial: len(trial.attempts),
    "cell": lambda trial: trial.spec.candidate.text,
}
"""The columns of a list of trials: a name, and a function that returns a trial's value."""

COLUMNS = tuple(_COLUMNS)

_FIGURES = ("best", "spearman", "ceiling", "kendall", "top\nrecall")
"""The last columns of a list of rounds."""

_SPARE_FIGURES = ("kendall", "ceiling", "top\nrecall", "spearman")
"""Those that may be left out on a terminal that is too narrow, the first of them first."""


def print_status(console: Console, result: SearchResult) -> None:
    """Print a search in a few lines and tables."""
    search, spent, trials = result.search, result.spent, result.trials
    limit = f", ended early by budget.{search.limit}" if search.limit else ""
    console.print(
        f"{search.name}: {search.phase}{limit}{f' ({search.message})' if search.message else ''}", highlight=False
    )
    console.print(
        f"trials: {trials.succeeded} succeeded, {trials.stopped} stopped, {trials.failed} failed, "
        f"{trials.running} running, {trials.pending} pending",
        highlight=False,
    )
    console.print(
        f"spent: {spent.wall_seconds:.0f} s, {spent.worker_seconds:.0f} s of workers, {spent.gpu_hours:.2f} GPU-hours",
        highlight=False,
    )
    if estimate := progress_sentence(result):
        console.print(estimate, highlight=False, soft_wrap=True)
    for earlier in earlier_ends(result):
        console.print(earlier, highlight=False, soft_wrap=True)
    if result.rounds:
        _print_rounds(console, result.rounds)
    if tested := examination(result):
        console.print(tested, highlight=False, markup=False, soft_wrap=True)
    if result.best:
        best = result.best.search
        console.print(f"best cell: {best.candidate}", highlight=False, markup=False, soft_wrap=True)
        console.print(
            f"  {_search_score(best)} with {best.parameter_count:,} parameters", highlight=False, soft_wrap=True
        )
    if sure := certainty(result):
        console.print(sure, highlight=False, markup=False, soft_wrap=True)
    if result.final or result.baselines:
        _print_final(console, result)


def print_trials(console: Console, trials: Sequence[Trial]) -> None:
    """Print a table with a line for each trial."""
    listing.print_rows(console, COLUMNS, map(_row, trials))


def trials_as_csv(trials: Sequence[Trial]) -> str:
    """Return the trials as CSV with a header."""
    return listing.as_csv(COLUMNS, map(_row, trials))


def trials_as_json(trials: Sequence[Trial]) -> str:
    """Return the trials as a JSON list of objects with the columns' names."""
    return listing.as_json(COLUMNS, map(_row, trials))


def _row(trial: Trial) -> list[Value]:
    return [value(trial) for value in _COLUMNS.values()]


def _blocks(trial: Trial) -> int | None:
    """Count the blocks of a trial's cell; None for a baseline, which is no cell."""
    is_cell = trial.spec.stage is not Stage.BASELINE
    return len(parse_cell(trial.spec.candidate.architecture)) if is_cell else None


def _search_score(best: CellSummary[float]) -> str:
    """Return what the search measured of a cell, and of how much training that is."""
    score, steps = _share(best.score, best.interval), f"{best.meta_iterations:,} meta-iterations"
    seeds = f" (the mean of {best.seeds} seeds)" if best.seeds > 1 else ""
    if best.is_beginning:
        return f"no whole training yet; score of a beginning, by its training loss after {steps}: {score}"
    return f"search score {score}{seeds} after {steps}"


def _print_rounds(console: Console, rounds: Sequence[Round]) -> None:
    has_beginnings = any(round.beginnings for round in rounds)
    counts = ("whole", "begun") if has_beginnings else ("trained",)
    columns = ("round", "tried", *counts, "stopped", "failed", *_FIGURES)
    listing.print_fitting(console, lambda shown: _rounds(rounds, shown), columns, _SPARE_FIGURES)


def _rounds(rounds: Sequence[Round], columns: Sequence[str]) -> Table:
    # A space between columns and no more, or it would not fit into 80 characters.
    table = Table(box=None, header_style="bold", padding=(0, 0, 0, 1))
    for column in columns:
        table.add_column(column, justify="left" if column == "tried" else "right")
    for round in rounds:
        # A correlation without a ceiling is one of scores whose errors are not known, or which are all equal.
        ceiling = "none" if round.ceiling is None and round.spearman is not None else round.ceiling
        figures = (round.best, round.spearman, ceiling, round.kendall, round.top_recall)
        values: Mapping[str, Value] = {
            "round": round.round,
            "tried": round.title,
            "trained": round.trained,
            "whole": round.trained - round.beginnings,
            "begun": round.beginnings,
            "stopped": round.stopped,
            "failed": round.failed,
            **dict(zip(_FIGURES, figures, strict=True)),
        }
        table.add_row(*(text_of(values[column]) for column in columns))
    return table


def _print_final(console: Console, result: SearchResult) -> None:
    """Print the networks by number, since cells are long, and then the cell of each number."""
    table = Table(
        title="test accuracy in percent, with 95% intervals", title_justify="left", box=None, header_style="bold"
    )
    table.add_column("network")
    for heading in ("parameters", "queries alone", "alone, support\nstatistics", "together\n(transductive)"):
        table.add_column(heading, justify="right")
    for number, network in enumerate(result.final, start=1):
        is_delivered = number == 1 or network.folder is not None
        _add_network(table, f"cell {number}{' (delivered)' if is_delivered else ''}", network)
    for baseline in result.baselines:
        _add_network(table, baseline.name, baseline)
    console.print(table)
    for number, network in enumerate(result.final, start=1):
        place = f", in {network.folder}" if network.folder else ""
        console.print(f"cell {number}{place}: {network.candidate}", highlight=False, markup=False, soft_wrap=True)
    for name, each in _named(result):
        if each.cut_short:
            console.print(
                f"{name}: cut short after {each.meta_iterations:,} of {result.search.spec.final.meta_iterations:,} "
                "meta-iterations",
                highlight=False,
                soft_wrap=True,
            )


def _named(result: SearchResult) -> Iterator[tuple[str, FinalNetwork[float]]]:
    """Yield the networks with the names that they have in these tables."""
    yield from ((f"cell {number}", network) for number, network in enumerate(result.final, start=1))
    yield from ((baseline.name, baseline) for baseline in result.baselines)


def _add_network(table: Table, name: str, network: FinalNetwork[float]) -> None:
    measured = (network.non_transductive, network.support_statistics, network.transductive)
    table.add_row(name, f"{network.parameter_count:,}", *map(_measured, measured))


def _measured(measured: Estimate[float]) -> str:
    return _share(measured.accuracy, measured.interval)


def _share(mean: float, interval: float) -> str:
    return f"{100 * mean:.2f} ± {100 * interval:.2f}"
