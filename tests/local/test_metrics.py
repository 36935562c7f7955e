"""A local run is scraped while it runs, and its figures are those on record."""

from __future__ import annotations

import socket
import urllib.error
from collections import Counter
from pathlib import Path

from local_search import metasearch, start, trials_in, wait_until, write_resource
from scrapes import free_port, scrape

from metasearch.search.trials import State


def trials_by_state(port: int) -> Counter[str]:
    """Return the trials by state as a scrape has them; none before the port answers."""
    try:
        samples = scrape(port)
    except urllib.error.URLError:
        return Counter()
    counted: Counter[str] = Counter()
    for sample in samples:
        if sample.name == "metasearch_trials":
            assert (sample.labels["namespace"], sample.labels["search"]) == ("", "tiny")
            counted[sample.labels["state"]] += int(sample.value)
    return counted


def test_a_run_is_scraped_while_it_runs(tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / "out"
    # Long trials, so that the search stands still between a look at the metrics and one at the record.
    resource = write_resource(tmp_path, training={"metaIterations": 5_000}, budget={"maxTrials": 5})
    driver = start(
        tmp_path / "printed.txt", "run", resource, "--output", folder, "--workers", "1", "--metrics-port", str(port)
    )
    try:
        wait_until(lambda: trials_by_state(port)["Running"] == 1)
        recorded = Counter(str(trial.state) for trial in trials_in(folder))
        assert recorded[State.RUNNING] == 1
        assert +trials_by_state(port) == recorded
    finally:
        driver.terminate()
        driver.wait()
    assert not trials_by_state(port)


def test_a_port_in_use_ends_a_run_before_it_begins(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = metasearch("run", write_resource(tmp_path), "--output", tmp_path / "out", "--metrics-port", str(port))
    assert ended.returncode == 2
    assert f"metrics cannot be served on port {port} (Address already in use); choose another port" in ended.stderr
    assert not (tmp_path / "out").exists()
