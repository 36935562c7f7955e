"""A real search on real Omniglot that takes seconds, run as a user runs it: the command line as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

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
    "search": {"beamWidth": 4, "surrogate": {"members": 2}},
    "training": {"metaIterations": 4, "metaBatchSize": 2, "innerSteps": 2, "shots": 2, "innerLearningRate": "0.01"},
    "evaluation": {"tasks": 10, "innerSteps": 2, "curvePoints": 2, "curveTasks": 5},
    "parallelism": 2,
    "final": {"top": 1, "seeds": 2, "metaIterations": 6, "tasks": 10},
}
"""10 + 4 search trials, 2 final ones, 2 of the baseline."""


def write_resource(folder: Path, name: str = "tiny", **changes: Any) -> Path:
    """The resource in a file; keywords are fields of spec, objects merged with those above."""
    spec = dict(SPEC)
    for part, fields in changes.items():
        spec[part] = {**spec.get(part, {}), **fields} if isinstance(fields, dict) else fields
    resource = {
        "apiVersion": "metasearch.dev/v1alpha1",
        "kind": "MetaSearch",
        "metadata": {"name": name},
        "spec": {key: value for key, value in spec.items() if value is not None},
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(resource), encoding="utf-8")
    return path


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "metasearch.cli", *map(str, arguments)]


def metasearch(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=300, check=False, env={**os.environ, **environment}
    )


def result_of(folder: Path) -> dict[str, Any]:
    """A run's result.json."""
    loaded: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return loaded


def scores_of(folder: Path) -> dict[str, tuple[str, float | None]]:
    """What two runs must agree on: every trial's name, state and score."""
    listed = metasearch("trials", folder, "-o", "json")
    assert listed.returncode == 0, listed.stderr
    return {trial["name"]: (trial["state"], trial["score"]) for trial in json.loads(listed.stdout)}


REPEATABLE = ("levels", "final", "baseline", "comparison")
"""Parts of a result that are the same in every run of one search on one kind of machine."""


def repeatable_part(folder: Path) -> dict[str, Any]:
    result = result_of(folder)
    return {part: result[part] for part in REPEATABLE} | {"best": result["best"]["cell"]}
