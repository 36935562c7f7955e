"""The comparison of search methods on a table."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

import search_quality
from layer_table import LayerTable, Network, Scores
from search_quality import OURS, Task

QUICK = [line for line in search_quality.SEARCHES if line != OURS]
"""Ours differs from the line of Ridge by a surrogate that takes seconds to learn."""


def table(layers: int = 3) -> LayerTable:
    """Return a table of three choices per layer in which the last is the best of each; test scores say the opposite."""
    sequences = list(itertools.product(range(3), repeat=layers))
    return LayerTable({each: Scores(sum(each) / 10, 1 - sum(each) / 10) for each in sequences})


@pytest.mark.parametrize("line", search_quality.LINES)
def test_the_same_seed_finds_the_same(line: str) -> None:
    task = Task(line, trials=9, seed=3)
    first, second = (search_quality.run(table(), False, task) for _ in range(2))
    assert (first.regret, first.rank, first.look_ups) == (second.regret, second.rank, second.look_ups)
    assert first.look_ups == 9


@pytest.mark.parametrize("line", QUICK)
def test_our_searches_try_no_network_twice(line: str) -> None:
    space = table()
    networks = search_quality.run_search(space, Task(line, trials=20, seed=0))
    assert len({each.layers for each in networks}) == len(networks) == 20


@pytest.mark.parametrize("line", ["Progressive, Ridge", search_quality.WITHOUT_SURROGATE, search_quality.FROM_UNIFORM])
def test_one_uniform_network_for_each_choice_is_tried_first(line: str) -> None:
    networks = search_quality.run_search(table(), Task(line, trials=9, seed=1))
    assert {each.layers for each in networks[:3]} == {(0, 0, 0), (1, 1, 1), (2, 2, 2)}


def test_without_a_surrogate_a_candidate_is_worth_what_its_parent_scored() -> None:
    networks = search_quality.run_search(table(layers=4), Task(search_quality.WITHOUT_SURROGATE, trials=15, seed=0))
    # Of the uniform networks the best completes what is tried next, but for what is drawn at random.
    assert (2, 2, 2) in {each.layers[1:] for each in networks[3:5]}


def test_regrets_are_in_points_and_the_found_network_is_chosen_by_validation() -> None:
    networks = [Network((0, 0, 0), 3), Network((2, 2, 1), 3), Network((1, 0, 0), 3)]
    found = search_quality.outcome(table(), Task(OURS, 3, 0), networks, 1.0)
    assert (found.regret, found.rank, found.look_ups) == (pytest.approx(10.0), 2, 3)
    assert found.test_regret == pytest.approx(50.0)  # 1.0 of the best less 0.5 of the one found


def test_repeats_count_unless_they_are_free() -> None:
    asked = [Network((place,), 1) for place in (0, 1, 0, 2)]
    assert search_quality.take(iter(asked), 3, free_repeats=False) == asked[:3]
    assert search_quality.take(iter(asked), 3, free_repeats=True) == asked


@pytest.mark.parametrize(("ours", "holds"), [(0.1, True), (0.2, True), (0.3, False)])
def test_ours_may_be_within_the_quartiles_of_the_best_other(ours: float, holds: bool) -> None:
    def row(line: str, regret: float, upper: float, trials: int = 35) -> dict[str, Any]:
        return {"trials": trials, "line": line, "regret": regret, "25%": 0.0, "75%": upper}

    rows = [row(OURS, ours, 0.4), row("Random", 0.5, 0.9), row("TPE", 0.1, 0.2), row("TPE", 0.0, 0.0, trials=75)]
    (claim,) = search_quality.judged(rows)
    assert claim.holds is holds
    assert "the best other line, TPE, has 0.100 (0.000 to 0.200)" in claim.text


def test_the_command_reads_a_table_and_writes_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = {"".join(each): {"v": each.count("a") / 3} for each in itertools.product("ab", repeat=3)}
    source, result = tmp_path / "table.json", tmp_path / "result.json"
    source.write_text(json.dumps(entries), encoding="utf-8")
    arguments = ["--table", str(source), "--lines", "Random", "--trials", "8", "--seeds", "2", "--jobs", "1"]
    assert search_quality.main([*arguments, "--score-field", "v", "--json", str(result)]) == 0
    (row,) = json.loads(result.read_text(encoding="utf-8"))["rows"]
    assert (row["line"], row["regret"], row["best found by"]) == ("Random", 0.0, 2)
    assert search_quality.main([*arguments, "--score-field", "acc"]) != 0
    assert 'has no field "acc"; it has "v"' in capsys.readouterr().err
