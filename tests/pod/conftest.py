"""Fixtures of the tests of worker pods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from devcluster.access import ClusterAccess
from devcluster.searches import create_search
from local_search import SPEC, metasearch, trials_in, write_resource
from worker_pod_process import MakePod, WorkerPodProcess

from metasearch.cluster.api import Api
from metasearch.search.trials import Trial

NAME = "tiny"


@pytest.fixture(scope="session")
def local_trials(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Trial]:
    """Return every trial of the tiny search, as a run on this machine recorded it."""
    folder = tmp_path_factory.mktemp("local")
    ended = metasearch("run", write_resource(folder, NAME), "--output", folder / "out", "--workers", "2")
    assert ended.returncode == 0, ended.stderr
    return trials_in(folder / "out")


@pytest.fixture
def pod_of(cluster_with_crds: ClusterAccess, client: Api, namespace: str, tmp_path: Path) -> Iterator[MakePod]:
    """Yield a function that makes a pod for the tiny search, with other fields of spec; end the pods that still run."""
    made: list[WorkerPodProcess] = []

    def make(**changes: Any) -> WorkerPodProcess:
        spec = dict(SPEC)
        for part, fields in changes.items():
            spec[part] = {**spec.get(part, {}), **fields} if isinstance(fields, dict) else fields
        made.append(WorkerPodProcess(cluster_with_crds, create_search(client, namespace, NAME, **spec), tmp_path))
        return made[-1]

    yield make
    for pod in made:
        pod.kill()
