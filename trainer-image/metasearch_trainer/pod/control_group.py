"""Read what the kernel counts of this container: CPU time, memory, and kills for lack of memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

NO_LIMIT = 2**62
"""Version 1 has the largest whole number of pages where there is no limit."""


@dataclass(frozen=True)
class ControlGroup:
    """The control group of this container, of version 2 or 1."""

    root: Path = Path("/sys/fs/cgroup")
    own: Path = field(default=Path("/proc/self/cgroup"))

    def oom_kills(self) -> int:
        """Return how often the kernel has killed a process for lack of memory; 0 where nothing is counted."""
        return self._number("memory", "memory.oom_control", "memory.events", "oom_kill") or 0

    def cpu_seconds(self) -> float | None:
        """Return the CPU time of all processes, ended ones too; None where nothing is counted."""
        if (microseconds := self._number(None, "", "cpu.stat", "usage_usec")) is not None:
            return microseconds / 1e6
        nanoseconds = self._number("cpuacct", "cpuacct.usage", None)
        return None if nanoseconds is None else nanoseconds / 1e9

    def memory_bytes(self) -> int | None:
        """Return the memory of all processes, with the files that the kernel keeps for them; None if not counted."""
        return self._number("memory", "memory.usage_in_bytes", "memory.current")

    def memory_limit_bytes(self) -> int | None:
        """Return the most memory that the container may have; None without a limit."""
        limit = self._number("memory", "memory.limit_in_bytes", "memory.max")
        return None if limit is None or limit >= NO_LIMIT else limit

    def _number(
        self, controller: str | None, file: str, unified_file: str | None, key: str | None = None
    ) -> int | None:
        """
        Read a number.

        Args:
            controller: that of version 1, with its file; None for none.
            unified_file: that of version 2; None for none.
            key: the word before the number; None where the file holds the number alone.
        """
        for path in self._paths(controller, file, unified_file):
            with suppress(OSError):
                for line in path.read_text(encoding="ascii").splitlines():
                    words = line.split()
                    if key is None or words[0] == key:
                        return None if words[-1] == "max" else int(words[-1])
        return None

    def _paths(self, controller: str | None, file: str, unified_file: str | None) -> Iterator[Path]:
        """
        Yield the files in which a number may be, the best first.

        A container mostly sees its own group as the root. Where it sees those of the whole machine, /proc says which
        one it is in.
        """
        groups = self._groups()
        if controller is not None:
            if controller in groups:
                yield self.root / controller / groups[controller] / file
            yield self.root / controller / file
        if unified_file is not None:
            if "" in groups:
                yield self.root / groups[""] / unified_file
            yield self.root / unified_file

    def _groups(self) -> dict[str, str]:
        """Return the path of our group by controller; that of version 2 has no name."""
        groups: dict[str, str] = {}
        with suppress(OSError):
            for line in self.own.read_text(encoding="utf-8").splitlines():
                _, controllers, path = line.split(":", 2)
                groups |= dict.fromkeys(controllers.split(","), path.strip("/"))
        return groups
