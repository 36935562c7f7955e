"""Make the rows of the report's tables, as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from metasearch.outcome.figures import CellSummary, Estimate, FinalNetwork
from metasearch.outcome.results import SearchResult
from metasearch.search.budget import Limit, used_shares
from metasearch.search.candidates import Candidate
from metasearch.search.trials import Stage, Trial
from metasearch_cli.report import series
from metasearch_cli.report.formats import (
    NOTHING,
    count,
    duration,
    memory,
    milliseconds,
    percent,
    percent_with_interval,
    short,
)
from metasearch_cli.report.sentences import round_title

NO_LIMIT = "no limit"

# --- rounds -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DepthRow:
    """The depths of the cells of one round."""

    name: str
    counts: tuple[tuple[int, float], ...]
    """For depth 1, 2, …: how many cells, and their share of the round's."""
    mean: str


def depths(result: SearchResult) -> list[DepthRow]:
    """Return a row per round, all of the same length."""
    deepest = max((depth for round in result.rounds for depth in round.depths), default=0)
    rows = []
    for round in result.rounds:
        total = sum(round.depths.values())
        counts = tuple(
            (round.depths.get(depth, 0), round.depths.get(depth, 0) / total) for depth in range(1, deepest + 1)
        )
        mean = sum(depth * number for depth, number in round.depths.items()) / total
        rows.append(DepthRow(round.title.capitalize(), counts, f"{mean:.2f}"))
    return rows


# --- networks -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NetworkRow:
    """A network trained in full."""

    name: str
    """The name of a hand-made network; empty for one that was found."""
    cell: tuple[str, ...]
    """Its blocks."""
    is_delivered: bool
    folder: str
    """The folder of a network of a delivered front; else empty."""
    cells: tuple[str, ...]
    """Parameters, multiply-adds, seeds, score, and accuracy alone, alone by support statistics, and together."""


def networks(result: SearchResult) -> list[NetworkRow]:
    """Return the found networks best first, then the baselines."""
    found = (
        NetworkRow(
            "", blocks(network.candidate), index == 0 or bool(network.folder), network.folder or "", _network(network)
        )
        for index, network in enumerate(result.final)
    )
    hand_made = (NetworkRow(network.name, (), False, "", _network(network)) for network in result.baselines)
    return [*found, *hand_made]


def _network(network: FinalNetwork[float]) -> tuple[str, ...]:
    return (
        count(network.parameter_count),
        short(network.multiply_adds),
        count(network.seeds),
        percent(network.score),
        _accuracy(network.non_transductive),
        _accuracy(network.support_statistics),
        _accuracy(network.transductive),
    )


def _accuracy(measured: Estimate[float]) -> str:
    return percent_with_interval(measured.accuracy, measured.interval)


def blocks(candidate: Candidate) -> tuple[str, ...]:
    """Split a cell's text into its blocks, between which a line may break; hyperparameters follow the last."""
    parts = tuple(part.strip() for part in candidate.architecture.split("|") if part.strip())
    return (*parts[:-1], Candidate(parts[-1], candidate.hyperparameters).text)


@dataclass(frozen=True)
class FrontRow:
    """A search trial on the front."""

    cell: tuple[str, ...]
    is_delivered: bool
    cells: tuple[str, ...]
    """One for each of FRONT_FIGURES."""


FRONT_FIGURES: Mapping[str, Callable[[CellSummary[float]], str]] = {
    "Blocks": lambda found: count(found.blocks),
    "Depth": lambda found: count(found.depth),
    "Parameters": lambda found: count(found.parameter_count),
    "Multiply-adds": lambda found: short(found.multiply_adds),
    "Score": lambda found: percent_with_interval(found.score, found.interval),
    "Latency": lambda found: milliseconds(found.latency_ms),
    "Memory": lambda found: memory(found.peak_memory_bytes),
    "Training": lambda found: duration(found.wall_seconds),
}
"""The figures of the front's table: a heading, and the text of a cell."""


