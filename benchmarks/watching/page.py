"""The page docs/detection.md, made from the stored figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

HEAD = """\
# Which alert tells of which fault, and when

Made by `python benchmarks/detection.py`, which lets {faults} faults and {normal} normal situations happen to a
cluster in virtual time, besides {healthy} searches that are well. [Alerts](alerts.md) has the rules; each has a
[runbook](runbooks/README.md).

**How it is made.** The planner, the strategies, the life of trials, the conditions, the operator's instruments and
the metrics of a search are the real ones. Pods, the API server, the times and scores of trials, and what the operator
asks of the API server are simulated, in steps of 15 seconds; so is what it finds in Jobs, pods and events
(`Unschedulable`, `ImageUnavailable` and so on). Everything is scraped every 30 seconds, with `up`, and a series that
a scrape lacks is stale from then on. The shipped rules file is evaluated over that every 30 seconds by Prometheus'
own engine (`promtool test rules`), with `for` and with what rules ask of each other.

**How it is counted.** *Visible* is when somebody who knows everything about the simulated cluster could first say
what the alert says (the second refused request, ten minutes without a step), in seconds from the fault; it is
computed without PromQL. *Fired* is the first evaluation in which the alert fires, from the fault as well. *Excess* is
the time between the two less the alert's `for`. The goal: at most two evaluation intervals, 60 seconds, and no other
alert of severity `critical` or `warning`.

"""

FAULTS = """\
## Faults

| fault | what happens | alert | visible | `for` | fired | excess | other alerts |
|---|---|---|---|---|---|---|---|
"""

NORMAL = """\

## Normal situations

| situation | what happens | alerts |
|---|---|---|
"""

HEALTHY = """\

## Searches that are well

| search | | hours | trials | alerts |
|---|---|---|---|---|
"""

REAL = """\

## On nodes

`make detection-on-nodes`: two nodes of one machine, the operator installed by Helm, a Prometheus that scrapes it and
its workers every 30 seconds and evaluates the shipped rules as often. Nothing is simulated. The faults of searches
happen at once, those of the operator one after another, beside a search that is well. *Visible* is when Kubernetes'
own objects show the fault (a pod that waits for its image, an event of the Job controller, the attempts on record), or
the operator's metrics where it is the operator's. Times are in seconds.

| fault | what is done | alert | visible | `for` | fired | excess | other alerts |
|---|---|---|---|---|---|---|---|
"""

UNTOLD = """\

## What no alert tells

"""

NONE = "none"


def page(rows: Sequence[Row], on_nodes: Sequence[Row]) -> str:
    """
    Return the page.

    Args:
        rows: of what was simulated.
        on_nodes: of what really happened.
    """
    by_kind = {kind: [row for row in rows if row["kind"] == kind] for kind in ("fault", "normal", "healthy")}
    parts = [HEAD.format(**{name: len({row["situation"] for row in by_kind[kind]}) for name, kind in NAMES.items()})]
    parts += [FAULTS, *map(_fault, by_kind["fault"])]
    parts += [NORMAL, *(f"| {row['situation']} | {row['story']} | {_others(row)} |\n" for row in by_kind["normal"])]
    parts += [HEALTHY, *map(_healthy, by_kind["healthy"])]
    if on_nodes:
        parts += [REAL, *map(_real, on_nodes)]
    untold = [row for row in by_kind["fault"] if row["untold"]]
    parts += [UNTOLD, *(f"- *{row['situation']}*: {row['untold']}.\n" for row in untold)]
    return "".join(parts)


NAMES = {"faults": "fault", "normal": "normal", "healthy": "healthy"}


def _fault(row: Row) -> str:
    if row["alert"] is None:
        times = "| none | | | | "
    else:
        link = f"[{row['alert'].removeprefix('MetaSearch')}](runbooks/{row['alert']}.md)"
        times = (
            f"| {link} | {_number(row['visible'])} | {row['for']} | {_number(row['fired'])} | {_number(row['excess'])} "
        )
    story = f"{row['story']} ({row['remark']})" if row["remark"] else row["story"]
    return f"| {row['situation']} | {story} {times}| {_others(row)} |\n"


def _real(row: Row) -> str:
    if row["alert"] == NONE:
        times = f"| none, in {row['seconds']} s | | | | "
    else:
        link = f"[{row['alert'].removeprefix('MetaSearch')}](runbooks/{row['alert']}.md)"
        visible, fired, excess = (_number(row[key]) for key in ("visible", "fired", "excess"))
        times = f"| {link} | {visible} | {row['for']} | {fired} | {excess} "
    others = ", ".join(f"{each['alert'].removeprefix('MetaSearch')} ({each['severity']})" for each in row["others"])
    return f"| {row['situation']} | {row['story']} {times}| {others or NONE} |\n"


def _healthy(row: Row) -> str:
    return f"| {row['situation']} | {row['story']} | {row['hours']:g} | {row['trials']} | {_others(row)} |\n"


def _number(value: float | None) -> str:
    return "never" if value is None else f"{value:g}"


def _others(row: Row) -> str:
    told = [
        f"{each['alert'].removeprefix('MetaSearch')} ({each['severity']}, {each['fired']:g} s)"
        for each in row["others"]
    ]
    return ", ".join(told) or NONE
