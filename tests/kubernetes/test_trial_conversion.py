"""Trials come back from Kubernetes as they went there."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from builders import completed, make_result, make_trial, make_trial_spec
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from metasearch.api import MAX_CURVE_POINTS, Operation
from metasearch.api.names import ARCHITECTURE_MAX_LENGTH, HYPERPARAMETER_PATTERN
from metasearch.api.resource import NAME_MAX_LENGTH
from metasearch.kubernetes import names
from metasearch.kubernetes.trial_conversion import OldTrial, new_trial, spec_of, status_of, trial_of
from metasearch.kubernetes.trial_resource import (
    MESSAGE_MAX_LENGTH,
    AccuraciesResource,
    AccuracyResource,
    AttemptResource,
    CurvePointResource,
    MetaTrialSpec,
    MetaTrialStatus,
    PartSecondsResource,
    ProgressResource,
    ResultResource,
    ThresholdResource,
)
from metasearch.outcome.figures import TRIAL_NAME_MAX_LENGTH
from metasearch.search import trials
from metasearch.search.candidates import CHOICE_PATTERN, Candidate
from metasearch.search.cells import Branch, Cell, block
from metasearch.search.trial_names import trial_name
from metasearch.search.trial_parts import PartSeconds
from metasearch.search.trials import (
    INTERRUPTED,
    LOST,
    Accuracies,
    Accuracy,
    Attempt,
    CurvePoint,
    Progress,
    Reason,
    Stage,
    State,
    Threshold,
    Trial,
    TrialResult,
    TrialSpec,
)

SEARCH = {"metadata": {"name": "omniglot", "namespace": "team", "uid": "0-1-2"}}

# --- any trial ----------------------------------------------------------------------------------------------------

COUNTS = st.integers(0, 2**53)
STEPS = st.integers(0, 2**31 - 1)
SHARES = st.floats(0, 1)
AMOUNTS = st.floats(0, allow_infinity=False)
TIMES = st.integers(0, 4 * 10**15).map(lambda microseconds: microseconds / 1e6)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz-0123456789", min_size=1, max_size=60)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=100)
ACCURACY = st.builds(Accuracy, SHARES, AMOUNTS, COUNTS)
ACCURACIES = st.builds(Accuracies, ACCURACY, ACCURACY, ACCURACY)
CURVES = st.lists(st.builds(CurvePoint, STEPS, SHARES), max_size=5).map(tuple)
VALUES = (
    st.integers(-(10**12) + 1, 10**12 - 1)
    | st.decimals(-1000, 1000, places=9)
    | st.from_regex(CHOICE_PATTERN, fullmatch=True)
)
HYPERPARAMETERS = st.dictionaries(
    st.from_regex(HYPERPARAMETER_PATTERN, fullmatch=True).filter(lambda name: len(name) < 64), VALUES, max_size=3
)
CELLS = st.builds(Candidate, st.text("abcxyz0123456789_()+-| ", min_size=1, max_size=100), HYPERPARAMETERS)
HAND_MADE = st.builds(Candidate, st.sampled_from(["Conv4", "Conv4-30", "Conv4Pooled"]))
SPECS = st.builds(
    TrialSpec,
    name=NAMES,
    stage=st.sampled_from(Stage),
    round=st.integers(0, 8),
    candidate=CELLS,
    seed=STEPS,
    meta_iterations=STEPS.filter(bool),
    round_size=st.none() | STEPS.filter(bool),
    priority=STEPS,
    predicted=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    thresholds=st.lists(st.builds(Threshold, STEPS, st.floats(-1, 1)), max_size=5).map(tuple),
    resumes=st.none() | NAMES,
).flatmap(lambda spec: candidates_of(spec.stage).map(lambda candidate: replace(spec, candidate=candidate)))
RESULTS = st.builds(
    TrialResult,
    state=st.sampled_from([state for state in State if state.is_over]),
    reason=st.none() | st.sampled_from(Reason),
    message=st.none() | TEXTS,
    meta_iterations=st.none() | COUNTS,
    score=st.none() | SHARES,
    validation=st.none() | ACCURACIES,
    test=st.none() | ACCURACIES,
    curve=CURVES,
    parameter_count=st.none() | COUNTS,
    multiply_adds=st.none() | COUNTS,
    image_channels=st.none() | COUNTS,
    image_side=st.none() | COUNTS,
    wall_seconds=st.none() | AMOUNTS,
    part_seconds=st.none()
    | st.builds(PartSeconds, data=AMOUNTS, training=AMOUNTS, evaluation=AMOUNTS, writing=AMOUNTS),
    peak_memory_bytes=st.none() | COUNTS,
    latency_ms=st.none() | AMOUNTS,
    device=st.none() | TEXTS,
    weights=st.none() | TEXTS,
).map(lambda result: replace(result, state=State.STOPPED) if is_incomplete(result) else result)


def candidates_of(stage: Stage) -> st.SearchStrategy[Candidate]:
    return HAND_MADE if stage is Stage.BASELINE else CELLS


def is_incomplete(result: TrialResult) -> bool:
    """Return whether a result lacks what every trial that succeeded has measured."""
    measured = (result.score, result.validation, result.parameter_count, result.multiply_adds)
    return result.state is State.SUCCEEDED and None in measured


@st.composite
def lives(draw: st.DrawFn) -> Trial:
    """Draw a trial in any state that the rules lead to."""
    trial = Trial(spec=draw(SPECS))
    for _ in range(draw(st.integers(0, 4))):
        trial = trials.claim(trial, draw(NAMES), draw(TIMES), draw(AMOUNTS))
        trial = trials.report(trial, trial.epoch, draw(st.builds(Progress, STEPS, CURVES, STEPS, st.none() | TIMES)))
        trial = trials.release(trial, draw(TIMES), draw(st.sampled_from([LOST, INTERRUPTED])))
    match draw(st.sampled_from(["pending", "running", "stopping", "stopped", "over"])):
        case "running":
            trial = trials.claim(trial, draw(NAMES), draw(TIMES), draw(AMOUNTS))
        case "stopping":
            trial = trials.request_stop(trials.claim(trial, draw(NAMES), draw(TIMES), draw(AMOUNTS)))
        case "stopped":
            trial = trials.request_stop(trial)
        case "over":
            trial = completed(trial, draw(RESULTS), draw(TIMES), draw(TIMES))
    return trial


def sent(trial: Trial) -> dict[str, Any]:
    """Return the trial's resource after a round trip through JSON."""
    resource = {**new_trial(trial.spec, SEARCH), "status": status_of(trial, "pod" if trial.attempts else None)}
    parsed: dict[str, Any] = json.loads(json.dumps(resource, allow_nan=False))
    return parsed


