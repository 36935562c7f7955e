"""Artifact stores: a mounted folder, and an object store that speaks S3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto_server import BUCKET, MotoServer, open_moto_server

from metasearch.errors import InvalidSpec, StoreUnavailable
from metasearch_trainer.artifact_stores import ArtifactStore, MountedFolder, ObjectStore

FOLDER = "team-a/search-12345678"


@pytest.fixture(scope="module")
def server() -> Iterator[MotoServer]:
    with open_moto_server() as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        yield running


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    if request.param == "folder":
        return MountedFolder(tmp_path / "volume" / FOLDER)
    request.getfixturevalue("server")
    return ObjectStore(f"s3://{BUCKET}/{tmp_path.name}/{FOLDER}")


def test_what_is_put_can_be_got(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "here").write_bytes(b"weights")
    store.put(tmp_path / "here", "weights/a.safetensors")
    assert store.get("weights/a.safetensors", tmp_path / "new" / "there")
    assert (tmp_path / "new" / "there").read_bytes() == b"weights"


def test_what_is_put_again_takes_the_place_of_the_first(store: ArtifactStore, tmp_path: Path) -> None:
    for content in (b"first", b"second"):
        (tmp_path / "here").write_bytes(content)
        store.put(tmp_path / "here", "a")
    store.get("a", tmp_path / "there")
    assert (tmp_path / "there").read_bytes() == b"second"


def test_what_is_not_there_is_not_got(store: ArtifactStore, tmp_path: Path) -> None:
    assert not store.get("checkpoints/a", tmp_path / "there")
    assert list(tmp_path.glob("*there*")) == []


def test_what_is_deleted_is_gone_and_may_be_deleted_again(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    store.put(tmp_path / "here", "a")
    store.delete("a")
    store.delete("a")
    assert not store.get("a", tmp_path / "there")


def test_a_check_leaves_nothing(store: ArtifactStore, tmp_path: Path) -> None:
    store.check()
    assert [path for path in (tmp_path / "volume").rglob("*") if path.is_file()] == []


def test_files_of_an_object_store_lie_below_its_url(server: MotoServer, tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    ObjectStore(f"s3://{BUCKET}/layout/{FOLDER}").put(tmp_path / "here", "weights/a.safetensors")
    assert f"layout/{FOLDER}/weights/a.safetensors" in server.names()
    assert not any(".check" in name for name in server.names())


@pytest.mark.usefixtures("server")
def test_a_bucket_that_is_not_there_is_found_out_by_a_check() -> None:
    with pytest.raises(
        StoreUnavailable, match=r"s3://nowhere/a: cannot be written .*bucket does not exist.*must be rea"
    ):
        ObjectStore("s3://nowhere/a").check()


def test_a_store_that_cannot_be_reached_is_unavailable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in MotoServer("http://127.0.0.1:9", BUCKET).environment.items():
        monkeypatch.setenv(name, value)
    store = ObjectStore(f"s3://{BUCKET}/unreachable")
    with pytest.raises(StoreUnavailable, match=r"weights/a cannot be read .*127\.0\.0\.1:9"):
        store.get("weights/a", tmp_path / "there")


def test_a_url_that_nothing_can_use_is_the_specs_fault() -> None:
    with pytest.raises(InvalidSpec, match=r"spec\.storage\.url is nonsense://a .* take s3://"):
        ObjectStore("nonsense://a")


def test_a_volume_that_is_no_folder_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "volume").touch()
    folder = MountedFolder(tmp_path / "volume")
    with pytest.raises(StoreUnavailable, match=r"volume: cannot be written .*must be writable"):
        folder.check()
    with pytest.raises(StoreUnavailable, match="weights/a cannot be written"):
        folder.put(tmp_path / "volume", "weights/a")
