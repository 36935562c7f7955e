"""A mistake in the command, the resource or the data is reported in one sentence and by the exit code."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from command_errors import UNPRIVILEGED, error_sentence
from image_datasets import write_archive, write_class_folders, write_split
from local_search import command, metasearch, write_resource
from PIL import Image

# --- the command line ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["run"], "Missing argument 'FILE'", id="no file"),
        pytest.param(["run", "x.yaml", "--workers", "0"], "Invalid value for '--workers'", id="no workers"),
        pytest.param(["run", "x.yaml", "--worker", "2"], "No such option: --worker", id="unknown option"),
        pytest.param(["rnu", "x.yaml"], "No such command 'rnu'", id="unknown command"),
        pytest.param(
            ["trials", "runs", "-o", "xml"], "'xml' is not one of 'table', 'csv', 'json'", id="unknown format"
        ),
    ],
)
def test_a_wrong_command_line_is_reported_with_its_usage(arguments: list[str], sentence: str) -> None:
    ended = metasearch(*arguments)
    assert ended.returncode == 2
    assert ended.stderr.startswith("Usage: ")
    assert sentence in unboxed(ended.stderr)


def unboxed(text: str) -> str:
    """Return a text without the frame that is drawn around it, in one line."""
    return " ".join(text.replace("│", " ").split())


# --- the resource -------------------------------------------------------------------------------------------------

HEAD = "apiVersion: metasearch.dev/v1alpha1\nkind: MetaSearch\nmetadata: {name: mine}\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param(
            HEAD + "spec: {dataset: {name: omniglot}, serach: {strategy: Random}}",
            "mine.yaml: spec has no field 'serach'; did you mean search?",
            id="unknown field",
        ),
        pytest.param(
            HEAD + "spec: {dataset: {name: omniglot}, search: {surrogate: {member: 3}}}",
            "mine.yaml: spec.search.surrogate has no field 'member'; did you mean members?",
            id="unknown field deep down",
        ),
        pytest.param(
            HEAD + "spec: {dataset: {name: omniglot}, search: {progressive: {beamWidth: 0}}}",
            "mine.yaml: spec.search.progressive.beamWidth is 0; it must be at least 1",
            id="out of range",
        ),
        pytest.param(
            HEAD + "spec: {dataset: {name: omniglot}, seed: soon, task: {ways: 1}}",
            'mine.yaml: spec.task.ways is 1; it must be at least 2; spec.seed is "soon"; it must be a whole number',
            id="two at once",
        ),
        pytest.param(
            "apiVersion: metasearch.dev/v1\nkind: Search\nmetadata: {name: mine}\nspec: {dataset: {name: omniglot}}",
            "mine.yaml: apiVersion is \"metasearch.dev/v1\"; it must be 'metasearch.dev/v1alpha1'; "
            "kind is \"Search\"; it must be 'MetaSearch'",
            id="another kind",
        ),
        pytest.param(
            "spec: [dataset",
            "mine.yaml is not YAML: expected ',' or ']', but got '<stream end>' (line 1, column 15)",
            id="no YAML",
        ),
    ],
)
def test_a_wrong_resource(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, sentence: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(text, encoding="utf-8")
    assert error_sentence(metasearch("validate", "mine.yaml"), code=2) == sentence


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("search={strategy: progressive}", "spec.search.strategy is 'progressive', which is not installed here"),
        ("search.surrogate.type=lstm", "spec.search.surrogate.type is 'lstm', which is not installed here"),
        ("space.operations=[identity, warp]", "spec.space.operations is 'warp', which is not installed here"),
    ],
)
def test_a_name_that_is_not_installed(tmp_path: Path, setting: str, sentence: str) -> None:
    resource, output = write_resource(tmp_path), tmp_path / "out"
    for arguments in (("validate", resource), ("run", resource, "--output", output)):
        assert error_sentence(metasearch(*arguments, "--set", setting), code=2).startswith(sentence)
    assert not output.exists()


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        (
            "search.constraints.maxParameters=20",
            "spec.search.constraints.maxParameters is 20 and no network of one block has less than ",
        ),
        (
            "search.hyperparameters=[{name: repeats, distribution: Fixed, value: 0}, "
            "{name: reductions, distribution: Fixed, value: 0}]",
            "spec.search.hyperparameters draws no values that are allowed together in 1000 draws; ",
        ),
    ],
)
def test_a_search_without_candidates(tmp_path: Path, setting: str, sentence: str) -> None:
    resource, output = write_resource(tmp_path), tmp_path / "out"
    for arguments in (("validate", resource), ("run", resource, "--output", output)):
        assert error_sentence(metasearch(*arguments, "--set", setting), code=2).startswith(sentence)
    assert not output.exists()


def test_a_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sentence = "mine.yaml cannot be read (No such file or directory); give the file of a MetaSearch resource"
    assert error_sentence(metasearch("run", "mine.yaml"), code=2) == sentence
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        (
            "search.progressive.beamWidht=8",
            "--set search.progressive.beamWidht: no field 'beamWidht'; did you mean beamWidth?",
        ),
        ("search.progressive.beamWidth=0", '--set search.progressive.beamWidth=0: is "0"; it must be at least 1'),
        (
            "search.progressive.beamWidth",
            "--set search.progressive.beamWidth: it must be PATH=VALUE, such as search.progressive.beamWidth=8",
        ),
        ("dataset={nam: omniglot}", "--set dataset={nam: omniglot}: no field 'nam'; did you mean name?"),
    ],
)
def test_a_wrong_setting(tmp_path: Path, setting: str, sentence: str) -> None:
    assert error_sentence(metasearch("validate", write_resource(tmp_path), "--set", setting), code=2) == sentence


# --- the data -----------------------------------------------------------------------------------------------------


def examine(tmp_path: Path, data: Path, ways: int = 3) -> subprocess.CompletedProcess[str]:
    """Run `metasearch validate` for a search on these images, as a user to whom file permissions apply."""
    task, training = {"ways": ways}, {"reptile": {"shots": 2}}
    resource = write_resource(
        tmp_path, dataset={"name": None, "folder": {"path": str(data)}}, task=task, training=training
    )
    return subprocess.run(
        [*UNPRIVILEGED, *command("validate", resource)], capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder of twelve class folders with nothing wrong."""
    folder = write_class_folders(tmp_path / "images")
    yield folder
    for path in (folder, folder / "bee"):
        path.chmod(0o700)  # or they could not be deleted


