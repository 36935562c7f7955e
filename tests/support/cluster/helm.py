"""Helm, and the chart by way of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cluster.access import Access
from cluster.binaries import ROOT, Missing

CHART = ROOT / "helm" / "metasearch"

BUILT = ROOT / ".cache/helm/bin"
"""Where `scripts/setup.sh cluster` puts it."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The definitions are long, and read again and again."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Helm:
    """The program, with a place for what it remembers."""

    program: Path
    home: Path
    chart: Path = CHART

    def call(
        self, *arguments: str | Path, values: Mapping[str, Any] | None = None, access: Access | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end, whatever that is."""
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

    def run(self, *arguments: str | Path, values: Mapping[str, Any] | None = None, access: Access | None = None) -> str:
        """What it printed, where it is to go well."""
        ended = self.call(*arguments, values=values, access=access)
        assert ended.returncode == 0, f"helm {' '.join(map(str, arguments))}: {ended.stderr}"
        return ended.stdout

    def render(self, namespace: str = "team-a", release: str = "metasearch", **values: Any) -> list[Json]:
        """Every object that an installation with these values consists of."""
        text = self.run("template", release, self.chart, f"--namespace={namespace}", values=values)
        return [each for each in yaml.load_all(text, LOADER) if each]

    def refusal(self, values: Mapping[str, Any]) -> str:
        """What it says to values that it must refuse."""
        ended = self.call("template", "metasearch", self.chart, values=values)
        assert ended.returncode != 0, f"{values} are taken"
        return ended.stderr


def find_helm(home: Path) -> Helm:
    """
    Args:
        home: where it may remember things.

    Raises:
        Missing: there is none.
    """
    for folder in (BUILT, *map(Path, os.environ["PATH"].split(os.pathsep))):
        if program := shutil.which("helm", path=folder):
            return Helm(Path(program), home)
    raise Missing(
        "helm is missing: run scripts/setup.sh cluster (with Go), or install Helm 4 as "
        "https://helm.sh/docs/intro/install says"
    )
