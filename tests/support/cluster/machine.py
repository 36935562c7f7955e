"""What a node runs on: a machine of its own as far as the kernel lets it, with its own processes, network and mounts.

When its first process dies, the kernel ends all others and takes the mounts and the network with it, like a machine
that is switched off.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from cluster.household import Household, Process

BOOT = """
set -eu
mount --make-rshared /
for folder in /var/lib /var/log; do
  mkdir -p "$0$folder"
  mount --bind "$0$folder" "$folder"
done
mount -t tmpfs tmpfs /run
# What a kubelet would set for the whole machine under us. It finds them set, and leaves the true ones alone.
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
echo 1 >/proc/sys/net/ipv4/ip_forward
ip link set lo up
touch "$0/up"
trap '' CHLD  # who is orphaned here ends up with us, and need not be waited for
exec sleep infinity
"""

MAKE_CGROUPS = """
set -eu
for controller in /sys/fs/cgroup $(find /sys/fs/cgroup -mindepth 1 -maxdepth 1 -type d); do
  [ -f "$controller/cgroup.procs" ] || continue
  mkdir -p "$controller/$0"
  [ -f "$controller/cgroup.controllers" ] && [ "$controller" = /sys/fs/cgroup ] && break  # version 2: the only one
  for file in cpuset.cpus cpuset.mems; do
    if [ -f "$controller/$file" ]; then cat "$controller/$file" >"$controller/$0/$file"; fi
  done
done
"""

REMOVE_CGROUPS = """
for attempt in $(seq 300); do  # processes that were killed may take a moment
  left=$(find /sys/fs/cgroup -maxdepth 2 -name "$0" -type d)
  [ -n "$left" ] || exit 0
  find $left -depth -type d -exec rmdir {} \\; 2>/dev/null
  sleep 0.1
done
exit 1
"""


class Machine:
    """Switched on when made, and without a network until one is connected."""

    def __init__(self, household: Household, name: str) -> None:
        self.name, self.folder = name, household.folder / name
        self.cgroup = f"{household.folder.name}-{name}"
        self._household = household
        self.folder.mkdir()
        household.undo_at_the_end("sh", "-c", REMOVE_CGROUPS, self.cgroup)
        subprocess.run(["sh", "-c", MAKE_CGROUPS, self.cgroup], check=True)  # noqa: S607
        apart = ["--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--net"]
        up = self.folder / "up"
        self.power = household.start(name, "unshare", *apart, "sh", "-c", BOOT, self.folder, ready=up.exists)
        self.power.wait_until_ready()

    @property
    def first_process(self) -> int:
        """As it is known outside."""
        (child,) = Path(f"/proc/{self.power.pid}/task/{self.power.pid}/children").read_text().split()
        return int(child)

    def start(self, name: str, *command: str | Path, ready: Callable[[], bool], more_starts: int = 0) -> Process:
        """Begin a process on it."""
        # nsenter stays outside, as the parent; who kills it means the one inside.
        tied = [*self._enter(), "setpriv", "--pdeathsig=KILL", *command]
        return self._household.start(f"{self.name}-{name}", *tied, ready=ready, more_starts=more_starts)

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command on it to its end, whatever that is."""
        return subprocess.run([*self._enter(), *command], check=False, capture_output=True, text=True)

    def _enter(self) -> list[str]:
        return ["nsenter", f"--target={self.first_process}", "--pid", "--mount", "--net"]
