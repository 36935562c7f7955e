"""
The store of a local run: one SQLite file, shared by the driver and its worker processes.

A trial is kept as one JSON document beside the columns that it is found by. The file also says which search it belongs
to and when a driver was at work on it, since time without a driver does not count against a search's budget.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metasearch.errors import FolderConflict, StoreUnavailable
from metasearch.kubernetes.names import API_VERSION, SEARCH
from metasearch.search import trials
from metasearch.search.trials import Progress, State, Trial, TrialResult, TrialSpec, trial_json
from metasearch.stores.order import sort_key

SCHEMA_VERSION = 4
"""1 was that of trials with a level and a bare cell, 2 that of results with two accuracies, 3 that without ends."""

BUSY_SECONDS = 30.0
"""The wait for another process's transaction, at most; they take milliseconds."""

_SCHEMA = """
CREATE TABLE search (name TEXT NOT NULL, spec TEXT NOT NULL, started_at REAL NOT NULL) STRICT;
CREATE TABLE sessions (id INTEGER PRIMARY KEY, began_at REAL NOT NULL, seen_at REAL NOT NULL) STRICT;
CREATE TABLE trials (
    name TEXT PRIMARY KEY, state TEXT NOT NULL, claim_order TEXT NOT NULL, worker TEXT, document TEXT NOT NULL
) STRICT;
CREATE TABLE ends (position INTEGER PRIMARY KEY, document TEXT NOT NULL) STRICT;
CREATE INDEX trials_by_state ON trials (state, claim_order);
"""


@dataclass(frozen=True)
class SearchRow:
    """The search that a file belongs to."""

    name: str
    spec: str
    """The resource's spec as JSON."""
    started_at: float
    paused_seconds: float
    """Time since the start in which no driver was at work."""
    seen_at: float
    """The time at which a driver was last at work, or the start where none has been yet. Unix time in seconds."""

    @property
    def resource(self) -> dict[str, Any]:
        """The MetaSearch, as `loading.parse_search` takes it."""
        metadata = {"name": self.name}
        return {"apiVersion": API_VERSION, "kind": SEARCH.kind, "metadata": metadata, "spec": json.loads(self.spec)}


