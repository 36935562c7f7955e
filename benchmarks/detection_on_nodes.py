"""
Show which alerts tell of real faults, and when, on a cluster of two nodes with the installed operator.

    python benchmarks/detection_on_nodes.py                          half an hour, mostly of waiting for `for` to pass
    python benchmarks/detection_on_nodes.py --only "image missing" "operator's pod gone"
                                                                     a file keeps the others' figures

The other half of `detection.py`, which simulates what happens to a cluster: here pods, nodes, quota, API server and
Prometheus are real, with the shipped rules. Debian, as root; `make cluster` says what it takes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

from devcluster import image_store  # noqa: E402
from devcluster.binaries import find_control_plane_binaries, find_node_binaries  # noqa: E402
from devcluster.cluster import open_cluster  # noqa: E402
from devcluster.helm import find_helm  # noqa: E402
from devcluster.operator_installation import SMALL_WORKERS, operator_installed  # noqa: E402
from devcluster.pod_discovery import pods_in  # noqa: E402
from devcluster.prometheus import running_prometheus  # noqa: E402

from reporting import Claim, kept_rows, parser, publish  # noqa: E402
from watching.evaluation import INTERVAL_SECONDS, RULES  # noqa: E402
from watching.firing import Firing  # noqa: E402
from watching.on_nodes import OPERATOR_FAULTS, SEARCH_FAULTS, WELL, Site  # noqa: E402
from watching.page import NONE  # noqa: E402
from watching.real_run import Observed, one_by_one, together  # noqa: E402
from watching.run import FOR_SECONDS  # noqa: E402 (all of these need the path)

FAULTS = {fault.title: fault for fault in (*SEARCH_FAULTS, *OPERATOR_FAULTS)}


def main() -> int:
    """Let every fault happen."""
    arguments = _arguments()
    chosen = [FAULTS[title] for title in arguments.only or FAULTS]
    rows = kept_rows(arguments.json, "rows", "situation", [WELL.title, *(fault.title for fault in chosen)])
    with site() as place, Firing(place.prometheus) as firing:
        well = WELL.begin(place).search
        begun_at = time.time()
        of_searches = [fault for fault in chosen if fault in SEARCH_FAULTS]
        rows += [row for observed in together(place, firing, of_searches) for row in rows_of(observed)]
        publish_all(rows, arguments.json)  # what follows may fail, and half an hour would be lost
        for observed in one_by_one(place, firing, [fault for fault in chosen if fault in OPERATOR_FAULTS]):
            rows += rows_of(observed)
            publish_all(rows, arguments.json)
        assert well is not None
        of_well = Observed(WELL, {}, {}, firing.since(begun_at, well.name), time.time() - begun_at)
    rows += rows_of(of_well)
    return publish_all(rows, arguments.json)


def publish_all(rows: list[dict[str, Any]], file: Path | None) -> int:
    """Print and write what there is by now, and return the exit code."""
    order = [*FAULTS, WELL.title]
    rows.sort(key=lambda row: order.index(row["situation"]))
    return publish("detection on nodes", rows, judged(rows), file)


@contextmanager
def site() -> Iterator[Site]:
    """Start a cluster, install the operator, and let a Prometheus with the shipped rules scrape it."""
    image_store.prepare_images()
    interval = f"{INTERVAL_SECONDS}s"
    with (
        tempfile.TemporaryDirectory() as folder,
        open_cluster(find_control_plane_binaries(), find_node_binaries(), with_project_images=True) as cluster,
        operator_installed(cluster.access, find_helm(Path(folder)), SMALL_WORKERS) as installation,
    ):
        file = Path(folder) / "targets.json"
        config = {
            "global": {"scrape_interval": interval, "evaluation_interval": interval},
            "rule_files": [str(RULES)],
            "scrape_configs": [
                {"job_name": "metasearch", "honor_labels": True, "file_sd_configs": [{"files": [str(file)]}]}
            ],
        }
        with (
            pods_in(file, installation.access.kubeconfig, installation.namespace),
            running_prometheus(config) as prometheus,
        ):
            prometheus.wait_for(lambda: [each for each in prometheus.targets() if each["health"] == "up"])
            yield Site(cluster, installation, prometheus)


def rows_of(observed: Observed) -> Iterator[dict[str, Any]]:
    """Yield a row for each right alert, or one where there is none."""
    others = [{"alert": each.alert, "severity": each.severity} for each in observed.others]
    common = {"situation": observed.fault.title, "story": observed.fault.story, "seconds": round(observed.seconds)}
    for told in observed.told:
        times = {"visible": told.visible, "for": FOR_SECONDS[told.alert], "fired": told.fired, "excess": told.excess}
        rounded = {key: None if value is None else round(value) for key, value in times.items()}
        yield {**common, "alert": told.alert, **rounded, "in time": told.is_in_time, "others": others}
    if not observed.told:
        nothing = dict.fromkeys(("visible", "for", "fired", "excess", "in time"))
        yield {**common, "alert": NONE, **nothing, "others": others}


def judged(rows: Sequence[dict[str, Any]]) -> list[Claim]:
    """Return what the figures should show."""
    told = [row for row in rows if row["alert"] != NONE]
    late = [row["alert"] for row in told if not row["in time"]]
    called_for = {
        f"{row['situation']}: {each['alert']}" for row in rows for each in row["others"] if each["severity"] != "info"
    }
    pages = sorted(called_for)
    return [
        Claim(
            f"{len(told) - len(late)} of {len(told)} right alerts fire within `for` and {2 * INTERVAL_SECONDS} s of "
            f"when it can be seen{': all but ' if late else ''}{', '.join(late)}",
            not late,
        ),
        Claim(f"{len(pages)} other alerts that somebody is called for: {', '.join(pages) or 'none'}", not pages),
    ]


def _arguments() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--only", nargs="+", choices=list(FAULTS), metavar="TITLE", help="default: all")
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
