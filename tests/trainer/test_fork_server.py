"""Processes that are forks of a server are as those that are spawned, and end with what they hang on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from local_search import is_alive, wait_until

from metasearch_trainer import fork_server
from metasearch_trainer.fork_server import ENDED_WITH_SERVER, ForkLauncher, open_launcher
from metasearch_trainer.processes import Launcher, Process, Program, SpawnLauncher

SUPPORT = Path(__file__).parents[1] / "support"
MODULE = "child_program"

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are spawned elsewhere")


@pytest.fixture(scope="module", autouse=True)
def path() -> Iterator[None]:
    """Have child processes find the program."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")]))
        yield


@pytest.fixture(scope="module")
def fork() -> Iterator[ForkLauncher]:
    """Yield a launcher whose server no test ends."""
    launcher = ForkLauncher([MODULE, "torch"])
    yield launcher
    launcher.close()


@pytest.fixture(params=["fork", "spawn"])
def launcher(request: pytest.FixtureRequest) -> Launcher:
    if request.param == "spawn":
        return SpawnLauncher()
    found: ForkLauncher = request.getfixturevalue("fork")
    return found


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Yield a function that starts the program with output in files; what still runs after the test is killed."""
    begun: list[Process] = []

    def start(launcher: Launcher, *arguments: str, title: str = "") -> Process:
        with (tmp_path / "stdout").open("ab") as stdout, (tmp_path / "stderr").open("ab") as stderr:
            begun.append(launcher.start(Program(MODULE, arguments, title), stdout.fileno(), stderr.fileno()))
        return begun[-1]

    yield start
    for process in begun:
        if process.poll() is None:
            process.kill()


def server_of(launcher: ForkLauncher) -> psutil.Process:
    assert launcher._server is not None
    return psutil.Process(launcher._server.process.pid)


def process_in(printed: Path) -> psutil.Process:
    """Return the process that printed its id."""
    return psutil.Process(int(wait_until(lambda: printed.exists() and printed.read_text().strip())))


def code_of(process: Process) -> int | None:
    assert process.wait(60)
    return process.poll()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("exit", "0"), 0),
        (("exit", "75"), 75),
        (("fail",), 1),
        (("misuse",), 2),
        (("kill", "SIGKILL"), -signal.SIGKILL),
        (("kill", "SIGSEGV"), -signal.SIGSEGV),
        (("kill", "SIGTERM"), -signal.SIGTERM),
    ],
)
def test_exit_codes_are_known(
    launcher: Launcher, begin: Callable[..., Process], arguments: tuple[str, ...], code: int
) -> None:
    assert code_of(begin(launcher, *arguments)) == code


def test_each_process_prints_where_it_is_told(
    launcher: Launcher, begin: Callable[..., Process], tmp_path: Path
) -> None:
    code_of(begin(launcher, "fail"))
    assert (tmp_path / "stderr").read_text().splitlines()[-1] == "RuntimeError: fails"
    code_of(begin(launcher, "exit", "3"))
    assert (tmp_path / "stderr").read_text().splitlines()[-1] == "exits with 3"


def test_a_process_ends_when_it_is_asked_to(launcher: Launcher, begin: Callable[..., Process], tmp_path: Path) -> None:
    process = begin(launcher, "wait")
    process_in(tmp_path / "stderr")
    assert process.poll() is None
    assert not process.wait(0.1)
    process.terminate()
    assert code_of(process) == 0
    process.terminate()  # too late, and no error


def test_a_process_that_stays_can_be_killed(launcher: Launcher, begin: Callable[..., Process], tmp_path: Path) -> None:
    process = begin(launcher, "stay")
    process_in(tmp_path / "stderr")
    process.terminate()
    assert not process.wait(0.3)
    process.kill()
    assert code_of(process) == -signal.SIGKILL


def describe(launcher: Launcher, begin: Callable[..., Process], tmp_path: Path) -> dict[str, Any]:
    assert code_of(begin(launcher, "describe", "this")) == 0
    described: dict[str, Any] = json.loads((tmp_path / "stdout").read_text().splitlines()[-1])
    return described


def test_a_fork_is_as_a_process_of_its_own(fork: ForkLauncher, begin: Callable[..., Process], tmp_path: Path) -> None:
    forked = describe(fork, begin, tmp_path)
    spawned = describe(SpawnLauncher(), begin, tmp_path)
    # The numbers are compared to the last bit.
    for key in ("threads", "parent", "arguments", "omp", "cuda", "numbers"):
        assert forked[key] == spawned[key], key
    assert (forked["threads"], forked["parent"], forked["cuda"], forked["omp"]) == (1, True, False, "1")


def test_forks_have_random_numbers_of_their_own(
    fork: ForkLauncher, begin: Callable[..., Process], tmp_path: Path
) -> None:
    assert len({describe(fork, begin, tmp_path)["random"] for _ in range(3)}) == 3


def test_a_fork_holds_no_file_of_the_server_or_of_another(
    fork: ForkLauncher, begin: Callable[..., Process], tmp_path: Path
) -> None:
    begin(fork, "wait")
    assert describe(fork, begin, tmp_path)["descriptors"] == [0, 1, 2]


def test_a_fork_is_killed_for_lack_of_memory_before_the_server(
    fork: ForkLauncher, begin: Callable[..., Process], tmp_path: Path
) -> None:
    server = int(Path(f"/proc/{server_of(fork).pid}/oom_score_adj").read_text())
    assert describe(fork, begin, tmp_path)["oom"] == min(1000, server + fork_server.OOM_SCORE)


def test_a_fork_has_a_name_in_lists_of_processes(
    fork: ForkLauncher, begin: Callable[..., Process], tmp_path: Path
) -> None:
    begin(fork, "wait", title="worker-3-14")
    assert process_in(tmp_path / "stderr").name() == "worker-3-14"


# --- what they hang on ---


@pytest.fixture
def own() -> Iterator[ForkLauncher]:
    """Yield a launcher whose server may be ended."""
    launcher = ForkLauncher([MODULE])
    yield launcher
    launcher.close()


def test_a_server_that_is_killed_takes_its_processes_along_and_is_replaced(
    own: ForkLauncher, begin: Callable[..., Process], tmp_path: Path
) -> None:
    process = begin(own, "wait")
    worker, server = process_in(tmp_path / "stderr"), server_of(own)
    server.kill()
    assert code_of(process) == ENDED_WITH_SERVER
    assert not is_alive(worker)
    assert code_of(begin(own, "exit", "75")) == 75
    assert server_of(own) != server


def test_a_process_of_a_killed_server_that_stays_is_still_known_and_can_be_killed(
    own: ForkLauncher, begin: Callable[..., Process], tmp_path: Path
) -> None:
    process = begin(own, "stay")
    worker = process_in(tmp_path / "stderr")
    server_of(own).kill()
    assert not process.wait(0.3)
    process.kill()
    assert code_of(process) == ENDED_WITH_SERVER
    assert not is_alive(worker)


def test_a_server_that_is_killed_before_it_can_fork_is_replaced(
    own: ForkLauncher, begin: Callable[..., Process]
) -> None:
    process = begin(own, "exit", "75")
    server_of(own).kill()
    assert code_of(process) == ENDED_WITH_SERVER
    assert code_of(begin(own, "exit", "75")) == 75


def test_a_process_that_has_yet_to_be_forked_is_ended_at_once(own: ForkLauncher, begin: Callable[..., Process]) -> None:
    process = begin(own, "stay")
    process.terminate()
    assert process.wait(2.0)


def test_a_launcher_that_is_closed_leaves_no_server(own: ForkLauncher) -> None:
    server = server_of(own)
    own.close()
    assert not is_alive(server)


def test_where_servers_do_not_come_up_processes_are_spawned(
    begin: Callable[..., Process], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    launcher = ForkLauncher(["no_such_module"])
    for _ in range(fork_server.MAX_FAILED_SERVERS - 1):
        server_of(launcher).wait(60)
        assert code_of(begin(launcher, "exit", "7")) == ENDED_WITH_SERVER
    server_of(launcher).wait(60)
    assert code_of(begin(launcher, "exit", "7")) == 7
    assert (tmp_path / "stderr").read_text().splitlines() == ["exits with 7"]
    assert capfd.readouterr().err == ""
    launcher.close()


CLIENT = """
import sys, time
from metasearch_trainer.fork_server import ForkLauncher
from metasearch_trainer.processes import Program
launcher = ForkLauncher(["child_program"])
process = launcher.start(Program("child_program", ["wait"], "w"), 1, 2)
time.sleep(600)
"""


def test_processes_end_when_whoever_started_them_is_killed(tmp_path: Path) -> None:
    with (tmp_path / "stderr").open("wb") as stderr:
        client = subprocess.Popen([sys.executable, "-c", CLIENT], stderr=stderr)
    worker = process_in(tmp_path / "stderr")
    (server,) = psutil.Process(client.pid).children()
    client.kill()
    client.wait()
    wait_until(lambda: not is_alive(worker) and not is_alive(server), 30)


# --- elsewhere ---


@pytest.mark.parametrize(("system", "kind"), [("linux", ForkLauncher), ("darwin", SpawnLauncher)])
def test_only_linux_forks(system: str, kind: type[Launcher], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", system)
    launcher = open_launcher([])
    launcher.close()
    assert isinstance(launcher, kind)
