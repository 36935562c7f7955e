"""Splits as users write them: JSON files and CSV folders, right and wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from metasearch.errors import InvalidData
from metasearch_trainer.data import splits
from metasearch_trainer.data.splits import ListedClass

GOOD = {"train": ["ant", "bee"], "validation": ["cow"], "test": ["dog"]}


def write_json(folder: Path, content: object) -> Path:
    path = folder / "split.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def write_tables(folder: Path, train: str = "a.png,ant\n", val: str = "c.png,cow\n", test: str = "d.png,dog\n") -> Path:
    for name, rows in (("train", train), ("val", val), ("test", test)):
        (folder / f"{name}.csv").write_text("filename,label\n" + rows, encoding="utf-8")
    return folder


def names(classes: tuple[ListedClass, ...]) -> list[str]:
    return [listed.name for listed in classes]


def complaint(path: Path) -> str:
    with pytest.raises(InvalidData) as raised:
        splits.read(path)
    return str(raised.value)


# --- JSON --------------------------------------------------------------------------------------------------------


def test_json_classes_keep_their_order(tmp_path: Path) -> None:
    split = splits.read(write_json(tmp_path, GOOD | {"train": ["bee", "ant", "emu"]}))
    assert [names(part) for part in split.parts] == [["bee", "ant", "emu"], ["cow"], ["dog"]]


def test_validation_classes_may_be_called_as_their_csv_file(tmp_path: Path) -> None:
    (tmp_path / "split.json").write_text('{"train": ["ant"], "val": ["bee"], "test": ["cow"]}')
    assert [listed.name for listed in splits.read(tmp_path / "split.json").validation] == ["bee"]


def test_json_lists_no_images(tmp_path: Path) -> None:
    assert splits.read(write_json(tmp_path, GOOD)).train[0].images == ()


def test_json_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    path.write_text(json.dumps(GOOD), encoding="utf-8-sig")
    assert names(splits.read(path).train) == ["ant", "bee"]


def test_json_may_hold_more_than_the_parts(tmp_path: Path) -> None:
    assert names(splits.read(write_json(tmp_path, GOOD | {"source": "our own"})).test) == ["dog"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(["ant"], ["holds no object", '"validation"'], id="not an object"),
        pytest.param({"train": ["ant"], "test": ["dog"]}, ["has no 'validation'", "must be"], id="a part is missing"),
        pytest.param(GOOD | {"validation": []}, ["validation of", "is empty"], id="a part is empty"),
        pytest.param(GOOD | {"test": "dog"}, ["test of", "must be a list of class names"], id="a part is text"),
        pytest.param(GOOD | {"train": ["ant", 7]}, ["train of", "lists 7", "text in quotes"], id="a name is a number"),
        pytest.param(GOOD | {"train": ["ant", ""]}, ["train of", 'lists ""'], id="a name is empty"),
        pytest.param(
            GOOD | {"train": ["ant", "bee", "ant"]}, ["train of", "'ant' twice"], id="a class twice in a part"
        ),
        pytest.param(
            GOOD | {"test": ["dog", "bee"]}, ["class 'bee'", "both train and test", "one part only"], id="in two parts"
        ),
    ],
)
def test_wrong_json_is_reported_in_a_sentence(tmp_path: Path, content: object, words: list[str]) -> None:
    message = complaint(write_json(tmp_path, content))
    assert [word for word in ["split.json", *words] if word not in message] == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b'{"train": [', ["is not JSON", "line 1"], id="cut off"),
        pytest.param(b"[" * 100_000, ["is not JSON"], id="too deep"),
        pytest.param(b"", ["is not JSON"], id="empty"),
        pytest.param(b'{"train": ["\xff"]}', ["cannot be read", "utf-8"], id="not UTF-8"),
    ],
)
def test_a_file_that_is_not_json_is_reported_in_a_sentence(tmp_path: Path, content: bytes, words: list[str]) -> None:
    path = tmp_path / "split.json"
    path.write_bytes(content)
    message = complaint(path)
    assert [word for word in ["split.json", *words] if word not in message] == []


# --- CSV ---------------------------------------------------------------------------------------------------------


def test_csv_classes_and_images_keep_their_order(tmp_path: Path) -> None:
    split = splits.read(write_tables(tmp_path, train="z.png,bee\na.png,ant\nb.png,bee\n"))
    assert names(split.train) == ["bee", "ant"]
    assert [image.filename for image in split.train[0].images] == ["z.png", "b.png"]


def test_csv_images_know_their_line(tmp_path: Path) -> None:
    split = splits.read(write_tables(tmp_path, train="z.png,bee\n\nb.png,bee\n"))
    assert [image.line for image in split.train[0].images] == [2, 4]


def test_csv_from_a_spreadsheet_is_read(tmp_path: Path) -> None:
    write_tables(tmp_path)
    (tmp_path / "train.csv").write_bytes(b'\xef\xbb\xbffilename,label,note\r\n"a, b.png",ant,x\r\n')
    assert splits.read(tmp_path).train[0].images[0].filename == "a, b.png"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        pytest.param("", ["is empty"], id="no rows"),
        pytest.param("a.png,ant\nb.png\n", ["line 3", "lacks"], id="no label"),
        pytest.param(",ant\n", ["line 2", "lacks"], id="no filename"),
        pytest.param("a.png,ant\na.png,ant\n", ["class 'ant'", "'a.png' twice"], id="an image twice"),
        pytest.param("a.png,ant\nc2.png,cow\n", ["class 'cow'", "both train and validation"], id="in two parts"),
        pytest.param("a" * 200_000 + ",ant\n", ["not CSV after line 1"], id="a field without end"),
    ],
)
def test_wrong_rows_are_reported_in_a_sentence(tmp_path: Path, rows: str, words: list[str]) -> None:
    message = complaint(write_tables(tmp_path, train=rows))
    assert [word for word in [str(tmp_path), *words] if word not in message] == []


@pytest.mark.parametrize("header", ["", "file,class\n", "a.png,ant\n"])
def test_csv_without_its_header_is_reported_in_a_sentence(tmp_path: Path, header: str) -> None:
    write_tables(tmp_path)
    (tmp_path / "val.csv").write_text(header, encoding="utf-8")
    message = complaint(tmp_path)
    assert "val.csv" in message
    assert "header must be filename,label" in message


def test_a_missing_csv_is_reported_with_the_three_names(tmp_path: Path) -> None:
    write_tables(tmp_path)
    (tmp_path / "val.csv").unlink()
    message = complaint(tmp_path)
    assert [word for word in ["No such file", "train.csv, val.csv, test.csv"] if word not in message] == []


# --- either ------------------------------------------------------------------------------------------------------


def test_a_missing_split_is_reported_with_what_it_must_be(tmp_path: Path) -> None:
    message = complaint(tmp_path / "split.json")
    assert all(
        word in message for word in ["split.json", "No such file", "JSON file", "train.csv, val.csv and test.csv"]
    )


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_a_name_that_no_file_can_have_is_reported_in_a_sentence(tmp_path: Path, name: str) -> None:
    assert "cannot be read" in complaint(tmp_path / name)
