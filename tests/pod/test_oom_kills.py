"""Kills for lack of memory are counted by control groups, and distinguished from others."""

from __future__ import annotations

from pathlib import Path

import pytest

from metasearch_trainer.pod.oom_kills import OomKills, oom_kills

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
    assert oom_kills(tmp_path, tmp_path / "own") == 0
    (tmp_path / counter).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / counter).write_text(content)
    assert oom_kills(tmp_path, tmp_path / "own") == 3


def test_without_control_groups_nothing_is_counted(tmp_path: Path) -> None:
    assert oom_kills(tmp_path, tmp_path / "none") == 0


def test_each_count_explains_one_process() -> None:
    kills = OomKills(lambda: 5)
    assert not kills.explain(5)
    assert [kills.explain(3) for _ in range(3)] == [True, True, False]
