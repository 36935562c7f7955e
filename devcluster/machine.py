"""
A stand-in for a node's machine: namespaces for processes, mounts and network of its own.

When the first process of a PID namespace dies, the kernel kills all others in it and removes the mounts and the network
with the last one, as if a machine were switched off.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from devcluster.processes import ManagedProcess, ManagedProcesses

BOOT = """
set -eu
# Volumes that a kubelet mounts must appear in containers that run already, so mounts have to propagate.
mount --make-rshared /
# Folders with fixed names, which the nodes of one machine would otherwise share.
for folder in /var/lib /var/log; do
  mkdir -p "$0$folder"
  mount --bind "$0$folder" "$folder"
done
mount -t tmpfs tmpfs /run
# A kubelet sets these for the whole host, since they belong to no namespace. It finds files with the values it wants
# instead, and leaves the host alone.
pretend() {
  mkdir -p "$0/$(dirname "$1")"
  echo "$2" >"$0/$1"
  mount --bind "$0/$1" "/proc/sys/$1"
}
pretend vm/overcommit_memory 1
pretend vm/panic_on_oom 0
pretend kernel/panic 10
pretend kernel/panic_on_oops 1
pretend kernel/keys/root_maxkeys 1000000
pretend kernel/keys/root_maxbytes 25000000
# The node routes between the bridge of its pods and the network of nodes.
echo 1 >/proc/sys/net/ipv4/ip_forward
ip link set lo up
touch "$0/up"
trap '' CHLD  # orphans become children of this first process, and the kernel reaps them if it ignores their end
exec sleep infinity
"""

# A kubelet kills what is in pod cgroups under its root that it does not know, so each node needs a root of its own.
# Version 1 has a tree for each controller, and a new cpuset is empty until it is given processors and memory.
MAKE_CGROUPS = """
set -eu
for controller in /sys/fs/cgroup $(find /sys/fs/cgroup -mindepth 1 -maxdepth 1 -type d); do
  [ -f "$controller/cgroup.procs" ] || continue
  mkdir -p "$controller/$0"
  [ -f "$controller/cgroup.controllers" ] && [ "$controller" = /sys/fs/cgroup ] && break  # version 2 has one tree only
  for file in cpuset.cpus cpuset.mems; do
    if [ -f "$controller/$file" ]; then cat "$controller/$file" >"$controller/$0/$file"; fi
  done
done
"""

REMOVE_CGROUPS = """
for attempt in $(seq 300); do  # a cgroup can be removed only after its killed processes have ended
  left=$(find /sys/fs/cgroup -maxdepth 2 -name "$0" -type d)
  [ -n "$left" ] || exit 0
  find $left -depth -type d -exec rmdir {} \\; 2>/dev/null
  sleep 0.1
done
exit 1
"""


class Machine:
    """A machine that runs once it is constructed; it has no network until `Network.connect` connects it."""

    def __init__(self, processes: ManagedProcesses, name: str) -> None:
        self.name, self.folder = name, processes.folder / name
        self.cgroup = f"{processes.folder.name}-{name}"
        self._managed = processes
        self.folder.mkdir()
        processes.add_cleanup("sh", "-c", REMOVE_CGROUPS, self.cgroup)
        subprocess.run(["sh", "-c", MAKE_CGROUPS, self.cgroup], check=True)  # noqa: S607
        # --kill-child ties the first process to unshare, so that killing unshare powers the machine off.
        apart = ["--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--net"]
        up = self.folder / "up"
        self.init_process = processes.start(name, "unshare", *apart, "sh", "-c", BOOT, self.folder, ready=up.exists)
        self.init_process.wait_until_ready()

    @property
    def init_pid(self) -> int:
        """The process id, outside the machine, of the machine's first process."""
        (child,) = Path(f"/proc/{self.init_process.pid}/task/{self.init_process.pid}/children").read_text().split()
        return int(child)

    def start(
        self, name: str, *command: str | Path, ready: Callable[[], bool], start_retries: int = 0
    ) -> ManagedProcess:
        """Start a process on the machine."""
        # nsenter stays outside as the parent of the process. Killing nsenter must kill that process too.
        tied = [*self._enter(), "setpriv", "--pdeathsig=KILL", *command]
        return self._managed.start(f"{self.name}-{name}", *tied, ready=ready, start_retries=start_retries)

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command on the machine to its end, whatever its exit code."""
        return subprocess.run([*self._enter(), *command], check=False, capture_output=True, text=True)

    def _enter(self) -> list[str]:
        return ["nsenter", f"--target={self.init_pid}", "--pid", "--mount", "--net"]
