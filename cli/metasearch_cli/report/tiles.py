"""The report's key figures."""

from __future__ import annotations

from dataclasses import dataclass

from metasearch.outcome.results import SearchResult
from metasearch_cli.report import tables
from metasearch_cli.report.formats import NOTHING, SPACE, count, duration, percent
from metasearch_cli.report.sentences import round_title


@dataclass(frozen=True)
class Tile:
    """A key figure."""

    label: str
    value: str
    note: str
    share: float | None = None
    """The share of its limit that is spent, in [0, 1]; None without a limit."""


def tiles(result: SearchResult) -> list[Tile]:
    """Return the key figures: what was tried, what came of it, and what it took."""
    time, gpu = tables.wall_time(result), tables.gpu_hours(result)
    return [
        Tile("Trials", count(result.trials.total), _states(result)),
        _rounds(result),
        _best(result),
        Tile("Wall time", time.spent, f"of {time.limit}" if time.share is not None else "no limit", time.share),
        Tile("Worker time", duration(result.spent.worker_seconds), "all attempts together"),
        Tile("GPU-hours", gpu.spent, f"of {gpu.limit}" if gpu.share is not None else "no limit", gpu.share),
    ]


def _states(result: SearchResult) -> str:
    counted = {
        state: getattr(result.trials, state) for state in ("succeeded", "stopped", "failed", "running", "pending")
    }
    return ", ".join(f"{number:,}{SPACE}{state}" for state, number in counted.items() if number) or "none yet"


def _rounds(result: SearchResult) -> Tile:
    begun, known = len(result.rounds), result.search.rounds
    note = f"the last: {result.rounds[-1].title}" if begun else "none yet"
    return Tile("Rounds", f"{begun} of {known}" if known else count(begun), note)


def _best(result: SearchResult) -> Tile:
    spec = result.search.spec
    scored = [(round.best, round.round) for round in result.rounds if round.best is not None]
    if not scored:
        return Tile("Best search score", NOTHING, _none_yet(result))
    # The first round of those with the best score.
    best, number = max(scored, key=lambda entry: (entry[0], -entry[1]))
    return Tile(
        "Best search score", percent(best), f"{round_title(result, number)}; chance {percent(1 / spec.task.ways, 0)}"
    )


def _none_yet(result: SearchResult) -> str:
    """Say why there is no best score."""
    if any(round.beginnings for round in result.rounds):
        return "no whole training yet"
    return "no trial has ended well" if result.trials.total else "no trial yet"
