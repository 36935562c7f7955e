"""Images of the user's own: class folders and .npz files, right and wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from metasearch.api import Dataset, Folder, MetaSearchSpec, ReptileSettings, Task, Training
from metasearch.errors import InvalidData
from metasearch_trainer import data
from metasearch_trainer.data import Splits, folder

SPLIT = {"train": ["ant", "bee"], "validation": ["cow"], "test": ["dog"]}
CLASSES = ("ant", "bee", "cow", "dog")


# --- builders ----------------------------------------------------------------------------------------------------


def plain(value: int = 100, size: tuple[int, int] = (16, 16), mode: str = "L") -> Image.Image:
    """Return an image of one grey; Pillow's `new` takes one number as red."""
    return Image.new("L", size, value).convert(mode)


def write_split(root: Path, split: object = SPLIT) -> None:
    (root / "split.json").write_text(json.dumps(split), encoding="utf-8")


def write_images(root: Path, *images: Image.Image) -> Path:
    """Write class folders that all hold these images, and their split."""
    for name in CLASSES:
        (root / name).mkdir()
        for index, image in enumerate(images or (plain(),)):
            image.save(root / name / f"{index}.png")
    write_split(root)
    return root


def write_tables(root: Path, train: str, val: str = "0.png,cow\n", test: str = "0.png,dog\n") -> None:
    for name, rows in (("train", train), ("val", val), ("test", test)):
        (root / f"{name}.csv").write_text("filename,label\n" + rows, encoding="utf-8")


def write_archive(root: Path, **changes: Any) -> Path:
    """Write an .npz file of two grey images per class, values counting up, and its split; None leaves an array out."""
    values = np.arange(8, dtype=np.uint8)
    arrays: dict[str, Any] = {
        "images": np.broadcast_to(values[:, None, None], (8, 16, 16)),
        "labels": np.repeat(np.arange(4), 2),
        "classes": np.array(CLASSES),
    } | changes
    path = root / "images.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    write_split(root)
    return path


def load(path: Path, image_size: int | None = None, **fields: Any) -> Splits:
    return folder.load(Folder(path=str(path), **fields), image_size)


def complaint(path: Path, image_size: int | None = None, **fields: Any) -> str:
    with pytest.raises(InvalidData) as raised:
        load(path, image_size, **fields)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def greys(pixels: npt.NDArray[np.uint8]) -> list[int]:
    """Return the first pixel of each image."""
    return [int(value) for value in pixels[:, 0, 0, 0]]


# --- class folders -----------------------------------------------------------------------------------------------


def test_classes_keep_the_order_of_the_split(tmp_path: Path) -> None:
    root = write_images(tmp_path)
    write_split(root, SPLIT | {"train": ["dog", "ant"], "test": ["bee"]})
    splits = load(root)
    assert splits.train.class_names == ("dog", "ant")
    assert splits.validation.class_names == ("cow",)
    assert splits.test.class_names == ("bee",)


def test_images_are_sorted_by_file_name(tmp_path: Path) -> None:
    root = write_images(tmp_path)
    for name, value in (("b.png", 2), ("a.png", 1), ("c.png", 3)):
        plain(value).save(root / "bee" / name)
    images = load(root).train
    assert images.counts.tolist() == [1, 4]
    assert greys(images.pixels) == [100, 100, 1, 2, 3]


def test_pixels_are_stored_as_they_are_written(tmp_path: Path) -> None:
    values = np.arange(3 * 16 * 16).reshape(16, 16, 3).astype(np.uint8)
    pixels = load(write_images(tmp_path, Image.fromarray(values))).train.pixels
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels[1], values.transpose(2, 0, 1))


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "bmp", "gif", "webp", "tif", "tiff", "PNG", "Jpg"])
def test_every_usual_kind_of_image_is_read(tmp_path: Path, suffix: str) -> None:
    root = write_images(tmp_path)
    plain(200, mode="RGB").save(root / "bee" / f"1.{suffix}")
    assert greys(load(root).train.pixels) == pytest.approx([100, 100, 200], abs=2)