class SqliteStore:
    """A `TrialStore` in a file. One object per process; not for several threads."""

    @classmethod
    def to_look_at(cls, path: Path) -> SqliteStore:
        """
        Open a file to read it, also one on a disk that is read-only, or in a folder of somebody else.

        SQLite writes beside a file even to read it, so there a copy is opened.
        """
        if os.access(path.parent, os.W_OK) and os.access(path, os.W_OK):
            return cls(path)
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / path.name
            for suffix in ("-wal", ""):  # what is in the log of a driver at work is not in the file yet
                beside = path.with_name(path.name + suffix)
                if beside.exists():
                    shutil.copyfile(beside, copy.with_name(copy.name + suffix))
            with _translated(path):
                store = cls(copy)
                in_memory = sqlite3.connect(":memory:", isolation_level=None)
                store._connection.backup(in_memory)
                store.close()
            store._connection, store.path = in_memory, path
            return store

    def __init__(self, path: Path, max_attempts: int = 1, now: Callable[[], float] = time.time) -> None:
        """
        Args:
            path: made, with its tables, where there is none.
            max_attempts: `spec.budget.maxAttempts`.
            now: returns the Unix time in seconds, which new trials are stamped with.
        """
        self.path, self._max_attempts, self._now = path, max_attempts, now
        with _translated(path):
            # No isolation level: Python would begin transactions itself, without IMMEDIATE.
            self._connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
            self._write_ahead()
            # With NORMAL, a power failure could lose the last results, which their workers take to be recorded.
            self._connection.execute("PRAGMA synchronous = FULL")
            self._create()

    def close(self) -> None:
        self._connection.close()

    # --- the search ---

    def begin_search(self, name: str, spec: str, now: float) -> None:
        """Record the search that this file belongs to; once."""
        with self._transaction() as connection:
            connection.execute("INSERT INTO search VALUES (?, ?, ?)", (name, spec, now))

    def replace_spec(self, spec: str) -> None:
        """Replace the recorded spec, when a search is resumed with another budget."""
        with self._transaction() as connection:
            connection.execute("UPDATE search SET spec = ?", (spec,))

    def search(self) -> SearchRow | None:
        """Return the search that this file belongs to, if one has begun."""
        with _translated(self.path):
            row = self._connection.execute("SELECT name, spec, started_at FROM search").fetchone()
            sessions = self._connection.execute("SELECT began_at, seen_at FROM sessions ORDER BY id").fetchall()
        if row is None:
            return None
        name, spec, started_at = row
        ends = [started_at, *(seen_at for _, seen_at in sessions)]
        # From the end of each session, or the start, to the beginning of the next; nothing follows the last end.
        paused = sum(max(0.0, began_at - end) for (began_at, _), end in zip(sessions, ends, strict=False))
        return SearchRow(name, spec, started_at, paused, seen_at=ends[-1])

    def begin_session(self, now: float) -> None:
        """Record that a driver starts work."""
        with self._transaction() as connection:
            connection.execute("INSERT INTO sessions (began_at, seen_at) VALUES (?, ?)", (now, now))

    def touch_session(self, now: float) -> None:
        """Record that the driver is still at work."""
        with self._transaction() as connection:
            connection.execute("UPDATE sessions SET seen_at = ? WHERE id = (SELECT max(id) FROM sessions)", (now,))

    def ends(self) -> list[str]:
        """Return the ends of the search on record, in order, as JSON."""
        with _translated(self.path):
            return [document for (document,) in self._connection.execute("SELECT document FROM ends ORDER BY position")]

    def replace_ends(self, ends: Iterable[str]) -> None:
        """Record the ends of the search, each as JSON, in order."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM ends")
            connection.executemany("INSERT INTO ends VALUES (?, ?)", enumerate(ends))

    def version(self) -> int:
        """Return a number that changes whenever another process has written."""
        with _translated(self.path):
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)

    # --- TrialRegistry ---

    def trials(self) -> Sequence[Trial]:
        with _translated(self.path):
            rows = self._connection.execute("SELECT document FROM trials ORDER BY claim_order, name").fetchall()
        return [trial_json.validate_json(document) for (document,) in rows]

    def propose(self, specs: Iterable[TrialSpec]) -> None:
        with self._transaction() as connection:
            now = self._now()
            for spec in specs:
                trial = Trial(spec=spec, created_at=now)
                connection.execute("INSERT OR IGNORE INTO trials VALUES (?, ?, ?, ?, ?)", _row(trial))

    def request_stop(self, names: Iterable[str]) -> None:
        for name in names:
            self._change(name, trials.request_stop)

    def release(self, worker: str, now: float, outcome: str) -> None:
        with self._transaction() as connection:
            rows = connection.execute("SELECT document FROM trials WHERE worker = ?", (worker,)).fetchall()
            for (document,) in rows:
                _write(connection, trials.release(trial_json.validate_json(document), now, outcome))

    # --- TrialQueue ---

    def claim(self, worker: str, now: float, gpus: float) -> Trial | None:
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT document FROM trials WHERE state = ? ORDER BY claim_order, name LIMIT 1", (State.PENDING,)
            ).fetchone()
            if row is None:
                return None
            claimed = trials.claim(trial_json.validate_json(row[0]), worker, now, gpus)
            _write(connection, claimed)
            return claimed

    def report(self, claimed: Trial, progress: Progress) -> Trial:
        return self._change(claimed.name, lambda trial: trials.report(trial, claimed.epoch, progress))

    def complete(self, claimed: Trial, result: TrialResult, now: float) -> Trial:
        return self._change(
            claimed.name, lambda trial: trials.complete(trial, claimed.epoch, result, now, self._max_attempts)
        )

    # --- the file ---

    def _write_ahead(self) -> None:
        """Let processes read while another writes. In a new file, SQLite does not wait for others to do this."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
                time.sleep(0.01)

    def _create(self) -> None:
        with self._transaction() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                # One by one, because executescript would commit the transaction first.
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise FolderConflict(
                    f"{self.path} has the format {version} and this version of MetaSearch reads {SCHEMA_VERSION}; "
                    "go on with the version that began it, or choose another --output"
                )

    def _change(self, name: str, change: Callable[[Trial], Trial]) -> Trial:
        with self._transaction() as connection:
            (document,) = connection.execute("SELECT document FROM trials WHERE name = ?", (name,)).fetchone()
            changed = change(trial_json.validate_json(document))
            _write(connection, changed)
            return changed

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with _translated(self.path):
            try:
                # Within `try`, because Ctrl-C may come while this waits for another transaction. IMMEDIATE takes the
                # write lock now: in a transaction that has read already, SQLite may refuse it rather than wait.
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # A failed COMMIT may have rolled back already.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


def _row(trial: Trial) -> tuple[str, str, str, str | None, str]:
    stage, round, priority, name = sort_key(trial.spec)
    document = trial_json.dump_json(trial).decode()
    # Text sorts as numbers do where all have the same number of digits.
    return name, trial.state, f"{stage}/{round:010}/{priority:010}", trial.holder, document


def _write(connection: sqlite3.Connection, trial: Trial) -> None:
    connection.execute("REPLACE INTO trials VALUES (?, ?, ?, ?, ?)", _row(trial))


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Raise SQLite's errors as FolderConflict or StoreUnavailable, with a sentence for the user."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if "not a database" in str(error):
            raise FolderConflict(
                f"{path} is not a MetaSearch store; choose another --output or move the file away"
            ) from error
        if error.sqlite_errorcode == sqlite3.SQLITE_CORRUPT:
            raise FolderConflict(
                f"{path} is damaged ({error}) and cannot be gone on with; what is in result.json, report.html, best/ "
                "and weights/ beside it is good, and another --output begins anew"
            ) from error
        raise StoreUnavailable(
            f"{path} cannot be used now ({error}); free the disk or mend the folder, then go on with --resume"
        ) from error
