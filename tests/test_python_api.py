"""The Python API: a search is defined, run, watched, interrupted, opened again, and what it found is used."""

from __future__ import annotations

import re
import subprocess
import sys
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from local_search import SPEC, write_resource

import metasearch
from metasearch import Run, Search, api, open_run
from metasearch.errors import FolderConflict, InvalidSpec, SearchFailed
from metasearch.loading import load_search
from metasearch.python_api import SpecFields

DOCS = Path(__file__).parents[1] / "docs" / "python.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", DOCS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_examples_of_the_docs_run_as_they_stand(tmp_path: Path) -> None:
    script = tmp_path / "examples.py"
    script.write_text("\n".join(EXAMPLES), encoding="utf-8")
    ended = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "\n1028 12 ()\n" in ended.stdout
    assert f"8 {api.Budget().max_trials}\n" in ended.stdout
    assert "runs/tiny/report.html True\n" in ended.stdout
    assert re.search(r"^tensor\(\[\d, \d, \d\]\)$", ended.stdout, re.MULTILINE)
    assert re.search(r"^5 of 5 trials, ", ended.stdout, re.MULTILINE)


# --- a search -----------------------------------------------------------------------------------------------------


def test_keywords_a_mapping_and_a_file_are_the_same_search(tmp_path: Path) -> None:
    path = write_resource(tmp_path)
    resource = yaml.safe_load(path.read_text(encoding="utf-8"))
    searches = [Search("tiny", **SPEC), Search.from_dict(resource), Search.from_file(path)]
    assert {search.resource.model_dump_json() for search in searches} == {load_search(path).model_dump_json()}
    assert {search.name for search in searches} == {"tiny"}


def test_values_may_be_pythons() -> None:
    search = Search(
        "mine",
        dataset=api.Dataset(name=api.DatasetName.OMNIGLOT),
        task={"ways": 3},
        training={"reptile": {"inner_learning_rate": 0.00001, "metaStepSize": Decimal("0.50")}},
        search={"strategy": "Random"},
        final={"baselines": [api.Baseline.CONV4_POOLED]},
    )
    assert search.spec.training.reptile is not None
    assert search.spec.training.reptile.inner_learning_rate == Decimal("0.00001")
    assert str(search.spec.training.reptile.meta_step_size) == "0.50"
    assert (search.spec.search.strategy, search.spec.task.ways) == ("Random", 3)


def test_the_keywords_are_the_fields_of_the_spec() -> None:
    assert set(SpecFields.__annotations__) == set(api.MetaSearchSpec.model_fields)


def test_what_is_wrong_is_said_as_the_command_says_it() -> None:
    with pytest.raises(InvalidSpec, match=r"spec.task has no field 'shot'; did you mean shots?"):
        Search("mine", dataset={"name": "omniglot"}, task={"shot": 1})
    with pytest.raises(InvalidSpec, match=r"spec.dataset is missing"):
        Search("mine")
    with pytest.raises(InvalidSpec, match=r'innerSteps is "1.5"; it must be a whole number'):
        Search("mine", dataset={"name": "omniglot"}, training={"reptile": {"innerSteps": 1.5}})


# --- a run --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """Return the folder of a run interrupted after its first trial, and the number of trials that had ended then."""
    folder, ended = tmp_path_factory.mktemp("runs") / "mine", 0

    def interrupt(run: Run) -> None:
        nonlocal ended
        ended = run.result.trials.succeeded
        if ended:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Search("tiny", **SPEC).run(folder, workers=2, progress=interrupt)
    return folder, ended


def test_an_interrupted_run_goes_on(interrupted: tuple[Path, int]) -> None:
    folder, ended = interrupted
    begun = open_run(folder)
    assert begun.result.trials.running == 0
    assert ended <= begun.result.trials.succeeded < begun.result.trials.total
    with pytest.raises(SearchFailed, match="no final network yet"):
        begun.learner()
    with pytest.raises(FolderConflict, match="--resume"):
        Search("tiny", **SPEC).run(folder)

    seen: list[int] = []
    run = Search("tiny", **SPEC).run(
        folder, workers=2, resume=True, progress=lambda run: seen.append(run.result.trials.succeeded)
    )
    assert seen == sorted(seen)
    assert seen[0] >= ended
    trials = run.result.trials
    assert seen[-1] == trials.succeeded
    assert trials.succeeded + trials.stopped == trials.total == 18
    assert run.report.exists()
    assert (run.best / "weights.safetensors").exists()
    assert run.learner().description.recipe.task.ways == 3
    assert open_run(folder).result.best == run.result.best


def test_a_folder_without_a_search_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderConflict, match="holds no search"):
        open_run(tmp_path)


def test_an_unknown_driver_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match=r"driver is 'elsewhere', .* it must be one of local"):
        Search("tiny", **SPEC).run(tmp_path, driver="elsewhere")


# --- the package --------------------------------------------------------------------------------------------------


def test_all_four_packages_are_typed() -> None:
    for package in ("metasearch", "metasearch_operator", "metasearch_trainer", "metasearch_cli"):
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        assert Path(spec.origin).with_name("py.typed").exists(), package


def test_every_name_of_the_api_is_there() -> None:
    for name in metasearch.__all__:
        assert getattr(metasearch, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'search_for'"):
        metasearch.search_for  # noqa: B018


def test_the_library_is_imported_without_the_api() -> None:
    code = "import metasearch.errors, sys; print('metasearch.python_api' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
