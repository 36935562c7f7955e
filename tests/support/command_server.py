"""
Runs the command `metasearch` as a fork of a process that has its imports done, which saves seconds of each.

A fork is as real as a process of its own: it has its own arguments, working directory, environment, output, process
group and exit code, and runs the command's main function from the beginning. What depends on the imports themselves,
such as another PYTHONPATH, needs a new interpreter.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from metasearch_trainer.fork_server import ForkedProcess, ForkLauncher
from metasearch_trainer.processes import Program

IMPORTED = (
    "metasearch_cli.local.session",
    "metasearch_cli.local.driver",
    "metasearch_cli.report",
    "metasearch_cli.outcome.tables",
)


class Command:
    """A command that was started; in what tests ask of it, it is as a `subprocess.Popen`."""

    def __init__(self, process: ForkedProcess) -> None:
        self._process = process
        self.pid = process.wait_for_pid()

    @property
    def returncode(self) -> int | None:
        return self._process.poll()

    def poll(self) -> int | None:
        return self._process.poll()

    def wait(self, timeout: float = 900) -> int:
        """Return the exit code."""
        assert self._process.wait(timeout), f"the command did not end within {timeout} s"
        code = self._process.poll()
        assert code is not None
        return code

    def send_signal(self, which: signal.Signals) -> None:
        self._process.send_signal(which)

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()


def start_command(
    arguments: Sequence[str], environment: Mapping[str, str], stdout: int, stderr: int, *, leads_group: bool = False
) -> Command:
    """
    Begin a command.

    Args:
        environment: all of it.
        leads_group: whether it leads a process group of its own, as a command of a shell does.
    """
    order = {
        "arguments": list(arguments),
        "directory": str(Path.cwd()),
        "environment": dict(environment),
        "leadsGroup": leads_group,
    }
    process = _launcher().start(Program("command_server", [json.dumps(order)], "metasearch"), stdout, stderr)
    assert isinstance(process, ForkedProcess)
    return Command(process)


@cache
def _launcher() -> ForkLauncher:
    """Start the server, once per process that runs tests."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *filter(None, [before])])
    try:
        launcher = ForkLauncher(["command_server", *IMPORTED])
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    atexit.register(launcher.close)
    return launcher


def main() -> int:
    """Become the command."""
    from metasearch_cli import main as command

    order = json.loads(sys.argv[1])
    # The server ignores Ctrl-C; a new interpreter does not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if order["leadsGroup"]:
        os.setpgid(0, 0)
    os.chdir(order["directory"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = ["metasearch", *order["arguments"]]
    run: Callable[[], None] = command.main
    run()
    return 0