def test_data_that_will_do(tmp_path: Path, folder: Path) -> None:
    ended = examine(tmp_path, folder)
    assert ended.returncode == 0, ended.stderr
    valid, estimate = ended.stdout.splitlines()
    assert valid.endswith(
        "6 training classes, 3 validation classes, 3 test classes, 36 images of 16 x 16 pixels in grey"
    )
    assert estimate.startswith("about ")


def test_what_is_passed_over_of_a_folder_is_said(tmp_path: Path, folder: Path) -> None:
    (folder / "bee" / "0.heic").touch()
    (folder / "bee" / "more").mkdir()
    (folder / "zebra").mkdir()
    Image.new("L", (17, 17)).save(folder / "bee" / "larger.png")
    ended = examine(tmp_path, folder)
    assert ended.returncode == 0, ended.stderr
    images = "images are .bmp, .gif, .jpeg, .jpg, .png, .tif, .tiff, .webp"
    assert ended.stdout.splitlines()[1:5] == [
        "the images are not of one square size, so all are made 84 x 84 pixels; dataset.imageSize sets another",
        f"1 class folder (zebra) is in no part of {folder}/split.json, and passed over",
        f"1 files named *.heic in the class folders passed over; {images}",
        f"1 sub-folders in the class folders passed over; {images}",
    ]


def test_more_ways_than_classes(tmp_path: Path, folder: Path) -> None:
    assert error_sentence(examine(tmp_path, folder, ways=20), code=3) == (
        f"{folder} has 6 training classes and task.ways is 20; "
        "ways must be no more than that, or the split give more classes to training"
    )


def damage_an_image(folder: Path) -> None:
    image = folder / "cat" / "1.png"
    image.write_bytes(image.read_bytes()[:200])


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        pytest.param(
            damage_an_image,
            "image {}/cat/1.png cannot be read (image file is truncated); it must be mended, or left out of the data",
            id="corrupt image",
        ),
        pytest.param(
            lambda folder: write_split(folder, test=["jay", "kiwi", "lynx"]),
            "class 'kiwi' of {}/split.json has no folder in {}; "
            "one of the 12 sub-folders there must have that name, to the letter",
            id="class that is not there",
        ),
        pytest.param(
            lambda folder: folder.chmod(0),
            "{}/split.json cannot be read (Permission denied); dataset.folder.split must be a JSON file "
            '{{"train": [...], "validation": [...], "test": [...]}} of class names, '
            "or a folder with train.csv, val.csv and test.csv",
            id="unreadable folder",
        ),
        pytest.param(
            lambda folder: (folder / "split.json").chmod(0),
            "{}/split.json cannot be read (Permission denied); dataset.folder.split must be a JSON file "
            '{{"train": [...], "validation": [...], "test": [...]}} of class names, '
            "or a folder with train.csv, val.csv and test.csv",
            id="unreadable split",
        ),
        pytest.param(
            lambda folder: (folder / "bee").chmod(0),
            "{}/bee cannot be read (Permission denied); a class folder must be readable",
            id="unreadable class folder",
        ),
        pytest.param(
            lambda folder: (folder / "bee" / "0.png").chmod(0),
            "image {}/bee/0.png cannot be read (Permission denied); it must be mended, or left out of the data",
            id="unreadable image",
        ),
    ],
)
def test_wrong_class_folders(tmp_path: Path, folder: Path, damage: Callable[[Path], None], sentence: str) -> None:
    damage(folder)
    assert error_sentence(examine(tmp_path, folder), code=3) == sentence.format(folder, folder)


def cut(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        pytest.param(
            cut,
            "{} cannot be read (File is not a zip file); "
            "an .npz file must have images (N,H,W) or (N,H,W,3) uint8, labels (N,) integers and classes (text)",
            id="cut short",
        ),
        pytest.param(
            lambda archive: write_archive(archive, labels=np.arange(12)),
            "labels of {} are int64 (12,); they must be 36 integers",
            id="too few labels",
        ),
    ],
)
def test_a_wrong_archive(tmp_path: Path, damage: Callable[[Path], object], sentence: str) -> None:
    archive = write_archive(tmp_path / "images.npz")
    damage(archive)
    assert error_sentence(examine(tmp_path, archive), code=3) == sentence.format(archive)


def test_a_run_on_wrong_data_begins_nothing(tmp_path: Path, folder: Path) -> None:
    resource = write_resource(tmp_path, dataset={"name": None, "folder": {"path": str(folder)}}, task={"ways": 20})
    ended = metasearch("run", resource, "--output", tmp_path / "out")
    assert "task.ways is 20" in error_sentence(ended, code=3)
    assert not (tmp_path / "out").exists()