def test_hidden_and_other_files_are_no_images(tmp_path: Path) -> None:
    root = write_images(tmp_path)
    for name in (".0.png", "._0.png", "notes.txt", "Thumbs.db"):
        (root / "bee" / name).write_bytes(b"not an image")
    assert load(root).train.counts.tolist() == [1, 1]


def test_folders_that_the_split_does_not_list_are_not_read(tmp_path: Path) -> None:
    root = write_images(tmp_path)
    (root / "emu").mkdir()
    (root / "emu" / "0.png").write_bytes(b"not an image")
    assert load(root).train.class_names == ("ant", "bee")


def test_a_path_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(write_images(tmp_path).parent))
    assert load(Path("~") / tmp_path.name).train.class_names == ("ant", "bee")


def test_reading_twice_gives_the_same(tmp_path: Path) -> None:
    """Images are decoded side by side; which is done first must not matter."""
    root = write_images(tmp_path, *(plain(value, (value + 8, 60)) for value in range(10)))
    first, second = load(root), load(root)
    assert greys(first.test.pixels) == list(range(10))
    assert np.array_equal(first.train.pixels, second.train.pixels)


def test_a_split_elsewhere_is_found_by_its_absolute_path(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    root = write_images(tmp_path / "images")
    (root / "split.json").rename(tmp_path / "mine.json")
    assert load(root, split=str(tmp_path / "mine.json")).train.class_names == ("ant", "bee")


def test_a_relative_split_counts_from_the_folder_of_the_images(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    root = write_images(tmp_path / "images")
    (root / "split.json").rename(tmp_path / "mine.json")
    assert load(root, split="../mine.json").train.class_names == ("ant", "bee")


def test_a_relative_path_counts_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images").mkdir()
    write_images(tmp_path / "images")
    monkeypatch.chdir(tmp_path)
    assert load(Path("images")).train.class_names == ("ant", "bee")


# --- channels ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "channels"), [("1", 1), ("L", 1), ("LA", 1), ("I;16", 1), ("RGB", 3), ("RGBA", 3), ("P", 3)]
)
def test_channels_are_those_of_the_first_image(tmp_path: Path, mode: str, channels: int) -> None:
    first = Image.new("I;16", (16, 16)) if mode == "I;16" else plain(mode=mode)
    assert load(write_images(tmp_path, first, plain(mode="RGB"), plain())).test.channels == channels


def test_colour_becomes_grey_as_pillow_weighs_it(tmp_path: Path) -> None:
    red = Image.new("RGB", (16, 16), (255, 0, 0))
    assert greys(load(write_images(tmp_path, red), channels=1).test.pixels) == [76]  # 0.299 * 255, ITU-R 601


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    pixels = load(write_images(tmp_path, plain(70)), channels=3).test.pixels
    assert pixels.shape[1] == 3
    assert np.unique(pixels).tolist() == [70]


@pytest.mark.parametrize(("mode", "colour"), [("LA", (70, 0)), ("RGBA", (70, 70, 70, 0))])
def test_alpha_is_dropped(tmp_path: Path, mode: str, colour: tuple[int, ...]) -> None:
    assert np.unique(load(write_images(tmp_path, Image.new(mode, (16, 16), colour))).test.pixels).tolist() == [70]


def test_a_palette_with_transparency_is_read_without_it(tmp_path: Path) -> None:
    picture = Image.new("P", (16, 16))
    picture.putpalette([70, 70, 70])
    picture.info["transparency"] = b"\x00"
    assert np.unique(load(write_images(tmp_path, picture)).test.pixels).tolist() == [70]


def test_sixteen_bits_keep_their_upper_eight(tmp_path: Path) -> None:
    deep = Image.fromarray(np.full((16, 16), 40_000, dtype=np.uint16))
    assert greys(load(write_images(tmp_path, deep)).test.pixels) == [40_000 // 256]


def test_the_first_picture_of_an_animation_is_read(tmp_path: Path) -> None:
    root = write_images(tmp_path)
    plain(10).save(root / "bee" / "1.gif", save_all=True, append_images=[plain(90)])
    assert greys(load(root).train.pixels) == [100, 100, 10]


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    root = write_images(tmp_path)
    picture = plain(0)
    picture.paste(255, (0, 0, 8, 16))  # the left half is white
    orientation = Image.Exif()
    orientation[0x0112] = 6  # to be shown turned by 90 degrees clockwise, which brings the left to the top
    picture.save(root / "dog" / "0.png", exif=orientation)
    upright = load(root).test.pixels[0, 0]
    assert upright[:8].min() == 255
    assert upright[8:].max() == 0


# --- size --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "side"),
    [
        pytest.param([(16, 16), (16, 16)], 16, id="one square size"),
        pytest.param([(16, 16), (20, 20)], 84, id="two sizes"),
        pytest.param([(16, 12), (16, 12)], 84, id="not square"),
    ],
)
def test_images_keep_one_square_size_and_else_become_84(
    tmp_path: Path, sizes: list[tuple[int, int]], side: int
) -> None:
    assert load(write_images(tmp_path, *(plain(size=size) for size in sizes))).train.side == side


def test_a_single_larger_image_in_any_part_counts(tmp_path: Path) -> None:
    root = write_images(tmp_path)
    plain(size=(17, 17)).save(root / "dog" / "1.png")
    splits = load(root)
    assert (splits.train.side, splits.validation.side, splits.test.side) == (84, 84, 84)


def test_images_are_resized_on_request(tmp_path: Path) -> None:
    splits = load(write_images(tmp_path, plain(size=(40, 30)), plain(size=(9, 9), mode="RGB")), image_size=12)
    assert splits.train.pixels.shape == (4, 1, 12, 12)


def test_images_that_are_not_square_are_cut_to_their_middle(tmp_path: Path) -> None:
    picture = plain(255, (32, 16))
    picture.paste(90, (8, 0, 24, 16))
    assert np.unique(load(write_images(tmp_path, picture), image_size=16).train.pixels).tolist() == [90]


def test_more_pixels_than_memory_are_reported_in_a_sentence() -> None:
    with pytest.raises(InvalidData, match=r"30000000 GB of memory; set a smaller dataset\.imageSize"):
        folder._empty_pixels(images=10**6, channels=3, side=10**5)


# --- class folders with CSV files --------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["ant", "images", "."])
def test_an_image_of_a_row_is_found_in_three_places(tmp_path: Path, place: str) -> None:
    root = write_images(tmp_path)
    (root / place).mkdir(exist_ok=True)
    plain(33).save(root / place / "row.png")
    write_tables(root, "row.png,ant\n")
    assert greys(load(root, split=".").train.pixels) == [33]


def test_the_class_folder_goes_before_the_common_one(tmp_path: Path) -> None:
    root = write_images(tmp_path, plain(1))
    (root / "images").mkdir()
    plain(2).save(root / "images" / "0.png")
    write_tables(root, "0.png,ant\n")
    assert greys(load(root, split=".").train.pixels) == [1]


def test_rows_choose_and_order_the_images(tmp_path: Path) -> None:
    root = write_images(tmp_path, plain(0), plain(1), plain(2))
    write_tables(root, "2.png,bee\n1.png,ant\n0.png,bee\n")
    images = load(root, split=".").train
    assert images.class_names == ("bee", "ant")
    assert images.counts.tolist() == [2, 1]
    assert greys(images.pixels) == [2, 0, 1]


def test_classes_of_rows_need_no_folders(tmp_path: Path) -> None:
    """Mini-ImageNet is one folder of images and the three files."""
    (tmp_path / "images").mkdir()
    plain().save(tmp_path / "images" / "n0153282900000005.png")
    rows = "n0153282900000005.png,{}\n"
    write_tables(tmp_path, *(rows.format(name) for name in ("n01532829", "n01855672", "n01930112")))
    assert load(tmp_path, split=".").test.class_names == ("n01930112",)


def test_a_row_without_its_image_is_reported_with_where_it_was_sought(tmp_path: Path) -> None:
    root = write_images(tmp_path)
    write_tables(root, "0.png,ant\nlost.png,ant\n")
    message = complaint(root, split=".")
    places = [root / "ant" / "lost.png", root / "images" / "lost.png", root / "lost.png"]
    assert [word for word in ["image lost.png", "train.csv, line 3", *map(str, places)] if word not in message] == []


# --- what can be wrong with class folders ------------------------------------------------------------------------


def _cut_short(root: Path) -> None:
    Image.effect_noise((64, 64), 50).save(root / "bee" / "cut.png")
    (root / "bee" / "cut.png").write_bytes((root / "bee" / "cut.png").read_bytes()[:2000])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        pytest.param(shutil.rmtree, ["No such file", "dataset.folder.path must be"], id="no folder"),
        pytest.param(
            lambda root: (root / "split.json").unlink(), ["split.json", "dataset.folder.split must be"], id="no split"
        ),
        pytest.param(
            lambda root: shutil.rmtree(root / "cow"),
            ["class 'cow'", "split.json", "no folder in"],
            id="no class folder",
        ),
        pytest.param(
            lambda root: (root / "cow").rename(root / "Cow"), ["class 'cow'", "to the letter"], id="another letter case"
        ),
        pytest.param(
            lambda root: write_split(root, SPLIT | {"test": ["../ant"]}), ["class '../ant'", "no folder"], id="outside"
        ),
        pytest.param(
            lambda root: (root / "cow" / "0.png").rename(root / "cow" / "0.txt"),
            ["class folder", "cow has no images", ".jpg"],
            id="empty class folder",
        ),
        pytest.param(
            lambda root: (root / "bee" / "bad.png").write_bytes(b"words"),
            ["image", "bad.png", "not one of PNG"],
            id="not an image",
        ),
        pytest.param(lambda root: (root / "bee" / "bad.png").touch(), ["image", "bad.png"], id="empty image"),
        pytest.param(lambda root: (root / "bee" / "bad.png").mkdir(), ["bad.png", "directory"], id="a folder"),
        pytest.param(lambda root: (root / "bee" / "bad.png").symlink_to("lost"), ["bad.png", "No such"], id="bad link"),
        pytest.param(_cut_short, ["image", "cut.png", "truncated", "mended"], id="truncated image"),
        pytest.param(
            lambda root: Image.new("F", (16, 16)).save(root / "bee" / "float.tif"),
            ["float.tif", "mode F", "8 or 16 bits"],
            id="decimal numbers",
        ),
    ],
)
@pytest.mark.parametrize("image_size", [None, 16])
def test_wrong_folders_are_reported_in_a_sentence(
    tmp_path: Path, damage: Callable[[Path], object], words: list[str], image_size: int | None
) -> None:
    damage(write_images(tmp_path))
    message = complaint(tmp_path, image_size)
    assert [word for word in [str(tmp_path), *words] if word not in message] == []


