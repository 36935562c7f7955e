"""Print how busy the slots of a search's workers were, and why they were idle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median

from rich.console import Console
from rich.table import Table

from metasearch.outcome.results import SearchResult
from metasearch.outcome.timeline import IdleReason, StageTime, Timeline
from metasearch_cli.report.formats import NOTHING, duration, percent, plural

_REASONS: Mapping[IdleReason, str] = {
    IdleReason.TRIAL_WAITING: "a trial waited: the slot's process was on its way to it, or was being started",
    IdleReason.OTHERS_RUNNING: "no trial waited while others ran: the end of a round, or more slots than trials",
    IdleReason.NOTHING_PROPOSED: "no trial waited or ran: the next were being chosen, or the search was suspended",
}


def print_busy(console: Console, result: SearchResult, found: Timeline) -> None:
    """Print the busy share of all slots, in all and for each round, and what the idle time was."""
    pods = len({slot.slot.pod for slot in found.slots})
    whose = f"{plural(len(found.slots), 'slot')}{f' of {pods} pods or sessions' if pods > 1 else ''}"
    share, time = percent(found.busy_share), duration(found.slot_seconds)
    console.print(f"busy: {share} of the time of {whose}, together {time}", highlight=False, soft_wrap=True)
    console.print(_stages(result, found))
    for line in _idle(found):
        console.print(line, highlight=False, soft_wrap=True)


def _stages(result: SearchResult, found: Timeline) -> Table:
    titles = {round.round: round.title for round in result.rounds}
    table = Table(box=None, header_style="bold")
    table.add_column("round", justify="right")
    table.add_column("tried")
    table.add_column("time", justify="right")
    table.add_column("busy", justify="right")
    for stage in found.stages:
        table.add_row(*_stage(stage, titles), duration(stage.end - stage.start), percent(stage.busy_share))
    return table


def _stage(stage: StageTime, titles: Mapping[int, str]) -> tuple[str, str]:
    if stage.round is None:
        return NOTHING, "final training"
    return str(stage.round), titles.get(stage.round, "")


def _idle(found: Timeline) -> Iterator[str]:
    """Yield sentences about idle time, lost time and waits."""
    idle = found.idle_seconds
    yield f"idle: {duration(sum(idle.values()))}"
    for reason, seconds in idle.items():
        if seconds:
            yield f"  {duration(seconds)}: {_REASONS[reason]}"
    if found.lost_seconds:
        yield f"lost: {duration(found.lost_seconds)} of busy time, of attempts that failed or whose worker was lost"
    if found.waits:
        waits = sorted(found.waits.values())
        yield f"wait for the first claim: median {duration(median(waits))}, longest {duration(waits[-1])}"
