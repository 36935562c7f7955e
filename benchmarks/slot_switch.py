"""
The time between two trials: in a warm slot, against a pod for each trial.

A search with one slot on a real node, from the built image. In the slot, it is what passes from the beginning of one
claim to that of the next beyond the trial itself: two requests to record the one, two to claim the other. A pod for
each trial would take the time from the pod's creation to its first claim, image on the node and data in the image;
that time is known to the second. Needs what `make cluster` needs.
"""

from __future__ import annotations

import itertools
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests/support"))

from cluster.installation import Installation  # noqa: E402
from cluster.measured import open_installation, searching  # noqa: E402
from local_search import SPEC  # noqa: E402

from metasearch.kubernetes import names  # noqa: E402
from metasearch.kubernetes.times import Time  # noqa: E402
from metasearch.search.trials import Trial  # noqa: E402
from reporting import Claim, parser, publish  # noqa: E402

MOST_SWITCH_MS = 50.0


def main() -> int:
    """One search."""
    arguments = parser(__doc__).parse_args()
    with open_installation() as installation:
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


def _search(installation: Installation) -> tuple[list[float], float]:
    """Seconds between trials in a slot, and from a pod's creation to its first trial."""
    with searching(installation, "switching", **{**SPEC, "parallelism": 1}) as search:
        path, selector = names.POD.path(search.namespace), f"{names.LABEL_SEARCH}={search.name}"
        (pod,) = search.wait_for(lambda: search.api.list_all(path, labelSelector=selector)[0])
        search.wait_until_over()
        trials = sorted(search.trials(), key=lambda trial: trial.attempts[0].started_at)
    created = Time(pod["metadata"]["creationTimestamp"]).unix_seconds
    return _switches(trials), trials[0].attempts[0].started_at - created


def _switches(trials: list[Trial]) -> list[float]:
    """Within a stage and round, for in between a slot waits for the next to be proposed."""
    found = []
    for one, other in itertools.pairwise(trials):
        if (one.spec.stage, one.spec.round) == (other.spec.stage, other.spec.round) and one.result is not None:
            between = other.attempts[0].started_at - one.attempts[0].started_at
            found.append(between - (one.result.wall_seconds or 0.0))
    return found


if __name__ == "__main__":
    sys.exit(main())
