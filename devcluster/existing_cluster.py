"""Access to a cluster that runs already, used instead of one of our own."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from devcluster.access import ClusterAccess, write_kubeconfig
from devcluster.binaries import find_folder_with
from devcluster.processes import managed_processes


@contextmanager
def open_existing_cluster(kubeconfig: Path) -> Iterator[ClusterAccess]:
    """Create a namespace in an existing cluster, and delete it at the end, even after a crash of this process."""
    program = Path(shutil.which("kubectl") or find_folder_with("kubectl") / "kubectl")
    if not kubeconfig.is_file():
        raise FileNotFoundError(f"there is no kubeconfig {kubeconfig}; CLUSTER names the file that kubectl would use")
    with managed_processes() as processes:
        theirs = ClusterAccess("", kubeconfig, "", program, os.environ)
        cache = f"--cache-dir={processes.folder}"  # kubectl would put its cache beside the user's file otherwise
        config = yaml.safe_load(theirs.run("config", "view", "--minify", "--flatten", "--raw", cache))
        namespace = f"metasearch-test-{uuid.uuid4().hex[:8]}"
        config["contexts"][0]["context"]["namespace"] = namespace
        ours = write_kubeconfig(processes.folder / "kubeconfig", config)
        access = ClusterAccess(config["clusters"][0]["cluster"]["server"], ours, namespace, program, os.environ)
        delete = access.command("delete", "namespace", namespace, "--ignore-not-found", "--timeout=50s")
        processes.add_cleanup(*delete)
        access.run("create", "namespace", namespace)
        yield access
