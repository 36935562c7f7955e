"""Disks that fill up: a limit on file sizes, and a small file system."""

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
    """Let this process write no file larger than `size` bytes, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)


class SmallDisk:
    """A small file system in memory, seen only by one process and those that join its mount namespace."""

    def __init__(self, path: Path, holder: int) -> None:
        self.path, self._holder = path, holder

    @property
    def path_from_outside(self) -> Path:
        """The path under which other processes find it."""
        return Path(f"/proc/{self._holder}/root{self.path}")

    def metasearch(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command that sees the disk to its end."""
        join = ["nsenter", "--user", "--mount", "--preserve-credentials", f"--target={self._holder}"]
        return subprocess.run([*join, *command(*arguments)], capture_output=True, text=True, timeout=300, check=False)

    def fill(self, free_bytes: int) -> None:
        """Fill the disk except for this many bytes."""
        (self.path_from_outside / "balloon").write_bytes(bytes(MEGABYTES * 2**20 - free_bytes))

    def make_room(self) -> None:
        (self.path_from_outside / "balloon").unlink()


@contextmanager
def small_disk(path: Path) -> Iterator[SmallDisk]:
    """Mount a small disk, or skip the test if this machine does not allow that."""
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
