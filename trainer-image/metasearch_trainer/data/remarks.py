"""
Remarks on a user's own images: what is passed over, and what is made of images that differ in size.

Neither is wrong, so nothing is refused; but a user who meant it otherwise would not find out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from metasearch.api import Folder
from metasearch_trainer.data import splits
from metasearch_trainer.data.class_folders import DEFAULT_SIDE, SUFFIXES, ClassFolders

SHOWN = 3
"""Names that a remark gives, at most."""


def remarks(folder: Folder, image_size: int | None) -> Iterator[str]:
    """Yield sentences on a folder of class folders that `folder.load` takes; none on an archive, which has no more."""
    path = Path(folder.path).expanduser()
    if not path.is_dir():
        return
    split = splits.read(path / folder.split)
    classes = [listed for part in split.parts for listed in part]
    source = ClassFolders(path, split.source)
    if image_size is None and source.one_side([item for each in classes for item in source.items(each)]) is None:
        yield (
            f"the images are not of one square size, so all are made {DEFAULT_SIDE} x {DEFAULT_SIDE} pixels; "
            "dataset.imageSize sets another"
        )
    if any(listed.images for listed in classes):
        return  # a table says which images count, and the rest is left out on purpose
    names = {listed.name for listed in classes}
    if unlisted := sorted(name for name in source.names - names if name[0] != "."):
        yield f"{_some(unlisted, 'class folder')} in no part of {split.source}, and passed over"
    kinds = Counter(kind for name in names for kind in _passed_over(path / name))
    for kind, number in sorted(kinds.items()):
        yield f"{number:,} {kind} in the class folders passed over; images are {', '.join(sorted(SUFFIXES))}"


def _passed_over(folder: Path) -> Iterator[str]:
    for entry in folder.iterdir():
        if entry.name[0] == "." or entry.suffix.lower() in SUFFIXES:
            continue
        yield "sub-folders" if entry.is_dir() else f"files named *{entry.suffix}" if entry.suffix else "files"


def _some(names: list[str], what: str) -> str:
    shown = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    return f"1 {what} ({shown}) is" if len(names) == 1 else f"{len(names):,} {what}s ({shown}) are"
