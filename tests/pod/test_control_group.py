"""Control groups of both versions say what the kernel counts of a container."""

from __future__ import annotations

from pathlib import Path

import pytest

from metasearch_trainer.pod.control_group import ControlGroup
from metasearch_trainer.pod.settings import Pod

VERSION_1 = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"
VERSION_2 = "low 0\nhigh 0\nmax 12\noom 4\noom_kill 3\noom_group_kill 1\n"
ON_VERSION_1 = "9:name=systemd:/\n4:memory:/kubepods/pod1\n0::/\n"
ON_VERSION_2 = "0::/kubepods/pod1\n"


@pytest.mark.parametrize(
    ("own", "counter", "content"),
    [
        (ON_VERSION_1, "memory/memory.oom_control", VERSION_1),
        (ON_VERSION_1, "memory/kubepods/pod1/memory.oom_control", VERSION_1),
        (ON_VERSION_2, "memory.events", VERSION_2),
        (ON_VERSION_2, "kubepods/pod1/memory.events", VERSION_2),
        ("0::/\n", "memory.events", VERSION_2),
    ],
)
def test_both_versions_are_read_wherever_the_group_is(tmp_path: Path, own: str, counter: str, content: str) -> None:
    (tmp_path / "own").write_text(own)
    assert ControlGroup(tmp_path, tmp_path / "own").oom_kills() == 0
    (tmp_path / counter).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / counter).write_text(content)
    assert ControlGroup(tmp_path, tmp_path / "own").oom_kills() == 3


def test_without_control_groups_nothing_is_counted(tmp_path: Path) -> None:
    assert ControlGroup(tmp_path, tmp_path / "none").oom_kills() == 0


@pytest.mark.parametrize(
    ("own", "file", "content"),
    [
        ("4:cpu,cpuacct:/kubepods/pod1\n", "cpuacct/kubepods/pod1/cpuacct.usage", "2500000000\n"),
        ("4:cpu,cpuacct:/kubepods/pod1\n", "cpuacct/cpuacct.usage", "2500000000\n"),
        (ON_VERSION_2, "cpu.stat", "usage_usec 2500000\nuser_usec 7\nsystem_usec 8\n"),
        (ON_VERSION_2, "kubepods/pod1/cpu.stat", "usage_usec 2500000\n"),
    ],
)
def test_cpu_time_is_in_seconds(tmp_path: Path, own: str, file: str, content: str) -> None:
    group = ControlGroup(tmp_path, tmp_path / "own")
    (tmp_path / "own").write_text(own)
    assert group.cpu_seconds() is None
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(content)
    assert group.cpu_seconds() == 2.5


@pytest.mark.parametrize(
    ("own", "file"), [(ON_VERSION_1, "memory/memory.usage_in_bytes"), (ON_VERSION_2, "memory.current")]
)
def test_memory_is_in_bytes(tmp_path: Path, own: str, file: str) -> None:
    group = ControlGroup(tmp_path, tmp_path / "own")
    (tmp_path / "own").write_text(own)
    assert group.memory_bytes() is None
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("4096\n")
    assert group.memory_bytes() == 4096


@pytest.mark.parametrize(
    ("own", "file", "content", "limit"),
    [
        (ON_VERSION_2, "memory.max", "4294967296\n", 2**32),
        (ON_VERSION_2, "memory.max", "max\n", None),
        (ON_VERSION_1, "memory/kubepods/pod1/memory.limit_in_bytes", "4294967296\n", 2**32),
        (ON_VERSION_1, "memory/memory.limit_in_bytes", "9223372036854771712\n", None),
    ],
)
def test_a_limit_on_memory_is_known(tmp_path: Path, own: str, file: str, content: str, limit: int | None) -> None:
    """Also one that no spec has: that of a LimitRange of the namespace, or of a webhook."""
    group = ControlGroup(tmp_path, tmp_path / "own")
    (tmp_path / "own").write_text(own)
    assert group.memory_limit_bytes() is None
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(content)
    assert group.memory_limit_bytes() == limit
    pod = {"POD_NAMESPACE": "team-a", "POD_NAME": "pod", "POD_UID": "uid"}
    assert Pod.from_environment(pod, group).memory_limit == limit
    assert Pod.from_environment({**pod, "MEMORY_LIMIT_BYTES": "1000"}, group).memory_limit == 1000


def test_this_machine_counts_its_own_cpu_time() -> None:
    first = ControlGroup().cpu_seconds()
    if first is None:
        pytest.skip("this machine has no control groups")
    sum(number * number for number in range(1_000_000))
    last = ControlGroup().cpu_seconds()
    assert last is not None
    assert last > first
