"""The store of a local run."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import make_result, make_trial_spec
from small_disk import no_file_beyond
from store_contract import OpenStore, TrialStoreContract

from metasearch.errors import FolderConflict, StoreUnavailable
from metasearch.search.trials import State
from metasearch.stores.sqlite import SqliteStore


class TestContract(TrialStoreContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Iterator[OpenStore]:
        stores: list[SqliteStore] = []

        def open_another() -> SqliteStore:
            stores.append(SqliteStore(tmp_path / "trials.db", max_attempts=2))
            return stores[-1]

        yield open_another
        for store in stores:
            store.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "trials.db")
    yield opened
    opened.close()


# --- the search that a file belongs to ---


def test_a_file_knows_its_search(store: SqliteStore) -> None:
    assert store.search() is None
    store.begin_search("name", "{}", 100.0)
    row = store.search()
    assert row is not None
    assert (row.name, row.spec, row.started_at, row.paused_seconds, row.seen_at) == ("name", "{}", 100.0, 0.0, 100.0)


def test_time_between_sessions_is_paused(store: SqliteStore) -> None:
    store.begin_search("name", "{}", 100.0)
    store.begin_session(101.0)
    store.touch_session(150.0)
    store.begin_session(500.0)
    store.touch_session(520.0)
    row = store.search()
    assert row is not None
    assert (row.paused_seconds, row.seen_at) == (1.0 + 350.0, 520.0)


def test_ends_are_kept_in_their_order(store: SqliteStore) -> None:
    assert store.ends() == []
    store.replace_ends(["first"])
    store.replace_ends(["second", "first"])
    assert store.ends() == ["second", "first"]


def test_a_write_by_another_changes_the_version(store: SqliteStore) -> None:
    other = SqliteStore(store.path)
    before = store.version()
    other.propose([make_trial_spec("a")])
    other.close()
    assert store.version() != before


# --- several processes ---


def _claim_all(path: Path, worker: str, names: multiprocessing.Queue[str]) -> None:
    store = SqliteStore(path)
    while claimed := store.claim(worker, 0.0, 0.0):
        store.complete(claimed, make_result(), 1.0)
        names.put(claimed.name)
    store.close()


def test_processes_that_claim_at_once_share_the_trials(store: SqliteStore) -> None:
    store.propose([make_trial_spec(f"t{index}", priority=index) for index in range(60)])
    context = multiprocessing.get_context("spawn")
    names: multiprocessing.Queue[str] = context.Queue()
    processes = [context.Process(target=_claim_all, args=(store.path, f"w{index}", names)) for index in range(3)]
    for process in processes:
        process.start()
    claimed = [names.get(timeout=60) for _ in range(60)]
    for process in processes:
        process.join(60)
    assert sorted(claimed) == sorted(f"t{index}" for index in range(60))
    assert {trial.state for trial in store.trials()} == {State.SUCCEEDED}
    assert all(len(trial.attempts) == 1 for trial in store.trials())


def test_a_trial_keeps_the_time_at_which_it_was_first_proposed(tmp_path: Path) -> None:
    times = iter([100.0, 200.0])
    store = SqliteStore(tmp_path / "trials.db", now=lambda: next(times))
    store.propose([make_trial_spec("a")])
    store.propose([make_trial_spec("a"), make_trial_spec("b")])
    assert store.claim("worker", 300.0, gpus=0.0) is not None
    assert [(trial.name, trial.created_at) for trial in store.trials()] == [("a", 100.0), ("b", 200.0)]
    store.close()


# --- what can go wrong with a file ---


def test_a_full_disk_is_reported_and_nothing_recorded_is_lost(store: SqliteStore) -> None:
    store.propose([make_trial_spec("kept")])
    with (
        no_file_beyond(store.path.stat().st_size),
        pytest.raises(StoreUnavailable, match=r"cannot be used now .* free the disk"),
    ):
        store.propose([make_trial_spec(f"t{index}", candidate="x" * 1000) for index in range(500)])
    assert [trial.name for trial in store.trials()] == ["kept"]
    store.propose([make_trial_spec("later")])
    assert len(store.trials()) == 2


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trials.db"
    path.write_text("not a database, but long enough to be mistaken for one " * 20)
    with pytest.raises(FolderConflict, match="is not a MetaSearch store"):
        SqliteStore(path)


def test_a_store_of_another_version_is_refused(store: SqliteStore) -> None:
    connection = sqlite3.connect(store.path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(FolderConflict, match="has the format 99"):
        SqliteStore(store.path)


def test_a_store_of_the_earlier_form_is_refused_in_a_sentence_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "trials.db"
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE trials (name TEXT PRIMARY KEY, state TEXT, place TEXT, worker TEXT, document TEXT) STRICT"
    )
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    with pytest.raises(FolderConflict) as raised:
        SqliteStore(path)
    assert str(raised.value) == (
        f"{path} has the format 1 and this version of MetaSearch reads 4; "
        "go on with the version that began it, or choose another --output"
    )
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall() == [("trials",)]
    connection.close()


def test_a_folder_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be used now"):
        SqliteStore(tmp_path / "missing" / "trials.db")