def test_of_several_bad_images_the_first_is_named(tmp_path: Path) -> None:
    root = write_images(tmp_path, *(plain() for _ in range(20)))
    for index in range(5, 20):
        (root / "bee" / f"{index}.png").write_bytes(b"words")
    assert str(root / "bee" / "10.png") in complaint(root, image_size=16)  # by name, 10 comes before 5


def test_a_file_of_another_kind_is_no_data_set(tmp_path: Path) -> None:
    path = tmp_path / "images.zip"
    path.touch()
    message = complaint(path)
    assert [word for word in ["images.zip", "neither a folder nor an .npz file"] if word not in message] == []


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_a_name_that_no_file_can_have_is_reported_in_a_sentence(tmp_path: Path, name: str) -> None:
    assert "dataset.folder.path must be" in complaint(tmp_path / name)


# --- .npz --------------------------------------------------------------------------------------------------------


def test_an_archive_is_read_class_by_class_in_the_order_of_its_rows(tmp_path: Path) -> None:
    path = write_archive(tmp_path, labels=np.array([3, 1, 0, 1, 2, 0, 1, 3]))
    images = load(path).train
    assert images.class_names == ("ant", "bee")
    assert images.counts.tolist() == [2, 3]
    assert greys(images.pixels) == [2, 5, 1, 3, 6]


