"""What a slot makes of the spec: where its data are, and where weights go."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import make_spec
from patient import Clock

from metasearch.kubernetes.storage_layout import search_folder
from metasearch_trainer.pod.settings import Places
from metasearch_trainer.pod.slot import mounted, open_storage
from metasearch_trainer.storage import Folders, KeptOutside

SEARCH = {"metadata": {"namespace": "team-a", "name": "quick", "uid": "01234567-89ab-cdef"}}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "scratch", tmp_path / "data", tmp_path / "storage")


def test_a_claims_images_are_where_it_is_mounted(places: Places) -> None:
    spec = make_spec(dataset={"folder": {"path": "images/train", "claim": "mini-imagenet"}})
    folder = mounted(spec.dataset, places).folder
    assert folder is not None
    assert folder.path == str(places.data / "images/train")
    assert folder.split == "split.json"


def test_images_without_a_claim_are_in_the_image(places: Places) -> None:
    for dataset in ({"name": "omniglot"}, {"folder": {"path": "/images"}}):
        spec = make_spec(dataset=dataset)
        assert mounted(spec.dataset, places) == spec.dataset


def test_searches_that_share_a_storage_have_folders_of_their_own() -> None:
    assert search_folder(SEARCH) == "team-a/quick-01234567"


def test_a_volume_is_used_below_its_root(places: Places, tmp_path: Path) -> None:
    storage = open_storage(make_spec(storage={"claim": "weights"}), SEARCH, places, Clock().patience())
    assert isinstance(storage, KeptOutside)
    storage._shelf.check()
    assert (tmp_path / "storage" / "team-a" / "quick-01234567").is_dir()


def test_without_a_storage_files_stay_on_the_pod(places: Places) -> None:
    storage = open_storage(make_spec(), SEARCH, places, Clock().patience())
    assert storage == Folders(places.scratch / "checkpoints", None)
