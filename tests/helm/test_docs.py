"""The operator, the chart and the API accept the examples in the docs."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from builders import make_resource
from chart import ROOT, Helm


def blocks(name: str) -> list[Any]:
    """Return the YAML documents in a page."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    return [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)]


@pytest.mark.parametrize(
    "values",
    [*blocks("install.md"), *blocks("alerts.md"), *blocks("dashboards.md")],
    ids=lambda values: ",".join(values),
)
def test_values(helm: Helm, values: dict[str, Any]) -> None:
    helm.render(**values)


def test_every_value_that_install_names_is_one() -> None:
    """Names of values start with a group of the chart's, then a dot."""
    values = yaml.safe_load((ROOT / "helm" / "metasearch" / "values.yaml").read_text(encoding="utf-8"))
    pages = "".join(
        (ROOT / "docs" / name).read_text(encoding="utf-8")
        for name in ("install.md", "gpus.md", "quotas.md", "dashboards.md")
    )
    for first, second in re.findall(r"[`' ]([a-z]+)\.([A-Za-z]+)", pages):
        if first in set(values) - {"worker"} and isinstance(values[first], dict):
            assert second in values[first], f"{first}.{second}"


@pytest.mark.parametrize("page", ["gpus.md", "quotas.md"])
def test_specs(page: str) -> None:
    parts = [block.get("spec", block) for block in blocks(page) if block.get("kind") is None]
    assert parts
    for part in parts:
        make_resource(**part)
