"""A Prometheus for each state of a search, which has scraped a simulated cluster for some seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from devcluster.prometheus import PrometheusServer, running_prometheus
from monitoring.dashboards.model import SearchState
from monitoring.dashboards.substitution import View
from watched_searches import Target, WatchedCluster, WatchedSearch, failing, finishing, waiting

from metasearch.metrics.server import serve

SCRAPE_SECONDS = 0.5
LOOKED_AT_SECONDS = 8.0
STEPS, MOST_STEPS = 12, 120
"""Times at which the metrics change while they are scraped: at least, as a rate needs some, and at most."""

NAMESPACE, SEARCH = "team-a", "omniglot"
INVALID = ("team-a", "omni.glot")
"""A search whose name no worker could bear, so that it is refused; read as a regular expression it is another's."""

LOCAL = ("laptop", "")
"""The name and the namespace of a search that runs on one machine, and has none of the latter."""

LOOK_ALIKE = ("team-a", "omniaglot")
"""It matches the regular expression `omni.glot`."""


@dataclass(frozen=True)
class Scraped:
    """A Prometheus that has scraped for a while."""

    server: PrometheusServer
    ended_at: float
    """Unix time in seconds of the last scrape that counts."""
    searches: Sequence[WatchedSearch]
    """The searches that it has scraped."""

    def view(self, **chosen: Sequence[str]) -> View:
        """Return a view of all that it has."""
        return View(chosen, SCRAPE_SECONDS, SCRAPE_SECONDS, LOOKED_AT_SECONDS)


def searches(state: SearchState, now: float) -> list[WatchedSearch]:
    """Return the searches of a state. One that runs is in the middle of its way, with another's workers waiting."""
    found: list[WatchedSearch] = []
    if state is SearchState.RUNNING:
        running = finishing(SEARCH, NAMESPACE, now)
        middle = running.moments[2 * len(running.moments) // 3].at
        elsewhere = finishing(SEARCH, "team-b", now, budget={"maxTrials": 20})
        found = [moved(running, now - middle), moved(elsewhere, now - elsewhere.moments[9].at)]
        found.append(waiting("waits", "team-b", now - 3_000))
        found.append(moved(finishing(*LOCAL, now, workers=0, budget={"maxTrials": 20}), -300))
    elif state is SearchState.FINISHED:
        finished = finishing(SEARCH, NAMESPACE, now)
        found = [moved(finished, now - finished.moments[-1].at - 60)]
    elif state is SearchState.FAILED:
        failed = failing(SEARCH, NAMESPACE, now)
        found = [moved(failed, now - failed.moments[-1].at - 60)]
    return found


def moved(search: WatchedSearch, seconds: float) -> WatchedSearch:
    """Return a search that began at another time."""
    began = search.search.started_at + seconds
    return replace(
        search,
        search=replace(search.search, started_at=began),
        moments=[replace(each, at=each.at + seconds) for each in search.moments],
    )


@contextmanager
def served(targets: Iterator[Target]) -> Iterator[list[Mapping[str, object]]]:
    """Serve targets, and yield how Prometheus is to scrape them."""
    with ExitStack() as stack:
        jobs: list[Mapping[str, object]] = []
        for index, target in enumerate(targets):
            server = serve(target.registry, "127.0.0.1", 0)
            stack.callback(server.close)
            labels = {name: value for name, value in target.labels.items() if name != "job"}
            jobs.append(
                {
                    "job_name": f"{target.labels['job']}-{index}",
                    "honor_labels": True,
                    "static_configs": [{"targets": [f"127.0.0.1:{server.port}"], "labels": labels}],
                    "metric_relabel_configs": [{"target_label": "job", "replacement": target.labels["job"]}],
                }
            )
        yield jobs


def _is_complete(server: PrometheusServer) -> bool:
    """Tell whether every scrape of the last seconds has succeeded; on a machine with much to do some come too late."""
    return server.value(f"min(min_over_time(up[{LOOKED_AT_SECONDS / 2:.0f}s]))") == 1


@contextmanager
def scraping_each_state() -> Iterator[Mapping[SearchState, Scraped]]:
    """Run a Prometheus for each state, all at the same time, that has scraped everything for some seconds."""
    with ExitStack() as stack:
        now = time.time()
        clusters: dict[SearchState, WatchedCluster] = {}
        servers: dict[SearchState, PrometheusServer] = {}
        for state in SearchState:
            is_running = state is SearchState.RUNNING
            invalid = [INVALID, LOOK_ALIKE] if is_running else []
            clusters[state] = WatchedCluster(
                searches(state, now), invalid, has_faults=state is not SearchState.NO_SEARCH
            )
            clusters[state].show(now - 30)
            jobs = stack.enter_context(served(clusters[state].targets()))
            interval = f"{round(SCRAPE_SECONDS * 1000)}ms"
            config = {"global": {"scrape_interval": interval, "scrape_timeout": interval}, "scrape_configs": jobs}
            servers[state] = stack.enter_context(running_prometheus(config))
        for step in range(MOST_STEPS):
            for cluster in clusters.values():
                cluster.show(now + step)
            # Scrapes are answered from what was kept for a second.
            time.sleep(0.5)
            if step >= STEPS and all(map(_is_complete, servers.values())):
                break
        yield {state: Scraped(server, time.time(), clusters[state].searches) for state, server in servers.items()}
