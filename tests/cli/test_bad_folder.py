"""A user whose folder or disk cannot be used as asked reads one sentence, gets the exit code, and loses nothing."""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest
from command_errors import UNPRIVILEGED, error_sentence
from local_search import command, metasearch, start, trials_in, wait_until, write_resource
from small_disk import small_disk

from metasearch.loading import load_search
from metasearch.search.trials import State, TrialResult
from metasearch.stores.sqlite import SqliteStore
from metasearch.version import __version__

SMALL = {"space": {"operations": ["conv3x3", "max_pool3x3"], "maxBlocks": 1}, "final": {"seeds": 1, "baselines": []}}
TRIALS = 10 + 1


def write_small(folder: Path, name: str = "small", **changes: object) -> Path:
    """Write the resource of a search of `TRIALS` trials."""
    return write_resource(folder, name, **{**SMALL, **changes})


def results_in(folder: Path) -> dict[str, TrialResult]:
    """Return the results of the trials that are over, by the trials' names."""
    return {trial.name: trial.result for trial in trials_in(folder) if trial.result}


def scores_in(folder: Path) -> dict[str, float | None]:
    return {name: result.score for name, result in results_in(folder).items()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("finished")
    ended = metasearch("run", write_small(folder), "--output", folder / "out", "--workers", "1")
    assert ended.returncode == 0, ended.stderr
    return folder / "out"


@pytest.fixture
def held(finished: Path, tmp_path: Path) -> Path:
    """Return a copy of the finished run's folder, which the test may change."""
    return shutil.copytree(finished, tmp_path / "held")


# --- folders that hold something else -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "changes", "sentence"),
    [
        pytest.param(
            "other", {}, "{} holds the search 'small', not 'other'; choose another --output", id="other search"
        ),
        pytest.param(
            "small",
            {"task": {"ways": 4}},
            "{} holds this search with spec.task.ways 3 and now it is 4; "
            "only budget, final.baselines, final.reserve, final.seeds, final.top, parallelism, storage, suspend and "
            "worker may change, "
            "so set it back or choose another --output",
            id="other spec",
        ),
    ],
)
def test_a_folder_of_another_search(
    held: Path, tmp_path: Path, name: str, changes: dict[str, object], sentence: str
) -> None:
    before = results_in(held)
    ended = metasearch("run", write_small(tmp_path, name, **changes), "--output", held, "--resume")
    assert error_sentence(ended, code=4) == sentence.format(held)
    assert results_in(held) == before


def test_a_folder_that_holds_this_search_already(held: Path, tmp_path: Path) -> None:
    before = results_in(held)
    ended = metasearch("run", write_small(tmp_path), "--output", held)
    assert error_sentence(ended, code=4) == (
        f"{held} holds this search already; add --resume to go on with it, or choose another --output"
    )
    assert results_in(held) == before


def test_two_drivers_in_one_folder(finished: Path, tmp_path: Path) -> None:
    resource, out = write_small(tmp_path), tmp_path / "out"
    first = start(tmp_path / "printed.txt", "run", resource, "--output", out, "--workers", "1")
    try:
        wait_until(lambda: trials_in(out))
        first.send_signal(signal.SIGSTOP)  # lest it be through before the second has begun
        second = metasearch("run", resource, "--output", out, "--resume")
        first.send_signal(signal.SIGCONT)
        assert first.wait(300) == 0, (tmp_path / "printed.txt").read_text(encoding="utf-8")
    finally:
        first.kill()
    assert error_sentence(second, code=4) == (
        f"{out} is in use by the driver with process id {first.pid}; stop it first, or choose another --output"
    )
    assert scores_in(out) == scores_in(finished)
    assert {len(trial.attempts) for trial in trials_in(out)} == {1}


@pytest.mark.parametrize("asked", ["status", "trials", "report", "export"])
def test_a_folder_that_is_no_run(tmp_path: Path, asked: str) -> None:
    ended = metasearch(asked, tmp_path)
    assert error_sentence(ended, code=4) == f"{tmp_path} holds no search; give the --output folder of a metasearch run"
    assert list(tmp_path.iterdir()) == []


def test_an_export_before_there_is_a_network(tmp_path: Path) -> None:
    resource = load_search(write_small(tmp_path))
    store = SqliteStore(tmp_path / "trials.db")
    store.begin_search("small", resource.spec.model_dump_json(by_alias=True), now=0.0)
    store.close()
    sentence = error_sentence(metasearch("export", tmp_path), code=6)
    assert sentence == "the search 'small' has no final network yet (Searching)"
    assert not (tmp_path / "best").exists()


