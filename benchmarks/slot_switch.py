"""
The time between two trials in a warm slot, compared with one pod per trial.

A search with one slot runs on a real node, from the built image. The time in the slot is that from the start of one
claim to the start of the next, without the trial itself: two requests to record a result, two to claim a trial. A pod
per trial would take the time from the pod's creation to its first claim, with the image on the node and the data in the
image; Kubernetes records that creation to the second. Needs what `make cluster` needs.
"""

from __future__ import annotations

import itertools
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT), str(ROOT / "tests/support")]

from devcluster.benchmark_cluster import open_benchmark_cluster, running_search  # noqa: E402
from devcluster.operator_installation import OperatorInstallation  # noqa: E402
from local_search import SPEC  # noqa: E402

from metasearch.kubernetes import names  # noqa: E402
from metasearch.kubernetes.times import Time  # noqa: E402
from metasearch.search.trials import Trial  # noqa: E402
from reporting import Claim, parser, publish  # noqa: E402

MOST_SWITCH_MS = 50.0


def main() -> int:
    """Measure one search."""
    arguments = parser(__doc__).parse_args()
    with open_benchmark_cluster() as installation:
        switches, pod_seconds = _search(installation)
    switch_ms = 1000 * statistics.median(switches)
    ratio = 1000 * pod_seconds / switch_ms
    rows = [
        {"": "warm slot, median", "milliseconds": switch_ms},
        {"": "warm slot, slowest of ten", "milliseconds": 1000 * statistics.quantiles(switches, n=10)[-1]},
        {"": "a pod for each trial", "milliseconds": 1000 * pod_seconds},
    ]
    claims = [
        Claim(
            f"a warm slot takes {switch_ms:.0f} ms, under {MOST_SWITCH_MS:.0f}; a pod {ratio:.0f} times as long",
            switch_ms < MOST_SWITCH_MS,
        )
    ]
    return publish("slot_switch", rows, claims, arguments.json, switches=len(switches))


def _search(installation: OperatorInstallation) -> tuple[list[float], float]:
    """Run a search; return the seconds between its trials, and those from the pod's creation to the first trial."""
    with running_search(installation, "switching", **{**SPEC, "parallelism": 1}) as search:
        path, selector = names.POD.path(search.namespace), f"{names.LABEL_SEARCH}={search.name}"
        (pod,) = search.wait_for(lambda: search.api.list_all(path, labelSelector=selector)[0])
        search.wait_until_over()
        trials = sorted(search.trials(), key=lambda trial: trial.attempts[0].started_at)
    created = Time(pod["metadata"]["creationTimestamp"]).unix_seconds
    return _switches(trials), trials[0].attempts[0].started_at - created


def _switches(trials: list[Trial]) -> list[float]:
    """Return the seconds between trials of one stage and round; between rounds a slot also waits for new proposals."""
    found = []
    for one, other in itertools.pairwise(trials):
        if (one.spec.stage, one.spec.round) == (other.spec.stage, other.spec.round) and one.result is not None:
            between = other.attempts[0].started_at - one.attempts[0].started_at
            found.append(between - (one.result.wall_seconds or 0.0))
    return found


if __name__ == "__main__":
    sys.exit(main())
