"""`metasearch board` prints every measured cell, sorted as asked."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from builders import make_result, make_spec, make_trial
from finished_search import finish_in_folder
from local_search import metasearch

from metasearch.errors import InvalidSpec
from metasearch.outcome.board import Row, board
from metasearch_cli.outcome.board_table import COLUMNS, chosen_columns, in_order, values

CELLS = ("identity(-1)+identity(-2)", "conv3x3(-1)+conv3x3(-2)", "conv3x3(-1)+identity(-2)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished search with invented results."""
    return finish_in_folder(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def rows() -> list[Row]:
    results = (
        make_result(0.5, 300, latency_ms=None),
        make_result(0.7, 200, latency_ms=2.0),
        make_result(0.6, 100, latency_ms=1.0),
    )
    trials = [
        make_trial(name, result, candidate=cell) for name, result, cell in zip("abc", results, CELLS, strict=True)
    ]
    return board(trials, make_spec().evaluation)


@pytest.mark.parametrize(
    ("column", "order"),
    [
        (None, "bca"),
        ("score", "bca"),
        ("parameterCount", "cba"),
        ("latencyMs", "cba"),  # a has none, and is last
        ("front", "bca"),
        ("trial", "abc"),
        ("cell", "bca"),
    ],
)
def test_rows_are_sorted_best_first(rows: list[Row], column: str | None, order: str) -> None:
    assert "".join(row.trial for row in in_order(rows, column, reverse=False)) == order


def test_the_other_way_round_what_has_no_value_is_still_last(rows: list[Row]) -> None:
    assert "".join(row.trial for row in in_order(rows, "latencyMs", reverse=True)) == "bca"
    assert "".join(row.trial for row in in_order(rows, None, reverse=True)) == "acb"


def test_columns_are_those_with_a_value_or_those_asked_for(rows: list[Row]) -> None:
    unasked = chosen_columns(rows, None)
    assert "testAccuracy" not in unasked
    assert "latencyMs" in unasked
    assert values(rows, chosen_columns(rows, "trial, testAccuracy")) == [["b", None], ["c", None], ["a", None]]


@pytest.mark.parametrize("asked", ["size", "", "score,"])
def test_a_column_that_there_is_not_is_refused(rows: list[Row], asked: str) -> None:
    with pytest.raises(
        InvalidSpec, match=r"--columns names '\w*', which is no column of a board; it has trial, stage,"
    ):
        chosen_columns(rows, asked)


def test_a_table_has_a_line_for_each_row_and_dashes_where_nothing_is_known(folder: Path) -> None:
    shown = metasearch("board", folder, "--columns", "trial,testAccuracy,cell", "--sort", "score")
    assert (shown.returncode, shown.stderr) == (0, "")
    heading, *lines = shown.stdout.splitlines()
    assert heading.split() == ["trial", "testAccuracy", "cell"]
    assert len(lines) == 32  # 30 cells are searched, and two of them trained in full
    assert sum(line.split()[1] == "-" for line in lines) == 30


def test_csv_and_json_have_the_same_rows(folder: Path) -> None:
    as_csv, as_json = (
        metasearch("board", folder, "--sort", "parameterCount", "-o", output).stdout for output in ("csv", "json")
    )
    found, listed = json.loads(as_json), list(csv.DictReader(io.StringIO(as_csv)))
    assert set(found[0]) <= set(COLUMNS)
    assert [row["trial"] for row in found] == [row["trial"] for row in listed]
    sizes = [row["parameterCount"] for row in found]
    assert sizes == sorted(sizes)
    assert {row["stage"] for row in found} == {"Search", "Final"}
    assert {row["seeds"] for row in found if row["stage"] == "Final"} == {2}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--sort", "size"), "--sort names 'size', which is no column of a board; it has trial, "),
        (("--columns", "trial,price"), "--columns names 'price', which is no column of a board; it has trial, "),
        (("--front", "testAccuracy"), "a front by testAccuracy would choose networks by what is reported of them"),
    ],
)
def test_wrong_names_are_refused_in_a_sentence(folder: Path, arguments: tuple[str, str], sentence: str) -> None:
    refused = metasearch("board", folder, *arguments)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"metasearch: {sentence}")
    assert len(refused.stderr.splitlines()) == 1
