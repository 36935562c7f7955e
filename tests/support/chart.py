"""Helpers and expected rights that the tests of the chart share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from devcluster.binaries import ROOT, MissingProgram
from devcluster.helm import CHART, YAML_LOADER, Helm, find_helm

__all__ = [
    "CHART",
    "ROOT",
    "YAML_LOADER",
    "Helm",
    "Json",
    "config",
    "helm_or_skip",
    "objects_of_kind",
    "parse_rights",
    "rights_of",
    "single",
]

Json = dict[str, Any]


def helm_or_skip(home: Path) -> Helm:
    """Return Helm, or skip the test with a sentence if it is missing."""
    try:
        return find_helm(home)
    except MissingProgram as missing:
        pytest.skip(str(missing))


def objects_of_kind(objects: list[Json], kind: str) -> list[Json]:
    return [each for each in objects if each["kind"] == kind]


def single(objects: list[Json], kind: str) -> Json:
    """Return the one object of a kind."""
    (found,) = objects_of_kind(objects, kind)
    return found


def config(objects: list[Json]) -> Json:
    """Return the configuration that the operator reads."""
    parsed: Json = yaml.safe_load(single(objects, "ConfigMap")["data"]["config.yaml"])
    return parsed


def rights_of(role: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """
    Yield group, resource, name and verb of everything that a role allows.

    A review of somebody's rules, as the API server answers it, has the same form as a role.
    """
    for rule in role["rules"]:
        for group in rule.get("apiGroups", []):
            for resource in rule.get("resources", []):
                for name in rule.get("resourceNames", []) or ["*"]:
                    for verb in rule["verbs"]:
                        yield group, resource, name, verb


def parse_rights(text: str, *names: str) -> set[tuple[str, str, str, str]]:
    """
    Return rights in the form of `rights_of` from lines such as `group resource: verb verb`.

    Args:
        text: the lines; the group `core` stands for none.
        names: the objects that the rights are for; all by default.
    """
    lines = (line.replace(":", "").split() for line in text.strip().splitlines())
    return {
        ("" if group == "core" else group, resource, name, verb)
        for group, resource, *verbs in lines
        for name in names or ["*"]
        for verb in verbs
    }


OPERATOR_RIGHTS = parse_rights("""
    metasearch.dev metasearches: get list watch
    metasearch.dev metasearches/status: patch
    metasearch.dev metasearches/finalizers: update
    metasearch.dev metatrials: get list watch create
    metasearch.dev metatrials/status: patch
    batch jobs: get list watch create patch delete
    core pods: get list watch delete
    core pods/status: patch
    coordination.k8s.io leases: get list watch
    core events: create list
    kueue.x-k8s.io workloads: list
""")
"""The operator may do this where searches are, and nothing else there."""

CRD_RIGHTS = parse_rights(
    "apiextensions.k8s.io customresourcedefinitions: get", "metasearches.metasearch.dev", "metatrials.metasearch.dev"
)
"""The operator may do this in the whole cluster besides."""

WORKER_RIGHTS = parse_rights("""
    metasearch.dev metasearches: get
    metasearch.dev metatrials: get list
    metasearch.dev metatrials/status: patch
    coordination.k8s.io leases: create patch get
""")
"""A worker may do this where its search is, and nothing elsewhere; admission policies narrow it further."""

EDIT_RIGHTS = parse_rights("metasearch.dev metasearches: create delete deletecollection patch update")
VIEW_RIGHTS = parse_rights("""
    metasearch.dev metasearches: get list watch
    metasearch.dev metatrials: get list watch
""")
"""People may do this in addition to what the cluster's own roles allow them."""
