"""The status of a MetaSearch is computed from the result of its search."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from builders import (
    SOME_CELL,
    STARTED,
    completed,
    make_accuracies,
    make_result,
    make_search,
    make_trial,
    pretend_result,
)

from metasearch.api import Storage
from metasearch.kubernetes.search_status import Condition, ConditionStatus, SearchStatus
from metasearch.kubernetes.times import Time
from metasearch.outcome.results import SearchResult, summarize
from metasearch.outcome.summary import search_status
from metasearch.search.candidates import Candidate
from metasearch.search.planner import current_status, plan
from metasearch.search.trials import Reason, Stage, State, Trial, TrialResult
from metasearch.storage_layout import search_folder, weights_path

MAX_BYTES = 64 * 1024
"""The largest size of a status, as docs/operator.md states it."""

INT64_MAX = 2**63 - 1
FOLDER = "team-a/test-1b9d6bcd"
DIVERGED = TrialResult(state=State.FAILED, reason=Reason.DIVERGED, message="NaN")
BUCKET, CLAIM = Storage(url="s3://bucket/nets/"), Storage(claim="models")


def summarized(trials: Sequence[Trial], seconds: float = 60, **spec: Any) -> SearchResult:
    search = make_search(**spec)
    return summarize(search, trials, current_status(search, trials, STARTED + seconds), STARTED + seconds)


def status_of(result: SearchResult, **changes: Any) -> SearchStatus:
    asked: dict[str, Any] = {
        "final_trials": 4,
        "generation": 3,
        "conditions": (),
        "suspended_seconds": 0.0,
        "completed_at": None,
        "storage": None,
        "folder": FOLDER,
        "worker_image": "trainer:dev",
    }
    return search_status(result, **{**asked, **changes})


def played(**spec: Any) -> SearchResult:
    """Return the result of a finished search with invented scores."""
    search, trials = make_search(**spec), []
    while not (decided := plan(search, trials, STARTED)).phase.is_over:
        trials += [completed(Trial(spec=each), pretend_result(each)) for each in decided.propose]
    return summarize(search, trials, decided, STARTED + 60)


def trained(name: str, **spec: Any) -> Trial:
    """Return a final trial or, with its stage given, one of the baseline."""
    result = make_result(0.6, 1_234, test=make_accuracies(0.625), weights=f"{name}.safetensors")
    return make_trial(name, result, **{"stage": Stage.FINAL, "meta_iterations": 10, **spec})


# --- how far it is ------------------------------------------------------------------------------------------------


def test_a_search_that_has_not_begun() -> None:
    status = status_of(summarized([]))
    assert status.trials is not None
    assert (status.round, status.trials.total, status.rounds) == (0, 0, ())
    assert (status.ranked, status.front, status.delivered, status.baselines) == ((), (), None, ())
    assert (status.observed_generation, status.completion_time) == (3, None)


def test_the_round_is_the_last_one_that_was_begun() -> None:
    trials = [make_trial("a", make_result()), make_trial("b", round=2)]
    assert status_of(summarized(trials)).round == 2


def test_times_are_those_that_the_next_operator_goes_on_from() -> None:
    status = status_of(summarized([]), suspended_seconds=90.4, completed_at=STARTED + 60)
    assert (status.start_time, status.completion_time) == (Time.at(STARTED), Time.at(STARTED + 60))
    assert status.suspended_time == "90s"


def test_conditions_are_handed_on() -> None:
    ready = Condition(
        type="Ready",
        status=ConditionStatus.TRUE,
        reason="Searching",
        message="",
        last_transition_time=Time.at(STARTED),
    )
    assert status_of(summarized([]), conditions=[ready]).conditions == (ready,)


def test_it_can_be_written_and_read_back() -> None:
    status = status_of(played(), storage=BUCKET)
    written = status.model_dump_json(by_alias=True, exclude_none=True)
    assert SearchStatus.model_validate_json(written) == status


# --- what it costs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "share"),
    [
        pytest.param({"maxTrials": 8}, "25%", id="trials"),
        pytest.param({"maxFailedTrials": 1}, "50%", id="failed trials"),
        pytest.param({"wallTime": "2m"}, "50%", id="wall time"),
        pytest.param({"wallTime": "1m"}, "100%", id="all of it"),
        pytest.param({"wallTime": "61s"}, "98%", id="nearly all of it"),
        pytest.param({"gpuHours": "0.01"}, "9%", id="GPU-hours, of which nothing is spent"),
        pytest.param({"gpuHours": "0"}, "9%", id="no GPU-hours"),
        pytest.param({"wallTime": "4m", "maxTrials": 10}, "25%", id="the nearest of several"),
    ],
)
def test_the_share_is_that_of_the_nearest_limit(budget: dict[str, Any], share: str) -> None:
    trials = [make_trial("a", make_result()), make_trial("b", DIVERGED)]
    limits = {"maxTrials": 1_000, "maxFailedTrials": 10, **budget}
    status = status_of(summarized(trials, budget=limits))
    assert status.spent is not None
    assert status.spent.share == share


def test_what_is_over_the_limit_leaves_nothing_and_still_fits() -> None:
    limits = {"wallTime": "1s", "gpuHours": "1", "maxTrials": 1, "maxFailedTrials": 0}
    status = status_of(summarized([make_trial("a", DIVERGED)], seconds=10**8, budget=limits))
    assert (status.spent, status.left) != (None, None)
    assert status.model_dump(mode="json", by_alias=True)["left"] == {
        "trials": 0,
        "failedTrials": 0,
        "wallTime": "0s",
        "gpuHours": "1",
    }
    assert status.spent is not None
    assert status.spent.share == "999%"


def test_of_limits_that_are_not_set_nothing_is_left() -> None:
    left = status_of(summarized([])).left
    assert left is not None
    assert (left.trials, left.failed_trials, left.wall_time, left.gpu_hours) == (30, 20, None, None)


# --- what was found -----------------------------------------------------------------------------------------------


def test_the_best_are_the_ten_best_search_trials() -> None:
    trials = [
        make_trial(f"t{number:02}", make_result(number / 100), candidate=Candidate(SOME_CELL, {"number": number}))
        for number in range(12)
    ]
    ranked = status_of(summarized(trials)).ranked
    assert [found.trial for found in ranked] == [f"t{number:02}" for number in reversed(range(2, 12))]


def test_correlations_stay_within_their_bounds() -> None:
    result = summarized([make_trial("a", make_result())])
    (round,) = result.rounds
    beyond = round.model_copy(update={"spearman": 1 + 2e-16, "kendall": -1 - 2e-16})
    (limited,) = status_of(result.model_copy(update={"rounds": (beyond,)})).rounds
    assert (limited.spearman, limited.kendall) == (1.0, -1.0)


def test_the_best_score_is_never_that_of_a_beginning() -> None:
    begun = make_trial("a", make_result(0.9, validation=None), meta_iterations=3, is_beginning=True)
    whole = make_trial("b", make_result(0.4), candidate=Candidate(SOME_CELL, {"number": 1}))
    assert status_of(summarized([begun])).best_score is None
    status = status_of(summarized([begun, whole]))
    assert (status.best_score, status.rounds[0].beginnings, status.rounds[0].trained) == ("0.4000", 1, 2)
    assert [(each.meta_iterations, each.is_beginning) for each in status.ranked] == [(10, False), (3, True)]


def test_it_says_who_predicted_last_and_how_well_it_can_be_said() -> None:
    def drawn(place: int, round: int, said: str) -> Trial:
        result = make_result(0.5 + place / 10, score_error=0.06)
        spec = {"predicted": place / 10, "predicted_by": said, "is_drawn": True, "round": round}
        return make_trial(f"t{place}", result, candidate=Candidate(SOME_CELL, {"number": place}), **spec)

    trials = [*(drawn(place, 2, "Ridge 100%") for place in range(3)), drawn(3, 3, "Trees " + "x" * 500)]
    status = status_of(summarized([*trials, make_trial("later", round=4)]))
    assert status.predicted_by is not None
    assert (len(status.predicted_by), status.predicted_by[:7], status.predicted_by[-1]) == (400, "Trees x", "…")
    assert status.examination is not None
    # The variance of 0.5, 0.6, 0.7 and 0.8 is 0.05 / 3.
    assert (status.examination.trials, float(status.examination.ceiling or 0)) == (
        4,
        pytest.approx((1 - 0.0036 * 3 / 0.05) ** 0.5),
    )
    # Of three scores with the variance 0.01.
    assert [round.ceiling for round in status.rounds] == [pytest.approx(0.8), None, None]
    assert status_of(summarized(trials[:3])).predicted_by == "Ridge 100%"
    assert status_of(summarized([])).predicted_by is None


@pytest.mark.parametrize(
    ("storage", "place"),
    [
        (BUCKET, "s3://bucket/nets/team-a/test-1b9d6bcd/weights/f.safetensors"),
        (CLAIM, "models/team-a/test-1b9d6bcd/weights/f.safetensors"),
        (None, None),
    ],
)
def test_it_says_where_the_weights_are(storage: Storage | None, place: str | None) -> None:
    delivered = status_of(summarized([make_trial("a", make_result()), trained("f")]), storage=storage).delivered
    assert delivered is not None
    assert (delivered.trials, delivered.meta_iterations, delivered.parameter_count) == (("f",), 10, 1_234)
    assert (delivered.transductive.accuracy, delivered.transductive.interval) == (0.625, 0.01)
    assert delivered.weights == place


def test_a_delivered_front_is_listed_in_few_words_and_else_there_is_no_such_field() -> None:
    cells = (("a", SOME_CELL, 0.6, 900), ("b", "identity(-1)+identity(-2)", 0.5, 100))
    trials = [
        make_trial(f"{stage.lower()}-{name}", make_result(score, size, test=make_accuracies(0.5)), **spec)
        for name, cell, score, size in cells
        for stage in (Stage.SEARCH, Stage.FINAL)
        for spec in ({"stage": stage, "candidate": cell},)
    ]
    final = {"deliver": "Front", "top": 2, "seeds": 1, "metaIterations": 10, "baselines": []}
    front = status_of(summarized(trials, final=final)).model_dump(mode="json", by_alias=True)["deliveredFront"]
    assert front == [
        {"folder": "front/1", "parameterCount": 900, "score": "0.6", "trial": "final-a"},
        {"folder": "front/2", "parameterCount": 100, "score": "0.5", "trial": "final-b"},
    ]
    best = status_of(summarized(trials, final={**final, "deliver": "Best"}))
    written = best.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert "deliveredFront" not in written
    assert "folder" not in written["delivered"]


def test_weights_that_no_worker_kept_are_nowhere() -> None:
    result = make_result(0.6, test=make_accuracies(0.6))
    lost = make_trial("f", result, stage=Stage.FINAL)
    delivered = status_of(summarized([make_trial("a", make_result()), lost]), storage=BUCKET).delivered
    assert delivered is not None
    assert delivered.weights is None


def hand_made_trial(text: str) -> Trial:
    return trained(text.lower(), stage=Stage.BASELINE, candidate=text, round=0)


def test_it_has_the_baselines_beside_it() -> None:
    hand_made = [hand_made_trial(text) for text in ("Conv4", "Conv4-30")]
    asked = {"baselines": ["Conv4", "Conv4Matched"]}
    baselines = status_of(summarized([make_trial("a", make_result()), *hand_made], final=asked)).baselines
    assert [(found.name, found.parameter_count, found.non_transductive.accuracy) for found in baselines] == [
        ("Conv4", 1_234, 0.625),
        ("Conv4-30", 1_234, 0.625),
    ]


def test_no_more_baselines_are_told_than_can_be_asked_for() -> None:
    """The best search trial may have been deleted, and the baselines with another number of filters trained before."""
    hand_made = [hand_made_trial(text) for text in ("Conv4", "Conv4Pooled", "Conv4-30", "Conv4-31")]
    assert len(status_of(summarized([make_trial("a", make_result()), *hand_made])).baselines) == 3


def test_a_search_has_a_folder_of_its_own() -> None:
    search = {"metadata": {"namespace": "team-a", "name": "test", "uid": "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"}}
    assert search_folder(search) == FOLDER
    assert weights_path(FOLDER, "x") == "team-a/test-1b9d6bcd/weights/x.safetensors"


# --- how large it is ----------------------------------------------------------------------------------------------


def test_two_thousand_trials_make_a_small_status() -> None:
    blocks = " | ".join(["conv1x7_7x1(-2)+conv1x7_7x1(-1)"] * 8)
    large = make_result(0.123456789012345, INT64_MAX)
    trials = [
        make_trial(
            f"{'n' * 52}-{number:08}",
            make_result(number / 2_001 + 1e-9, 10**9 + number, multiply_adds=large.multiply_adds),
            round=1 + number % 8,
            candidate=Candidate(blocks, {"number": number}),
            predicted=0.123456789012345 * (number % 7),
        )
        for number in range(2_000)
    ]
    finals = [
        trained(f"{'f' * 60}{seed}", candidate=trials[-1].spec.candidate, round=8, seed=seed) for seed in range(3)
    ]
    conditions = [
        Condition(
            type=f"{'T' * 20}{letter}",
            status=ConditionStatus.FALSE,
            reason="R" * 64,
            message="ü" * 400,
            last_transition_time=Time.at(STARTED),
        )
        for letter in "abcdefgh"
    ]
    storage = Storage(url=f"s3://{'b' * 1_019}")
    folder = f"{'n' * 63}/{'s' * 40}-12345678"
    space = {"operations": ["conv1x7_7x1", "conv3x3"], "maxBlocks": 8}
    result = summarized([*trials, *finals], space=space)
    status = status_of(result, conditions=conditions, storage=storage, folder=folder)
    assert (len(status.ranked), len(status.front), len(status.rounds)) == (10, 20, 8)
    assert len(json.dumps(status.model_dump(mode="json", by_alias=True)).encode()) < MAX_BYTES
