"""
Requests per trial that a search sends to the API server, by verb and resource, as the API server counts them.

The chart is installed on a real node, and a worker pod with two slots runs the search of examples/omniglot-quick.yaml.
Only requests of the operator and its workers count; Kubernetes' own (for the Job's pods, their events, node leases) are
left out. Lease renewals and writes of figures grow with time rather than with trials. Needs what `make cluster` needs,
and some minutes.
"""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

import yaml  # noqa: E402
from devcluster.access import ClusterAccess  # noqa: E402
from devcluster.benchmark_cluster import open_benchmark_cluster, running_search  # noqa: E402
from devcluster.operator_installation import OperatorInstallation  # noqa: E402

from reporting import Claim, parser, publish  # noqa: E402

OURS = {
    "metasearches": ("GET", "LIST", "PATCH"),
    "metatrials": ("GET", "LIST", "POST", "PATCH"),
    "jobs": ("POST", "PATCH", "DELETE"),
    "leases": ("POST", "PATCH"),  # kubelets and the API server renew theirs by PUT
}
WRITES = ("POST", "PATCH", "DELETE")
MOST_WRITES = 4.0
LOOK_SECONDS = 5.0

QUICK: dict[str, Any] = yaml.safe_load((ROOT / "examples/omniglot-quick.yaml").read_text(encoding="utf-8"))["spec"]
"""The search that people run first: 81 trials of a few seconds."""

COUNTED = re.compile(r"^apiserver_request_total\{(?P<labels>[^}]*)\} (?P<count>\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')

Counts = Counter[tuple[str, str]]
"""The number of requests by verb and resource."""


def main() -> int:
    """Measure one search from its creation to its end."""
    arguments = parser(__doc__).parse_args()
    with open_benchmark_cluster() as installation:
        counts, trials, seconds = _search(installation)
    rows = [
        {"verb": verb, "resource": resource, "requests": count, "per trial": count / trials}
        for (verb, resource), count in sorted(counts.items())
    ]
    writes = sum(count for (verb, _), count in counts.items() if verb in WRITES) / trials
    claims = [Claim(f"{writes:.2f} writes per trial, at most {MOST_WRITES:g}", writes <= MOST_WRITES)]
    return publish("api_cost", rows, claims, arguments.json, trials=trials, seconds=seconds)


def _search(installation: OperatorInstallation) -> tuple[Counts, int, float]:
    """Run a search; return the requests it caused, the number of its trials and the seconds it took."""
    before, began, looks = _counts(installation.access), time.monotonic(), 0
    with running_search(installation, "counted", **QUICK, worker={"slots": 2}) as search:
        while not search.is_over:
            looks += 2  # ours, one for each condition, and no part of it
            time.sleep(LOOK_SECONDS)
        counts = _counts(installation.access) - before
        counts["GET", "metasearches"] -= looks + 2
        counts["POST", "events"] = len(search.events())
        return counts, len(search.trials()), time.monotonic() - began


def _counts(access: ClusterAccess) -> Counts:
    counts: Counts = Counter()
    for match in COUNTED.finditer(access.run("get", "--raw", "/metrics")):
        labels = dict(LABEL.findall(match["labels"]))
        if labels["verb"] in OURS.get(labels["resource"], ()):
            counts[labels["verb"], labels["resource"]] += int(float(match["count"]))
    return counts


if __name__ == "__main__":
    sys.exit(main())
