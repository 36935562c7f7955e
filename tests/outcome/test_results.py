"""The result of a search is computed from its trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from builders import STARTED, make_accuracies, make_result, make_search, make_trial
from scipy.special import stdtrit

from metasearch.api import Final
from metasearch.outcome.results import SearchResult, summarize
from metasearch.search import trials as life
from metasearch.search.intervals import STUDENT_QUANTILES
from metasearch.search.planner import Phase, current_status
from metasearch.search.trials import Accuracies, Accuracy, Reason, Stage, State, Trial, TrialResult

SMALL, WIDE, DEEP = (
    "identity(-1)+identity(-2)",
    "conv3x3(-1)+conv3x3(-2)",
    "conv3x3(-1)+identity(-2) | conv3x3(0)+conv3x3(0)",
)
DIVERGED = TrialResult(state=State.FAILED, reason=Reason.DIVERGED, message="NaN")
STOPPED = make_result(0.1, state=State.STOPPED, reason=Reason.EARLY_STOPPED)


def searched(name: str, score: float, candidate: str = SMALL, parameters: int = 1_000, **spec: Any) -> Trial:
    return make_trial(name, make_result(score, parameters), candidate=candidate, **spec)


def trained(
    name: str, score: float, test: float, candidate: str = SMALL, parameters: int = 1_000, **spec: Any
) -> Trial:
    """Return a final trial or, with its stage given, one of the baseline."""
    spec = {"stage": Stage.FINAL, "meta_iterations": 10} | spec
    result = make_result(score, parameters, test=make_accuracies(test), weights=f"{name}.safetensors")
    return make_trial(name, result, candidate=candidate, **spec)


def summarized(trials: Sequence[Trial], **spec: Any) -> SearchResult:
    search = make_search(**spec)
    return summarize(search, trials, current_status(search, trials, STARTED + 60), STARTED + 60)


# --- the search stage ---------------------------------------------------------------------------------------------


def test_a_search_that_has_not_begun() -> None:
    result = summarized([])
    assert (result.search.phase, result.trials.total, result.rounds, result.front) == (Phase.SEARCHING, 0, (), ())
    assert (result.best, result.final, result.delivered, result.comparison) == (None, (), None, None)


def test_trials_are_counted_by_state() -> None:
    running = life.claim(make_trial("running"), "w", STARTED, gpus=0.0)
    ended = [searched("a", 0.5), searched("b", 0.6), make_trial("c", DIVERGED), make_trial("d", STOPPED)]
    counts = summarized([make_trial("pending"), running, *ended]).trials
    assert (counts.total, counts.pending, counts.running) == (6, 1, 1)
    assert (counts.succeeded, counts.stopped, counts.failed) == (2, 1, 1)


def test_a_round_says_what_became_of_its_trials() -> None:
    first = [searched("a", 0.5), searched("b", 0.7), make_trial("c", DIVERGED), make_trial("d", STOPPED)]
    (round,) = summarized(first).rounds
    assert (round.round, round.proposed, round.trained, round.stopped, round.failed) == (1, 4, 2, 1, 1)
    assert (round.best, round.spearman, round.depths) == (0.7, None, {1: 4})


@pytest.mark.parametrize(
    ("predicted", "spearman", "recall"), [([0.1, 0.2, 0.3], 1.0, 1.0), ([0.3, 0.2, 0.1], -1.0, 0.0)]
)
def test_predictions_are_held_against_what_was_measured(predicted: list[float], spearman: float, recall: float) -> None:
    second = [
        searched(f"b{index}", score, DEEP, round=2, predicted=predicted[index])
        for index, score in enumerate([0.5, 0.6, 0.7])
    ]
    round = summarized([searched("a", 0.5), *second]).rounds[1]
    assert (round.spearman, round.kendall, round.top_recall) == pytest.approx((spearman, spearman, recall))
    assert round.depths == {2: 3}


def test_a_score_of_a_stopped_trial_is_never_the_best() -> None:
    stopped = make_trial("a", make_result(0.9, state=State.STOPPED, reason=Reason.EARLY_STOPPED))
    result = summarized([stopped, searched("b", 0.5)])
    assert result.best is not None
    assert (result.best.search.trial, result.best.trained_in_full, result.rounds[0].best) == ("b", False, 0.5)
    assert [found.trial for found in result.front] == ["b"]
    assert result.search.early_stopped == 1


def test_the_front_trades_score_for_parameters() -> None:
    found = [searched("a", 0.7, WIDE, 900), searched("b", 0.6, SMALL, 100), searched("c", 0.6, WIDE, 500)]
    assert [(each.trial, each.parameter_count) for each in summarized(found).front] == [("a", 900), ("b", 100)]


def test_the_best_so_far_has_the_accuracy_of_each_query_alone() -> None:
    measured = Accuracies(
        transductive=Accuracy(0.5, 0.01, 100),
        non_transductive=Accuracy(0.6, 0.02, 100),
        support_statistics=Accuracy(0.7, 0.03, 100),
    )
    result = summarized([make_trial("a", make_result(0.4, validation=measured, score_error=0.1))])
    assert result.best is not None
    assert (result.best.accuracy, result.best.interval) == (0.6, 0.02)
    found = result.best.search
    assert (found.score, found.accuracy, found.interval) == (0.4, 0.6, pytest.approx(0.196, abs=1e-4))


def test_a_cell_that_was_looked_at_again_has_the_mean_score_and_its_interval() -> None:
    looks = [
        make_trial(f"seed-{seed}", make_result(score, score_error=0.03), seed=seed)
        for seed, score in enumerate((0.8, 0.6))
    ]
    result = summarized([*looks, searched("other", 0.75)])
    assert result.best is not None
    best = result.best.search
    assert (best.score, best.seeds, best.trial) == (pytest.approx(0.7), 2, "seed-0")
    # Two scores 0.2 apart have a standard deviation of 0.1414, so their mean a standard error of 0.1.
    assert best.interval == pytest.approx(1.96 * 0.1, abs=1e-4)
    assert result.ranked[0] == best


def test_a_cell_whose_training_has_only_begun_has_no_accuracy() -> None:
    begun = make_trial("a", make_result(0.4, validation=None), meta_iterations=2, is_beginning=True)
    result = summarized([begun])
    assert result.best is not None
    assert (result.best.accuracy, result.best.interval, result.best.search.accuracy) == (None, None, None)
    assert result.rounds[0].best is None
    whole = make_trial("b", make_result(0.3), candidate=WIDE)
    assert summarized([begun, whole]).rounds[0].best == 0.3


def test_every_attempt_costs() -> None:
    lost = life.release(life.claim(make_trial("a"), "w", STARTED, gpus=0.5), STARTED + 30, life.LOST)
    again = life.claim(lost, "w", STARTED + 40, gpus=0.5)
    spent = summarized([again]).spent
    assert (spent.trials, spent.wall_seconds, spent.worker_seconds) == (1, 60, 30 + 20)
    assert spent.gpu_hours == pytest.approx(25 / 3600)


def test_a_search_that_failed_says_why() -> None:
    result = summarized([make_trial("a", DIVERGED)], budget={"maxFailedTrials": 0})
    assert (result.search.phase, result.search.limit) == (Phase.FAILED, "maxFailedTrials")
    assert result.search.message is not None
    assert "budget.maxFailedTrials" in result.search.message
    assert result.best is None


# --- the final stage ----------------------------------------------------------------------------------------------


def test_the_delivered_network_is_chosen_by_validation_and_reported_by_test() -> None:
    trials = [
        searched("a", 0.5, SMALL),
        searched("b", 0.6, WIDE),
        trained("fa", 0.9, test=0.7, candidate=SMALL),
        trained("fb", 0.8, test=0.99, candidate=WIDE),
    ]
    result = summarized(trials, final={"top": 2, "seeds": 1, "baselines": []})
    assert result.delivered is not None
    assert (result.delivered.cell, result.delivered.score) == (SMALL, 0.9)
    assert result.delivered.non_transductive.accuracy == 0.7
    assert result.best is not None
    assert (result.best.search.trial, result.best.accuracy, result.best.trained_in_full) == ("a", 0.7, True)


ROW = ("conv3x3(-1)+conv3x3(-1)", "conv3x3(-1)+identity(-1)", "identity(-1)+identity(-1)")


def front_of(*networks: tuple[str, float, float, int], deliver: str = "Front") -> list[tuple[str, str | None]]:
    """Return the cells and folders of networks, given with cell, score, test accuracy and parameters."""
    trials = [
        trial
        for place, (cell, score, test, size) in enumerate(networks)
        for trial in (searched(f"s{place}", 0.5, cell, size), trained(f"f{place}", score, test, cell, size))
    ]
    final = {"deliver": deliver, "top": 5, "seeds": 1, "metaIterations": 10, "baselines": []}
    return [(network.cell, network.folder) for network in summarized(trials, final=final).final]


def test_the_delivered_front_is_chosen_by_validation_and_size_and_not_by_test() -> None:
    """WIDE is beaten by SMALL, which is as small and better; that it is best on test classes does not save it."""
    networks = ((SMALL, 0.8, 0.5, 100), (WIDE, 0.7, 0.9, 100), (DEEP, 0.9, 0.4, 900), (ROW[0], 0.6, 0.3, 50))
    assert front_of(*networks) == [(DEEP, "front/1"), (SMALL, "front/2"), (WIDE, None), (ROW[0], "front/3")]
    assert {folder for _, folder in front_of(*networks, deliver="Best")} == {None}


def test_equal_networks_are_delivered_once() -> None:
    assert front_of((SMALL, 0.8, 0.5, 100), (WIDE, 0.8, 0.5, 100)) == [(SMALL, "front/1"), (WIDE, None)]


def test_a_delivered_front_counts_all_seeds() -> None:
    """WIDE's best seed is above SMALL's, and its mean of 0.6 below."""
    trials = [searched("a", 0.5, SMALL), searched("b", 0.6, WIDE)]
    trials += [trained(f"f{seed}", 0.7, 0.5, SMALL, seed=seed) for seed in range(2)]
    trials += [trained(f"g{seed}", 0.4 + 0.4 * seed, 0.5, WIDE, seed=seed) for seed in range(2)]
    result = summarized(trials, final={"deliver": "Front", "top": 2, "seeds": 2, "metaIterations": 10})
    assert [network.cell for network in result.delivered_front] == [SMALL]
    assert result.delivered == result.delivered_front[0]


def test_seeds_are_averaged_with_students_interval() -> None:
    trials = [searched("a", 0.5), *(trained(f"f{seed}", 0.5, 0.5 + seed / 10, seed=seed) for seed in range(3))]
    (network,) = summarized(trials, final={"seeds": 3}).final
    assert network.trials == ("f0", "f1", "f2")
    assert network.non_transductive.accuracy == pytest.approx(0.6)
    assert network.non_transductive.interval == pytest.approx(4.302653 * 0.1 / 3**0.5)


def test_one_seed_has_the_interval_over_its_tasks() -> None:
    (network,) = summarized([searched("a", 0.5), trained("f", 0.5, 0.6)], final={"seeds": 1}).final
    assert (network.non_transductive.accuracy, network.non_transductive.interval) == (0.6, 0.01)


def test_seeds_that_happen_to_agree_have_at_least_the_interval_over_all_their_tasks() -> None:
    trials = [searched("a", 0.5), *(trained(f"f{seed}", 0.5, 0.6, seed=seed) for seed in range(4))]
    (network,) = summarized(trials, final={"seeds": 4}).final
    assert network.non_transductive.interval == pytest.approx(0.01 / 2)


def test_a_seed_that_failed_is_left_out() -> None:
    failed = make_trial("f1", DIVERGED, stage=Stage.FINAL, candidate=SMALL, seed=1)
    (network,) = summarized([searched("a", 0.5), trained("f0", 0.5, 0.6), failed], final={"seeds": 2}).final
    assert network.trials == ("f0",)


def cut(name: str, score: float, done: int, candidate: str = SMALL, **spec: Any) -> Trial:
    """Return a final trial that was cut short after `done` of 10 meta-iterations."""
    result = make_result(
        score,
        test=make_accuracies(score),
        weights=f"{name}.safetensors",
        state=State.STOPPED,
        reason=Reason.BUDGET_EXHAUSTED,
        meta_iterations=done,
    )
    return make_trial(name, result, candidate=candidate, **{"stage": Stage.FINAL, "meta_iterations": 10} | spec)


def test_a_network_that_was_cut_short_is_delivered_and_said_to_be() -> None:
    result = summarized([searched("a", 0.5), cut("f0", 0.5, 7), cut("f1", 0.6, 4, seed=1)], final={"seeds": 2})
    assert result.delivered is not None
    assert (result.delivered.trials, result.delivered.meta_iterations) == (("f1", "f0"), 4)
    assert result.delivered.cut_short
    assert result.best is not None
    assert (result.best.accuracy, result.best.trained_in_full) == (pytest.approx(0.55), False)


def test_seeds_that_were_cut_short_do_not_count_beside_one_that_was_not() -> None:
    trials = [searched("a", 0.5), trained("f0", 0.5, 0.5), cut("f1", 0.9, 4, seed=1)]
    (network,) = summarized(trials, final={"seeds": 2}).final
    assert (network.trials, network.cut_short, network.meta_iterations) == (("f0",), False, 10)


def test_networks_are_ranked_by_score_however_long_they_were_trained() -> None:
    trials = [searched("a", 0.5), searched("b", 0.6, WIDE), trained("f0", 0.5, 0.5), cut("f1", 0.9, 4, WIDE)]
    networks = summarized(trials, final={"top": 2, "seeds": 1}).final
    assert [(network.cell, network.cut_short) for network in networks] == [(WIDE, True), (SMALL, False)]


@pytest.mark.parametrize(("test", "difference"), [(0.8, 0.1), (0.6, -0.1)])
def test_the_comparison_with_the_baseline_is_honest_both_ways(test: float, difference: float) -> None:
    trials = [
        searched("a", 0.5),
        trained("f", 0.5, test, parameters=1_000),
        trained("c", 0.9, 0.7, "Conv4", 4_000, stage=Stage.BASELINE, round=0),
    ]
    result = summarized(trials, final={"top": 1, "seeds": 1, "baselines": ["Conv4"]})
    assert result.comparison is not None
    assert [baseline.name for baseline in result.baselines] == ["Conv4"]
    assert (result.comparison.baseline, result.comparison.same_size) == ("Conv4", False)
    assert result.comparison.accuracy_difference == pytest.approx(difference)
    assert result.comparison.transductive_difference == pytest.approx(difference)
    assert result.comparison.parameter_ratio == 0.25


def hand_made(text: str, test: float, parameters: int, score: float = 0.5) -> Trial:
    return trained(text.lower(), score, test, text, parameters, stage=Stage.BASELINE, round=0)


@pytest.mark.parametrize(
    ("parameters", "compared", "same_size"),
    [
        pytest.param(79, "Conv4Pooled", False, id="smaller than any by more than a quarter"),
        pytest.param(80, "Conv4-9", True, id="a fifth smaller"),
        pytest.param(100, "Conv4-9", True, id="of one size"),
        pytest.param(125, "Conv4-9", True, id="a quarter larger"),
        pytest.param(126, "Conv4Pooled", False, id="larger by more than a quarter"),
        pytest.param(1_000, "Conv4Pooled", True, id="of two baselines' size"),
    ],
)
def test_the_comparison_is_with_the_most_accurate_baseline_of_its_size(
    parameters: int, compared: str, same_size: bool
) -> None:
    """It is with the most accurate of all where none is of its size. Scores, on other classes, do not matter."""
    trials = [
        searched("a", 0.5, parameters=parameters),
        trained("f", 0.5, 0.6, parameters=parameters),
        hand_made("Conv4", 0.7, 1_000, score=0.9),
        hand_made("Conv4-9", 0.65, 100),
        hand_made("Conv4Pooled", 0.75, 990),
    ]
    result = summarized(trials, final={"top": 1, "seeds": 1, "baselines": ["Conv4", "Conv4Matched", "Conv4Pooled"]})
    assert [network.name for network in result.baselines] == ["Conv4", "Conv4-9", "Conv4Pooled"]
    assert result.comparison is not None
    assert (result.comparison.baseline, result.comparison.same_size) == (compared, same_size)
    assert result.compared is not None
    assert result.comparison.accuracy_difference == 0.6 - result.compared.non_transductive.accuracy
    assert result.comparison.parameter_ratio == parameters / result.compared.parameter_count


def test_without_a_baseline_nothing_is_compared() -> None:
    assert summarized([searched("a", 0.5), trained("f", 0.5, 0.6)]).comparison is None


def test_a_result_is_read_back_as_it_was_written() -> None:
    result = summarized([searched("a", 0.5), make_trial("b", DIVERGED), trained("f", 0.5, 0.6)])
    assert SearchResult.model_validate_json(result.model_dump_json(by_alias=True)) == result


def test_students_quantiles_are_those_of_scipy_for_all_numbers_of_seeds() -> None:
    most_seeds = next(each.le for each in Final.model_fields["seeds"].metadata if hasattr(each, "le"))
    assert tuple(stdtrit(seeds - 1, 0.975) for seeds in range(2, most_seeds + 1)) == STUDENT_QUANTILES
