"""A run that has ended goes on where it is resumed with a larger budget."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from local_search import metasearch, result_of, scores_of, trials_in, write_resource

from metasearch.search.trials import Stage

MORE = ("--set", "budget.maxTrials=18", "--set", "final.seeds=3", "--resume", "--workers", "2")


@pytest.fixture
def ended(undisturbed: Path, tmp_path: Path) -> Path:
    """Return a copy of the folder of a run that has ended."""
    shutil.copytree(undisturbed, tmp_path / "out")
    return tmp_path / "out"


def test_it_goes_on_and_keeps_what_was_there(ended: Path, tmp_path: Path) -> None:
    resource, before, first = write_resource(tmp_path), scores_of(ended), result_of(ended)
    weights = {path.name: path.read_bytes() for path in (ended / "weights").iterdir()}
    run = metasearch("run", resource, "--output", ended, *MORE)
    assert run.returncode == 0, run.stderr
    after, result = scores_of(ended), result_of(ended)
    assert before.items() <= after.items()
    assert {path.name: path.read_bytes() for path in (ended / "weights").iterdir()}.items() >= weights.items()
    searched = [trial for trial in trials_in(ended) if trial.spec.stage is Stage.SEARCH]
    assert len(searched) == 18
    # The best before has a third seed only where it is still the best.
    seeds = {len(each["trials"]) for each in result["final"] if each["cell"] == result["ranked"][0]["cell"]}
    assert seeds == {3}
    assert result["final"][0]["score"] >= max(each["score"] for each in result["final"])
    assert [(each["phase"], each["limit"], each["trials"]) for each in result["ends"]] == [
        ("Succeeded", None, 14),
        ("Succeeded", None, 18),
    ]
    assert result["ends"][0] == first["ends"][0]
    delivered = json.loads((ended / "best" / "metrics.json").read_text(encoding="utf-8"))["delivered"]
    assert delivered["cell"] == result["final"][0]["cell"]
    # Once more, without anything more to do.
    again = metasearch("run", resource, "--output", ended, *MORE)
    assert again.returncode == 0, again.stderr
    assert scores_of(ended) == after
    assert result_of(ended)["ends"] == result["ends"]


def test_a_run_that_is_resumed_as_it_was_is_only_reported(ended: Path, tmp_path: Path) -> None:
    before, first = scores_of(ended), result_of(ended)
    run = metasearch("run", write_resource(tmp_path), "--output", ended, "--resume", "--workers", "1")
    assert run.returncode == 0, run.stderr
    assert scores_of(ended) == before
    assert result_of(ended)["ends"] == first["ends"]
    assert "tiny: Succeeded" in metasearch("status", ended).stdout
