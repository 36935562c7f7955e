"""
Let faults happen to the operator of a search on a real API server, and count what is lost.

    python benchmarks/reliability.py                            every fault; half an hour on two cores
    python benchmarks/reliability.py --groups "lost events"     those of a group; a file keeps the others' figures

etcd, API server, Job controller, store, operator and the proxy that makes the faults are real processes. Where faults
happen to the operator, workers are simulated: they claim trials and complete them with invented results, so that a
search takes seconds. Where they happen to a worker, it is the real one.
docs/reliability.md says what is counted. `tests/cluster/test_reliability.py` lets a sample of the same faults happen.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT), str(ROOT / "tests/support")]

from devcluster.access import ClusterAccess  # noqa: E402
from devcluster.binaries import find_control_plane_binaries  # noqa: E402
from devcluster.control_plane import open_control_plane  # noqa: E402
from devcluster.resources import crds_installed  # noqa: E402
from pretended_search import Scores  # noqa: E402

from faults.crash_points import Crash, Moment  # noqa: E402
from faults.happenings import Loss, troubles  # noqa: E402
from faults.page import page  # noqa: E402
from faults.reference import Happening, Observed, observe, undisturbed_scores  # noqa: E402
from faults.worker_crashes import observe_worker, trained_scores  # noqa: E402
from reporting import Claim, kept_rows, parser, publish  # noqa: E402 (all of these need the path)

MOST_SECONDS = 120
"""Within so long after the end of a fault a search must be over, of which a part is its own work."""

OPERATOR_GROUPS = ("crashes before writes", "crashes after writes", "lost events", "troubles")
WORKER_GROUPS: Mapping[str, Moment] = {"worker crashes before writes": "before", "worker crashes after writes": "after"}
GROUPS = (*OPERATOR_GROUPS, *WORKER_GROUPS)


def main() -> int:
    """Let every fault happen."""
    arguments = _arguments()
    rows = kept_rows(arguments.json, "faults", "part", arguments.groups)
    with open_control_plane(find_control_plane_binaries()) as control_plane, crds_installed(control_plane.access):
        for group in arguments.groups:
            undisturbed = trained_scores() if group in WORKER_GROUPS else undisturbed_scores()
            found = _observe_all(control_plane.access, group, arguments)
            every = 1 if group == "troubles" else arguments.every
            rows += [{"part": group, "every": every, **row_of(each, undisturbed)} for each in found]
            code = publish_all(rows, arguments)
    return code


def publish_all(rows: list[dict[str, Any]], arguments: argparse.Namespace) -> int:
    """Write file and page, after each group, and return the exit code."""
    rows.sort(key=lambda row: GROUPS.index(row["part"]))
    summary = [summary_of(list(group)) for _, group in itertools.groupby(rows, lambda row: str(row["group"]))]
    claims = judged(rows)
    if arguments.docs:
        arguments.docs.write_text(page(rows, summary, claims), encoding="utf-8")
    return publish("reliability", summary, claims, arguments.json, faults=rows)


def _observe_all(access: ClusterAccess, group: str, arguments: argparse.Namespace) -> Iterator[Observed]:
    """Yield what every fault of a group does, some at a time; numbered ones until there is nothing left to meet."""
    waiting = _experiments(access, group, itertools.count(1, arguments.every))
    with ThreadPoolExecutor(arguments.at_once) as pool:
        while batch := list(itertools.islice(waiting, arguments.at_once)):
            for each in pool.map(lambda experiment: experiment(), batch):
                print(f"{each.group}: {each.title} {each.met}", file=sys.stderr)
                if not each.met and group != "troubles":
                    return
                yield each


def _experiments(access: ClusterAccess, group: str, numbers: Iterator[int]) -> Iterator[Callable[[], Observed]]:
    if moment := WORKER_GROUPS.get(group):
        return (partial(observe_worker, access, number, moment) for number in numbers)
    return (partial(observe, access, happening) for happening in _happenings(group, numbers))


def _happenings(group: str, numbers: Iterator[int]) -> Iterator[Happening]:
    match group:
        case "crashes before writes":
            return (Crash(number, "before") for number in numbers)
        case "crashes after writes":
            return (Crash(number, "after") for number in numbers)
        case "lost events":
            return (Loss(number) for number in numbers)
    return iter(troubles())


def row_of(observed: Observed, undisturbed: Scores) -> dict[str, Any]:
    """Return the figures of one fault."""
    outcome = observed.outcome
    return {
        "group": observed.group,
        "fault": observed.title,
        "met": observed.met,
        "survived": outcome.phase == "Succeeded",
        "lost": outcome.lost(undisturbed),
        "duplicated": outcome.duplicated(undisturbed),
        "claims too many": outcome.attempts - len(undisturbed),
        "pods too many": outcome.pods - observed.pods_needed,
        "deletions too many": 0 if outcome.deletions is None else outcome.deletions - 1,
        "s after": observed.seconds_after,
        "errors": observed.errors,
    }


def summary_of(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of all faults of a group."""
    sums = ("lost", "duplicated", "claims too many", "pods too many", "deletions too many", "errors")
    return {
        "group": rows[0]["group"],
        "every": rows[0]["every"],
        "faults": len(rows),
        "survived": sum(row["survived"] for row in rows),
        **{name: sum(row[name] for row in rows) for name in sums},
        "s after, median": median(row["s after"] for row in rows),
        "s after, longest": max(row["s after"] for row in rows),
    }


def judged(rows: Sequence[dict[str, Any]]) -> list[Claim]:
    """Return what the figures should show."""
    survived = sum(row["survived"] for row in rows)
    wrong = sum(row["lost"] + row["duplicated"] for row in rows)
    claims = max(row["claims too many"] for row in rows)
    deletions = sum(row["deletions too many"] for row in rows)
    late = [f"{row['fault']} {row['met']}" for row in rows if row["s after"] > MOST_SECONDS]
    return [
        Claim(f"{survived} of {len(rows)} searches come to their end", survived == len(rows)),
        Claim(f"{wrong} trials are lost, recorded twice, or have another score than undisturbed", wrong == 0),
        Claim(f"at most {claims} trainings are begun in a search that need not be, of at most 1", claims <= 1),
        Claim(f"{deletions} objects are deleted that an undisturbed operator leaves", deletions == 0),
        Claim(f"all searches but {len(late)} are over {MOST_SECONDS} s after the fault: {late or 'all'}", not late),
    ]


def _arguments() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS), metavar="GROUP", help="default: all")
    made.add_argument("--every", type=int, default=1, metavar="N", help="every N-th write and event; default: 1, all")
    made.add_argument("--at-once", type=int, default=4, metavar="N", help="searches at a time; default: 4")
    made.add_argument("--docs", type=Path, metavar="FILE", help="write the page of the docs")
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