@given(trial=lives())
def test_a_trial_comes_back_as_it_went(trial: Trial) -> None:
    assert trial_of(sent(trial)) == trial


@given(trial=lives())
def test_a_resource_holds_no_null(trial: Trial) -> None:
    assert "null" not in json.dumps(sent(trial)).replace('"null"', "")


# --- the resource -------------------------------------------------------------------------------------------------


def test_a_trial_belongs_to_its_search() -> None:
    metadata = new_trial(make_trial_spec("omniglot-2-a", round=2), SEARCH)["metadata"]
    assert (metadata["name"], metadata["namespace"]) == ("omniglot-2-a", "team")
    assert metadata["labels"] == {names.LABEL_SEARCH: "omniglot", names.LABEL_STAGE: "Search", names.LABEL_ROUND: "2"}
    (owner,) = metadata["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("MetaSearch", "omniglot", "0-1-2")
    assert owner["controller"]


def old(trial: Trial) -> dict[str, Any]:
    """Return the trial's resource in the form of the version before rounds."""
    resource = sent(trial)
    spec = {"stage": "Search", "level": 1, "candidate": "conv3x3(-1)+identity(-2)", "levelSize": 1}
    return {**resource, "spec": {**spec, "seed": 0, "metaIterations": 10}}


def test_a_trial_of_the_earlier_form_is_refused_in_a_sentence() -> None:
    with pytest.raises(OldTrial) as raised:
        trial_of(old(make_trial("omniglot-1-a")))
    assert str(raised.value) == (
        "the MetaTrial omniglot-1-a was made by an earlier version of MetaSearch, whose trials this version cannot "
        "read; delete its MetaSearch and apply it again"
    )


@pytest.mark.parametrize("stage", [Stage.SEARCH, Stage.FINAL])
def test_a_resource_says_how_many_blocks_its_cell_has(stage: Stage) -> None:
    cell = "conv3x3(-1)+identity(-2) | conv3x3(0)+identity(0)"
    assert spec_of(make_trial_spec(candidate=cell, stage=stage))["blocks"] == 2
    assert "blocks" not in spec_of(make_trial_spec(candidate="Conv4", stage=Stage.BASELINE, round=0))


def test_a_trial_that_nobody_has_touched_has_no_status() -> None:
    """The status has only what the API server fills in."""
    assert trial_of(new_trial(make_trial_spec(), SEARCH)) == make_trial()
    assert status_of(make_trial(), None) == {"state": "Pending", "attempts": [], "stopRequested": False}


def test_a_claim_is_kept_when_the_trial_is_freed() -> None:
    freed = trials.release(trials.claim(make_trial(), "worker", 1.0, 0.0), 2.0, LOST)
    assert status_of(freed, "pod")["claim"] == {"worker": "worker", "podUID": "pod", "epoch": 1}
    assert trial_of(sent(freed)).epoch == 1


def test_a_claim_without_a_pod_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least 1 character"):
        status_of(trials.claim(make_trial(), "worker", 1.0, 0.0), None)


def test_a_result_carries_its_epoch() -> None:
    again = trials.release(trials.claim(make_trial(), "worker", 1.0, 0.0), 2.0, LOST)
    assert status_of(completed(again, make_result()), "pod")["result"]["epoch"] == 2


def test_a_field_of_a_newer_version_is_passed_over() -> None:
    resource = sent(make_trial())
    resource["spec"]["later"] = resource["status"]["later"] = 1
    assert trial_of(resource) == make_trial()


# --- limits -------------------------------------------------------------------------------------------------------


def test_a_message_is_cut_where_it_is_too_long() -> None:
    failed = make_result(state=State.FAILED, reason=Reason.ERROR, message="x" * (MESSAGE_MAX_LENGTH + 1))
    back = trial_of(sent(make_trial(result=failed))).result
    assert back is not None
    assert back.message == "x" * (MESSAGE_MAX_LENGTH - 1) + "…"


def test_the_largest_cell_fits() -> None:
    longest = max(Operation, key=len)
    largest = Cell((block(Branch(-2, longest), Branch(-2, longest)),) * 8)
    assert len(str(largest)) <= ARCHITECTURE_MAX_LENGTH
    spec_of(make_trial_spec(candidate=str(largest)))


def test_the_longest_name_fits() -> None:
    name = trial_name("s" * NAME_MAX_LENGTH, make_trial_spec(round=8), "key", 0)
    assert len(name) <= TRIAL_NAME_MAX_LENGTH


def test_the_longest_curve_fits() -> None:
    curve = tuple(CurvePoint(step, 0.5) for step in range(MAX_CURVE_POINTS))
    trial = make_trial(result=make_result(curve=curve))
    assert trial_of(sent(trial)) == trial


# --- nothing is forgotten -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "model", "elsewhere"),
    [
        (TrialSpec, MetaTrialSpec, {"name"}),
        (Trial, MetaTrialStatus, {"spec", "epoch", "created_at"}),
        (Attempt, AttemptResource, set()),
        (TrialResult, ResultResource, {"state"}),
        (Accuracies, AccuraciesResource, set()),
        (Accuracy, AccuracyResource, set()),
        (CurvePoint, CurvePointResource, set()),
        (Progress, ProgressResource, set()),
        (Threshold, ThresholdResource, set()),
        (PartSeconds, PartSecondsResource, set()),
    ],
)
def test_every_field_of_a_trial_has_its_place(value: type, model: type[BaseModel], elsewhere: set[str]) -> None:
    """The fields in `elsewhere` are kept in the metadata, the spec, the claim or the status."""
    assert {field.name for field in fields(value)} - elsewhere <= set(model.model_fields)


@pytest.mark.parametrize("state", [State.PENDING, State.RUNNING])
def test_a_result_and_a_state_that_do_not_go_together_are_refused(state: State) -> None:
    with pytest.raises(ValidationError, match="must have a result exactly where state is"):
        status_of(replace(make_trial(result=make_result()), state=state), "pod")
