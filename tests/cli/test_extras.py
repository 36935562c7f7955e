"""The commands where an extra is not installed: they do what they can, and else say which extra to install."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from command_errors import error_sentence
from local_search import write_resource

from metasearch.loading import load_search
from metasearch.stores.sqlite import SqliteStore
from metasearch_cli.extras import MODULES, Extra

WITHOUT = """
import sys
sys.modules.update(dict.fromkeys({absent!r}))  # None: an import of it fails as if it were not installed
from metasearch_cli import main
sys.argv[0] = "metasearch"
main.{entry}()
"""

SLOW = (
    "torch",
    "scipy",
    "matplotlib",
    "PIL",
    "kubernetes",
    "jinja2",
    "fsspec",
    "kopf",
    "aiohttp",
    "tensorboard",
    "mlflow",
)


def run(
    *arguments: str | Path, without: Iterable[Extra] = Extra, entry: str = "main"
) -> subprocess.CompletedProcess[str]:
    """Run a command in a process that has only the base and the other extras."""
    absent = [module for extra in without for module in MODULES[extra]]
    return subprocess.run(
        [sys.executable, "-c", WITHOUT.format(absent=absent, entry=entry), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a run that has been begun."""
    resource = load_search(write_resource(tmp_path))
    store = SqliteStore(tmp_path / "trials.db")
    store.begin_search("tiny", resource.spec.model_dump_json(by_alias=True), 0.0)
    store.close()
    return tmp_path


def test_the_base_explains_itself() -> None:
    for entry in ("main", "plugin"):
        ended = run("--help", entry=entry)
        assert (ended.returncode, ended.stderr) == (0, "")


def test_the_base_looks_at_a_folder(folder: Path) -> None:
    ended = run("status", folder)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("tiny: Searching\n")
    assert run("trials", folder, "-o", "csv").returncode == 0


@pytest.mark.parametrize("command", ["status", "trials", "export", "report"])
def test_the_base_says_what_a_cluster_needs(command: str) -> None:
    sentence = "a cluster needs kubernetes, which is not installed; pip install 'metasearch-operator[cluster]'"
    assert error_sentence(run(command, "mine", "-n", "team-a"), code=1) == sentence
    assert error_sentence(run(command, "mine", entry="plugin"), code=1) == sentence


def test_a_cluster_is_looked_at_with_its_extra_alone() -> None:
    """The command gets as far as asking the API server, and there is none."""
    ended = run("status", "mine", "-n", "team-a", without=set(Extra) - {Extra.CLUSTER})
    assert error_sentence(ended, code=5).endswith("; set KUBECONFIG, or give --context")


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        (Extra.TRAINER, "a run needs torch, which is not installed; pip install 'metasearch-operator[trainer]'"),
        (
            Extra.REPORT,
            "the report of a run needs jinja2, which is not installed; pip install 'metasearch-operator[report]'",
        ),
    ],
)
def test_a_run_does_not_begin_what_it_cannot_end(tmp_path: Path, missing: Extra, sentence: str) -> None:
    resource, output = write_resource(tmp_path), tmp_path / "out"
    assert error_sentence(run("run", resource, "--output", output, without=[missing]), code=1) == sentence
    assert not output.exists()


def test_data_is_looked_at_with_the_extra_that_trains(tmp_path: Path) -> None:
    ended = run("validate", write_resource(tmp_path))
    assert error_sentence(ended, code=1) == (
        "a look at the data needs PIL, which is not installed; pip install 'metasearch-operator[trainer]'"
    )
    assert error_sentence(run("validate", write_resource(tmp_path, task={"shot": 1})), code=2).endswith(
        "did you mean shots?"
    )


def test_a_report_says_what_it_needs(folder: Path) -> None:
    # Either, whichever is imported first.
    needed = (
        r"the report needs (jinja2|matplotlib), which is not installed; pip install 'metasearch-operator\[report\]'"
    )
    assert re.fullmatch(needed, error_sentence(run("report", folder), code=1))


@pytest.mark.parametrize(("place", "module"), [("tensorboard:logs", "tensorboard"), ("mlflow:file:logs", "mlflow")])
def test_a_tracker_says_what_it_needs(folder: Path, tmp_path: Path, place: str, module: str) -> None:
    sentence = f"logging to {place} needs {module}, which is not installed; pip install 'metasearch-operator[{module}]'"
    assert error_sentence(run("log", folder, place), code=1) == sentence
    resource, output = write_resource(tmp_path), tmp_path / "out"
    begun = run("run", resource, "--output", output, "--log-to", place, without=[Extra(module)])
    assert error_sentence(begun, code=1) == sentence
    assert not output.exists()


def test_a_look_at_a_folder_imports_nothing_slow(folder: Path) -> None:
    """Each slow module takes from 0.2 s to seconds; the whole command takes less than 0.5 s."""
    code = (
        "import sys; from metasearch_cli import main; sys.argv = ['metasearch', 'status', sys.argv[1]]\n"
        "try: main.main()\n"
        f"except SystemExit: print([name for name in {SLOW!r} if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert ended.stdout.endswith("\n[]\n")
