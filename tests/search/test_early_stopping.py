"""The median rule."""

from __future__ import annotations

import pytest
from builders import make_result, make_spec, make_trial

from metasearch.search.early_stopping import curve_iterations, thresholds
from metasearch.search.trials import CurvePoint, Trial

SPEC = {
    "training": {"metaIterations": 100},
    "evaluation": {"curvePoints": 4, "curveTasks": 20},
    "search": {"earlyStopping": {"warmUp": "0.5"}},
}


def with_curve(name: str, *scores: float) -> Trial:
    curve = tuple(CurvePoint(25 * (index + 1), score, error=(index + 1) / 100) for index, score in enumerate(scores))
    return make_trial(name, make_result(scores[-1], curve=curve))


ROUND = [with_curve("a", 0.2, 0.4, 0.6, 0.8), with_curve("b", 0.3, 0.5, 0.7, 0.9), with_curve("c", 0.9, 0.9, 0.9, 0.9)]


@pytest.mark.parametrize(
    ("meta_iterations", "points", "expected"),
    [(100, 4, [25, 50, 75, 100]), (10, 3, [3, 7, 10]), (2, 5, [1, 2]), (1, 1, [1]), (1000, 1, [1000])],
)
def test_points_of_a_curve_are_evenly_spaced_and_end_at_the_end(
    meta_iterations: int, points: int, expected: list[int]
) -> None:
    assert curve_iterations(meta_iterations, points) == expected


def test_thresholds_are_medians_of_running_averages_less_one_standard_error() -> None:
    at_50, at_75 = thresholds(make_spec(**SPEC), ROUND)
    assert (at_50.meta_iteration, at_75.meta_iteration) == (50, 75)
    assert at_50.score == pytest.approx((0.3 + 0.5) / 2 - 0.02)
    assert at_75.score == pytest.approx(0.5 - 0.03)


def test_trials_that_ended_before_a_point_do_not_count_there() -> None:
    _, at_75 = thresholds(make_spec(**SPEC), [*ROUND, with_curve("early", 0.0, 0.0)])
    assert at_75.score == pytest.approx(0.5 - 0.03)


@pytest.mark.parametrize(
    "changes", [{"search": {"earlyStopping": {"rule": "Never"}}}, {"evaluation": {"curvePoints": 1}}]
)
def test_without_a_rule_or_a_point_nothing_is_stopped(changes: dict[str, object]) -> None:
    assert thresholds(make_spec(**(SPEC | changes)), ROUND) == ()
