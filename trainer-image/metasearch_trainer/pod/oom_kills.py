"""Count how often the kernel has killed a process of this container for lack of memory."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def oom_kills(root: Path = ROOT, own: Path = OWN) -> int:
    """Return the count of our control group, in version 2 or 1; 0 where nothing is counted."""
    for path in _counters(root, own):
        with suppress(OSError):
            for line in path.read_text(encoding="ascii").splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0


def _counters(root: Path, own: Path) -> list[Path]:
    """
    Return the files in which the count may be, the best first.

    A container mostly sees its own group as the root. Where it sees those of the whole machine, /proc says which one
    it is in.
    """
    groups = {}
    with suppress(OSError):
        for line in own.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            groups[controllers] = path.strip("/")
    return [
        *([root / "memory" / groups["memory"] / "memory.oom_control"] if "memory" in groups else []),
        root / "memory" / "memory.oom_control",
        *([root / groups[""] / "memory.events"] if "" in groups else []),
        root / "memory.events",
    ]


class OomKills:
    """Tells a process that the kernel killed for lack of memory from one that somebody else killed."""

    def __init__(self, count: Callable[[], int] = oom_kills) -> None:
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
