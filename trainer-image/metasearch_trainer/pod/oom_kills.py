"""Tell a process that the kernel killed for lack of memory from one that somebody else killed."""

from __future__ import annotations

from collections.abc import Callable


class OomKills:
    """Tells a process that the kernel killed for lack of memory from one that somebody else killed."""

    def __init__(self, count: Callable[[], int]) -> None:
        """
        Args:
            count: returns how often the kernel has killed a process of this container, as `ControlGroup.oom_kills`.
        """
        self._count, self._explained = count, 0

    def now(self) -> int:
        return self._count()

    def explain(self, count_at_start: int) -> bool:
        """
        Return whether a process that was killed may have been killed for lack of memory.

        Each count explains one process: two that end in the same moment need two counts.

        Args:
            count_at_start: the count when the process began; earlier kills were of earlier processes.
        """
        # The kernel counts kills, but does not say whom; with several slots that is the best there is.
        known = max(count_at_start, self._explained)
        if self._count() <= known:
            return False
        self._explained = known + 1
        return True
