"""Generated files are up to date, and the check notices if they are not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy the scripts, their inputs and their outputs to a folder."""
    for folder in ("scripts", "docs", "crds", "helm", "monitoring"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def generate(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = [sys.executable, str(root / "scripts" / "generate.py")]
    return subprocess.run([*script, *arguments], capture_output=True, text=True, timeout=120, check=False)


def test_everything_generated_is_up_to_date() -> None:
    ended = generate(ROOT, "--check")
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("docs/reference/spec.md", "beamWidth"),
        ("crds/metasearches.yaml", "beamWidth"),
        ("helm/metasearch/templates/crds/metasearches.yaml", "beamWidth"),
        ("helm/metasearch/files/alerts.yaml", "severity"),
        ("helm/metasearch/values.schema.json", "MetaSearchGpuIdle"),
        ("monitoring/prometheus-rules.yaml", "severity"),
        ("docs/runbooks/MetaSearchGpuIdle.md", "GPU"),
    ],
)
def test_a_file_that_was_changed_by_hand_is_found_and_mended(copy: Path, name: str, word: str) -> None:
    changed = copy / name
    before = changed.read_text(encoding="utf-8")
    changed.write_text(before.replace(word, word.lower() + "x"), encoding="utf-8")
    ended = generate(copy, "--check")
    assert (ended.returncode, ended.stderr) == (1, f"{name} is out of date; run make generate\n")
    assert word.lower() + "x" in changed.read_text(encoding="utf-8")  # a check changes nothing
    assert generate(copy).returncode == 0
    assert changed.read_text(encoding="utf-8") == before


def test_a_dashboard_that_was_changed_by_hand_is_found(copy: Path) -> None:
    changed = copy / "helm" / "metasearch" / "dashboards" / "metasearch-search.json"
    changed.write_text(changed.read_text(encoding="utf-8").replace("Best score", "Score"))
    ended = generate(copy, "--check")
    name = changed.relative_to(copy)
    assert (ended.returncode, ended.stderr) == (1, f"{name} is out of date; run make generate\n")


def test_a_value_of_the_chart_is_in_the_table(copy: Path) -> None:
    values = copy / "helm" / "metasearch" / "values.yaml"
    text = values.read_text(encoding="utf-8")
    values.write_text(text.replace("# -- Tag of both images.", "# -- Tag of the images."), encoding="utf-8")
    ended = generate(copy, "--check")
    assert (ended.returncode, ended.stderr) == (1, "docs/values.md is out of date; run make generate\n")


def test_the_runbook_of_an_alert_that_is_gone_is_found_and_removed(copy: Path) -> None:
    runbooks = copy / "docs" / "runbooks"
    (runbooks / "MetaSearchForgotten.md").write_text("# It was\n", encoding="utf-8")
    ended = generate(copy, "--check")
    expected = "docs/runbooks/MetaSearchForgotten.md is made from nothing any more; run make generate\n"
    assert (ended.returncode, ended.stderr) == (1, expected)
    assert generate(copy).returncode == 0
    assert not (runbooks / "MetaSearchForgotten.md").exists()