@pytest.mark.parametrize("compressed", [False, True])
def test_an_archive_keeps_its_pixels(tmp_path: Path, compressed: bool) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    path = write_archive(tmp_path)
    save = np.savez_compressed if compressed else np.savez
    save(path, images=images, labels=np.arange(4), classes=np.array(CLASSES))
    splits = load(path)
    assert np.array_equal(splits.train.pixels, images[:2].transpose(0, 3, 1, 2))
    assert np.array_equal(splits.test.pixels, images[3:].transpose(0, 3, 1, 2))


def test_an_archive_keeps_a_side_that_no_folder_would(tmp_path: Path) -> None:
    assert load(write_archive(tmp_path, images=np.zeros((8, 31, 31), dtype=np.uint8))).train.side == 31


def test_an_archive_is_resized_on_request(tmp_path: Path) -> None:
    assert load(write_archive(tmp_path), image_size=12).train.pixels.shape == (4, 1, 12, 12)


def test_grey_images_of_an_archive_may_have_an_axis_for_it(tmp_path: Path) -> None:
    values = np.arange(8, dtype=np.uint8)
    pixels = load(write_archive(tmp_path, images=np.broadcast_to(values[:, None, None, None], (8, 16, 16, 1)))).train
    assert (pixels.channels, pixels.side, greys(pixels.pixels)) == (1, 16, [0, 1, 2, 3])


