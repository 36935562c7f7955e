"""What tests of the chart have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cluster.binaries import ROOT, Missing
from cluster.helm import CHART, LOADER, Helm, find_helm

__all__ = ["CHART", "LOADER", "ROOT", "Helm", "Json", "helm_or_skip", "of_kind", "only", "rights", "table"]

Json = dict[str, Any]


def helm_or_skip(home: Path) -> Helm:
    """Helm; skips the tests that need it, with a sentence, where there is none."""
    try:
        return find_helm(home)
    except Missing as missing:
        pytest.skip(str(missing))


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
    metasearch.dev metasearches: get list watch
    metasearch.dev metasearches/status: patch
    metasearch.dev metasearches/finalizers: update
    metasearch.dev metatrials: get list watch create
    metasearch.dev metatrials/status: patch
    batch jobs: get list watch create patch delete
    core pods: get list watch
    coordination.k8s.io leases: get list watch
    core events: create list patch
    kueue.x-k8s.io workloads: list
""")
"""What the operator may do where searches are; nothing else."""

DEFINITIONS = table(
    "apiextensions.k8s.io customresourcedefinitions: get", "metasearches.metasearch.dev", "metatrials.metasearch.dev"
)
"""What it may do beside, in the whole cluster."""

WORKER = table("""
    metasearch.dev metasearches: get
    metasearch.dev metatrials: get list
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
