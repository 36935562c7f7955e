"""`metasearch report` with several searches writes one page that compares them."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import SMALL, STARTED, make_resource
from command_errors import error_sentence
from finished_search import finish_in_folder
from local_search import metasearch

from metasearch.stores.sqlite import SqliteStore


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the folders of two finished searches with invented results, the second with a larger budget."""
    root = tmp_path_factory.mktemp("runs")
    larger = finish_in_folder(root / "larger", "larger", budget={"maxTrials": 40})
    return finish_in_folder(root / "small", "small"), larger


def test_several_folders_give_one_page(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = metasearch("report", *folders)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "comparison.html\n", "")
    html = Path("comparison.html").read_text(encoding="utf-8")
    assert "<h1>small and larger</h1>" in html
    assert "budget.maxTrials" in html
    assert not (folders[0] / "report.html").exists()


def test_the_page_goes_where_it_is_asked_to(folders: tuple[Path, Path], tmp_path: Path) -> None:
    target = tmp_path / "mine.html"
    assert metasearch("report", *folders, "--output", target).stdout == f"{target}\n"
    assert target.exists()


def test_one_folder_gives_its_own_report(folders: tuple[Path, Path]) -> None:
    ended = metasearch("report", folders[0])
    assert (ended.returncode, ended.stdout) == (0, f"{folders[0] / 'report.html'}\n")
    assert "MetaSearch report" in (folders[0] / "report.html").read_text(encoding="utf-8")


def test_the_same_folder_twice_is_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    ended = metasearch("report", folders[0], folders[1], folders[0], "--output", target)
    assert error_sentence(ended, code=2) == f"the same search is given twice ({folders[0]}); name each search once"
    assert not target.exists()


def test_a_folder_without_a_search_is_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    assert str(tmp_path) in error_sentence(metasearch("report", folders[0], tmp_path), code=4)


def test_a_search_that_has_only_begun_is_part_of_the_page(folders: tuple[Path, Path], tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "trials.db")
    store.begin_search("begun", make_resource(**SMALL).spec.model_dump_json(by_alias=True), STARTED)
    store.close()
    target = tmp_path / "page.html"
    assert metasearch("report", folders[0], tmp_path, "--output", target).returncode == 0
    assert "begun has no line in the charts." in target.read_text(encoding="utf-8")
