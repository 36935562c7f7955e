"""The certainty of a choice is worked out from its trials; expected values are worked out by hand."""

from __future__ import annotations

import pytest
from builders import make_accuracies, make_result, make_trial

from metasearch.outcome.certainty import Certainty, Difference, certainty_of
from metasearch.outcome.figures import FoundNetwork
from metasearch.search.trials import Stage, State, Trial

A, B, C = "conv3x3(-1)+conv3x3(-2)", "conv3x3(-1)+identity(-2)", "identity(-1)+identity(-2)"


def scored(cell: str, score: float, error: float | None, **spec: object) -> Trial:
    name = "-".join([cell, *map(str, spec.values())])
    return make_trial(name, make_result(score, score_error=error), candidate=cell, **spec)


def of_search(*trials: Trial) -> Difference:
    found = certainty_of(trials, ()).search
    assert found is not None
    return found


def test_the_best_is_ahead_by_so_many_standard_errors_of_the_difference() -> None:
    found = of_search(scored(C, 0.3, 0.5), scored(A, 0.60, 0.03), scored(B, 0.55, 0.04))
    assert (found.score_difference, found.standard_error) == (pytest.approx(0.05), pytest.approx(0.05))
    assert found.in_standard_errors == pytest.approx(1.0)
    assert not found.is_settled


def test_a_difference_beyond_its_interval_is_settled() -> None:
    assert of_search(scored(A, 0.60, 0.003), scored(B, 0.55, 0.004)).is_settled  # ten standard errors


def test_second_looks_count_with_the_mean_of_both() -> None:
    trials = [
        *(scored(A, 0.60, 0.03), scored(A, 0.56, 0.04, seed=1)),
        *(scored(B, 0.55, 0.03), scored(B, 0.54, 0.04, seed=1)),
        scored(C, 0.57, 0.01),
    ]
    found = certainty_of(trials, ())
    assert (found.second_looks, found.final) == (2, None)
    # 0.58 less 0.545. Each mean has the error sqrt(0.03² + 0.04²) / 2 = 0.025; the seeds' spread says less.
    assert found.search is not None
    assert found.search.score_difference == pytest.approx(0.035)
    assert found.search.standard_error == pytest.approx(0.025 * 2**0.5)


def test_seeds_that_differ_by_more_than_their_errors_make_the_choice_less_sure() -> None:
    trials = [scored(A, 0.7, 0.001), scored(A, 0.5, 0.001, seed=1), scored(B, 0.5, 0.03), scored(B, 0.5, 0.04, seed=1)]
    # The standard deviation of 0.7 and 0.5 is 0.1 * sqrt(2), that of their mean 0.1.
    assert of_search(*trials).standard_error == pytest.approx((0.1**2 + 0.025**2) ** 0.5)


def test_a_beginning_is_never_compared_with_a_whole_training() -> None:
    begun = scored(B, 0.9, 0.01, meta_iterations=3, is_beginning=True)
    assert certainty_of([begun, scored(A, 0.5, 0.01)], ()).search is None
    other = scored(C, 0.8, 0.01, meta_iterations=3, is_beginning=True)
    assert certainty_of([begun, other], ()) == Certainty(search=None, final=None, second_looks=0)


def test_without_an_error_only_the_difference_is_known() -> None:
    found = of_search(scored(A, 0.6, 0.03), scored(B, 0.5, None))
    assert (found.score_difference, found.standard_error, found.in_standard_errors) == (pytest.approx(0.1), None, None)
    assert not found.is_settled


def test_the_delivered_network_is_compared_with_the_next_found() -> None:
    def final(cell: str, score: float) -> Trial:
        result = make_result(score, score_error=0.03, test=make_accuracies(0.1))
        return make_trial(f"final-{score * 10:.0f}", result, candidate=cell, stage=Stage.FINAL)

    def found(trial: Trial) -> FoundNetwork[float]:
        measured = {"accuracy": 0.1, "interval": 0.1}
        return FoundNetwork[float].model_validate(
            {
                "cell": trial.spec.candidate.architecture,
                "trials": (trial.name,),
                "score": trial.score,
                **dict.fromkeys(("transductive", "nonTransductive", "supportStatistics"), measured),
                **dict.fromkeys(("seeds", "parameterCount", "multiplyAdds", "metaIterations", "tasks"), 1),
            }
        )

    finals = [final(A, 0.7), final(B, 0.6)]
    difference = certainty_of(finals, [found(trial) for trial in finals]).final
    assert difference is not None
    assert difference.score_difference == pytest.approx(0.1)
    assert difference.standard_error == pytest.approx(0.03 * 2**0.5)
    assert certainty_of(finals, [found(finals[0])]).final is None


def test_a_second_look_that_failed_is_none() -> None:
    failed = make_trial("x", make_result(0.1, state=State.FAILED), candidate=A, seed=1)
    assert certainty_of([scored(A, 0.6, 0.03), failed], ()).second_looks == 0
