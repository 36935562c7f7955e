"""A slot's part of its pod."""

from __future__ import annotations

import pytest

from metasearch.errors import InvalidSpec
from metasearch.quantities import Memory
from metasearch_trainer.memory import Cap, give_back_freed, lowest, resident_bytes
from metasearch_trainer.pod.capacity import device_of, memory_share, require_room

MEBIBYTE = 2**20
GIBIBYTE = 2**30


def test_slots_share_the_pods_memory_less_the_supervisors_part() -> None:
    share = memory_share(4 * GIBIBYTE, 2)
    assert share == Cap(int(1.8 * GIBIBYTE), "its slot's 1843 MiB of the pod's memory limit of 4096 MiB with 2 slots")
    assert memory_share(None, 2) is None


@pytest.mark.parametrize(
    ("trial", "named"), [("1Gi", "budget.trialMemory (1Gi)"), ("3Gi", "its slot's"), (None, "its")]
)
def test_the_lower_cap_holds(trial: str | None, named: str) -> None:
    cap = lowest(Cap.of_trial(Memory(trial) if trial else None), memory_share(4 * GIBIBYTE, 2))
    assert cap is not None
    assert cap.source.startswith(named)


def test_without_a_limit_there_is_no_cap() -> None:
    assert lowest(Cap.of_trial(None), memory_share(None, 1)) is None


def test_a_share_that_a_slot_alone_fills_is_the_specs_fault() -> None:
    share = memory_share(1000 * MEBIBYTE, 2)
    require_room(share, 400 * MEBIBYTE)
    require_room(None, 400 * GIBIBYTE)
    with pytest.raises(
        InvalidSpec, match=r"holds 500 MiB, and it may hold its slot's 450 MiB .* or fewer spec\.worker"
    ):
        require_room(share, 500 * MEBIBYTE)


def test_slots_take_gpus_in_turn() -> None:
    taken = [str(device_of(slot, 2.0, needs_gpu=True, visible=2)) for slot in range(4)]
    assert taken == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    assert str(device_of(1, 0.0, needs_gpu=False, visible=2)) == "cpu"


def test_a_gpu_that_was_asked_for_and_is_not_seen_ends_the_slot() -> None:
    """Training on the CPU would cost GPU-hours and take fifty times as long."""
    with pytest.raises(InvalidSpec, match=r"GPUs \(1\) and PyTorch sees none: spec\.worker\.template\.image"):
        device_of(0, 1.0, needs_gpu=True, visible=0)


def test_of_gpus_that_pytorch_does_not_know_the_log_tells(capfd: pytest.CaptureFixture[str]) -> None:
    assert str(device_of(0, 1.0, needs_gpu=False, visible=0)) == "cpu"
    assert "was given 1 GPUs that PyTorch does not know" in capfd.readouterr().err


def test_freed_memory_is_given_back() -> None:
    held = [bytearray(2**16) for _ in range(4000)]
    del held[::2]
    before = resident_bytes()
    held.clear()
    give_back_freed()
    assert resident_bytes() < before - 50 * MEBIBYTE
