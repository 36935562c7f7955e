"""The board has a row for each measured candidate and stage, and marks the front by any figures."""

from __future__ import annotations

from typing import Any

import pytest
from builders import make_accuracies, make_result, make_spec, make_trial

from metasearch.errors import InvalidSpec
from metasearch.outcome.board import FIGURES, Row, board
from metasearch.search.trials import Reason, Stage, State, Trial, TrialResult

A, B, C = "identity(-1)+identity(-2)", "conv3x3(-1)+conv3x3(-2)", "conv3x3(-1)+identity(-2)"


def searched(name: str, score: float, cell: str = A, parameters: int = 100, **changes: Any) -> Trial:
    spec = {key: changes.pop(key) for key in ("seed", "meta_iterations", "is_beginning") if key in changes}
    return make_trial(name, make_result(score, parameters, **changes), candidate=cell, **spec)


def rows_of(*trials: Trial, front: tuple[str, ...] = ("score", "parameterCount"), **evaluation: Any) -> list[Row]:
    return board(trials, make_spec(evaluation=evaluation).evaluation, front)


def names(rows: list[Row], *, front: bool = False) -> list[str]:
    return [row.trial for row in rows if row.is_on_front or not front]


def test_a_row_has_the_means_over_the_seeds_of_the_longest_training() -> None:
    short = searched("short", 0.1, meta_iterations=5)
    first = searched("first", 0.6, wall_seconds=2.0, peak_memory_bytes=10, score_error=0.03)
    second = searched("second", 0.4, seed=1, wall_seconds=4.0, peak_memory_bytes=30, score_error=0.04)
    (row,) = rows_of(short, second, first)
    assert (row.trial, row.seeds, row.meta_iterations) == ("first", 2, 10)
    assert (row.figures["score"], row.figures["wallSeconds"]) == (0.5, 3.0)
    assert row.figures["peakMemoryBytes"] == 30
    assert row.figures["scoreError"] == pytest.approx(0.025)  # the root of .03² + .04² is .05


def test_trials_that_did_not_run_to_their_end_have_no_row() -> None:
    stopped = make_result(0.9, state=State.STOPPED, reason=Reason.EARLY_STOPPED)
    failed = TrialResult(state=State.FAILED, reason=Reason.DIVERGED)
    assert rows_of(make_trial("a", stopped), make_trial("b", failed), make_trial("c")) == []


def test_stages_have_rows_of_their_own_the_final_ones_first() -> None:
    tested = make_result(0.8, 100, test=make_accuracies(0.7), weights="f.safetensors")
    hand_made = make_result(0.9, 100, test=make_accuracies(0.6))
    trials = (
        searched("s", 0.5),
        make_trial("h", hand_made, stage=Stage.BASELINE),
        make_trial("f", tested, stage=Stage.FINAL, candidate=A),
    )
    rows = rows_of(*trials)
    assert [(row.trial, row.stage, row.is_on_front) for row in rows] == [
        ("f", Stage.FINAL, True),
        ("h", Stage.BASELINE, True),
        ("s", Stage.SEARCH, True),
    ]
    assert [row.figures["testAccuracy"] for row in rows] == [0.7, 0.6, None]
    assert [row.figures["accuracy"] for row in rows] == [0.8, 0.9, 0.5]


def test_the_front_is_by_the_figures_that_were_asked_for() -> None:
    """By score and parameters b is beaten by a; by latency it is the best."""
    trials = (
        searched("a", 0.8, A, 200, latency_ms=3.0),
        searched("b", 0.7, B, 300, latency_ms=1.0),
        searched("c", 0.6, C, 100, latency_ms=2.0),
    )
    assert names(rows_of(*trials), front=True) == ["a", "c"]
    assert names(rows_of(*trials, front=("score", "latencyMs")), front=True) == ["a", "b"]
    assert names(rows_of(*trials, front=("latencyMs",)), front=True) == ["b"]


def test_what_was_not_measured_is_on_no_front() -> None:
    trials = (searched("a", 0.8, A, latency_ms=None), searched("b", 0.7, B, latency_ms=1.0))
    rows = rows_of(*trials, front=("score", "latencyMs"))
    assert (names(rows, front=True), rows[0].figures["latencyMs"]) == (["b"], None)


def test_what_was_trained_longest_comes_first_and_is_alone_on_the_front() -> None:
    begun = searched("begun", 0.9, A, 10, meta_iterations=5, is_beginning=True, training_score=0.9)
    rows = rows_of(begun, searched("whole", 0.4, B, 100))
    assert (names(rows), names(rows, front=True)) == (["whole", "begun"], ["whole"])


def test_a_score_is_in_the_column_of_what_it_was_measured_on() -> None:
    columns = ("trainingScore", "validationScore", "crossValidationScore")
    whole = searched("whole", 0.5, training_score=0.7)
    begun = searched("begun", 0.6, B, meta_iterations=5, is_beginning=True, training_score=0.6)
    # A learner without a loss: its beginnings are scored on tasks.
    lossless = searched("lossless", 0.3, C, meta_iterations=5, is_beginning=True)

    def scores(**evaluation: Any) -> list[list[float | None]]:
        return [[row.figures[name] for name in columns] for row in rows_of(whole, begun, lossless, **evaluation)]

    assert scores() == [[0.7, 0.5, None], [0.6, None, None], [None, 0.3, None]]
    assert scores(folds=3) == [[0.7, None, 0.5], [0.6, None, None], [None, None, 0.3]]
    assert scores(split="Test") == [[0.7, None, None], [0.6, None, None], [None, None, None]]


def test_final_trials_are_scored_on_the_split_whatever_the_folds() -> None:
    tested = make_result(0.8, 100, test=make_accuracies(0.7))
    (row,) = rows_of(make_trial("f", tested, stage=Stage.FINAL), folds=3)
    assert (row.figures["validationScore"], row.figures["crossValidationScore"]) == (0.8, None)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("testAccuracy", "a front by testAccuracy would choose networks by what is reported of them; name others"),
        ("size", "'size' is no figure of a board that a front can be made by; it has score, scoreError, "),
        ("", "'' is no figure"),
        ("cell", "'cell' is no figure"),
    ],
)
def test_a_front_by_what_cannot_choose_is_refused(name: str, sentence: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        rows_of(front=("score", name))
    assert str(refused.value).startswith(sentence)


def test_figures_have_the_names_of_the_result_where_they_are_the_same() -> None:
    same = {"scoreError", "wallSeconds", "peakMemoryBytes", "parameterCount", "multiplyAdds", "latencyMs"}
    assert same <= set(FIGURES)
