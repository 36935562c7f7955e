"""The GPUs of a machine, and what a run says of workers that share them."""

from __future__ import annotations

from pathlib import Path

import pytest

from metasearch_cli.local import gpus
from metasearch_cli.local.driver import devices


@pytest.mark.parametrize(
    ("workers", "number", "mps", "expected"),
    [(20, 0, False, 20), (20, 1, False, 1), (20, 1, True, 3), (2, 1, True, 2), (20, 4, True, 11), (2, 4, False, 2)],
)
def test_trials_that_go_on_as_fast_as_one_alone(workers: int, number: int, mps: bool, expected: int) -> None:
    assert gpus.trials_at_once(workers, number, mps) == expected


@pytest.mark.parametrize(("workers", "number", "mps"), [(20, 0, False), (1, 1, False), (4, 4, False), (20, 1, True)])
def test_nothing_is_said_where_nothing_would_be_faster(workers: int, number: int, mps: bool) -> None:
    assert gpus.sharing_sentence(workers, number, mps) is None


def test_workers_that_take_turns_are_told_of_mps() -> None:
    said = gpus.sharing_sentence(20, 1, shared_by_mps=False)
    assert said is not None
    assert said.startswith("20 workers take turns on one GPU")
    assert "nvidia-cuda-mps-control -d" in said


def test_mps_is_known_by_where_it_listens(tmp_path: Path) -> None:
    environment = {"CUDA_MPS_PIPE_DIRECTORY": str(tmp_path)}
    assert not gpus.has_mps(environment)
    (tmp_path / "control").touch()
    assert gpus.has_mps(environment)


def test_workers_share_the_gpus_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "count", lambda: 2)
    assert [(each.name, each.gpus) for each in devices(3)] == [("cuda:0", 0.5), ("cuda:1", 1.0), ("cuda:0", 0.5)]
