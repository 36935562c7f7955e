"""The Pareto front and the ranking."""

from __future__ import annotations

import pytest
from builders import make_result, make_trial
from hypothesis import given
from hypothesis import strategies as st

from metasearch.search import pareto
from metasearch.search.candidates import Candidate
from metasearch.search.trials import State, Trial, TrialResult


def latency(result: TrialResult) -> float | None:
    """Return another objective than those that reports show."""
    return result.latency_ms


def trial(name: str, score: float, parameters: int, state: State = State.SUCCEEDED) -> Trial:
    return make_trial(name, make_result(score, parameters, state=state), candidate=candidate(name))


def candidate(name: str) -> Candidate:
    return Candidate("conv3x3(-1)+identity(-2)", {"name": name})


def names(candidates: list[pareto.MeasuredCandidate]) -> list[str]:
    return [each.trial.name for each in candidates]


def test_the_front_keeps_what_nothing_beats_in_everything() -> None:
    trials = [trial("big", 0.9, 900), trial("worse", 0.8, 950), trial("small", 0.7, 100), trial("middle", 0.8, 500)]
    assert names(pareto.front(trials)) == ["big", "middle", "small"]


def test_of_equal_trials_the_first_by_name_stands_on_the_front() -> None:
    assert names(pareto.front([trial("b", 0.5, 10), trial("a", 0.5, 10)])) == ["a"]


def test_stopped_and_failed_trials_are_not_ranked() -> None:
    trials = [trial("stopped", 0.9, 10, State.STOPPED), trial("done", 0.5, 100)]
    assert names(pareto.front(trials)) == names(pareto.ranked(trials)) == ["done"]


def test_other_objectives_make_another_front() -> None:
    fast = make_trial("fast", make_result(0.5, 900, latency_ms=1.0), candidate=candidate("fast"))
    slow = make_trial("slow", make_result(0.6, 100, latency_ms=9.0), candidate=candidate("slow"))
    assert names(pareto.front([fast, slow])) == ["slow"]
    assert names(pareto.front([fast, slow], [pareto.negative_score, latency])) == ["slow", "fast"]


def test_a_trial_without_the_measurement_is_left_out() -> None:
    trials = [make_trial("unknown", make_result(0.9, latency_ms=None)), trial("known", 0.5, 10)]
    assert names(pareto.front(trials, [pareto.negative_score, latency])) == ["known"]


def test_ties_in_score_go_to_the_smaller_network() -> None:
    assert names(pareto.ranked([trial("big", 0.5, 20), trial("small", 0.5, 10), trial("best", 0.6, 99)])) == [
        "best",
        "small",
        "big",
    ]


def test_longer_trainings_come_before_better_scores() -> None:
    begun = make_trial("begun", make_result(0.9), candidate=candidate("a"), meta_iterations=2, is_beginning=True)
    whole = make_trial("whole", make_result(0.4), candidate=candidate("b"), meta_iterations=10)
    assert names(pareto.ranked([begun, whole])) == ["whole", "begun"]
    assert names(pareto.front([begun, whole])) == ["whole"]


def test_a_candidate_counts_once_as_its_longest_training_says() -> None:
    begun = make_trial("begun", make_result(0.9), candidate=candidate("a"), meta_iterations=2, is_beginning=True)
    whole = make_trial("whole", make_result(0.4), candidate=candidate("a"), meta_iterations=10)
    other = make_trial("other", make_result(0.5), candidate=candidate("b"), meta_iterations=10)
    assert names(pareto.ranked([begun, whole, other])) == ["other", "whole"]


def test_a_candidate_with_several_seeds_has_their_mean_score() -> None:
    lucky = [
        make_trial(f"seed-{seed}", make_result(score), candidate=candidate("a"), seed=seed)
        for seed, score in ((1, 0.3), (0, 0.8))
    ]
    steady = make_trial("steady", make_result(0.6), candidate=candidate("b"))
    again = make_trial("again", make_result(0.6), candidate=candidate("b"), seed=1)
    assert names(pareto.ranked([*lucky, steady, again])) == ["steady", "seed-0"]
    # One that nobody has looked at again may have been lucky too.
    assert names(pareto.ranked([*lucky, steady])) == ["seed-0", "steady"]
    assert pareto.ranked(lucky)[0].score == pytest.approx(0.55)
    assert [each.name for each in pareto.by_score([*lucky, steady])] == ["seed-0", "steady", "seed-1"]


def test_the_error_of_a_mean_is_at_least_what_the_seeds_spread_says() -> None:
    def error(*seeds: tuple[float, float | None]) -> float | None:
        trials = [
            make_trial(f"seed-{seed}", make_result(score, score_error=error), candidate=candidate("a"), seed=seed)
            for seed, (score, error) in enumerate(seeds)
        ]
        return pareto.ranked(trials)[0].score_error

    assert error((0.5, 0.03)) == pytest.approx(0.03)
    assert error((0.5, 0.03), (0.5, 0.04)) == pytest.approx(0.025)  # sqrt(.03² + .04²) / 2
    assert error((0.4, 0.03), (0.6, 0.04)) == pytest.approx(0.1)  # a spread of .1414, by the root of two
    assert error((0.5, 0.03), (0.5, None)) is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5)), max_size=12))
def test_every_trial_off_the_front_is_beaten_by_one_on_it(values: list[tuple[int, int]]) -> None:
    trials = [trial(f"t{index}", score / 5, size) for index, (score, size) in enumerate(values)]
    front = [each.trial for each in pareto.front(trials)]

    def beats(one: Trial, other: Trial) -> bool:
        assert one.result is not None
        assert other.result is not None
        score, size = one.result.score or 0, one.result.parameter_count or 0
        return score >= (other.result.score or 0) and size <= (other.result.parameter_count or 0)

    assert all(any(beats(kept, each) for kept in front) for each in trials)
    assert not any(beats(one, other) for one in front for other in front if one is not other)
