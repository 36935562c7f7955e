"""The rule by which a slot's process is replaced by a fresh one."""

from __future__ import annotations

from collections.abc import Callable

from metasearch_trainer.memory import Cap, give_back_freed, resident_bytes

MAX_GROWTH = 256 * 2**20
"""Bytes that a process may hold more than after its first trial."""


class RecyclePolicy:
    """
    Has a process replaced after so many trials, or once it holds memory that no trial gives back.

    What a process holds after a trial says little: the allocator keeps what was freed, hundreds of MiB more or less
    from one trial to the next. What is left once that is given back stays within some 10 MiB over many trials
    (docs/workers.md has figures), so 256 MiB more than after the first trial is a leak. Under a cap the process is
    replaced as soon as a quarter of what the cap left for trials is gone.
    """

    def __init__(
        self,
        max_trials: int,
        cap: Cap | None,
        held: Callable[[], int] = resident_bytes,
        give_back: Callable[[], None] = give_back_freed,
    ) -> None:
        """
        Args:
            held: the bytes that the process holds.
            give_back: gives back what is free; it takes time, so it is not called without need.
        """
        self._trials_left, self._cap, self._held, self._give_back = max_trials, cap, held, give_back
        self._held_at_first: int | None = None

    def should_recycle(self) -> bool:
        """Return whether the process is to be replaced; asked once after each trial."""
        self._trials_left -= 1
        # After the first trial rather than before: by then libraries have allocated what they keep for good.
        if self._held_at_first is None:
            self._give_back()
            self._held_at_first = self._held()
        most = self._held_at_first + self._max_growth(self._held_at_first)
        if self._held() > most:
            self._give_back()
        return self._trials_left <= 0 or self._held() > most

    def _max_growth(self, held_at_first: int) -> float:
        return MAX_GROWTH if self._cap is None else min(MAX_GROWTH, max(0, self._cap.bytes - held_at_first) / 4)
