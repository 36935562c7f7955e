"""A worker pod that keeps weights and checkpoints in an object store: a real server that speaks S3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import make_trial_spec
from moto_server import BUCKET, MotoServer, open_moto_server
from worker_pod_process import MakePod

from metasearch.search.trials import INTERRUPTED, Stage, State

META_ITERATIONS = 1500
"""More than the seconds after which a first checkpoint is written."""


@pytest.fixture
def server() -> Iterator[MotoServer]:
    with open_moto_server() as running:
        yield running


def test_a_final_trial_goes_on_in_another_pod_and_leaves_its_weights(
    pod_of: MakePod, server: MotoServer, tmp_path: Path
) -> None:
    name = "tiny-1-final"
    pod = pod_of(storage={"url": f"s3://{BUCKET}/learners/"})
    spec = make_trial_spec(
        name, stage=Stage.FINAL, candidate="conv3x3(-1)+max_pool3x3(-2)", meta_iterations=META_ITERATIONS
    )
    pod.store.propose([spec])
    folder = f"learners/{pod.namespace}/tiny-{pod.store.search['metadata']['uid'][:8]}"

    pod.start(**server.environment)
    pod.wait_for(lambda _: (tmp_path / "scratch" / "checkpoints" / f"{name}.safetensors").exists())
    assert pod.terminate()[0] == 75
    assert server.names() == [f"{folder}/checkpoints/{name}.safetensors"]

    other = pod.beside(tmp_path / "other")
    (found,) = other.start(**server.environment).wait_until_over(900).values()
    assert [attempt.outcome for attempt in found.attempts] == [INTERRUPTED, State.SUCCEEDED]
    assert found.attempts[1].worker.startswith(other.name)
    assert found.result is not None
    assert found.result.weights == f"{name}.safetensors"
    other.wait_for(lambda _: server.names() == [f"{folder}/weights/{name}.safetensors"], 60)
    other.kill()
