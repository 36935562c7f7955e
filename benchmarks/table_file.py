"""
Files with a measured network per sequence of layers, for `benchmarks/search_quality.py --table`.

A CSV file has a column `layers` and one for each field of a network:

    layers,mean_acc,params
    conv-conv-skip,93.1,12000

A JSON file has an object of sequences, with an object of fields each, or with the validation score alone:

    {"conv-conv-skip": {"mean_acc": 93.1, "params": 12000}, …}
    {"conv-conv-skip": 93.1, …}

What stands between the layers of a sequence, and which fields are the scores and the cost, is said on the command line.
Scores are shares, or percent if any of that field is above 1. Every combination of the layers' choices must be there.
"""

from __future__ import annotations

import csv
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from layer_table import Layers, LayerTable, Scores
from metasearch.errors import InvalidData

COLUMN = "layers"
"""The column of the sequences in a CSV file."""

Entry = Mapping[str, object]
"""The fields of one network."""

Names = tuple[str, ...]
"""The choice made for each layer, as the file names it."""


@dataclass(frozen=True)
class Fields:
    """The fields of a network that are read."""

    score: str = "mean_acc"
    """The validation score, which a search sees."""
    test: str | None = None
    """The test score, by which the network found is judged as well; None for none."""
    cost: str = "params"
    """The size; if no network has that field, sizes are not known."""


def load(path: Path, fields: Fields | None = None, separator: str = "") -> LayerTable:
    """
    Read a table; layers of which all networks have the same choice are left out.

    Args:
        separator: what stands between layers; "" for choices of one character each.

    Raises:
        InvalidData: the file cannot be read, or what it holds is no such table.
    """
    fields = fields or Fields()
    try:
        entries = _entries(path, fields)
        return LayerTable(_scores(_sequences(entries, separator), fields, separator))
    except InvalidData as error:
        raise InvalidData(f"{path}: {error}") from error


def _entries(path: Path, fields: Fields) -> dict[str, Entry]:
    try:
        text = path.read_text(encoding="utf-8")
        return _csv_entries(text) if path.suffix == ".csv" else _json_entries(text, fields)
    except (OSError, ValueError, csv.Error) as error:
        raise InvalidData(f"it cannot be read: {error}") from error


def _csv_entries(text: str) -> dict[str, Entry]:
    rows = csv.DictReader(text.splitlines())
    if COLUMN not in (rows.fieldnames or ()):
        raise InvalidData(
            f'it has no column "{COLUMN}"; its first line has {", ".join(rows.fieldnames or ["nothing"])}'
        )
    entries: dict[str, Entry] = {}
    for row in rows:
        sequence = row.pop(COLUMN)
        if sequence in entries:
            raise InvalidData(f'sequence "{sequence}" is there twice; each must be there once')
        entries[sequence] = row
    return entries


def _json_entries(text: str, fields: Fields) -> dict[str, Entry]:
    content = json.loads(text)
    if not isinstance(content, dict):
        raise InvalidData("it holds no JSON object of sequences and scores")
    return {
        sequence: entry if isinstance(entry, dict) else {fields.score: entry} for sequence, entry in content.items()
    }


def _sequences(entries: Mapping[str, Entry], separator: str) -> dict[Names, Entry]:
    if not entries:
        raise InvalidData("the table is empty")
    sequences = {tuple(text.split(separator) if separator else text): entry for text, entry in entries.items()}
    first = next(iter(sequences))
    for names in sequences:
        if len(names) != len(first):
            raise InvalidData(
                f'sequence "{separator.join(names)}" has {len(names)} layers and "{separator.join(first)}" has '
                f"{len(first)}; all must have the same number, with {json.dumps(separator)} between them (--separator)"
            )
    choices = [sorted(set(layer)) for layer in zip(*sequences, strict=True)]
    if len(sequences) < math.prod(map(len, choices)):
        missing = next(names for names in itertools.product(*choices) if names not in sequences)
        raise InvalidData(
            f'sequence "{separator.join(missing)}" is missing; the table must hold every combination of choices'
        )
    return sequences


def _scores(sequences: Mapping[Names, Entry], fields: Fields, separator: str) -> dict[Layers, Scores]:
    """Read the fields, number the choices, and leave out layers of one choice."""
    numbers = {name: number for number, name in enumerate(sorted({name for names in sequences for name in names}))}
    kept = [len(set(layer)) > 1 for layer in zip(*sequences, strict=True)]

    def column(field: str) -> list[float]:
        return [_number(separator.join(names), entry, field) for names, entry in sequences.items()]

    validation = _shares(column(fields.score), fields.score)
    test = _shares(column(fields.test), fields.test) if fields.test else itertools.repeat(None)
    known_costs = any(fields.cost in entry for entry in sequences.values())
    costs = column(fields.cost) if known_costs else itertools.repeat(None)
    layers = (tuple(itertools.compress((numbers[name] for name in names), kept)) for names in sequences)
    return dict(zip(layers, map(Scores, validation, test, costs), strict=False))


def _number(sequence: str, entry: Entry, field: str) -> float:
    if field not in entry:
        has = ", ".join(f'"{name}"' for name in entry) or "none"
        raise InvalidData(
            f'sequence "{sequence}" has no field "{field}"; it has {has} (--score-field, --test-field, --cost-field)'
        )
    value = entry[field]
    try:
        number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InvalidData(f'the {field} of sequence "{sequence}" is {json.dumps(value)}; it must be a finite number')
    return number


def _shares(scores: Sequence[float], field: str) -> list[float]:
    """Return scores as shares, which are percent where any is above 1."""
    if min(scores) < 0 or max(scores) > 100:
        wrong = min(scores) if min(scores) < 0 else max(scores)
        raise InvalidData(f"a {field} is {wrong:g}; it must be in [0, 1], or in percent")
    return [score / 100 for score in scores] if max(scores) > 1 else list(scores)
