"""A cluster that is there already, used instead of one of our own."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from cluster.access import Access, write_kubeconfig
from cluster.binaries import find
from cluster.household import open_household


@contextmanager
def open_existing(kubeconfig: Path) -> Iterator[Access]:
    """Access to it, in a namespace that is made for the while and deleted at the end, also after a crash."""
    program = Path(shutil.which("kubectl") or find("kubectl") / "kubectl")
    if not kubeconfig.is_file():
        raise FileNotFoundError(f"there is no kubeconfig {kubeconfig}; CLUSTER names the file that kubectl would use")
    with open_household() as household:
        theirs = Access("", kubeconfig, "", program, os.environ)
        cache = f"--cache-dir={household.folder}"  # not beside their file
        config = yaml.safe_load(theirs.run("config", "view", "--minify", "--flatten", "--raw", cache))
        namespace = f"metasearch-test-{uuid.uuid4().hex[:8]}"
        config["contexts"][0]["context"]["namespace"] = namespace
        ours = write_kubeconfig(household.folder / "kubeconfig", config)
        access = Access(config["clusters"][0]["cluster"]["server"], ours, namespace, program, os.environ)
        delete = access.command("delete", "namespace", namespace, "--ignore-not-found", "--timeout=50s")
        household.undo_at_the_end(*delete)
        access.run("create", "namespace", namespace)
        yield access
