"""The kernel kills a slot's process: a real control group with a real limit."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import make_trial_spec
from local_search import wait_until
from worker_pod_process import MakePod

from metasearch.search.trials import Reason, State

MEMORY = Path("/sys/fs/cgroup/memory")
TRIAL_BYTES = 100 * 2**20
"""Bytes that a trial has, beside what its slot holds anyway."""

JOIN = "import os, sys; open(sys.argv[1], 'w').write(str(os.getpid())); os.execvp(sys.argv[2], sys.argv[2:])"
"""A program that enters a control group, then becomes another program."""


@pytest.fixture
def group() -> Iterator[Path]:
    made = MEMORY / f"metasearch-test-{uuid.uuid4().hex[:8]}"
    if os.geteuid() != 0 or not (MEMORY / "memory.oom_control").exists() or not os.access(MEMORY, os.W_OK):
        pytest.skip("needs root and control groups of version 1 with memory; a pod's own are tried on the cluster")
    made.mkdir()
    yield made
    made.rmdir()


def test_a_trial_that_the_kernel_kills_is_out_of_memory(pod_of: MakePod, group: Path, tmp_path: Path) -> None:
    pod = pod_of(
        space={"filters": 512, "filterScale": 2},
        training={"reptile": {"metaBatchSize": 4, "innerBatchSize": 20}},
        budget={"maxAttempts": 2},
    )
    spec = make_trial_spec("tiny-1-large", candidate="conv3x3(-1)+max_pool3x3(-2)", meta_iterations=4)
    pod.start(wrapper=(sys.executable, "-c", JOIN, str(group / "cgroup.procs")))
    wait_until(lambda: list((tmp_path / "scratch" / "ready").glob("*")))
    held = int((group / "memory.usage_in_bytes").read_text())
    (group / "memory.limit_in_bytes").write_text(str(held + TRIAL_BYTES))
    pod.store.propose([spec])
    found = pod.wait_until_over()["tiny-1-large"]
    assert found.state is State.FAILED
    assert found.result is not None
    assert "the kernel killed the trial's process" in (found.result.message or "")
    assert {attempt.outcome for attempt in found.attempts} == {Reason.OUT_OF_MEMORY}
    assert pod.terminate()[0] == 75
