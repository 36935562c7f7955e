"""Helm, and the project's chart rendered with it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from devcluster.access import ClusterAccess
from devcluster.binaries import ROOT, MissingProgram

CHART = ROOT / "helm" / "metasearch"

BUILD_FOLDER = ROOT / ".cache/helm/bin"
"""`scripts/setup.sh cluster` puts Helm here."""

YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The loader in C, because the CRDs are long and are read often."""

Json = dict[str, Any]

MONITORING_KINDS = ("PodMonitor", "PrometheusRule", "ServiceMonitor")


@dataclass(frozen=True)
class Helm:
    """The Helm program, and a folder for its cache and configuration."""

    program: Path
    home: Path
    chart: Path = CHART

    def call(
        self, *arguments: str | Path, values: Mapping[str, Any] | None = None, access: ClusterAccess | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run Helm to its end, whatever its exit code."""
        environment = {**os.environ, **{f"HELM_{kind}_HOME": str(self.home) for kind in ("CACHE", "CONFIG", "DATA")}}
        if access is not None:
            environment |= {**access.environment, "KUBECONFIG": str(access.kubeconfig)}
        given = ["--values=-"] if values is not None else []
        return subprocess.run(
            [self.program, *arguments, *given],
            input=yaml.safe_dump(dict(values or {})),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env=environment,
        )

    def run(
        self, *arguments: str | Path, values: Mapping[str, Any] | None = None, access: ClusterAccess | None = None
    ) -> str:
        """Return the output of Helm, which must succeed."""
        ended = self.call(*arguments, values=values, access=access)
        assert ended.returncode == 0, f"helm {' '.join(map(str, arguments))}: {ended.stderr}"
        return ended.stdout

    def render(self, namespace: str = "team-a", release: str = "metasearch", **values: Any) -> list[Json]:
        """Return every object that an installation with these values consists of, where Prometheus' operator runs."""
        versions = [f"--api-versions=monitoring.coreos.com/v1/{kind}" for kind in MONITORING_KINDS]
        text = self.run("template", release, self.chart, f"--namespace={namespace}", *versions, values=values)
        return [each for each in yaml.load_all(text, YAML_LOADER) if each]

    def render_error(self, values: Mapping[str, Any]) -> str:
        """Return Helm's error for values that it must refuse."""
        ended = self.call("template", "metasearch", self.chart, values=values)
        assert ended.returncode != 0, f"{values} are taken"
        return ended.stderr


def find_helm(home: Path) -> Helm:
    """
    Find Helm.

    Args:
        home: a folder for its cache and configuration.

    Raises:
        MissingProgram: Helm is not installed.
    """
    for folder in (BUILD_FOLDER, *map(Path, os.environ["PATH"].split(os.pathsep))):
        if program := shutil.which("helm", path=folder):
            return Helm(Path(program), home)
    raise MissingProgram(
        "helm is missing: run scripts/setup.sh cluster (with Go), or install Helm 4 as "
        "https://helm.sh/docs/intro/install says"
    )
