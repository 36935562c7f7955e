"""A cluster for a person to use, and the images on it: `make cluster`, `make cluster-down` and `make images`."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from typing import NoReturn

import psutil

from cluster import golden
from cluster.binaries import ROOT, Missing, find_all, find_node
from cluster.builds import BuildFailed, find_builders
from cluster.helm import find_helm
from cluster.household import StartFailed
from cluster.installation import install
from cluster.whole import open_cluster

FOLDER = ROOT / ".cache/cluster"
KUBECONFIG = FOLDER / "kubeconfig"
"""There while the cluster is ready."""

HOLDER = FOLDER / "pid"
LOG = FOLDER / "log"
TRY = """\
  kubectl apply --filename examples/omniglot-quick.yaml
  kubectl get metasearches --watch
"""
HOLD = ["-m", "cluster", "hold"]


def holder() -> psutil.Process | None:
    """The process that holds the cluster; None if there is none."""
    try:
        process = psutil.Process(int(HOLDER.read_text()))
        return process if process.cmdline()[1:] == HOLD else None
    except (FileNotFoundError, psutil.NoSuchProcess):
        return None


def up() -> None:
    """Start one in the background, unless there is one, and say how to use it."""
    if holder() is None:
        say("starting a control plane and two nodes with the operator on them (the first time, that takes minutes)")
        start()
    say(f"it runs until `make cluster-down`; to use it:\n\n  export KUBECONFIG={KUBECONFIG}\n{TRY}")


def start() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    KUBECONFIG.unlink(missing_ok=True)
    with LOG.open("wb") as log:
        process = subprocess.Popen([sys.executable, *HOLD], stdout=log, stderr=log, start_new_session=True)
    HOLDER.write_text(str(process.pid))
    try:
        while not KUBECONFIG.exists():
            if process.poll() is not None:
                sys.exit(LOG.read_text(errors="replace").strip())
            time.sleep(0.1)
    except KeyboardInterrupt:
        down()
        raise


def hold() -> None:
    """Be the owner of a cluster until told to end."""
    signal.signal(signal.SIGTERM, leave)
    try:
        built = has_images()
        with open_cluster(find_all(), find_node(), built=built) as cluster:
            if built:
                install(cluster.access, find_helm(FOLDER / "helm"), cluster.access.namespace)
            copy = FOLDER / "kubeconfig.new"
            copy.touch(mode=0o600)
            shutil.copyfile(cluster.access.kubeconfig, copy)
            copy.rename(KUBECONFIG)
            try:
                signal.pause()
            finally:
                KUBECONFIG.unlink()
    except (Missing, StartFailed, BuildFailed) as error:
        sys.exit(f"cluster: {error}")


def has_images() -> bool:
    """Builds them, where that is possible."""
    try:
        find_builders()
    except Missing as missing:
        say(f"without the project's images: {missing}")
        return False
    golden.prepare()
    return True


def build() -> None:
    """The images alone; says how large they are."""
    try:
        find_builders()
        for image in golden.prepare().values():
            say(f"{image.name}: {image.unpacked}, compressed {image.size / 1e9:.2f} GB")
    except (Missing, StartFailed, BuildFailed) as error:
        sys.exit(f"cluster: {error}")


def leave(number: int, frame: object) -> NoReturn:  # noqa: ARG001
    sys.exit(0)


def down() -> None:
    """End it, and wait until nothing of it is left."""
    if process := holder():
        process.terminate()
        process.wait()
    HOLDER.unlink(missing_ok=True)


def say(message: str) -> None:
    sys.stdout.write(f"cluster: {message}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    {"up": up, "hold": hold, "down": down, "build": build}[sys.argv[1]]()
