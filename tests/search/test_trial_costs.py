"""Costs of trials are learned from those that are over."""

from __future__ import annotations

import pytest
from builders import make_spec, make_trial_spec

from metasearch.search.baselines import HandMade
from metasearch.search.trial_costs import Line, Work, makespan, typical_multiply_adds, work_of
from metasearch.search.trials import Stage, Trial


@pytest.mark.parametrize(
    ("sizes", "seconds", "line"),
    [
        ([1, 2, 3], [5, 7, 9], Line(3, 2)),
        ([1, 3], [1, 9], Line(0, 2.5)),  # a constant of -3 would be no time
        ([1, 2, 3], [9, 7, 5], Line(7, 0)),  # a larger network takes no less
        ([4, 4], [1, 3], Line(2, 0)),
        ([], [], Line(0, 0)),
    ],
)
def test_a_line_has_no_negative_part(sizes: list[float], seconds: list[float], line: Line) -> None:
    found = Line.fit(sizes, seconds)
    assert (found.constant, found.slope) == pytest.approx((line.constant, line.slope))


@pytest.mark.parametrize(
    ("seconds", "slots", "end"),
    [([], 3, 0), ([4, 1, 1, 1], 2, 4), ([3, 3, 2, 2, 2], 2, 7), ([5], 4, 5)],
)
def test_the_longest_begin_first(seconds: list[float], slots: int, end: float) -> None:
    assert makespan(seconds, slots) == end


EVALUATION = {"tasks": 100, "curvePoints": 3, "curveTasks": 20}


@pytest.mark.parametrize(
    ("trial", "folds", "work"),
    [
        ({}, 1, Work(50, 140)),
        ({}, 3, Work(150, 420)),
        ({"is_beginning": True}, 1, Work(50, 0)),
        ({"resumes": "first"}, 1, Work(38, 100)),  # without a curve
        ({"stage": Stage.FINAL}, 3, Work(50, 540)),
    ],
)
def test_the_work_of_a_trial(trial: dict[str, object], folds: int, work: Work) -> None:
    spec = make_spec(evaluation={**EVALUATION, "folds": folds}, final={"tasks": 400})
    made = Trial(spec=make_trial_spec("a", meta_iterations=50, **trial))
    assert work_of(spec, made, {"first": 12}) == work


def test_typical_cells_are_larger_the_more_blocks_they_have() -> None:
    counted = [typical_multiply_adds(make_spec(), blocks, channels=1, side=28) for blocks in (1, 2, 3)]
    assert counted == sorted(counted)
    assert counted[0] > 0
    assert counted == [typical_multiply_adds(make_spec(), blocks, channels=1, side=28) for blocks in (1, 2, 3)]


def test_a_hand_made_networks_multiply_adds() -> None:
    # Sides 14, 7, 4 and 2: nine weights for each pair of channels and each pixel, and the classifier's.
    assert HandMade(filters=10).multiply_adds(1, 28, ways=5) == (
        14 * 14 * 9 * 1 * 10 + 7 * 7 * 9 * 10 * 10 + 4 * 4 * 9 * 10 * 10 + 2 * 2 * 9 * 10 * 10 + 10 * 4 * 5
    )
