"""Weights, fetched from where a search on a cluster keeps them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from metasearch.errors import FolderConflict, MetaSearchError
from metasearch_cli.remote.pvc import is_running, pending_because, problem_of, received
from metasearch_cli.remote.weights import fetch

CONTENT = bytes(range(256)) * 3
DIGEST = hashlib.sha256(CONTENT).hexdigest()
LINE = f"{DIGEST}  -\n".encode()


@pytest.mark.parametrize("cut", [1, len(DIGEST), len(LINE) - 1, len(LINE), len(LINE) + 1, len(LINE) + 500])
def test_a_digest_goes_before_the_file_however_the_stream_is_cut(tmp_path: Path, cut: int) -> None:
    stream = LINE + CONTENT
    assert received(iter([stream[:cut], stream[cut:]]), tmp_path / "file") == (DIGEST, DIGEST)
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("stream", [LINE + CONTENT[:-1], LINE + b"x" + CONTENT[1:], LINE, b""])
def test_a_file_that_came_over_damaged_shows(tmp_path: Path, stream: bytes) -> None:
    announced, came = received(iter([stream]), tmp_path / "file")
    assert announced != came


def test_a_file_is_fetched_by_its_address(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(CONTENT)
    fetch(f"file://{tmp_path}/there", tmp_path / "here")
    assert (tmp_path / "here").read_bytes() == CONTENT


def test_a_file_that_is_gone_is_missed(tmp_path: Path) -> None:
    with pytest.raises(FolderConflict, match="there is missing; a final trial wrote it"):
        fetch(f"file://{tmp_path}/there", tmp_path / "here")


def test_a_kind_of_address_that_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(MetaSearchError, match=r"nosuch://a/b cannot be read here \(.*metasearch-operator\[storage\]"):
        fetch("nosuch://a/b", tmp_path / "here")


# --- the pod that reads a claim -----------------------------------------------------------------------------------


def pod(**status: Any) -> dict[str, Any]:
    return {"status": {"phase": "Pending", **status}}


def container(**state: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"state": state}]}


def test_a_pod_is_waited_for() -> None:
    pulling = pod(**container(waiting={"reason": "ContainerCreating"}))
    assert [(is_running(each), problem_of(each)) for each in (pod(), pulling)] == [(False, None)] * 2
    assert is_running(pod(**container(running={})))


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (container(waiting={"reason": "ImagePullBackOff", "message": "no such"}), "ImagePullBackOff: no such"),
        ({"phase": "Failed", "reason": "Evicted"}, "Evicted"),
        ({"phase": "Failed"}, "it ended at once"),
    ],
)
def test_a_pod_that_will_never_run_is_not(status: dict[str, Any], problem: str) -> None:
    assert problem_of(pod(**status)) == problem


def test_a_pod_says_what_it_waits_for() -> None:
    waits = {"type": "PodScheduled", "status": "False", "message": "no nodes are available"}
    assert pending_because(pod(conditions=[{"type": "Ready"}, waits])) == "no nodes are available"
