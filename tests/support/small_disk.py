"""Disks that fill up."""

from __future__ import annotations

import resource
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from local_search import command

MEGABYTES = 8


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Let this process write no file of more bytes, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)


class SmallDisk:
    """A real one, in memory, that only one process and those that join it can see."""

    def __init__(self, path: Path, holder: int) -> None:
        self.path, self._holder = path, holder

    @property
    def from_outside(self) -> Path:
        """Where other processes find it."""
        return Path(f"/proc/{self._holder}/root{self.path}")

    def metasearch(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command that can see it to its end."""
        join = ["nsenter", "--user", "--mount", "--preserve-credentials", f"--target={self._holder}"]
        return subprocess.run([*join, *command(*arguments)], capture_output=True, text=True, timeout=300, check=False)

    def fill(self, leave: int) -> None:
        """Take up all but so many bytes."""
        (self.from_outside / "balloon").write_bytes(bytes(MEGABYTES * 2**20 - leave))

    def make_room(self) -> None:
        (self.from_outside / "balloon").unlink()


@contextmanager
def small_disk(path: Path) -> Iterator[SmallDisk]:
    """Mount one for a while; skips the test where the system does not let us."""
    path.mkdir()
    script = f'mount -t tmpfs -o size={MEGABYTES}m tmpfs "$0" && echo mounted && exec cat'
    unshare = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(path)]
    with subprocess.Popen(unshare, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        if holder.stdout.readline() != "mounted\n":
            pytest.skip("file systems cannot be mounted here")
        yield SmallDisk(path, holder.pid)
        holder.stdin.close()  # ends it, and the mount with it
