"""Takes down what a household brought up, once its owner is done or has ended, in whatever way.

A program that needs nothing but Python. Its standard input is a pipe that only the owner holds, so that input ends
when the owner closes it or dies, even of SIGKILL. Until then each line is a command, told before what it undoes is
done. Then every process that carries the household's mark is killed, the commands are run, the last one first, and the
folder is removed.

There is no other way of taking down: what works after a crash is what works every time.
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
"""A variable in the environment of a household's processes, which their children inherit; its value is the folder."""

SECONDS = 60
"""For killing, and for each command."""


def marked(folder: str) -> list[int]:
    """The ids of a household's processes; one that has ended carries no mark, even if nobody has waited for it yet."""
    return [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit() and is_marked(entry.path, folder)]


def is_marked(process: str, folder: str) -> bool:
    try:
        environment = Path(process, "environ").read_bytes()
    except OSError:  # another user's, or gone
        return False
    return f"{MARK}={folder}".encode() in environment.split(b"\0")


def kill_marked(folder: str) -> bool:
    """Until there is none, for one may start another just before it is killed; whether that was reached."""
    deadline = time.monotonic() + SECONDS
    while found := marked(folder):
        handles = [handle for process in found if (handle := kill(process, folder)) is not None]
        # Its mark is gone a little before its files and ports are; its handle tells when it has ended.
        ended = [select.select([handle], [], [], max(0, deadline - time.monotonic()))[0] for handle in handles]
        for handle in handles:
            os.close(handle)
        if not all(ended):
            complain(f"cannot kill {found}")
            return False
    return True


def kill(process: int, folder: str) -> int | None:
    """Kill a process, and give a handle to wait with; None if it has ended, even where another has got its id."""
    try:
        handle = os.pidfd_open(process)
        if is_marked(f"/proc/{process}", folder):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            return handle
        os.close(handle)
    except ProcessLookupError:
        pass
    return None


def complain(message: str) -> None:
    sys.stderr.write(f"janitor: {message}\n")


def undo(command: list[str]) -> bool:
    """Run a command; whether that went well."""
    try:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        complain(f"{error}")
        return False
    if ended.returncode:
        complain(f"{' '.join(command)}: {ended.stderr.strip()}")
    return ended.returncode == 0


def main() -> int:
    # Ctrl-C and a hang-up are meant for the owner. A janitor that dies of them would leave everything behind.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    folder = sys.argv[1]
    commands = [json.loads(line) for line in sys.stdin]
    went_well = [kill_marked(folder), *(undo(command) for command in reversed(commands))]
    shutil.rmtree(folder, ignore_errors=True)
    return 0 if all(went_well) and not Path(folder).exists() else 1


if __name__ == "__main__":
    sys.exit(main())
