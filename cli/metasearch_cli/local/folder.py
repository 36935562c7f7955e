"""
The folder of a local run, which one driver at a time may use.

    trials.db      the store: everything the search is rebuilt from
    result.json    what was found, see docs/reference/result.md
    report.html    the same to look at
    best/          the delivered network: cell.json, weights.safetensors, metrics.json, README.md, use.py
    front/         where final.deliver is Front, the delivered networks: 1/, 2/, ... with the same files as best/
    weights/       of every final trial
    checkpoints/   of trials under way, and of beginnings that others may go on from; none once the search is over
    logs/          what worker processes print
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metasearch.api import CHANGEABLE, MetaSearch, MetaSearchSpec
from metasearch.errors import FolderConflict, InvalidSpec, MetaSearchError, StoreUnavailable
from metasearch.loading import parse_search
from metasearch.outcome.ends import End
from metasearch.storage_layout import CHECKPOINTS, FRONT, WEIGHTS
from metasearch.stores.sqlite import SearchRow, SqliteStore
from metasearch.version import __version__


class RunFolder:
    """The paths of the files in a run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = path / "trials.db"
        self.result = path / "result.json"
        self.report = path / "report.html"
        self.trace = path / "trace.json"
        self.best = path / "best"
        self.front = path / FRONT
        self.weights = path / WEIGHTS
        self.checkpoints = path / CHECKPOINTS
        self.logs = path / "logs"

    def create(self) -> None:
        """Make the folder and those in it."""
        try:
            for folder in (self.path, self.weights, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(
                f"{self.path} cannot be made ({error.strerror}); choose an --output that can be written"
            ) from error

    def drop_checkpoints(self) -> None:
        """Remove all checkpoints; what cannot be removed stays, for it only takes room."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder against other drivers. The system frees the lock of a process that is killed."""
        # Opened to append: "w" would empty the file of the driver that holds the lock.
        with (self.path / "driver.lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                lock.seek(0)
                raise FolderConflict(
                    f"{self.path} is in use by the driver with process id {lock.read().strip() or 'unknown'}; "
                    "stop it first, or choose another --output"
                ) from error
            # The process id is for the sentence above; the lock itself is the system's.
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def open_store(self) -> SqliteStore:
        """Open the store of a run that was begun, to look at it; raises FolderConflict where there is none."""
        try:
            self.store.stat()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise self.holds_no_search() from error
        except OSError as error:
            raise StoreUnavailable(
                f"{self.path} cannot be read ({error.strerror}); give a folder that you may read"
            ) from error
        return SqliteStore.to_look_at(self.store)

    def recorded_resource(self, row: SearchRow) -> MetaSearch:
        """Return the search of a store; raises FolderConflict where this release cannot read it."""
        try:
            return parse_search(row.resource, where="what is recorded")
        except InvalidSpec as error:
            raise FolderConflict(
                f"{self.path} was begun by a release of MetaSearch other than this one ({__version__}), which cannot "
                f"read it: {error}; go on with that release, or choose another --output"
            ) from error

    def holds_no_search(self) -> FolderConflict:
        return FolderConflict(f"{self.path} holds no search; give the --output folder of a metasearch run")


def open_search(folder: RunFolder, resource: MetaSearch, resume: bool, now: float) -> tuple[SqliteStore, SearchRow]:
    """
    Open the folder's store, which belongs to the given search from now on.

    Raises:
        FolderConflict: it belongs to another search, or to this one and `resume` is False.
    """
    store = SqliteStore(folder.store, resource.spec.budget.max_attempts)
    name, spec = resource.metadata.name, resource.spec
    row = store.search()
    if row is None:
        store.begin_search(name, spec.model_dump_json(by_alias=True), now)
    else:
        _require_same(folder.path, row, name, spec, resume)
        # Only parts that may change can differ by now.
        store.replace_spec(spec.model_dump_json(by_alias=True))
    row = store.search()
    assert row is not None
    return store, row


def recorded_ends(store: SqliteStore) -> tuple[End, ...]:
    """Return the ends that the search of a store has come to."""
    return tuple(map(End.model_validate_json, store.ends()))


def _require_same(path: Path, row: SearchRow, name: str, spec: MetaSearchSpec, resume: bool) -> None:
    if row.name != name:
        raise FolderConflict(f"{path} holds the search {row.name!r}, not {name!r}; choose another --output")
    begun = RunFolder(path).recorded_resource(row).spec
    if difference := _first_difference(begun.model_dump(by_alias=True), spec.model_dump(by_alias=True)):
        field, was, is_now = difference
        raise FolderConflict(
            f"{path} holds this search with spec.{field} {was} and now it is {is_now}; "
            f"only {', '.join(CHANGEABLE[:-1])} and {CHANGEABLE[-1]} may change, "
            "so set it back or choose another --output"
        )
    if not resume:
        raise FolderConflict(
            f"{path} holds this search already; add --resume to go on with it, or choose another --output"
        )


def _first_difference(begun: object, now: object, field: str = "") -> tuple[str, object, object] | None:
    """Return the first field in which two specs differ, the changeable ones left out: (path, then, now)."""
    if field in CHANGEABLE or begun == now:
        return None
    if isinstance(begun, dict) and isinstance(now, dict):
        differences = (_first_difference(begun[key], now[key], f"{field}.{key}".lstrip(".")) for key in begun)
        return next(filter(None, differences), None)
    return field, begun, now


@contextmanager
def translated_disk_errors(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into a sentence."""
    try:
        yield
    except MetaSearchError:
        raise
    except OSError as error:
        raise StoreUnavailable(
            f"{error.filename or path} cannot be written ({error.strerror}); "
            "nothing recorded is lost, so mend that and go on (a run with --resume)"
        ) from error
