"""
A server process that imports PyTorch once and forks a worker for each request.

multiprocessing has a fork server too. Its children get neither output files of their own nor their exit codes back
where a signal ended them late, and its requests are pickled callables; ours are a module's name and arguments, so a
worker is the same program whether it was forked or spawned.

A fork copies one thread only, so nothing in here starts another, and nothing touches a GPU: with OMP_NUM_THREADS=1
importing NumPy and PyTorch starts none, which a test holds. What a forked worker computes is the same as in a process
of its own, to the last digit.

    client                              server                        worker
    ForkLauncher.start  -- request -->  fork                     -->  main()
    ForkedProcess       <- started ---                                  |
                        <- ended -----  waits for its end        <--  exit code

The server ends when its client is gone, and workers end when the server is gone.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from metasearch_trainer.processes import (
    CHILD_ENVIRONMENT,
    Launcher,
    Process,
    Program,
    SpawnLauncher,
    interrupts_blocked,
)

MAX_REQUEST_BYTES = 65536
MAX_FAILED_SERVERS = 2
"""Servers that may end before they can fork, until processes are spawned instead."""

OOM_SCORE = 500
"""
Added to a worker's oom_score_adj (proc(5)), in thousandths of the memory that there is, so that the kernel kills a
worker rather than the server.

The server has touched pages of libraries that workers have not, 300 MiB with CUDA, and so may be the larger one. But if
it is killed all workers end, and the one whose trial needs too much is not known. No more than 500, or workers would
lose what a pod of the class Guaranteed is promised: -997 before other pods.
"""

CLOSE_SECONDS = 5.0
READY = b"ready"

ENDED_WITH_SERVER = -int(signal.SIGHUP)
"""
The exit code reported for a worker whose server was killed before it could pass on the true one.

It is that of SIGHUP, which nothing else here sends: the worker ended because its parent was gone.
"""


def open_launcher(modules: Sequence[str]) -> Launcher:
    """
    Return the best way to start processes on this system.

    Args:
        modules: what the processes' programs are; a server begins to import them at once.
    """
    # macOS can fork, but its system libraries may crash in the child. pidfd_open needs Linux 5.3 or later.
    if sys.platform.startswith("linux") and hasattr(os, "pidfd_open"):
        return ForkLauncher(modules)
    return SpawnLauncher()


# --- the client ---


class ForkLauncher:
    """Starts processes as forks of a server; a server that was killed is replaced."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules, self._failed = modules, 0
        self._spawn = SpawnLauncher()
        self._server: _Server | None = _Server(modules)  # now, so that it imports while the caller does other things

    def start(self, program: Program, stdout: int, stderr: int) -> Process:
        # Twice: the server may die between the look and the request, and then the next one gets it.
        for _ in range(2):
            if (server := self._running_server()) is not None:
                with suppress(OSError):
                    return server.start(program, stdout, stderr)
        return self._spawn.start(program, stdout, stderr)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _running_server(self) -> _Server | None:
        """Return a server that runs, a new one where the last has ended; None where servers do not come up."""
        if self._server is None or self._server.is_running():
            return self._server
        # One that had served was killed. One that never could, such as for a broken installation, would only hide the
        # reason: it is printed by the spawned process, whose last line becomes the user's sentence.
        self._failed = 0 if self._server.is_ready() else self._failed + 1
        self._server.close()
        self._server = _Server(self._modules) if self._failed < MAX_FAILED_SERVERS else None
        return self._server


