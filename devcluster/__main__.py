"""
Start and stop a cluster for a person, and build the images: `make cluster`, `make cluster-down` and `make images`.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from typing import NoReturn

import psutil

from devcluster import image_store
from devcluster.binaries import ROOT, MissingProgram, find_control_plane_binaries, find_node_binaries
from devcluster.cluster import open_cluster
from devcluster.helm import find_helm
from devcluster.image_builder import BuildFailed, require_build_tools
from devcluster.operator_installation import OperatorInstallation
from devcluster.processes import StartFailed

FOLDER = ROOT / ".cache/cluster"
KUBECONFIG = FOLDER / "kubeconfig"
"""This file exists while the cluster is ready."""

PID_FILE = FOLDER / "pid"
LOG = FOLDER / "log"
PROGRAMS = [str(ROOT / place) for place in (".venv/bin", ".cache/kubernetes/bin", ".cache/helm/bin")]
"""Folders with metasearch, kubectl and helm, which a machine need not have otherwise."""

EXAMPLE_COMMANDS = f"""\
  export PATH={":".join(PROGRAMS)}:$PATH
  kubectl apply --filename examples/omniglot-quick.yaml
  kubectl get metasearches --watch
"""
OWN = ["-m", "devcluster", "own"]


def owner_process() -> psutil.Process | None:
    """Return the process that owns the cluster, or None."""
    try:
        process = psutil.Process(int(PID_FILE.read_text()))
        return process if process.cmdline()[1:] == OWN else None
    except (FileNotFoundError, psutil.NoSuchProcess):
        return None


def up() -> None:
    """Start a cluster in the background, unless one runs already, and print how to use it."""
    if owner_process() is None:
        print_line("starting a control plane and two nodes with the operator on them (minutes, the first time)")
        start()
    print_line(f"it runs until `make cluster-down`; to use it:\n\n  export KUBECONFIG={KUBECONFIG}\n{EXAMPLE_COMMANDS}")


def start() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    KUBECONFIG.unlink(missing_ok=True)
    with LOG.open("wb") as log:
        process = subprocess.Popen([sys.executable, *OWN], stdout=log, stderr=log, start_new_session=True)
    PID_FILE.write_text(str(process.pid))
    try:
        while not KUBECONFIG.exists():
            if process.poll() is not None:
                sys.exit(LOG.read_text(errors="replace").strip())
            time.sleep(0.1)
    except KeyboardInterrupt:
        down()
        raise


def own() -> None:
    """Own a cluster until SIGTERM arrives."""
    signal.signal(signal.SIGTERM, exit_on_signal)
    try:
        built = build_images_if_possible()
        with open_cluster(find_control_plane_binaries(), find_node_binaries(), with_project_images=built) as cluster:
            if built:
                OperatorInstallation(cluster.access, find_helm(FOLDER / "helm")).install()
            copy = FOLDER / "kubeconfig.new"
            copy.touch(mode=0o600)
            shutil.copyfile(cluster.access.kubeconfig, copy)
            copy.rename(KUBECONFIG)
            try:
                signal.pause()
            finally:
                KUBECONFIG.unlink()
    except (MissingProgram, StartFailed, BuildFailed) as error:
        sys.exit(f"cluster: {error}")


def build_images_if_possible() -> bool:
    """Build the images if this machine can; return whether it could."""
    try:
        require_build_tools()
    except MissingProgram as missing:
        print_line(f"without the project's images: {missing}")
        return False
    image_store.prepare_images()
    return True


def build() -> None:
    """Build the images and print their sizes."""
    try:
        require_build_tools()
        for image in image_store.prepare_images().values():
            print_line(f"{image.name}: {image.unpacked}, compressed {image.size / 1e9:.2f} GB")
    except (MissingProgram, StartFailed, BuildFailed) as error:
        sys.exit(f"cluster: {error}")


def exit_on_signal(number: int, frame: object) -> NoReturn:  # noqa: ARG001
    sys.exit(0)


def down() -> None:
    """End the cluster, and wait until nothing of it is left."""
    if process := owner_process():
        process.terminate()
        process.wait()
    PID_FILE.unlink(missing_ok=True)


def print_line(message: str) -> None:
    sys.stdout.write(f"cluster: {message}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    {"up": up, "own": own, "down": down, "build": build}[sys.argv[1]]()
