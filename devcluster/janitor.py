"""
End the processes of a `ManagedProcesses` and undo what they did, once their owner is done or dead.

This program needs nothing but Python. Its standard input is a pipe that only the owner holds, so the input ends when
the owner closes it or dies, even by SIGKILL. Until then each line is a cleanup command, registered before the deed
that it undoes. After the end of input the program kills every process that carries the mark, runs the commands, the
last one first, and removes the folder.

A normal end takes the same way as a crash, so every test run exercises the way for crashes too.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

MARK = "METASEARCH_CLUSTER"
"""The environment variable that marks processes; children inherit it, and its value is the folder."""

SECONDS = 60
"""The time limit for killing all processes, and for each command."""


def marked_processes(folder: str) -> list[int]:
    """Return the ids of the marked processes; a zombie has lost its mark."""
    return [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit() and is_marked(entry.path, folder)]


def is_marked(process: str, folder: str) -> bool:
    try:
        environment = Path(process, "environ").read_bytes()
    except OSError:  # the process belongs to another user, or is gone
        return False
    return f"{MARK}={folder}".encode() in environment.split(b"\0")


def kill_marked(folder: str) -> bool:
    """
    Kill marked processes until there are none; return whether that was reached in time.

    One pass is not enough, because a process may start another just before it is killed.
    """
    deadline = time.monotonic() + SECONDS
    while found := marked_processes(folder):
        handles = [handle for process in found if (handle := kill(process, folder)) is not None]
        # A dying process loses its environment, and so its mark, before it closes files and ports. Its handle becomes
        # readable only after that.
        ended = [select.select([handle], [], [], max(0, deadline - time.monotonic()))[0] for handle in handles]
        for handle in handles:
            os.close(handle)
        if not all(ended):
            report_problem(f"cannot kill {found}")
            return False
    return True


def kill(process: int, folder: str) -> int | None:
    """
    Kill a process, and return a handle to wait with.

    Returns None if the process has ended, even if another one has got its id: the handle is taken first and the mark
    read after it, so no stranger is killed.
    """
    try:
        handle = os.pidfd_open(process)
        if is_marked(f"/proc/{process}", folder):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            return handle
        os.close(handle)
    except ProcessLookupError:
        pass
    return None


def report_problem(message: str) -> None:
    sys.stderr.write(f"janitor: {message}\n")


def run_cleanup(command: list[str]) -> bool:
    """Run a cleanup command; return whether it succeeded."""
    try:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        report_problem(f"{error}")
        return False
    if ended.returncode:
        report_problem(f"{' '.join(command)}: {ended.stderr.strip()}")
    return ended.returncode == 0


def main() -> int:
    # Ctrl-C and a hang-up are meant for the owner. A janitor that dies of them would leave everything behind.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    folder = sys.argv[1]
    commands = [json.loads(line) for line in sys.stdin]  # ends when the owner has closed its end of the pipe or is dead
    # Processes first: they could still use, or make again, what the commands remove.
    went_well = [kill_marked(folder), *(run_cleanup(command) for command in reversed(commands))]
    shutil.rmtree(folder, ignore_errors=True)
    return 0 if all(went_well) and not Path(folder).exists() else 1


if __name__ == "__main__":
    sys.exit(main())
