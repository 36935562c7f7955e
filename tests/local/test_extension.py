"""A package of somebody else's adds a meta-learner, an operation and a data set, and a search finds them by name."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from local_search import metasearch, result_of, write_resource

from metasearch.errors import InvalidSpec
from metasearch_trainer.learner import FewShotLearner

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "extension"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the built package, as an installer unpacks it; building needs no network."""
    folder = tmp_path_factory.mktemp("extension")
    source = shutil.copytree(EXAMPLE, folder / "source")
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, folder], cwd=source, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_a_search_runs_with_the_parts_of_an_installed_package(tmp_path: Path, installed: Path) -> None:
    run = tmp_path / "run"
    only = ("--set", "space.operations=[conv1x1]")
    ended = metasearch("run", EXAMPLE / "search.yaml", *only, "--output", run, PYTHONPATH=str(installed))
    assert ended.returncode == 0, ended.stderr
    assert "conv1x1" in result_of(run)["best"]["cell"]
    weights = run / "best" / "weights.safetensors"
    use = f"""
import torch
from metasearch_trainer.learner import FewShotLearner
learner = FewShotLearner.load({str(weights)!r})
print(learner.adapt(torch.rand(3, 1, 12, 12), torch.arange(3)).classify(torch.rand(4, 1, 12, 12)).shape)
"""
    used = subprocess.run(
        [sys.executable, "-c", use], env={"PYTHONPATH": str(installed)}, capture_output=True, text=True, check=False
    )
    assert used.stdout == "torch.Size([4])\n", used.stderr
    with pytest.raises(InvalidSpec, match=r"spec\.space\.operations is 'conv1x1', which is not installed here"):
        FewShotLearner.load(weights)


@pytest.mark.parametrize("command", ["validate", "run"])
@pytest.mark.parametrize(
    ("field", "value", "known"),
    [
        ("training.metaLearner", "Untrained", "Reptile"),
        ("space.operations", ["conv1x1"], "conv3x3, "),
        ("dataset.name", "bars", "omniglot"),
    ],
)
def test_a_name_that_is_not_installed_is_refused_before_anything_is_made(
    tmp_path: Path, command: str, field: str, value: object, known: str
) -> None:
    part, name = field.split(".")
    # Reptile's settings go where another learner is named.
    resource = write_resource(tmp_path, **{part: {name: value, **({"reptile": None} if part == "training" else {})}})
    ended = metasearch(command, resource, *(("--output", tmp_path / "run") if command == "run" else ()))
    assert ended.returncode == 2
    asked = value[0] if isinstance(value, list) else value
    assert f"spec.{field} is '{asked}', which is not installed here; it must be one of {known}" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()
