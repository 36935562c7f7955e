"""`metasearch inspect` prints the metadata of a search's data set, as a table and as JSON."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from command_errors import error_sentence
from image_datasets import write_class_folders
from local_search import metasearch, write_resource

from metasearch.dataset_metadata import DatasetMetadata


def table(text: str) -> dict[str, list[str]]:
    """Return the values of each row by its title."""
    rows = (re.split(r" {2,}", line.strip()) for line in text.splitlines())
    return {title: values for title, *values in rows}


def test_omniglot_is_inspected(tmp_path: Path) -> None:
    ended = metasearch("inspect", write_resource(tmp_path), "--set", "dataset.rotations=4")
    assert (ended.returncode, ended.stderr) == (0, "")
    heading, *_ = ended.stdout.splitlines()
    assert (
        heading == "Omniglot: images of 1 x 28 x 28 pixels, 73.8 MB on a device"
    )  # (4 * 20,560 + 3,440 + 8,460) * 784
    rows = table(ended.stdout)
    assert rows["classes"] == ["1,028", "172", "423"]
    assert rows["classes with rotations"] == ["4,112", "172", "423"]
    assert rows["images of a class, median"] == ["20", "20", "20"]
    assert rows["near duplicates"] == ["12 (0.06%)", "0 (0.00%)", "0 (0.00%)"]
    assert "refused" not in ended.stdout


def test_a_folder_is_inspected_though_a_search_would_refuse_it(tmp_path: Path) -> None:
    folder = write_class_folders(tmp_path / "images")
    setting = f"dataset={{folder: {{path: {folder}}}}}"
    ended = metasearch("inspect", write_resource(tmp_path), "--set", setting, "--set", "task.ways=4", "-o", "json")
    assert (ended.returncode, ended.stderr) == (0, "")
    found = DatasetMetadata.model_validate_json(ended.stdout)
    assert (found.training.classes, found.training.images, found.side) == (6, 18, 16)
    assert [sentence for sentence in found.refusals if "3 validation classes and task.ways is 4" in sentence]
    tasks = [json.loads(ended.stdout)[part]["log10Tasks"] for part in ("training", "validation", "test")]
    assert tasks == [pytest.approx(math.log10(15 * 3**4)), None, None]  # four of six classes, two of three images each
    printed = metasearch("inspect", write_resource(tmp_path), "--set", setting, "--set", "task.ways=4").stdout
    assert [line.removeprefix("refused: ") for line in printed.splitlines() if line.startswith("refused: ")] == list(
        found.refusals
    )
    assert table(printed)["different tasks"] == ["10^3.1", "none", "none"]


def test_data_that_is_not_there_is_named(tmp_path: Path) -> None:
    setting = f"dataset={{folder: {{path: {tmp_path / 'nothing'}}}}}"
    ended = metasearch("inspect", write_resource(tmp_path), "--set", setting)
    assert error_sentence(ended, code=3).startswith(
        f"{tmp_path / 'nothing'} cannot be read (No such file or directory)"
    )
