"""
What a search asks of the API server: requests per trial, by verb and resource, as the API server itself counts them.

Installed by Helm on a real node; the search is examples/omniglot-quick.yaml, by a worker pod with two slots. Counted is
what only the operator and its workers ask for; Kubernetes' own part (the Job's pods, their events, node leases) is left
out. Renewals of leases and writes of figures go by time, not by trials. Takes minutes, and what `make cluster` needs.
"""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests/support"))

import yaml  # noqa: E402
from cluster.access import Access  # noqa: E402
from cluster.installation import Installation  # noqa: E402
from cluster.measured import open_installation, searching  # noqa: E402

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
"""The search that people try first: 81 trials of a few seconds."""

COUNTED = re.compile(r"^apiserver_request_total\{(?P<labels>[^}]*)\} (?P<count>\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')

Counts = Counter[tuple[str, str]]
"""By verb and resource."""


def main() -> int:
    """One search from its creation to its end."""
    arguments = parser(__doc__).parse_args()
    with open_installation() as installation:
        counts, trials, seconds = _search(installation)
    rows = [
        {"verb": verb, "resource": resource, "requests": count, "per trial": count / trials}
        for (verb, resource), count in sorted(counts.items())
    ]
    writes = sum(count for (verb, _), count in counts.items() if verb in WRITES) / trials
    claims = [Claim(f"{writes:.2f} writes per trial, at most {MOST_WRITES:g}", writes <= MOST_WRITES)]
    return publish("api_cost", rows, claims, arguments.json, trials=trials, seconds=seconds)


def _search(installation: Installation) -> tuple[Counts, int, float]:
    """What was asked for the sake of one search, its trials, and how long it took."""
    before, began, looks = _counts(installation.access), time.monotonic(), 0
    with searching(installation, "counted", **QUICK, worker={"slots": 2}) as search:
        while not search.is_over:
            looks += 2  # ours, one for each condition, and no part of it
            time.sleep(LOOK_SECONDS)
        counts = _counts(installation.access) - before
        counts["GET", "metasearches"] -= looks + 2
        counts["POST", "events"] = len(search.events())
        return counts, len(search.trials()), time.monotonic() - began


def _counts(access: Access) -> Counts:
    counts: Counts = Counter()
    for match in COUNTED.finditer(access.run("get", "--raw", "/metrics")):
        labels = dict(LABEL.findall(match["labels"]))
        if labels["verb"] in OURS.get(labels["resource"], ()):
            counts[labels["verb"], labels["resource"]] += int(float(match["count"]))
    return counts


if __name__ == "__main__":
    sys.exit(main())
