"""
The definitions of PrometheusRule, PodMonitor and ServiceMonitor on a cluster, without the operator that reads them.

They are those of a release of Prometheus' operator (Apache-2.0), unchanged; this project ships none of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devcluster.access import ClusterAccess
from devcluster.binaries import ROOT, MissingProgram

FOLDER = ROOT / ".cache/monitoring"
"""`scripts/setup.sh cluster` puts the definitions here."""


def find_monitoring_definitions() -> list[Path]:
    """
    Return the files with the definitions.

    Raises:
        MissingProgram: they are not here.
    """
    if not (FOLDER / ".version").exists():
        raise MissingProgram(
            "the definitions of Prometheus' operator are missing: run scripts/setup.sh cluster (with Go)"
        )
    return sorted(FOLDER.glob("*.yaml"))


@contextmanager
def monitoring_definitions_installed(access: ClusterAccess) -> Iterator[None]:
    """
    Install the definitions where they are missing, and remove afterwards those that were.

    Raises:
        MissingProgram: they are not on this machine.
    """
    ours = [
        file
        for file in find_monitoring_definitions()
        if access.kubectl("get", "crd", f"{file.stem}.monitoring.coreos.com").returncode != 0
    ]
    files = [f"--filename={file}" for file in ours]
    if ours:
        # On the server: as an annotation, which the client would keep, the longest is too long.
        access.run("apply", "--server-side", *files)
        access.run("wait", "--for=condition=Established", "--timeout=60s", *files)
    yield
    if ours:
        access.run("delete", *files)
