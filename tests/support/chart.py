"""The chart, by way of Helm."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.access import Access

ROOT = Path(__file__).resolve().parents[2]

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


def helm_or_skip(home: Path) -> Helm:
    """Helm; skips the tests that need it, with a sentence, where there is none."""
    for folder in (BUILT, *map(Path, os.environ["PATH"].split(os.pathsep))):
        if program := shutil.which("helm", path=folder):
            return Helm(Path(program), home)
    pytest.skip(
        "helm is missing: run scripts/setup.sh cluster (with Go), or install Helm 4 as "
        "https://helm.sh/docs/intro/install says"
    )


def of_kind(objects: list[Json], kind: str) -> list[Json]:
    return [each for each in objects if each["kind"] == kind]


def only(objects: list[Json], kind: str) -> Json:
    """The one object of a kind."""
    (found,) = of_kind(objects, kind)
    return found


def rights(role: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Group, resource, name and verb of everything that a role, or a review of someone's rules, allows."""
    for rule in role["rules"]:
        for group in rule.get("apiGroups", []):
            for resource in rule.get("resources", []):
                for name in rule.get("resourceNames", []) or ["*"]:
                    for verb in rule["verbs"]:
                        yield group, resource, name, verb


def table(text: str, *names: str) -> set[tuple[str, str, str, str]]:
    """The same from lines of the form `group resource: verb verb`, `core` for no group, on these names or on all."""
    lines = (line.replace(":", "").split() for line in text.strip().splitlines())
    return {
        ("" if group == "core" else group, resource, name, verb)
        for group, resource, *verbs in lines
        for name in names or ["*"]
        for verb in verbs
    }


OPERATOR = table("""
    metasearch.dev metasearches: get list watch patch
    metasearch.dev metasearches/status: patch
    metasearch.dev metasearches/finalizers: update
    metasearch.dev metatrials: get list watch create
    metasearch.dev metatrials/status: patch
    batch jobs: get list watch create patch delete
    core pods: get list watch
    coordination.k8s.io leases: get list watch
    core events: create list patch
""")
"""What the operator may do where searches are; nothing else."""

DEFINITIONS = table(
    "apiextensions.k8s.io customresourcedefinitions: get", "metasearches.metasearch.dev", "metatrials.metasearch.dev"
)
"""What it may do beside, in the whole cluster."""

WORKER = table("""
    metasearch.dev metasearches: get
    metasearch.dev metatrials: get list watch
    metasearch.dev metatrials/status: patch
    coordination.k8s.io leases: create patch get
""")
"""What a worker may do where its search is, and nothing elsewhere; the admission policies narrow it further."""

EDIT = table("metasearch.dev metasearches: create delete deletecollection patch update")
VIEW = table("""
    metasearch.dev metasearches: get list watch
    metasearch.dev metatrials: get list watch
""")
"""What people may do, beside what the cluster's own roles allow them."""
