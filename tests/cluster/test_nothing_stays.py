"""Nothing of a cluster stays, however its owner ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from devcluster.binaries import ControlPlaneBinaries
from devcluster.control_plane import open_control_plane
from devcluster.janitor import MARK
from devcluster.network import NETWORKS, Network
from devcluster.processes import StartFailed, managed_processes
from local_search import is_alive, wait_until


def marked(folder: Path) -> list[psutil.Process]:
    """Return the processes that carry the mark of a cluster's folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(folder):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def is_refused(url: str) -> bool:
    where = urlsplit(url)
    with socket.socket() as client:
        return client.connect_ex((where.hostname, where.port)) != 0


def folders_in(parent: Path) -> list[Path]:
    return list(parent.glob("metasearch-cluster-*"))


def test_it_is_gone_after_its_end(binaries: ControlPlaneBinaries) -> None:
    with open_control_plane(binaries) as own:
        folder = own.access.kubeconfig.parent
        names = {process.name() for process in marked(folder)}
        assert names == {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}
        assert not is_refused(own.access.url)
    assert marked(folder) == []
    assert is_refused(own.access.url)
    assert not folder.exists()


OWN_CONTROL_PLANE = """
import signal
from devcluster.binaries import find_control_plane_binaries
from devcluster.control_plane import open_control_plane
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell has begun us in the background
with open_control_plane(find_control_plane_binaries()) as own:
    print(own.access.url, flush=True)
    signal.pause()
"""

OWN_NODES = """
import signal
from devcluster.binaries import find_control_plane_binaries, find_node_binaries
from devcluster.busybox_images import BUSYBOX
from devcluster.cluster import open_cluster
signal.signal(signal.SIGINT, signal.default_int_handler)
with open_cluster(find_control_plane_binaries(), find_node_binaries()) as own:
    own.access.run("create", "deployment", "pods", f"--image={BUSYBOX}", "--replicas=4", "--", "sleep", "1000")
    own.access.run("rollout", "status", "deployment/pods", "--timeout=240s")
    print(own.access.url, flush=True)
    signal.pause()
"""


