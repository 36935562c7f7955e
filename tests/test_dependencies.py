"""The dependencies in pyproject.toml are those that the code imports, each part of it those of its extra."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from metasearch_cli.extras import MODULES

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OWN = {"metasearch", "metasearch_operator", "metasearch_trainer", "metasearch_cli"}
DISTRIBUTIONS = packages_distributions()

EXTRAS_OF = {
    "core/metasearch": (),
    "core/metasearch/cluster": ("cluster",),
    "core/metasearch/metrics": ("operator",),
    "core/metasearch/search/surrogates": ("trainer",),
    "operator/metasearch_operator": ("operator",),
    "trainer-image/metasearch_trainer": ("trainer", "storage"),
    "cli/metasearch_cli": (),
    "cli/metasearch_cli/local/costs.py": ("trainer",),
    "cli/metasearch_cli/local/driver.py": ("trainer",),
    "cli/metasearch_cli/local/gpus.py": ("trainer",),
    "cli/metasearch_cli/local/latency_table.py": ("trainer",),
    "cli/metasearch_cli/local/metrics.py": ("trainer",),
    "cli/metasearch_cli/local/session.py": ("trainer",),
    "cli/metasearch_cli/remote/weights.py": ("storage",),
    "cli/metasearch_cli/report": ("report",),
    "cli/metasearch_cli/trackers/mlflow_tracker.py": ("mlflow",),
    "cli/metasearch_cli/trackers/tensorboard_tracker.py": ("tensorboard",),
}
"""The extras that a file may import from besides the base are those of the longest path above it."""

NEVER_IMPORTED = {"s3fs"}
"""fsspec finds it by the address that it is to open."""

NEVER_DECLARED = {"triton"}
"""PyTorch for GPUs brings the version that it needs; nothing imports it on other machines."""


def normalized(requirement: str) -> str:
    """Return the name of a distribution without its bounds, as its metadata spells it."""
    name = re.split(r"[\[<>=!~;\s]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(extra: str) -> set[str]:
    """Return the distributions of an extra, with those of the extras that it names."""
    names: set[str] = set()
    for requirement in PROJECT["optional-dependencies"][extra]:
        if normalized(requirement) == PROJECT["name"]:
            (inner,) = re.findall(r"\[(.*)\]", requirement)
            names.update(*map(declared, inner.split(",")))
        else:
            names.add(normalized(requirement))
    return names


BASE = {normalized(each) for each in PROJECT["dependencies"]}
FILES = sorted(
    path
    for root in EXTRAS_OF
    if root.count("/") == 1  # the four packages
    for path in (ROOT / root).rglob("*.py")
)


def imported(file: Path) -> Iterator[str]:
    """Yield the top-level modules of others that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        for name in names:
            top = name.partition(".")[0]
            if top not in OWN | NEVER_DECLARED and top not in sys.stdlib_module_names:
                yield top


def distribution(module: str) -> str:
    """Return the distribution that brings a module; the names may differ, as with `python-dateutil`."""
    (name, *_) = DISTRIBUTIONS[module]
    return normalized(name)


def allowed(file: Path) -> set[str]:
    """Return the distributions that a file may import."""
    path = file.relative_to(ROOT).as_posix()
    longest = max((place for place in EXTRAS_OF if path == place or path.startswith(f"{place}/")), key=len)
    return BASE.union(*map(declared, EXTRAS_OF[longest]))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_a_file_imports_only_what_its_extras_declare(file: Path) -> None:
    assert {module for module in imported(file) if distribution(module) not in allowed(file)} == set()


def test_everything_declared_is_imported() -> None:
    everything = BASE.union(*map(declared, PROJECT["optional-dependencies"])) - NEVER_IMPORTED
    assert everything == {distribution(module) for file in FILES for module in imported(file)}


def test_the_base_trains_nothing() -> None:
    assert {"torch", "scipy", "matplotlib", "pillow", "kubernetes"}.isdisjoint(BASE)


@pytest.mark.parametrize("extra", MODULES)
def test_the_commands_know_which_modules_an_extra_brings(extra: str) -> None:
    assert {distribution(module) for module in MODULES[extra]} == declared(extra) - NEVER_IMPORTED  # type: ignore[index]
