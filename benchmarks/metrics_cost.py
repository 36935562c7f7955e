"""
Show what metrics cost the operator, and how many series they are, with many searches and trials.

    python benchmarks/metrics_cost.py                     50 searches of 2,000 trials, two minutes on one core

The searches are pretended, what reads them is real. A reconcile plans, summarizes, makes the status and the metrics;
the share of the metrics is that of the CPU time of these. What else a reconcile does is left out, so the share is at
most too high. A scrape is timed over HTTP, on one machine.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import multiprocessing
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import closing
from multiprocessing.synchronize import Event as EventType
from typing import Any, TypeVar

from metasearch import api
from metasearch.kubernetes.search_status import Condition
from metasearch.kubernetes.times import Time
from metasearch.metrics.of_search import Observation, samples
from metasearch.metrics.server import serve
from metasearch.outcome.results import summarize
from metasearch.outcome.summary import search_status
from metasearch.search.build import build_search
from metasearch.search.planner import Search, plan
from metasearch.search.space import CellSpace
from metasearch.search.trials import Trial
from metasearch_operator.metrics import OperatorMetrics
from metasearch_operator.searches import status_json
from remaining import Trials
from reporting import Claim, parser, publish
from simulation import course

T = TypeVar("T")

SCRAPES, REPEATS = 10, 10
SILENT = 50
MOST_SLOWDOWN = 2.0
"""With two cores, of which the flood itself takes one; in earnest it comes from other machines."""

MOST_SCRAPE_SECONDS, MOST_SHARE = 0.2, 0.02

PER_SEARCH = 400
"""The most series that a search may have, however many trials: 16 rounds of 5 states are 80, three histograms 160."""


def search_with(trials: int, workers: int) -> tuple[Search, list[Trial]]:
    """Return a random search of so many trials that has all but ended, with its trials."""
    spec = api.MetaSearchSpec.model_validate(
        {
            "dataset": {"name": "omniglot"},
            "search": {"strategy": "Random", "earlyStopping": {"rule": "Never"}},
            "budget": {"maxTrials": trials, "wallTime": "1000h", "gpuHours": "1000"},
            "parallelism": workers,
        }
    )
    search = build_search("metrics", spec, started_at=0.0)
    world = Trials(CellSpace(spec.space.operations, spec.space.max_blocks, spec.space), spec)
    last = [moment for moment in course(search, world.result, world.seconds, workers) if not moment.phase.is_over][-1]
    return search, list(last.trials)


class Timer:
    """Adds up the CPU seconds of parts of the work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def of(self, part: str, work: Callable[[], T]) -> T:
        began = time.process_time()
        done = work()
        self.seconds[part] = self.seconds.get(part, 0.0) + time.process_time() - began
        return done


def reconcile(
    search: Search, trials: list[Trial], key: tuple[str, str], metrics: OperatorMetrics, timer: Timer
) -> None:
    """Do what a reconcile does of which the operator's CPU time consists."""
    now = max(attempt.ended_at or attempt.started_at for trial in trials for attempt in trial.attempts)
    decided = timer.of("plan", lambda: plan(search, trials, now))
    result = timer.of("summarize", lambda: summarize(search, trials, decided, now))
    ready = Condition(type="Ready", status="True", reason="Searching", message="m", last_transition_time=Time.at(0))
    status = timer.of(
        "status",
        lambda: status_json(
            search_status(
                result,
                generation=1,
                final_trials=0,
                conditions=[ready],
                suspended_seconds=0.0,
                completed_at=None,
                storage=None,
                folder="folder",
                worker_image="image",
            )
        ),
    )
    seen = Observation(key[0], result, trials, status_bytes=len(str(status)), workers={"Running": 8})
    found = timer.of("metrics", lambda: samples(seen))
    metrics.show(key, [ready], found)


def scrape(port: int) -> tuple[float, str]:
    """Return the seconds of a scrape, and what it answered."""
    began = time.perf_counter()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        text: str = answer.read().decode()
    return time.perf_counter() - began, text


def flood(port: int, until: EventType) -> None:
    """Scrape in eight threads without a pause, beside connections that say nothing, until told to end."""
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(SILENT)]

    def ask() -> None:
        while not until.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                scrape(port)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for connection in silent:
        connection.close()


def slowdown(port: int, work: Callable[[], object]) -> float:
    """Return how many times as long some work takes while its process is flooded with scrapes."""

    def seconds() -> float:
        began = time.perf_counter()
        for _ in range(REPEATS):
            work()
        return time.perf_counter() - began

    alone = seconds()
    context = multiprocessing.get_context("spawn")
    until = context.Event()
    flooding = context.Process(target=flood, args=(port, until))
    flooding.start()
    time.sleep(3)
    flooded = seconds()
    until.set()
    flooding.join()
    return flooded / alone


def main(arguments: Sequence[str] | None = None) -> int:
    """Show every search once, and scrape."""
    options = _parser().parse_args(arguments)
    search, trials = search_with(options.trials, workers=8)
    metrics, timer = OperatorMetrics(), Timer()
    for number in range(options.searches):
        reconcile(search, trials, ("team-a", f"search-{number}"), metrics, timer)
    with closing(serve(metrics.registry, "127.0.0.1", 0)) as server:
        seconds = []
        for _ in range(SCRAPES):
            time.sleep(1.1)  # what is answered is kept for a second
            took, text = scrape(server.port)
            seconds.append(took)
        key = "team-a", "search-0"
        ratio = slowdown(server.port, lambda: reconcile(search, trials, key, metrics, Timer()))
    series = sum(not line.startswith("#") for line in text.splitlines())
    row = {
        "searches": options.searches,
        "trials": options.searches * options.trials,
        "series": series,
        "series of a search": round(series / options.searches),
        "scrape, s": round(sorted(seconds)[SCRAPES // 2], 3),
        "answer, MiB": round(len(text) / 2**20, 2),
        **{f"{part}, ms": round(1000 * spent / options.searches, 1) for part, spent in timer.seconds.items()},
        "flooded": round(ratio, 2),
        "share": round(timer.seconds["metrics"] / sum(timer.seconds.values()), 4),
    }
    return publish("metrics_cost", [row], judged(row), options.json)


def judged(row: dict[str, Any]) -> list[Claim]:
    return [
        Claim(f"a search has {row['series of a search']} series", row["series of a search"] <= PER_SEARCH),
        Claim(f"a scrape takes {row['scrape, s']} s", row["scrape, s"] <= MOST_SCRAPE_SECONDS),
        Claim(
            f"with 8 scrapes at a time without a pause and {SILENT} silent connections a reconcile takes "
            f"{row['flooded']} times as long",
            row["flooded"] <= MOST_SLOWDOWN,
        ),
        Claim(f"metrics take {row['share']:.1%} of a reconcile's CPU time", row["share"] <= MOST_SHARE),
    ]


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__)
    made.add_argument("--searches", type=int, default=50, help="default: 50")
    made.add_argument("--trials", type=int, default=2_000, help="trials of a search; default: 2000")
    return made


if __name__ == "__main__":
    sys.exit(main())
