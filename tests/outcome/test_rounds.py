"""A summary says how well a round was predicted, and the drawn trials over all rounds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from builders import make_result, make_search, make_trial

from metasearch.outcome.rounds import Examination, Round, examine, summarize_round
from metasearch.search.trials import Reason, State, Trial


def predicted(name: str, score: float, guess: float, error: float = 0.06, **spec: object) -> Trial:
    return make_trial(name, make_result(score, score_error=error), predicted=guess, **spec)


def begun(name: str, score: float, guess: float | None, **spec: object) -> Trial:
    """Return the beginning of a training, which scores far less than a whole one."""
    result = make_result(score, score_error=0.0006, validation=None)
    return make_trial(name, result, predicted=guess, meta_iterations=3, is_beginning=True, **spec)


def summary(trials: Sequence[Trial]) -> Round:
    return summarize_round(make_search(), trials)


def test_the_ceiling_stands_beside_the_correlation() -> None:
    round = summary([predicted("a", 0.5, 0.1), predicted("b", 0.6, 0.2), predicted("c", 0.7, 0.3)])
    # The variance is 0.01 and the noise 0.06: sqrt(1 - 0.0036 / 0.01).
    assert (round.spearman, round.ceiling) == (pytest.approx(1.0), pytest.approx(0.8))


def test_what_was_not_predicted_is_in_neither() -> None:
    wild = make_trial("d", make_result(0.1, score_error=0.3))
    round = summary([predicted("a", 0.5, 0.1), predicted("b", 0.6, 0.2), predicted("c", 0.7, 0.3), wild])
    assert (round.spearman, round.ceiling) == (pytest.approx(1.0), pytest.approx(0.8))


def test_without_predictions_or_errors_there_is_no_ceiling() -> None:
    trials = [make_trial(name, make_result(score, score_error=0.06)) for name, score in (("a", 0.5), ("b", 0.6))]
    assert (summary(trials).ceiling, summary(trials).predicted_by) == (None, None)
    unknown = [predicted(name, score, score, error=0.0) for name, score in (("a", 0.5), ("b", 0.6), ("c", 0.7))]
    assert (summary(unknown).spearman, summary(unknown).ceiling) == (pytest.approx(1.0), None)


def test_a_round_of_beginnings_and_whole_trainings_correlates_the_beginnings() -> None:
    rising = [begun("a", 0.01, 0.1), begun("b", 0.02, 0.2), begun("c", 0.03, 0.3)]
    falling = [predicted("d", 0.5, 0.3), predicted("e", 0.6, 0.2), predicted("f", 0.7, 0.1)]
    round = summary([*rising, *falling])
    assert (round.spearman, round.kendall, round.trained, round.beginnings) == (
        pytest.approx(1.0),
        pytest.approx(1.0),
        6,
        3,
    )
    # The variance of 0.01, 0.02 and 0.03 is 0.0001, and the noise 0.0006: sqrt(1 - 0.0036).
    assert (round.best, round.ceiling) == (0.7, pytest.approx(0.9964**0.5))


def test_a_round_says_who_predicted_it() -> None:
    said = "Ridge 60%, Trees 40%; LSTM lost its vote: no better than the size on the last round"
    trials = [make_trial("a"), predicted("b", 0.5, 0.5, predicted_by=said)]
    assert summary(trials).predicted_by == said


# --- the fair examination -----------------------------------------------------------------------------------------


def test_only_drawn_trials_examine_the_surrogate_all_rounds_together() -> None:
    drawn = [
        predicted("a", 0.5, 0.1, is_drawn=True, round=2),
        predicted("b", 0.6, 0.2, is_drawn=True, round=2),
        predicted("c", 0.7, 0.4, is_drawn=True, round=3),
        predicted("d", 0.8, 0.3, is_drawn=True, round=3),
    ]
    chosen = [predicted(f"e{place}", 0.9 - place / 10, 0.5 + place / 10, round=3) for place in range(3)]
    found = examine([*drawn, *chosen])
    # Ranks 1, 2, 3, 4 against 1, 2, 4, 3: 1 - 6 * 2 / (4 * 15). The variance is 0.05 / 3.
    assert found is not None
    assert (found.trials, found.spearman) == (4, pytest.approx(0.8))
    assert found.ceiling == pytest.approx((1 - 0.0036 * 3 / 0.05) ** 0.5)


def test_three_drawn_trials_are_too_few_to_say_anything() -> None:
    drawn = [predicted(f"a{place}", 0.5 + place / 10, place / 10, is_drawn=True) for place in range(3)]
    assert examine(drawn) == Examination(trials=3, spearman=None, ceiling=None)
    assert examine([predicted("b", 0.5, 0.5), make_trial("c", is_drawn=True, predicted=0.5)]) is None


def test_a_screened_search_is_examined_by_its_beginnings() -> None:
    drawn = [begun(f"a{place}", 0.01 + place / 100, 0.1 + place / 100, is_drawn=True) for place in range(4)]
    whole = [predicted(f"b{place}", 0.6 - place / 10, 0.1 + place / 100, is_drawn=True) for place in range(4)]
    found = examine([*whole, *drawn])
    assert found is not None
    assert (found.trials, found.spearman) == (4, pytest.approx(1.0))


def test_a_drawn_trial_that_was_given_up_counts_with_its_last_score() -> None:
    stopped = make_result(0.1, state=State.STOPPED, reason=Reason.EARLY_STOPPED, score_error=0.06)
    drawn = [predicted(f"a{place}", 0.5 + place / 10, 0.2 + place / 10, is_drawn=True) for place in range(3)]
    found = examine([*drawn, make_trial("b", stopped, predicted=0.1, is_drawn=True)])
    assert found is not None
    assert (found.trials, found.spearman) == (4, pytest.approx(1.0))
