"""
What a search asks of the API server: requests per trial, by verb and resource, as the API server itself counts them.

Installed by Helm on a real node, run by a real worker pod with two slots. Counted is what only the operator and its
workers ask for; Kubernetes' own part (the Job's pods, their events, node leases) is left out. Trials here take some
seconds. Renewals of leases and writes of figures go by time, not by trials. Needs what `make cluster` needs.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests/support"))

from cluster import golden  # noqa: E402
from cluster.access import Access  # noqa: E402
from cluster.binaries import find_all, find_node  # noqa: E402
from cluster.helm import find_helm  # noqa: E402
from cluster.installation import installed  # noqa: E402
from cluster.operator import Searched  # noqa: E402
from cluster.resources import make_search  # noqa: E402
from cluster.whole import open_cluster  # noqa: E402
from local_search import SPEC  # noqa: E402

from metasearch.cluster.api import Api  # noqa: E402
from reporting import Claim, parser, publish  # noqa: E402

OURS = {
    "metasearches": ("GET", "LIST", "PATCH"),
    "metatrials": ("GET", "LIST", "POST", "PATCH"),
    "jobs": ("POST", "PATCH", "DELETE"),
    "leases": ("POST", "PATCH"),  # kubelets and the API server renew theirs by PUT
}
WRITES = ("POST", "PATCH", "DELETE")
MOST_WRITES = 4.0
LOOK_SECONDS = 2.0

LONGER: dict[str, Any] = {
    **SPEC,
    "training": {**SPEC["training"], "metaIterations": 300},
    "worker": {"slots": 2},
}
"""Trials of a few seconds."""

COUNTED = re.compile(r"^apiserver_request_total\{(?P<labels>[^}]*)\} (?P<count>\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')

Counts = Counter[tuple[str, str]]
"""By verb and resource."""


def main() -> int:
    """One search from its creation to its end."""
    arguments = parser(__doc__).parse_args()
    golden.prepare()
    with open_cluster(find_all(), find_node(), nodes=1, built=True) as cluster:
        counts, trials, seconds = _search(cluster.access)
    rows = [
        {"verb": verb, "resource": resource, "requests": count, "per trial": count / trials}
        for (verb, resource), count in sorted(counts.items())
    ]
    writes = sum(count for (verb, _), count in counts.items() if verb in WRITES) / trials
    claims = [Claim(f"{writes:.2f} writes per trial, at most {MOST_WRITES:g}", writes <= MOST_WRITES)]
    return publish("api_cost", rows, claims, arguments.json, trials=trials, seconds=seconds)


def _search(access: Access) -> tuple[Counts, int, float]:
    """What was asked for the sake of one search, its trials, and how long it took."""
    with tempfile.TemporaryDirectory() as folder, installed(access, find_helm(Path(folder)), {}) as installation:
        api = Api.of_kubeconfig(str(installation.access.kubeconfig))
        before, began, looks = _counts(access), time.monotonic(), 0
        search = Searched(api, make_search(api, installation.namespace, "counted", **LONGER))
        while not search.is_over:
            looks += 2  # ours, one for each condition, and no part of it
            time.sleep(LOOK_SECONDS)
        counts = _counts(access) - before
        counts["GET", "metasearches"] -= looks + 2
        counts["POST", "events"] = len(search.events())
        trials, seconds = len(search.trials()), time.monotonic() - began
        search.remove()
        return counts, trials, seconds


def _counts(access: Access) -> Counts:
    counts: Counts = Counter()
    for match in COUNTED.finditer(access.run("get", "--raw", "/metrics")):
        labels = dict(LABEL.findall(match["labels"]))
        if labels["verb"] in OURS.get(labels["resource"], ()):
            counts[labels["verb"], labels["resource"]] += int(float(match["count"]))
    return counts


if __name__ == "__main__":
    sys.exit(main())