@pytest.mark.parametrize(("shape", "channels"), [((8, 16, 16), 1), ((8, 16, 16, 3), 3)])
def test_channels_are_those_of_the_archive(tmp_path: Path, shape: tuple[int, ...], channels: int) -> None:
    assert load(write_archive(tmp_path, images=np.zeros(shape, dtype=np.uint8))).train.channels == channels


@pytest.mark.parametrize("shape", [(8, 16, 16), (8, 16, 16, 3)])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_archive_gets_the_wanted_channels(tmp_path: Path, shape: tuple[int, ...], channels: int) -> None:
    pixels = load(write_archive(tmp_path, images=np.full(shape, 70, dtype=np.uint8)), channels=channels).train.pixels
    assert pixels.shape == (4, channels, 16, 16)
    assert np.unique(pixels).tolist() == [70]


def test_an_archive_that_is_not_square_is_cut_on_request(tmp_path: Path) -> None:
    images = np.full((8, 16, 32), 255, dtype=np.uint8)
    images[:, :, 8:24] = 90
    assert np.unique(load(write_archive(tmp_path, images=images), image_size=16).train.pixels).tolist() == [90]


def test_rows_over_an_archive_only_say_which_class_is_in_which_part(tmp_path: Path) -> None:
    path = write_archive(tmp_path)
    write_tables(tmp_path, "any.png,bee\nother.png,bee\nthird.png,ant\n", "x.png,dog\n", "y.png,cow\n")
    splits = load(path, split=".")
    assert splits.train.class_names == ("bee", "ant")
    assert greys(splits.train.pixels) == [2, 3, 0, 1]
    assert splits.test.class_names == ("cow",)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"images": None}, ["has no array 'images'"], id="no images"),
        pytest.param({"labels": None}, ["has no array 'labels'"], id="no labels"),
        pytest.param({"classes": None}, ["has no array 'classes'"], id="no classes"),
        pytest.param({"images": np.zeros((8, 16, 16))}, ["float64", "must be uint8"], id="images of decimals"),
        pytest.param({"images": np.zeros((8, 256), np.uint8)}, ["(8, 256)", "(N,H,W)"], id="images as rows"),
        pytest.param(
            {"images": np.zeros((8, 3, 16, 16), np.uint8)}, ["(8, 3, 16, 16)", "(N,H,W,3)"], id="planes first"
        ),
        pytest.param({"images": np.zeros((8, 16, 0), np.uint8)}, ["(8, 16, 0)"], id="images without pixels"),
        pytest.param(
            {"images": np.zeros((8, 12, 16), np.uint8)}, ["16 pixels wide and 12 high", "imageSize"], id="not square"
        ),
        pytest.param({"labels": np.zeros(8)}, ["labels", "float64", "8 integers"], id="labels of decimals"),
        pytest.param({"labels": np.zeros(7, int)}, ["labels", "(7,)", "8 integers"], id="too few labels"),
        pytest.param(
            {"labels": np.array([0, 1, 2, 3, 4, 0, 0, 0])}, ["label 4 of row 4", "0 to 3"], id="label too high"
        ),
        pytest.param(
            {"labels": np.array([0, 1, -1, 3, 0, 0, 0, 0])}, ["label -1 of row 2", "0 to 3"], id="negative label"
        ),
        pytest.param({"labels": np.array([0, 1, 3, 3, 0, 0, 0, 0])}, ["'cow'", "no images"], id="class without images"),
        pytest.param({"classes": np.arange(4)}, ["classes", "int64", "names"], id="classes of numbers"),
        pytest.param({"classes": np.array(["ant", "bee", "cow", "ant"])}, ["'ant' twice"], id="two classes of a name"),
        pytest.param(
            {"classes": np.array(["ant", "bee", "cow", "emu"])}, ["class 'dog'", "not in"], id="class missing"
        ),
        pytest.param(
            {"classes": np.array(CLASSES, dtype=object)}, ["'classes'", "Object arrays"], id="pickled objects"
        ),
        pytest.param({"images": np.array([None] * 8)}, ["'images'", "Object arrays"], id="pickled images"),
    ],
)
def test_wrong_arrays_are_reported_in_a_sentence(tmp_path: Path, changes: dict[str, Any], words: list[str]) -> None:
    message = complaint(write_archive(tmp_path, **changes))
    assert [word for word in ["images.npz", *words] if word not in message] == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", ["not a zip file"], id="empty"),
        pytest.param(b"words", ["not a zip file"], id="no archive"),
        pytest.param(b"\x80\x04K\x01.", ["not a zip file"], id="a pickle"),
        pytest.param(b"PK\x05\x06" + b"\0" * 18, ["has no array 'images'"], id="an archive of nothing"),
    ],
)
def test_a_broken_archive_is_reported_in_a_sentence(tmp_path: Path, content: bytes, words: list[str]) -> None:
    path = write_archive(tmp_path)
    path.write_bytes(content)
    message = complaint(path)
    assert [word for word in ["images.npz", "must have images (N,H,W)", *words] if word not in message] == []


