"""A slot's process is replaced after many trials, or when it leaks."""

from __future__ import annotations

from metasearch_trainer.memory import Cap
from metasearch_trainer.pod.recycling import RecyclePolicy

MEBIBYTE = 2**20


class Process:
    """A process that holds so many MiB: for good, and freed but not given back."""

    def __init__(self, kept: int, freed: int = 0) -> None:
        self.kept, self.freed, self.given_back = kept, freed, 0

    def held(self) -> int:
        return (self.kept + self.freed) * MEBIBYTE

    def give_back(self) -> None:
        self.freed, self.given_back = 0, self.given_back + 1

    def policy(self, max_trials: int = 10**9, cap: Cap | None = None) -> RecyclePolicy:
        return RecyclePolicy(max_trials, cap, self.held, self.give_back)


def test_a_process_is_recycled_after_so_many_trials() -> None:
    policy = Process(500).policy(max_trials=3)
    assert [policy.should_recycle() for _ in range(3)] == [False, False, True]


def test_what_is_only_not_given_back_is_no_leak() -> None:
    process = Process(500, freed=900)
    policy = process.policy()
    for process.freed in (800, 300, 1500):
        assert not policy.should_recycle()
    assert process.given_back == 3


def test_nothing_is_given_back_without_need() -> None:
    process = Process(500)
    policy = process.policy()
    for process.freed in (0, 100, 200):
        assert not policy.should_recycle()
    assert process.given_back == 1


def recycled_at(cap: Cap | None) -> int:
    """Return the MiB that a process may hold for good which held 500 after its first trial."""
    process = Process(500)
    policy = process.policy(cap=cap)
    policy.should_recycle()
    while not policy.should_recycle():
        process.kept += 4
    return process.kept


def test_a_process_is_recycled_once_it_holds_much_more_than_after_its_first_trial() -> None:
    assert recycled_at(None) == 760


def test_a_process_under_a_cap_is_recycled_before_its_trials_lack_room() -> None:
    assert recycled_at(Cap(900 * MEBIBYTE, "")) == 604
    assert recycled_at(Cap(9000 * MEBIBYTE, "")) == 760