def front(result: SearchResult) -> list[FrontRow]:
    """Return the rows of the front, best score first."""
    delivered = {network.candidate for network in result.final[:1] + result.delivered_front}
    return [
        FrontRow(
            blocks(found.candidate), found.candidate in delivered, tuple(text(found) for text in FRONT_FIGURES.values())
        )
        for found in result.front
    ]


# --- what it took -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BudgetRow:
    """One limit of the budget: how much was spent, and how much there was."""

    name: str
    spent: str
    limit: str
    share: float | None
    """The share of the limit that is spent, in [0, 1]; None without a limit."""


def budget(result: SearchResult) -> list[BudgetRow]:
    """Return a row for everything that `spec.budget` can limit."""
    spent, limits, shares = result.spent, result.search.spec.budget, used_shares(result.search.spec, result.spent)
    return [
        BudgetRow("Search trials", count(spent.trials), count(limits.max_trials), min(1.0, shares[Limit.TRIALS])),
        BudgetRow(
            "Failed search trials",
            count(spent.failed_trials),
            count(limits.max_failed_trials),
            min(1.0, shares[Limit.FAILED_TRIALS]),
        ),
        wall_time(result),
        gpu_hours(result),
    ]


def wall_time(result: SearchResult) -> BudgetRow:
    spec, spent = result.search.spec, duration(result.spent.wall_seconds)
    if spec.budget.wall_time is None:
        return BudgetRow("Wall time", spent, NO_LIMIT, None)
    share = min(1.0, used_shares(spec, result.spent)[Limit.WALL_TIME])
    return BudgetRow("Wall time", spent, duration(spec.budget.wall_time.seconds), share)


def gpu_hours(result: SearchResult) -> BudgetRow:
    spec, used = result.search.spec, result.spent.gpu_hours
    text = "0" if used == 0 else f"{used:,.2f}"
    if spec.budget.gpu_hours is None:
        return BudgetRow("GPU-hours", text, NO_LIMIT, None)
    share = min(1.0, used_shares(spec, result.spent)[Limit.GPU_HOURS])
    return BudgetRow("GPU-hours", text, f"{spec.budget.gpu_hours:,}", share)


@dataclass(frozen=True)
class TimeRow:
    """The worker time of one round or stage."""

    name: str
    trials: str
    total: str
    share: str
    """The share of all worker time, in percent."""
    bars: tuple[tuple[str, float], ...]
    """The outcomes of the row's attempts, each with its time as a share of the longest row's, in [0, 1]."""


def time_spent(result: SearchResult, trials: Sequence[Trial]) -> list[TimeRow]:
    """Return a row for each round and stage, in the order of the search."""
    rows = series.time_spent(result, trials)
    everything, longest = sum(row.total for row in rows), max((row.total for row in rows), default=0.0)
    if not everything:
        return []
    return [
        TimeRow(
            _stage_name(row, result),
            count(row.trials),
            duration(row.total),
            percent(row.total / everything, 0),
            tuple(
                (outcome, getattr(row, outcome) / longest)
                for outcome in ("complete", "stopped", "lost", "running")
                if getattr(row, outcome)
            ),
        )
        for row in rows
    ]


def _stage_name(row: series.TimeSpent, result: SearchResult) -> str:
    names = {Stage.FINAL: "final trials", Stage.BASELINE: "baselines"}
    return (round_title(result, row.round) if row.stage is Stage.SEARCH else names[row.stage]).capitalize()


# --- failures -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FailedRow:
    """A trial that failed."""

    trial: str
    stage: str
    attempts: str
    reason: str
    message: str


def failed(trials: Sequence[Trial], result: SearchResult) -> Iterator[FailedRow]:
    """Return the first few failed trials."""
    for trial in series.failed(trials)[: series.FAILED_SHOWN]:
        is_search = trial.spec.stage is Stage.SEARCH
        yield FailedRow(
            trial.name,
            (round_title(result, trial.spec.round) if is_search else str(trial.spec.stage)).capitalize(),
            count(len(trial.attempts)),
            str(trial.result.reason) if trial.result and trial.result.reason else NOTHING,
            (trial.result.message if trial.result else None) or NOTHING,
        )