def test_a_damaged_array_is_named(tmp_path: Path) -> None:
    path = write_archive(tmp_path)
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)
    assert "array 'images'" in complaint(path)


# --- the whole way in --------------------------------------------------------------------------------------------


def load_for_task(root: Path, ways: int, shots: int, training_shots: int = 1) -> Splits:
    return data.load(
        MetaSearchSpec(
            dataset=Dataset(folder=Folder(path=str(root))),
            task=Task(ways=ways, shots=shots),
            training=Training(reptile=ReptileSettings(shots=training_shots)),
        )
    )


def test_a_folder_serves_as_a_data_set(tmp_path: Path) -> None:
    root = write_images(tmp_path, plain(), plain())
    write_split(root, {"train": ["ant", "bee"], "validation": ["cow", "dog"], "test": ["emu", "fox"]})
    for name in ("emu", "fox"):
        shutil.copytree(root / "ant", root / name)
    assert load_for_task(root, ways=2, shots=1).test.class_names == ("emu", "fox")


@pytest.mark.parametrize(
    ("ways", "shots", "training_shots", "words"),
    [
        pytest.param(2, 1, 1, ["1 validation class", "task.ways is 2"], id="too few validation classes"),
        pytest.param(3, 1, 1, ["2 training class", "task.ways is 3"], id="too few training classes"),
        pytest.param(2, 1, 5, ["'ant'", "2 images", "a task of training takes 5"], id="too few training images"),
    ],
)
def test_a_folder_too_small_for_the_task_is_reported_in_a_sentence(
    tmp_path: Path, ways: int, shots: int, training_shots: int, words: list[str]
) -> None:
    root = write_images(tmp_path, plain(), plain())
    with pytest.raises(InvalidData) as raised:
        load_for_task(root, ways, shots, training_shots)
    assert [word for word in [str(root), *words] if word not in str(raised.value)] == []