@contextmanager
def run(script: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that owns a cluster whose folder is in the given one."""
    with (folder / "errors").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "TMPDIR": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)},
            process_group=0,
        )
    with process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_url(owner: subprocess.Popen[str], folder: Path) -> str:
    """Return the address that the owner prints once the cluster is ready."""
    assert owner.stdout is not None
    url = owner.stdout.readline().strip()
    assert url, (folder / "errors").read_text()
    return url


DEATHS = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]


@pytest.mark.usefixtures("binaries")
@pytest.mark.parametrize("death", DEATHS)
def test_it_is_gone_when_its_owner_dies(death: signal.Signals, tmp_path: Path) -> None:
    with run(OWN_CONTROL_PLANE, tmp_path) as owner:
        url = wait_for_url(owner, tmp_path)
        (folder,) = folders_in(tmp_path)
        assert len(marked(folder)) == 4
        assert not is_refused(url)
        os.killpg(owner.pid, death)
        wait_until(lambda: not folder.exists())
        assert marked(folder) == []
        assert is_refused(url)


@pytest.mark.usefixtures("binaries")
@pytest.mark.parametrize("death", DEATHS)
def test_it_is_gone_when_its_owner_dies_while_it_starts(death: signal.Signals, tmp_path: Path) -> None:
    with run(OWN_CONTROL_PLANE, tmp_path) as owner:
        (folder,) = wait_until(lambda: folders_in(tmp_path))
        wait_until(lambda: marked(folder))
        os.killpg(owner.pid, death)
        wait_until(lambda: not folder.exists())
        assert marked(folder) == []
        assert owner.stdout is not None
        assert owner.stdout.read() == ""


@pytest.mark.usefixtures("binaries", "node_binaries")
@pytest.mark.parametrize("death", [signal.SIGINT, signal.SIGKILL])
def test_its_nodes_are_gone_when_its_owner_dies(death: signal.Signals, tmp_path: Path) -> None:
    before = system()
    with run(OWN_NODES, tmp_path) as owner:
        url = wait_for_url(owner, tmp_path)
        (folder,) = folders_in(tmp_path)
        cgroups = cgroups_of(folder)
        pods = [process for cgroup in cgroups for process in processes_in(cgroup)]
        assert len({process.pid for process in pods}) >= 8, "four pods, each with what holds its namespaces"
        wires = links(urlsplit(url).hostname)
        assert len(wires) == 3, "a bridge, and a cable to each node"
        os.killpg(owner.pid, death)
        wait_until(lambda: not folder.exists())
        assert marked(folder) == []
        assert not any(is_alive(process) for process in pods)
        assert cgroups_of(folder) == []
        assert is_refused(url)
        assert str(folder) not in Path("/proc/mounts").read_text()
        assert not wires & links()
        assert system() == before


def cgroups_of(folder: Path) -> list[Path]:
    top = Path("/sys/fs/cgroup")
    return [*top.glob(f"{folder.name}-*"), *top.glob(f"*/{folder.name}-*")]


def processes_in(cgroup: Path) -> list[psutil.Process]:
    listed = [number for path in cgroup.rglob("cgroup.procs") for number in path.read_text().split()]
    return [psutil.Process(int(number)) for number in listed]


def links(host: str | None = None) -> set[tuple[str, str]]:
    """
    Return names and numbers of the machine's network devices; with a host's address, only those of its cluster.

    A number is never given twice, so devices of other tests' clusters, which come and go meanwhile, are told apart.
    Routes vanish with their devices.
    """
    bridge = next((network.bridge for network in map(Network, range(NETWORKS)) if network.host_address == host), "")
    return {
        (link.name, (link / "ifindex").read_text())
        for link in Path("/sys/class/net").iterdir()
        if link.name.partition("-")[0] == bridge or host is None
    }


PLACES = (
    "/etc/cni",
    "/etc/kubernetes",
    "/run/containerd",
    "/run/netns",
    "/run/xtables.lock",
    "/usr/libexec/kubernetes",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
)
SETTINGS = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward")


def system() -> dict[str, object]:
    """Return the state of the host that a node would change if nothing kept it from that."""
    return {
        "places": [place for place in PLACES if Path(place).exists()],
        "settings": [Path("/proc/sys", name).read_text() for name in SETTINGS],
        "routes": [route for route in routes() if " dev metasearch" not in route],
    }


def routes() -> list[str]:
    return subprocess.run(["ip", "route"], capture_output=True, check=True, text=True).stdout.splitlines()  # noqa: S607


def test_children_of_its_processes_are_gone_too() -> None:
    with managed_processes() as processes:
        processes.start("shell", "sh", "-c", "setsid sleep 1000 & setsid sleep 1000 & wait", ready=lambda: True)
        wait_until(lambda: len(marked(processes.folder)) == 3)
    assert marked(processes.folder) == []


def test_a_process_that_ends_before_it_is_ready_is_reported_with_the_end_of_its_log() -> None:
    with managed_processes() as processes:
        process = processes.start("odd", "sh", "-c", "echo this is why; exit 3", ready=lambda: False)
        with pytest.raises(StartFailed, match=r"odd ended with 3: \nthis is why"):
            process.wait_until_ready()


def test_one_that_may_be_begun_anew_is(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    starts.touch()
    ends_twice = 'echo >>"$0"; [ $(wc -l <"$0") = 3 ] || exit 1; exec sleep 1000'
    with managed_processes() as processes:
        late = processes.start(
            "late", "sh", "-c", ends_twice, starts, ready=lambda: starts.stat().st_size == 3, start_retries=2
        )
        late.wait_until_ready()
        hopeless = processes.start("hopeless", "sh", "-c", "exit 1", ready=lambda: False, start_retries=2)
        with pytest.raises(StartFailed, match="hopeless ended with 1"):
            hopeless.wait_until_ready()


def test_what_could_not_be_taken_down_is_reported() -> None:
    with pytest.raises(AssertionError, match="could not take everything down"), managed_processes() as processes:
        processes.add_cleanup("false")
    assert not processes.folder.exists()
