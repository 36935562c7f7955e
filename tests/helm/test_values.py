"""The chart's values, their schema and their documentation agree."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from chart import CHART, ROOT, Helm

import metasearch

SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    return schema if reference is None else SCHEMA["definitions"][reference.rpartition("/")[2]]


def objects(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield every object of the schema that is neither Helm's nor Kubernetes' own, with its path."""
    schema = resolved(schema)
    if "properties" in schema:
        yield path, schema
        for name, each in schema["properties"].items():
            yield from objects(each, (*path, name))


def nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    return dict(value)


OBJECTS = list(objects(SCHEMA))


def test_helm_finds_nothing_to_complain_about(helm: Helm) -> None:
    printed = helm.run("lint", "--strict", helm.chart)
    assert "0 chart(s) failed" in printed
    assert "WARNING" not in printed


@pytest.mark.parametrize("path", [path for path, _ in OBJECTS], ids=lambda path: ".".join(path) or "values")
def test_an_unknown_key_is_refused_by_name(helm: Helm, path: tuple[str, ...]) -> None:
    message = helm.render_error(nested((*path, "unheardOf"), 1))
    assert f"at '{''.join(f'/{key}' for key in path)}'" in message
    assert "'unheardOf' not allowed" in message


def test_no_object_of_the_schema_takes_any_key() -> None:
    """Only objects of Kubernetes and of Prometheus' operator, and those that Helm gives to every chart, are exempt."""
    free = [path for path, schema in OBJECTS if schema.get("additionalProperties") is not False]
    assert not free
    open_objects = re.findall(r'"(\w+)": \{"type": "object"\}', json.dumps(SCHEMA))
    assert sorted(open_objects) == ["clientConfig", "nodeAffinity", "podAffinity", "podAntiAffinity"]


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
        ({"image": {"pullSecrets": [{"name": "a"}]}}, "/image/pullSecrets/0"),
        ({"operator": {"image": {"digest": "sha256:abc"}}}, "/operator/image/digest"),
        ({"operator": {"env": {"A": 1}}}, "/operator/env/A"),
        ({"operator": {"resources": {"limits": {"memory": "much"}}}}, "/operator/resources/limits/memory"),
        ({"operator": {"tolerations": [{"key": "a", "effects": "NoSchedule"}]}}, "/operator/tolerations/0"),
        ({"worker": {"serviceAccount": {"name": ""}}}, "/worker/serviceAccount/name"),
        ({"worker": {"serviceAccount": {"name": "a:b"}}}, "/worker/serviceAccount/name"),
        ({"worker": {"nodeLostSeconds": -1}}, "/worker/nodeLostSeconds"),
        ({"worker": {"labels": {"a": "not a label"}}}, "/worker/labels/a"),
        ({"watch": {"namespaces": "team-a"}}, "/watch/namespaces"),
        ({"watch": {"namespaces": ["team-a", "team-a"]}}, "/watch/namespaces"),
        ({"watch": {"namespaces": ["Team"]}}, "/watch/namespaces/0"),
        ({"watch": {"all": "yes"}}, "/watch/all"),
        ({"networkPolicy": {"apiServer": {"cidrs": ["10.0.0.1"]}}}, "/networkPolicy/apiServer/cidrs/0"),
        ({"networkPolicy": {"workerEgress": [{"port": 443}]}}, "/networkPolicy/workerEgress/0"),
        ({"fullnameOverride": "Meta Search"}, "/fullnameOverride"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_name(helm: Helm, values: dict[str, Any], path: str) -> None:
    assert f"at '{path}'" in helm.render_error(values)


def test_the_values_and_their_schema_have_the_same_keys() -> None:
    """Kubernetes' own objects are exempt, since a default need not use all of their fields."""
    for path, schema in OBJECTS:
        value: Any = VALUES
        for key in path:
            value = value.get(key, {})
        if value and path[-1:] != ("resources",):
            assert set(value) == set(schema["properties"]) - {"global"}, ".".join(path)


def leaves(values: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    if not isinstance(values, dict) or not values or path[-1:] in (("resources",), ("labels",)):
        yield ".".join(path)
        return
    for key, value in values.items():
        yield from leaves(value, (*path, key))


def test_every_value_has_a_meaning() -> None:
    """The table is made from the comments above the values."""
    text = (ROOT / "docs" / "values.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `(\S+)` \|.*\| [^|]+\. \|$", text, re.MULTILINE)
    assert documented == list(leaves(VALUES))


def test_the_chart_has_the_packages_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["version"] == metasearch.__version__
