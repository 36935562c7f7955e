"""Helpers of the tests that export a search's network from a cluster."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from finished_search import FinishedSearch, Json, finish_in_folder
from local_search import metasearch

from metasearch.cluster.api import Api
from metasearch.kubernetes import names


def printed(ended: subprocess.CompletedProcess[str]) -> str:
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def delivered(search: FinishedSearch) -> str:
    """Return the name of the trial whose weights are delivered."""
    trials = json.loads(printed(search.metasearch("trials", "-o", "json")))
    final = [trial for trial in trials if trial["stage"] == "Final"]
    return str(min(final, key=lambda trial: (-trial["score"], trial["parameterCount"], trial["name"]))["name"])


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def local_export(tmp_path: Path, weights: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files that an export of the same search on this machine writes."""
    (tmp_path / "run" / "weights").mkdir(parents=True)
    folder = finish_in_folder(tmp_path / "run")
    for name, content in weights.items():
        (folder / "weights" / name).write_bytes(content)
    printed(metasearch("export", folder, "--output", tmp_path / "here"))
    return contents(tmp_path / "here")


def pods(client: Api, namespace: str) -> list[Json]:
    return client.list_all(names.POD.path(namespace))[0]
