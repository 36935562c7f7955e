"""A real search on real Omniglot that takes seconds, run as a user runs it: the command line as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, TypeVar

import psutil
import yaml
from builders import merged
from command_server import Command, start_command

from metasearch.search.trials import Trial
from metasearch.stores.sqlite import SqliteStore

T = TypeVar("T")

SPEC: dict[str, Any] = {
    "dataset": {"name": "omniglot", "rotations": 1},
    "task": {"ways": 3},
    "space": {
        "operations": ["conv3x3", "max_pool3x3"],
        "maxBlocks": 2,
        "filters": 2,
        "filterScale": 1,
        "reductions": 1,
    },
    "search": {"progressive": {"beamWidth": 4}, "surrogate": {"members": 2}},
    "training": {
        "metaIterations": 4,
        "reptile": {
            "metaBatchSize": 2,
            "innerSteps": 2,
            "shots": 2,
            "innerLearningRate": "0.01",
            "evaluationSteps": 2,
        },
    },
    "evaluation": {"tasks": 10, "curvePoints": 2, "curveTasks": 5},
    "budget": {"maxTrials": 14},
    "parallelism": 2,
    "final": {"top": 1, "seeds": 2, "metaIterations": 6, "tasks": 10},
}
"""4 + 10 search trials, 2 final ones, 2 of the baseline."""


def write_resource(folder: Path, name: str = "tiny", **changes: Any) -> Path:
    """Write a resource to a file; keywords are fields of spec, objects merged with those above."""
    resource = {
        "apiVersion": "metasearch.dev/v1alpha1",
        "kind": "MetaSearch",
        "metadata": {"name": name},
        "spec": {key: value for key, value in merged(SPEC, changes).items() if value is not None},
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(resource), encoding="utf-8")
    return path


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "metasearch_cli.main", *map(str, arguments)]


def metasearch(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    if "PYTHONPATH" in environment or not sys.platform.startswith("linux"):
        return subprocess.run(
            command(*arguments),
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
            env={**os.environ, **environment},
        )
    words = list(map(str, arguments))
    with TemporaryFile() as stdout, TemporaryFile() as stderr:
        code = start_command(words, {**os.environ, **environment}, stdout.fileno(), stderr.fileno()).wait()
        return subprocess.CompletedProcess(["metasearch", *words], code, _read(stdout), _read(stderr))


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def start(printed: Path, *arguments: str | Path) -> Command:
    """Begin a command as the leader of a process group, as a shell does; what it prints is added to a file."""
    with printed.open("ab") as output:
        words = list(map(str, arguments))
        return start_command(words, os.environ, output.fileno(), output.fileno(), leads_group=True)


def workers_of(driver: Command) -> list[psutil.Process]:
    """Return the worker processes of a driver; none where it has ended."""
    try:
        children = psutil.Process(driver.pid).children(recursive=True)
        return [child for child in children if is_alive(child) and child.name().startswith("worker-")]
    except psutil.NoSuchProcess:
        return []


def fork_server_of(parent: Command | subprocess.Popen[bytes]) -> psutil.Process | None:
    """Return the process that the workers of a driver or a supervisor are forks of."""
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(parent.pid).children():
            if is_alive(child) and "metasearch_trainer.fork_server" in child.cmdline():
                return child
    return None


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process has yet to end; one that only waits to be reaped has ended."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(condition: Callable[[], T], seconds: float = 300) -> T:
    """Poll a condition until it holds, and return its value; the default is generous, for busy machines."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not come to pass within {seconds} s"
        time.sleep(0.05)
    return found


def trials_in(folder: Path) -> Sequence[Trial]:
    """Return every trial on record in a run's folder; none before there is a store."""
    if not (folder / "trials.db").exists():
        return []
    store = SqliteStore(folder / "trials.db")
    try:
        return store.trials()
    finally:
        store.close()


def result_of(folder: Path) -> dict[str, Any]:
    """Return a run's result.json."""
    loaded: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return loaded


def scores_of(folder: Path) -> dict[str, tuple[str, float | None]]:
    """Return what two runs must agree on: every trial's name, state and score."""
    listed = metasearch("trials", folder, "-o", "json")
    assert listed.returncode == 0, listed.stderr
    return {trial["name"]: (trial["state"], trial["score"]) for trial in json.loads(listed.stdout)}


REPEATABLE = ("rounds", "final", "baselines", "comparison")
"""Parts of a result that are the same in every run of one search on one kind of machine."""


def repeatable_part(folder: Path) -> dict[str, Any]:
    result = result_of(folder)
    return {part: result[part] for part in REPEATABLE} | {"best": result["best"]["cell"]}