class _Server:
    def __init__(self, modules: Sequence[str]) -> None:
        # Messages with borders (SEQPACKET), since a request carries file descriptors that belong to it alone.
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._is_ready = False
        command = [sys.executable, "-m", "metasearch_trainer.fork_server", str(theirs.fileno()), *modules]
        with theirs, interrupts_blocked():
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, **CHILD_ENVIRONMENT},
            )

    def is_running(self) -> bool:
        return self.process.poll() is None

    def is_ready(self) -> bool:
        """Return whether it has imported what it needs, and forks at once."""
        with suppress(OSError):
            self._is_ready = self._is_ready or self._control.recv(len(READY), socket.MSG_DONTWAIT) == READY
        return self._is_ready

    def start(self, program: Program, stdout: int, stderr: int) -> Process:
        """
        Request a process; it begins once the server can fork.

        Raises:
            OSError: the server is gone.
        """
        read_end, write_end = os.pipe()
        request = {"module": program.module, "arguments": list(program.arguments), "title": program.title}
        try:
            socket.send_fds(self._control, [json.dumps(request).encode()], [write_end, stdout, stderr])
        except OSError:
            os.close(read_end)
            raise
        finally:
            # The server has its own copy. With ours open, the pipe would not end when the server does.
            os.close(write_end)
        return ForkedProcess(self, read_end)

    def close(self) -> None:
        """Have it end."""
        if not self.is_ready():
            self.process.kill()  # it is importing, and would not look at its control socket for seconds
        self._control.close()
        try:
            self.process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class ForkedProcess:
    """
    A child of the server's.

    It is addressed by a file descriptor (pidfd) rather than its id: it is the server who waits for it, so that the id
    may be another process's by the time that we send a signal.
    """

    def __init__(self, server: _Server, status: int) -> None:
        """
        Args:
            status: read end of a pipe on which the server writes the process's id, then its exit code, a line each.
        """
        os.set_blocking(status, False)  # `poll` must return at once, also while the server still imports
        self._server, self._status, self._told = server, status, b""
        self._handle: int | None = None
        self._is_told_all = False
        self._code: int | None = None

    def __del__(self) -> None:
        self._close()

    def poll(self) -> int | None:
        if self._code is None:
            self._read_status()
            self._code = self._exit_code()
            if self._code is not None:
                self._close()
        return self._code

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while self.poll() is None:
            if (left := until - time.monotonic()) <= 0:
                return False
            # The pipe says more than the handle, but once the server is gone it says nothing any more.
            source = self._handle if self._is_told_all and self._handle is not None else self._status
            select.select([source], [], [], left)
        return True

    def wait_for_pid(self) -> int:
        """Return the process's id, once it is forked; 0 where it never was."""
        while self.poll() is None and self._handle is None:
            select.select([self._status], [], [])
        first, is_told, _ = self._told.partition(b"\n")
        return int(first) if is_told else 0

    def _read_status(self) -> None:
        with suppress(BlockingIOError):
            while part := os.read(self._status, 1024):
                self._told += part
            # An empty read is the end of the pipe: the server has told the exit code, or is gone.
            self._is_told_all = True
        if self._handle is None and b"\n" in self._told:
            with suppress(ProcessLookupError):  # it has ended already, and its exit code follows
                self._handle = os.pidfd_open(int(self._told.split(b"\n")[0]))

    def _exit_code(self) -> int | None:
        lines = self._told.split(b"\n")[:-1]
        if len(lines) > 1:
            return int(lines[1])
        if not self._is_told_all:
            return None
        # The server is gone and cannot tell. The process has ended where it never began, or where its handle says so.
        is_over = self._handle is None or bool(select.select([self._handle], [], [], 0)[0])
        return ENDED_WITH_SERVER if is_over else None

    def send_signal(self, which: signal.Signals) -> None:
        """Send a signal; nothing happens where the process has ended."""
        if self.poll() is not None:
            return
        if self._handle is None and not self._server.is_ready():
            self._server.process.kill()  # while it still imports there is no process to end, only the request
            self._server.process.wait()
            return
        self.wait_for_pid()
        if self._handle is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, which)

    def _close(self) -> None:
        for descriptor in (self._status, self._handle):
            if descriptor is not None and descriptor >= 0:
                os.close(descriptor)
        self._status, self._handle = -1, None


# --- the server ---


@dataclass(frozen=True)
class _Child:
    pid: int
    status: int
    """Write end of the client's pipe."""


def main() -> int:
    """Serve one client until it is gone; the arguments are the control socket's descriptor and modules to import."""
    # Ctrl-C reaches the whole process group, and it is for the client to end the workers, and then us, in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    try:
        for module in sys.argv[2:]:
            importlib.import_module(module)
    except Exception:  # a spawned process will fail at it too, and print it where its reader looks
        return 1
    gc.collect()
    gc.freeze()  # a collection in a child would touch every object, and so copy the pages that it shares with us
    with suppress(OSError):  # the client is gone already, which the loop sees too
        control.send(READY)
    _serve(control)
    return 0


def _serve(control: socket.socket) -> None:
    children: dict[int, _Child] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is control:
                    message, descriptors, *_ = socket.recv_fds(control, MAX_REQUEST_BYTES, 3)
                    if not message:  # the client has closed its end, or was killed
                        return
                    open_here = [control.fileno(), selector.fileno(), *children]
                    open_here += [child.status for child in children.values()]
                    handle, child = _fork(json.loads(message), descriptors, open_here)
                    children[handle] = child
                    selector.register(handle, selectors.EVENT_READ)
                else:
                    selector.unregister(key.fd)
                    _reap(children.pop(key.fd))
                    os.close(key.fd)


def _fork(request: dict[str, Any], descriptors: Sequence[int], open_here: Sequence[int]) -> tuple[int, _Child]:
    status, stdout, stderr = descriptors
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _run_child(request, parent, (stdout, stderr), (*descriptors, *open_here))
    # With our copies open, whoever reads what the worker prints would not see its end.
    os.close(stdout)
    os.close(stderr)
    _tell(status, pid)
    # The id is still the child's, even if it has ended: it is free for others only after `_reap` has waited for it.
    return os.pidfd_open(pid), _Child(pid, status)


def _reap(child: _Child) -> None:
    _, status = os.waitpid(child.pid, 0)
    _tell(child.status, os.waitstatus_to_exitcode(status))
    os.close(child.status)


def _tell(status: int, number: int) -> None:
    with suppress(OSError):  # the client does not want to know any more
        os.write(status, b"%d\n" % number)


def _run_child(request: dict[str, Any], parent: int, output: tuple[int, int], not_ours: Sequence[int]) -> NoReturn:
    """Become the worker: as if its module had been run in a new interpreter."""
    code = 1
    try:
        for descriptor, target in zip(output, (1, 2), strict=True):
            os.dup2(descriptor, target)
        # The others' pipes above all: their ends could not be seen while we hold them open.
        for descriptor in not_ours:
            if descriptor > 2:  # where the server has no stdout, what it received may have come in its place
                os.close(descriptor)
        with suppress(OSError):
            Path("/proc/self/comm").write_text(request["title"])
            score = Path("/proc/self/oom_score_adj")
            # 1000 is the highest that the kernel takes.
            score.write_text(str(min(1000, int(score.read_text()) + OOM_SCORE)))
        sys.argv = [request["module"], *request["arguments"], "--parent", str(parent)]
        code = importlib.import_module(request["module"]).main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError):  # the log may be on a full disk
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)  # past what the server has registered for its own exit


if __name__ == "__main__":
    sys.exit(main())
