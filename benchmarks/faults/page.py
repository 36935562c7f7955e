"""The page docs/reliability.md."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from reporting import Claim

Row = dict[str, Any]

TOP = """\
# What a search survives

Made by `make reliability`, which lets {faults} faults happen to the operator or a worker of a search, one search for
each.

**How it is made.** etcd, API server, Job controller, scheduler, operator and the records of trials are the real ones.
The connection of whom a fault happens to passes through a proxy that makes it; others' does not. Where it happens to
the operator, workers are simulated: one for each pod of the real Job claims trials as a worker does, and completes them
with invented results, so that a search of thirteen trials in five rounds takes seconds. Where it happens to a worker,
that is the real one, supervisor and slot, and trains four trials on Omniglot. Nodes and images have no part in it; what
happens to those is tried on real nodes by `tests/cluster/nodes`.

**What is counted.** *Every*: 1 where each write or event was tried, in a search of its own, 7 where each seventh was,
and so on. *Survived*: the search Succeeded. *Lost*: trials that are missing at the end, or have another score than in
the same search on one machine without any fault. *Duplicated*: trials which that search has not. *Claims* too many:
each claim begins a training, and a trial needs one. *Pods* too many: beyond the two that a search asks for (one, of a
real worker); slots that are idle for a minute are given up, so a search that stood still gets new ones. *Deletions* too
many: objects that the operator deleted, besides the Job at the end. *s after*: from the end of the fault to the end of
the search, its own work included; in the summary the median.
"""


def page(rows: Sequence[Row], summary: Sequence[Row], claims: Sequence[Claim]) -> str:
    """
    Return the page.

    Args:
        rows: one per fault.
        summary: one per group of faults.
    """
    return "\n".join(
        [
            TOP.format(faults=len(rows)),
            *_claims(claims),
            *_summary(summary),
            *_numbered(rows),
            *_rest(rows),
        ]
    )


def _claims(claims: Sequence[Claim]) -> Iterator[str]:
    yield from ("## What the figures show", "")
    for claim in claims:
        yield f"- {'' if claim.holds else '**fails:** '}{claim.text}."
    yield ""


def _summary(summary: Sequence[Row]) -> Iterator[str]:
    yield from ("## Summary", "")
    yield "| faults | every | tried | survived | lost | duplicated | claims | pods | deletions | s after | longest |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    for row in summary:
        counts = [row[name] for name in ("every", "faults", "survived", "lost", "duplicated")]
        more = [row[f"{name} too many"] for name in ("claims", "pods", "deletions")]
        seconds = [round(row[f"s after, {which}"]) for which in ("median", "longest")]
        yield _line(row["group"], *counts, *more, *seconds)
    yield ""


def _numbered(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a table of the faults that meet one write or event each, by what they have met."""
    met = sorted((row for row in rows if row["met"]), key=_meeting)
    if not met:
        return
    yield from ("## Writes and events, by kind", "")
    yield from ("| fault | write or event | tried | survived | lost | s after, longest |", "|---|---|--:|--:|--:|--:|")
    for (group, what), found in itertools.groupby(met, _meeting):
        same = list(found)
        longest = max(row["s after"] for row in same)
        yield _line(
            group,
            what,
            len(same),
            sum(row["survived"] for row in same),
            sum(row["lost"] for row in same),
            round(longest),
        )
    yield ""


def _rest(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a table of the faults that last for a while."""
    rest = [row for row in rows if not row["met"]]
    if not rest:
        return
    yield from ("## Faults that last", "")
    yield "| of | fault, from the first round on | survived | lost | duplicated | claims | pods | deletions | s after |"
    yield "|---|---|---|--:|--:|--:|--:|--:|--:|"
    for row in rest:
        more = [row[f"{name} too many"] for name in ("claims", "pods", "deletions")]
        survived = "yes" if row["survived"] else "**no**"
        yield _line(row["group"], row["fault"], survived, row["lost"], row["duplicated"], *more, round(row["s after"]))
    yield ""


def _meeting(row: Row) -> tuple[str, str]:
    return row["group"], row["met"]


def _line(*values: object) -> str:
    return f"| {' | '.join(map(str, values))} |"
