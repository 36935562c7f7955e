"""A slot finds its data and its storage as the spec says."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import make_spec
from virtual_clock import VirtualClock

from metasearch.storage_layout import search_folder
from metasearch_trainer.pod.settings import MountPaths
from metasearch_trainer.pod.slot import mounted, open_storage
from metasearch_trainer.storage import LocalStorage, RemoteStorage

SEARCH = {"metadata": {"namespace": "team-a", "name": "quick", "uid": "01234567-89ab-cdef"}}


@pytest.fixture
def paths(tmp_path: Path) -> MountPaths:
    return MountPaths(tmp_path / "scratch", tmp_path / "data", tmp_path / "storage")


def test_a_claims_images_are_where_it_is_mounted(paths: MountPaths) -> None:
    spec = make_spec(dataset={"folder": {"path": "images/train", "claim": "mini-imagenet"}})
    folder = mounted(spec.dataset, paths).folder
    assert folder is not None
    assert folder.path == str(paths.data / "images/train")
    assert folder.split == "split.json"


def test_images_without_a_claim_are_in_the_image(paths: MountPaths) -> None:
    for dataset in ({"name": "omniglot"}, {"folder": {"path": "/images"}}):
        spec = make_spec(dataset=dataset)
        assert mounted(spec.dataset, paths) == spec.dataset


def test_searches_that_share_a_storage_have_folders_of_their_own() -> None:
    assert search_folder(SEARCH) == "team-a/quick-01234567"


def test_a_volume_is_used_below_its_root(paths: MountPaths, tmp_path: Path) -> None:
    storage = open_storage(make_spec(storage={"claim": "weights"}), SEARCH, paths, VirtualClock().retry())
    assert isinstance(storage, RemoteStorage)
    storage._store.check()
    assert (tmp_path / "storage" / "team-a" / "quick-01234567").is_dir()


def test_without_a_storage_files_stay_on_the_pod(paths: MountPaths) -> None:
    storage = open_storage(make_spec(), SEARCH, paths, VirtualClock().retry())
    assert storage == LocalStorage(paths.scratch / "checkpoints", None)
