"""Files of measured networks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import search_quality
import table_file
from layer_table import Scores
from metasearch.errors import InvalidData
from table_file import Fields

Written = Callable[[object], Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Return a function that writes texts as CSV and other things as JSON."""

    def write(content: object) -> Path:
        path = tmp_path / ("table.csv" if isinstance(content, str) else "table.json")
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return write


def test_the_same_table_reads_alike_from_all_forms(written: Written) -> None:
    fields = Fields("valid", "test", "size")
    csv = "layers,valid,test,size\nconv-conv,90,80,4\nconv-skip,70,60,2\nskip-conv,50,40,2\nskip-skip,30,20,1\n"
    rows = {
        "conv-conv": {"valid": 0.9, "test": 0.8, "size": 4},
        "conv-skip": {"valid": 0.7, "test": 0.6, "size": 2},
        "skip-conv": {"valid": 0.5, "test": 0.4, "size": 2},
        "skip-skip": {"valid": 0.3, "test": 0.2, "size": 1},
    }
    expected = {(0, 0): Scores(0.9, 0.8, 4), (0, 1): Scores(0.7, 0.6, 2), (1, 0): Scores(0.5, 0.4, 2)}
    expected |= {(1, 1): Scores(0.3, 0.2, 1)}
    for content in (csv, rows):
        table = table_file.load(written(content), fields, separator="-")
        assert table.scores == expected
        assert table.best_test == 0.8


def test_a_score_alone_needs_no_field(written: Written) -> None:
    table = table_file.load(written({"a": 93.5, "b": 12}))
    assert table.scores == {(0,): Scores(0.935), (1,): Scores(0.12)}
    assert table.best_test is None


def test_a_layer_of_one_choice_is_left_out(written: Written) -> None:
    assert table_file.load(written({"xa": 0.1, "xb": 0.2})).choices == [[0, 1]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "holds no JSON object"),
        ({}, "the table is empty"),
        ({"ab": 1, "a": 1}, r'sequence "a" has 1 layers and "ab" has 2; .*"" between them \(--separator\)'),
        ({"aa": 1, "ab": 1, "ba": 1}, 'sequence "bb" is missing'),
        ({"a": {"top1": 1}}, r'sequence "a" has no field "mean_acc"; it has "top1" \(--score-field'),
        ({"a": "good", "b": 1}, 'the mean_acc of sequence "a" is "good"; it must be a finite number'),
        ({"a": None, "b": 1}, 'the mean_acc of sequence "a" is null'),
        ({"a": True, "b": 1}, 'the mean_acc of sequence "a" is true'),
        ({"a": float("nan"), "b": 1}, 'the mean_acc of sequence "a" is NaN'),
        ({"a": -3, "b": 1}, r"a mean_acc is -3; it must be in \[0, 1\], or in percent"),
        ({"a": 300, "b": 1}, "a mean_acc is 300"),
        ({"a": 1}, "each must have two choices"),
        ("a,b\n1,2\n", 'it has no column "layers"; its first line has a, b'),
        ("", 'it has no column "layers"; its first line has nothing'),
        ("layers,mean_acc\na,1\na,2\n", 'sequence "a" is there twice'),
        ("layers,mean_acc\na,1\nb,\n", 'the mean_acc of sequence "b" is ""; it must be a finite number'),
    ],
)
def test_a_wrong_file_is_explained(written: Written, content: object, message: str) -> None:
    with pytest.raises(InvalidData, match=message):
        table_file.load(written(content))


def test_a_file_that_is_not_there_is_explained(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="cannot be read"):
        table_file.load(tmp_path / "no.json")


def test_the_copy_of_nas_bench_macro_is_whole() -> None:
    table = table_file.load(search_quality.NAS_BENCH_MACRO)
    assert (len(table), len(table.choices)) == (6561, 8)
    assert table.best_score == table.scores[2, 2, 2, 1, 2, 2, 2, 0].validation == pytest.approx(0.931267)
    assert table.scores[(0,) * 8].cost == 387_882
