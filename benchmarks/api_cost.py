"""
What a search asks of the API server: requests per trial, by verb and resource, as the API server itself counts them.

A real API server and etcd, the real operator, and one real worker pod's processes (as processes of this machine, so
that no kubelet's requests are among them). Needs what `make cluster` needs, without nodes. Trials here take some
seconds. Reads of idle workers, renewals of leases and writes of figures go by time, not by trials.
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

from cluster.access import Access  # noqa: E402
from cluster.binaries import find_all  # noqa: E402
from cluster.control_plane import open_control_plane  # noqa: E402
from cluster.operator import Searched, open_operator  # noqa: E402
from cluster.resources import definitions_on, make_search  # noqa: E402
from local_search import SPEC  # noqa: E402
from worker_pod import WorkerPod  # noqa: E402

from metasearch.cluster.api import Api  # noqa: E402
from reporting import Claim, parser, publish  # noqa: E402

OURS = ("metasearches", "metatrials", "jobs", "pods", "leases", "events")
WRITES = ("POST", "PUT", "PATCH", "APPLY", "DELETE")
MOST_WRITES = 4.0

LONGER: dict[str, Any] = {**SPEC, "training": {**SPEC["training"], "metaIterations": 300}}
"""Trials of a few seconds."""

COUNTED = re.compile(r"^apiserver_request_total\{(?P<labels>[^}]*)\} (?P<count>\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')

Counts = Counter[tuple[str, str]]
"""By verb and resource."""


def main() -> int:
    """One search from its creation to its end."""
    arguments = parser(__doc__).parse_args()
    with open_control_plane(find_all()) as control_plane, definitions_on(control_plane.access):
        counts, trials, seconds = _search(control_plane.access)
    rows = [
        {"verb": verb, "resource": resource, "requests": count, "per trial": count / trials}
        for (verb, resource), count in sorted(counts.items())
    ]
    writes = sum(count for (verb, _), count in counts.items() if verb in WRITES) / trials
    claims = [Claim(f"{writes:.2f} writes per trial, at most {MOST_WRITES:g}", writes <= MOST_WRITES)]
    return publish("api_cost", rows, claims, arguments.json, trials=trials, seconds=seconds)


def _search(access: Access) -> tuple[Counts, int, float]:
    """What was asked for the sake of one search, its trials, and how long it took."""
    with tempfile.TemporaryDirectory() as folder, open_operator(access, Path(folder), [access.namespace]):
        api = Api.of_kubeconfig(str(access.kubeconfig))
        time.sleep(3)  # until the operator has its copies
        before, began = _counts(access), time.monotonic()
        search = Searched(api, make_search(api, access.namespace, "counted", **LONGER))
        pod = WorkerPod(access, search.resource, Path(folder) / "pod").start(slots=2)
        try:
            reads = 0
            while not search.is_over:
                reads += 2  # ours, which are no part of it
                time.sleep(1)
            counts = _counts(access) - before
        finally:
            pod.terminate()
        counts["GET", "metasearches"] -= reads
        trials, seconds = len(search.trials()), time.monotonic() - began
        search.remove()
        return counts, trials, seconds


def _counts(access: Access) -> Counts:
    counts: Counts = Counter()
    for match in COUNTED.finditer(access.run("get", "--raw", "/metrics")):
        labels = dict(LABEL.findall(match["labels"]))
        if labels["resource"] in OURS and labels["code"] != "0":
            counts[labels["verb"], labels["resource"]] += int(float(match["count"]))
    return counts


if __name__ == "__main__":
    sys.exit(main())