def test_a_search_that_nobody_drives_is_said_to_be_so(tmp_path: Path) -> None:
    """As after kill -9, a power cut or a full disk."""
    store = SqliteStore(tmp_path / "trials.db")
    store.begin_search("small", load_search(write_small(tmp_path)).spec.model_dump_json(by_alias=True), now=0.0)
    store.close()
    shown = metasearch("status", tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert re.search(
        r"no driver has been at work on it for \d+ s; metasearch run --resume goes on with it", shown.stdout
    )
    metasearch("report", tmp_path)
    assert "when the search was last seen at work" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_search_without_a_network_says_where_to_look(tmp_path: Path) -> None:
    out = tmp_path / "out"
    resource = write_small(tmp_path, budget={"trialMemory": "1Mi", "maxAttempts": 1, "maxFailedTrials": 0})
    sentence = error_sentence(metasearch("run", resource, "--output", out, "--workers", "1"), code=6)
    assert sentence == (
        "the search 'small' failed: 1 trial failed, more than budget.maxFailedTrials allows (0); "
        f"see metasearch trials {out}"
    )
    assert State.FAILED in {trial.state for trial in trials_in(out)}


@pytest.mark.parametrize("asked", [("status",), ("report",), ("export",), ("run", "--resume")])
def test_a_folder_of_another_release(held: Path, tmp_path: Path, asked: tuple[str, ...]) -> None:
    with sqlite3.connect(held / "trials.db") as store:
        store.execute("UPDATE search SET spec = json_set(spec, '$.training.shiny', 1)")
    command, *options = asked
    given = (write_small(tmp_path), "--output", held) if command == "run" else (held,)
    sentence = error_sentence(metasearch(command, *given, *options), code=4)
    assert sentence.startswith(
        f"{held} was begun by a release of MetaSearch other than this one ({__version__}), which cannot read it: "
        "what is recorded: spec.training has no field 'shiny'"
    )
    assert sentence.endswith("; go on with that release, or choose another --output")


@pytest.mark.parametrize("asked", ["status", "report"])
def test_a_store_that_is_damaged(held: Path, asked: str) -> None:
    content = bytearray((held / "trials.db").read_bytes())
    content[4096:8192] = bytes([255]) * 4096
    (held / "trials.db").write_bytes(content)
    sentence = error_sentence(metasearch(asked, held), code=4)
    assert sentence == (
        f"{held}/trials.db is damaged (database disk image is malformed) and cannot be gone on with; what is in "
        "result.json, report.html, best/ and weights/ beside it is good, and another --output begins anew"
    )


# --- disks that refuse --------------------------------------------------------------------------------------------


def test_an_output_that_cannot_be_made(tmp_path: Path) -> None:
    resource = write_small(tmp_path)
    sentence = error_sentence(metasearch("run", resource, "--output", resource), code=5)
    assert sentence == f"{resource} cannot be made (File exists); choose an --output that can be written"


def test_a_run_that_may_not_be_read(held: Path) -> None:
    held.parent.chmod(0)
    ended = subprocess.run(
        [*UNPRIVILEGED, *command("status", held)], capture_output=True, text=True, timeout=300, check=False
    )
    held.parent.chmod(0o700)
    assert (
        error_sentence(ended, code=5) == f"{held} cannot be read (Permission denied); give a folder that you may read"
    )


@pytest.mark.parametrize("asked", [("status",), ("trials",), ("board",), ("report", "--output", "report.html")])
def test_a_folder_that_may_only_be_read_is_looked_at(held: Path, tmp_path: Path, asked: tuple[str, ...]) -> None:
    """As one of somebody else's, or on a disk that is mounted read-only."""
    for path in (tmp_path, held, *held.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o444)
    held.chmod(0o555)
    before = sorted(path.name for path in held.iterdir())
    (mine := tmp_path / "mine").mkdir(mode=0o777)
    mine.chmod(0o777)
    question, *options = (str(mine / word) if word.endswith(".html") else word for word in asked)
    ended = subprocess.run(
        [*UNPRIVILEGED, *command(question, held, *options)], capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "small" in ended.stdout or ended.stdout.strip()
    assert sorted(path.name for path in held.iterdir()) == before


def test_a_listing_on_a_full_disk(held: Path) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command("trials", held), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    sentence = "standard output cannot be used (No space left on device); mend that and try again"
    assert error_sentence(ended, code=5) == sentence


def test_a_disk_that_fills_up_while_a_search_runs(finished: Path, tmp_path: Path) -> None:
    resource, out = write_small(tmp_path), tmp_path / "disk" / "out"
    with small_disk(tmp_path / "disk") as disk:
        disk.fill(free_bytes=400 * 1024)
        sentence = error_sentence(disk.metasearch("run", resource, "--output", out, "--workers", "1"), code=5)
        disk.make_room()
        before = results_in(shutil.copytree(disk.path_from_outside / "out", tmp_path / "before"))
        resumed = disk.metasearch("run", resource, "--output", out, "--workers", "1", "--resume")
        after = results_in(shutil.copytree(disk.path_from_outside / "out", tmp_path / "after"))
    # Whether the driver or a worker finds it first is chance.
    assert re.fullmatch(
        rf"{out}.* cannot be (used|written).*; free the disk or mend the folder, then .* --resume", sentence
    )
    assert 0 < len(before) < TRIALS
    assert resumed.returncode == 0, resumed.stderr
    assert {name: after[name] for name in before} == before
    assert scores_in(tmp_path / "after") == scores_in(finished)
