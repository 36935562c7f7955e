"""
Artifact stores, which keep files outside of a pod: a mounted volume, or an object store.

A file there is complete or not there. Putting it again replaces it with the same content, so that every call may be
repeated.

fsspec knows local folders too, but copies without fsync and names no errno: that a volume had no room would be noticed
only when the file is read. So a mounted folder has a class of its own.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import fsspec  # type: ignore[import-untyped]

from metasearch.errors import InvalidSpec, StoreUnavailable

S3_OPTIONS: dict[str, Any] = {
    "config_kwargs": {"connect_timeout": 5, "read_timeout": 20, "retries": {"max_attempts": 2}}
}
"""Short, for retrying is ours (`RemoteStorage`): a request that hangs must not keep a worker that is to shut down."""


class ArtifactStore(Protocol):
    """
    Keeps files by name, such as weights/a.safetensors.

    Methods raise StoreUnavailable when it cannot be used now; calling again later is safe.
    """

    def check(self) -> None:
        """Check that a file can be put here, by putting one and removing it."""
        ...

    def put(self, path: Path, name: str) -> None:
        """Copy the file at a path here."""
        ...

    def get(self, name: str, path: Path) -> bool:
        """Copy a file to a path; return False where there is none of that name."""
        ...

    def delete(self, name: str) -> None:
        """Remove a file; one that is gone already is no error."""
        ...


class MountedFolder:
    """An artifact store in a folder of a mounted volume."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def check(self) -> None:
        with self._using("cannot be written"):
            self._folder.mkdir(parents=True, exist_ok=True)
            # It has a name of its own, since slots of several pods may check at the same time.
            probe = self._folder / f".check-{secrets.token_hex(4)}"
            probe.touch()
            probe.unlink()

    def put(self, path: Path, name: str) -> None:
        with self._using(f"{name} cannot be written"):
            target = self._folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(path, target)

    def get(self, name: str, path: Path) -> bool:
        with self._using(f"{name} cannot be read"):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                _copy(self._folder / name, path)
            except FileNotFoundError:
                return False
            return True

    def delete(self, name: str) -> None:
        with self._using(f"{name} cannot be removed"):
            (self._folder / name).unlink(missing_ok=True)

    @contextmanager
    def _using(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreUnavailable(
                f"spec.storage: {self._folder}: {what} ({error.strerror or error}); the volume of storage.claim must "
                "be writable by the worker pods' user and have room"
            ) from error


class ObjectStore:
    """An artifact store in a folder of an object store, given by its URL."""

    def __init__(self, url: str) -> None:
        """
        Raises:
            InvalidSpec: nothing that is installed can use such a URL.
        """
        self._url = url
        protocol = url.partition("://")[0]
        options = S3_OPTIONS if protocol in ("s3", "s3a") else {}
        try:
            # Without fsspec's caches, which do not show what other pods have written. And an instance that was cached
            # before a fork would have an event loop whose thread is not there.
            self._files, self._root = fsspec.core.url_to_fs(
                url, use_listings_cache=False, skip_instance_cache=True, **options
            )
        except (ImportError, ValueError) as error:
            raise InvalidSpec(
                f"spec.storage.url is {url} and the trainer's image has nothing that can use it ({error}); take s3://, "
                "or an image with the fsspec package for it"
            ) from error

    def check(self) -> None:
        name = f"{self._root}/.check-{secrets.token_hex(4)}"
        self._use("cannot be written", lambda: self._files.pipe_file(name, b""))
        self._use("cannot be written", lambda: self._files.rm_file(name))

    def put(self, path: Path, name: str) -> None:
        # Without a move at the end: object stores show an upload only once it is complete.
        self._use(f"{name} cannot be written", lambda: self._files.put_file(str(path), f"{self._root}/{name}"))

    def get(self, name: str, path: Path) -> bool:
        return self._use(f"{name} cannot be read", lambda: self._get(name, path))

    def delete(self, name: str) -> None:
        self._use(f"{name} cannot be removed", lambda: self._delete(name))

    def _get(self, name: str, path: Path) -> bool:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = _beside(path)
        try:
            self._files.get_file(f"{self._root}/{name}", str(partial))
        except FileNotFoundError:
            return False
        else:
            partial.replace(path)
            return True
        finally:
            partial.unlink(missing_ok=True)

    def _delete(self, name: str) -> bool:
        try:
            self._files.rm_file(f"{self._root}/{name}")
        except FileNotFoundError:
            return False
        return True

    def _use(self, what: str, act: Callable[[], bool]) -> bool:
        try:
            return act()
        except MemoryError:  # the trial's own, of its memory cap
            raise
        except Exception as error:  # each store has errors of its own, and most are no OSError
            raise StoreUnavailable(
                f"spec.storage.url {self._url}: {what} ({_one_line(error)}); the store must be reachable, and the "
                "worker pods' credentials allow to read, write and delete there"
            ) from error


def _copy(source: Path, target: Path) -> None:
    """Copy a file beside its target, then move it there; others may do the same at the same time."""
    partial = _beside(target)
    try:
        shutil.copyfile(source, partial)
        # Network file systems report a full disk only when the data is flushed; after the move that would be too late.
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """Return a new path in the same folder, and so on the same file system, from which a move is atomic."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
