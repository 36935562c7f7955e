"""
Show which alert tells of which fault and after how many seconds, and that searches which are well raise none.

    python benchmarks/detection.py                                   everything, some minutes
    python benchmarks/detection.py --only "cache stale" "GPU idle"

Faults and normal situations happen to a simulated cluster in virtual time; the rules are evaluated by Prometheus' own
engine. Needs promtool (`scripts/setup.sh prometheus`). docs/detection.md says what is real and how it is counted, and
is written where the command is told so.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

from reporting import Claim, parser, publish  # noqa: E402
from watching.healthy import HEALTHY  # noqa: E402
from watching.of_operator import OPERATOR  # noqa: E402
from watching.of_trials import TRIALS  # noqa: E402
from watching.of_workers import WORKERS  # noqa: E402
from watching.page import page  # noqa: E402
from watching.run import FOR_SECONDS, MOST_SECONDS, Account, account  # noqa: E402
from watching.situation import Situation  # noqa: E402 (all of these need the path)

ON_NODES = ROOT / "benchmarks/results/detection_on_nodes.json"
"""Stored rows of `detection_on_nodes.py`, for the page."""

SITUATIONS = {each.title: each for each in (*OPERATOR, *WORKERS, *TRIALS, *HEALTHY)}
WELL = frozenset(each.title for each in HEALTHY)


def rows_on_nodes() -> list[dict[str, Any]]:
    """Return the stored rows of real faults; none where `detection_on_nodes.py` was not run yet."""
    if not ON_NODES.exists():
        return []
    rows: list[dict[str, Any]] = json.loads(ON_NODES.read_text(encoding="utf-8"))["rows"]
    return rows


def kind_of(situation: Situation) -> str:
    """Return `fault`, `normal`, or `healthy` for a search that nothing happens to."""
    if situation.title in WELL:
        return "healthy"
    return "fault" if situation.is_fault else "normal"


def account_of(title: str) -> Account:
    """Let a situation happen, in a process of its own."""
    return account(SITUATIONS[title])


def rows_of(title: str, found: Account) -> Iterator[dict[str, Any]]:
    """Yield a row for each right alert of a situation, or one where there is none."""
    situation = SITUATIONS[title]
    others = [
        {"alert": each.alert, "severity": each.severity, "fired": each.first - situation.fault_at}
        for each in found.others
    ]
    common = {
        "situation": title,
        "kind": kind_of(situation),
        "story": situation.story,
        "remark": situation.remark,
        "untold": situation.untold,
        "hours": situation.hours,
        "trials": found.trials,
        "others": others,
    }
    for told in found.told:
        times = {"visible": told.visible, "for": FOR_SECONDS[told.alert], "fired": told.fired, "excess": told.excess}
        yield {**common, "alert": told.alert, **times}
    if not found.told:
        yield {**common, "alert": None, "visible": None, "for": None, "fired": None, "excess": None}


def judged(found: dict[str, Account]) -> list[Claim]:
    """Return what the figures should show."""
    told = [each for account in found.values() for each in account.told]
    late = [each.alert for each in told if not each.is_in_time]
    pages = [f"{title}: {each.alert}" for title, account in found.items() for each in account.pages]
    alarmed = [title for title, account in found.items() if title in WELL and account.others]
    return [
        Claim(
            f"{len(told) - len(late)} of {len(told)} right alerts fire within `for` and {MOST_SECONDS} s of when they "
            f"have something to tell{': all but ' if late else ''}{', '.join(late)}",
            not late,
        ),
        Claim(f"{len(pages)} other alerts that somebody is called for: {', '.join(pages) or 'none'}", not pages),
        Claim(f"alerts of healthy searches: {', '.join(alarmed) or 'none'}", not alarmed),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Let every situation happen."""
    made = parser(__doc__)
    made.add_argument("--only", nargs="+", choices=list(SITUATIONS), metavar="TITLE", help="default: all")
    made.add_argument("--docs", type=Path, metavar="FILE", help="write the page of the docs")
    made.add_argument("--processes", type=int, default=2, metavar="N", help="default: 2")
    options = made.parse_args(arguments)
    found: dict[str, Account] = {}
    with ProcessPoolExecutor(options.processes) as pool:
        titles = options.only or list(SITUATIONS)
        for title, each in zip(titles, pool.map(account_of, titles), strict=True):
            found[title] = each
            print(f"{title}: done", file=sys.stderr)
    rows = [row for title, each in found.items() for row in rows_of(title, each)]
    if options.docs:
        options.docs.write_text(page(rows, rows_on_nodes()), encoding="utf-8")
    shown = [{key: row[key] for key in ("situation", "alert", "visible", "for", "fired", "excess")} for row in rows]
    return publish("detection", shown, judged(found), options.json, accounts=rows)


if __name__ == "__main__":
    sys.exit(main())
