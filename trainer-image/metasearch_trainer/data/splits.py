"""
Reading a split: the classes of each part, as the user wrote them down.

Either one JSON file of class names, or three CSV files of images as Mini-ImageNet's (Ravi and Larochelle 2017).

Reads the split only, never an image: whether the classes exist is for the reader of the images to say.
"""

from __future__ import annotations

import csv
import io
import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from metasearch.errors import InvalidData

PARTS = ("train", "validation", "test")
CSV_NAMES = ("train.csv", "val.csv", "test.csv")  # of the same parts

SPLIT_RULE = (
    'dataset.folder.split must be a JSON file {"train": [...], "validation": [...], "test": [...]} of class names, '
    "or a folder with train.csv, val.csv and test.csv"
)


@dataclass(frozen=True)
class ListedImage:
    """An image that a CSV file gives to a class."""

    filename: str
    table: Path
    line: int
    """Line of the CSV file, the header being 1."""

    def __str__(self) -> str:
        return f"image {self.filename} of {self.table}, line {self.line},"


@dataclass(frozen=True)
class ListedClass:
    """A class as the split names it."""

    name: str
    images: tuple[ListedImage, ...] = ()
    """Its images in the order of the CSV file; empty where the split is of names only, and every image counts."""


@dataclass(frozen=True)
class ClassSplit:
    """The classes of each part in the order of the split. Every part has at least one, and no class is listed twice."""

    source: Path
    train: tuple[ListedClass, ...]
    validation: tuple[ListedClass, ...]
    test: tuple[ListedClass, ...]

    def __post_init__(self) -> None:
        part_of: dict[str, str] = {}
        for part, classes in zip(PARTS, self.parts, strict=True):
            if not classes:
                raise InvalidData(f"{part} of {self.source} is empty; it must list classes")
            for listed in classes:
                if part_of.setdefault(listed.name, part) != part:
                    raise InvalidData(
                        f"class {listed.name!r} is in both {part_of[listed.name]} and {part} of {self.source}; "
                        "a class must be in one part only"
                    )
            _require_once([listed.name for listed in classes], f"{part} of {self.source}")

    @property
    def parts(self) -> tuple[tuple[ListedClass, ...], ...]:
        """Train, validation and test, as in `PARTS`."""
        return self.train, self.validation, self.test


def read(path: Path) -> ClassSplit:
    """
    Read a split from a JSON file or from a folder of CSV files.

    Raises:
        InvalidData: says which file, class or line is wrong, and what would be right.
    """
    with reading(path, SPLIT_RULE):
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    return _read_tables(path) if is_folder else _read_json(path)


@contextmanager
def reading(path: Path, rule: str) -> Iterator[None]:
    """Turn what the file system says of a path into InvalidData, a sentence that ends with what would be right."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: text that is not UTF-8, or a path with a null character
        raise InvalidData(f"{path} cannot be read ({reason(error)}); {rule}") from error


def reason(error: Exception) -> str:
    """Say why reading failed, without the path, which the system would repeat."""
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def _text(path: Path, rule: str) -> str:
    with reading(path, rule):
        return path.read_text(encoding="utf-8-sig")  # spreadsheets and Windows editors put a mark in front


# --- JSON --------------------------------------------------------------------------------------------------------


def _read_json(path: Path) -> ClassSplit:
    try:
        listed = json.loads(_text(path, SPLIT_RULE))
    except (ValueError, RecursionError) as error:  # RecursionError: a thousand brackets inside each other
        raise InvalidData(f"{path} is not JSON ({error}); {SPLIT_RULE}") from error
    if not isinstance(listed, dict):
        raise InvalidData(f"{path} holds no object; {SPLIT_RULE}")
    return ClassSplit(path, *(_named_classes(path, listed, part) for part in PARTS))


def _named_classes(path: Path, listed: dict[str, object], part: str) -> tuple[ListedClass, ...]:
    if part == "validation" and part not in listed and "val" in listed:
        part = "val"  # as its CSV file is named
    if part not in listed:
        raise InvalidData(f"{path} has no {part!r}; {SPLIT_RULE}")
    names = listed[part]
    if not isinstance(names, list):
        raise InvalidData(f"{part} of {path} is not a list; it must be a list of class names")
    for name in names:
        if not isinstance(name, str) or not name:
            raise InvalidData(f"{part} of {path} lists {json.dumps(name)}; a class name must be text in quotes")
    return tuple(ListedClass(name) for name in cast("list[str]", names))


# --- CSV ---------------------------------------------------------------------------------------------------------


def _read_tables(folder: Path) -> ClassSplit:
    return ClassSplit(folder, *(_tabled_classes(folder / name) for name in CSV_NAMES))


def _tabled_classes(table: Path) -> tuple[ListedClass, ...]:
    """Read the classes of one CSV file, in the order in which they first appear."""
    images: dict[str, list[ListedImage]] = {}
    for label, image in _rows(table):
        images.setdefault(label, []).append(image)
    for label, listed in images.items():
        _require_once([image.filename for image in listed], f"class {label!r} of {table}")
    return tuple(ListedClass(label, tuple(listed)) for label, listed in images.items())


def _rows(table: Path) -> Iterator[tuple[str, ListedImage]]:
    """Yield the label and the image of each row."""
    reader = csv.DictReader(io.StringIO(_text(table, "a folder of CSV files must hold " + ", ".join(CSV_NAMES))))
    try:
        if not {"filename", "label"} <= set(reader.fieldnames or ()):
            raise InvalidData(
                f"{table} begins with {','.join(reader.fieldnames or ())!r}; its header must be filename,label"
            )
        for row in reader:
            filename, label = row["filename"], row["label"]
            if not filename or not label:
                raise InvalidData(f"{table}, line {reader.line_num}, lacks a filename or a label; it must have both")
            yield label, ListedImage(filename, table, reader.line_num)
    except csv.Error as error:
        raise InvalidData(
            f"{table} is not CSV after line {reader.line_num} ({error}); a row must be filename,label"
        ) from error


def _require_once(names: list[str], where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidData(f"{where} lists {name!r} twice; it must be there once")
        seen.add(name)
