"""Kills for lack of memory are distinguished from others."""

from __future__ import annotations

from metasearch_trainer.pod.oom_kills import OomKills


def test_each_count_explains_one_process() -> None:
    kills = OomKills(lambda: 5)
    assert not kills.explain(5)
    assert [kills.explain(3) for _ in range(3)] == [True, True, False]
