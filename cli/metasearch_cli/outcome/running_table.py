"""Print the trials that run, slot by slot, the same for a local run and for a cluster."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from metasearch.outcome.results import SearchResult
from metasearch.outcome.running import Activity, RunningTrial, Slot
from metasearch.search import budget
from metasearch_cli.outcome import listing
from metasearch_cli.outcome.progress import progress_sentence

UNKNOWN = "?"
"""The text in place of what is not on record, or not yet."""

IDLE = "idle"

CELL_LENGTH = 32
"""Characters of a cell that are shown; `metasearch trials` has all of it."""

DRIVER_SECONDS = 15.0
"""Time after which a driver that was not seen counts as gone; it makes a record every 5 s."""

_COLUMNS = ("worker", "slot", "trial", "stage", "round", "done", "share", "per second", "remaining", "attempts", "cell")
_LEFT = frozenset({"worker", "trial", "stage", "cell"})
_SPARE = ("cell", "attempts", "round", "stage", "share", "per second", "worker")
"""The columns that may be left out on a terminal that is too narrow, the first of them first."""
_OTHER_LINES = 8
"""Lines that are not slots: headings, sums, and a sentence."""


def print_running(console: Console, result: SearchResult, activity: Activity, now: float) -> None:
    """
    Print a table with a line for each slot, and the sums below it.

    On a terminal that is too low for them the last slots are left out, which is said; on one that is too narrow,
    columns.

    Args:
        now: Unix time in seconds.
    """
    slots, left_out = activity.slots, 0
    if console.is_terminal and len(slots) > (room := max(1, console.height - _OTHER_LINES)):
        slots, left_out = slots[:room], len(slots) - room
    if slots:
        listing.print_fitting(console, lambda columns: _table(slots, columns), _COLUMNS, _SPARE)
    if left_out:
        _say(console, f"and {left_out} more slots, for which the terminal is too low")
    _say(console, _slots_sentence(activity))
    for line in _sums(result):
        _say(console, line)
    if estimate := progress_sentence(result):
        _say(console, estimate)
    if gone := driver_sentence(result, now):
        _say(console, gone)


def driver_sentence(result: SearchResult, now: float) -> str | None:
    """Say since when nobody has been at work on a search that is not over; None where somebody is."""
    away = now - result.search.seen_at
    if result.search.phase.is_over or away <= DRIVER_SECONDS:
        return None
    return f"no driver has been at work on it for {away:.0f} s; metasearch run --resume goes on with it"


def _table(slots: Sequence[Slot], columns: Sequence[str]) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 0, 0, 1))
    for column in columns:
        table.add_column(column, justify="left" if column in _LEFT else "right", no_wrap=True)
    for slot in slots:
        place = (slot.worker, UNKNOWN if slot.slot is None else str(slot.slot))
        values = dict(zip(_COLUMNS, (*place, *(_cells(slot.trial) if slot.trial else (IDLE,))), strict=False))
        table.add_row(*(values.get(column, "") for column in columns))
    return table


def _cells(trial: RunningTrial) -> tuple[str, ...]:
    cell = trial.candidate
    return (
        trial.name,
        str(trial.stage),
        str(trial.round),
        f"{UNKNOWN if trial.done is None else trial.done}/{trial.planned}",
        UNKNOWN if trial.share is None else f"{100 * trial.share:.0f}%",
        UNKNOWN if trial.speed is None else f"{trial.speed:.3g}",
        _remaining(trial),
        str(trial.attempts),
        cell if len(cell) <= CELL_LENGTH else f"{cell[: CELL_LENGTH - 1]}…",
    )


def _remaining(trial: RunningTrial) -> str:
    if trial.stop_requested:
        return "stopping"
    return UNKNOWN if trial.remaining_seconds is None else f"{trial.remaining_seconds:.0f} s"


def _slots_sentence(activity: Activity) -> str:
    """Say how many slots there are and what they do together."""
    if not activity.slots:
        return "no worker is known to run"
    busy, unknown = len(activity.running), activity.without_speed
    speed = "" if activity.speed is None else f"; {activity.speed:.3g} meta-iterations per second"
    without = f" ({unknown} of {busy} trials have not told theirs yet)" if speed and unknown else ""
    # A local run has one driver, whose processes are the slots.
    workers = f", of {activity.workers} workers" if activity.workers > 1 else ""
    return f"slots: {busy} busy, {activity.idle} idle{workers}{speed}{without}"


def _sums(result: SearchResult) -> tuple[str, str]:
    search, spent, trials = result.search, result.spent, result.trials
    share = budget.used_share(search.spec, spent)
    return (
        f"trials: {trials.succeeded} succeeded, {trials.stopped} stopped, {trials.failed} failed, "
        f"{trials.running} running, {trials.pending} pending",
        f"{search.name}: {search.phase}{f' ({search.message})' if search.message else ''}; "
        f"{spent.wall_seconds:.0f} s and {100 * share:.0f}% of the nearest limit of its budget spent",
    )


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
