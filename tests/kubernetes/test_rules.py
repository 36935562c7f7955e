"""Bounds and rules of the models, as a run on one machine takes them. The API server's are in tests/cluster."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from model_cases import cases_of, rules_of
from pydantic import ValidationError
from rule_cases import RULE_CASES

from metasearch.api import MetaSearchSpec, SpecModel
from metasearch.kubernetes.search_status import SearchStatus
from metasearch.kubernetes.trial_resource import MetaTrialSpec, MetaTrialStatus

MODELS: list[type[SpecModel]] = [MetaSearchSpec, SearchStatus, MetaTrialSpec, MetaTrialStatus]


def problem(model: type[SpecModel], value: Any) -> str | None:
    try:
        model.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        return str(error)
    return None


@pytest.mark.parametrize("model", MODELS)
def test_a_model_takes_what_is_on_a_bound_and_nothing_beyond(model: type[SpecModel]) -> None:
    judged = [case for case in cases_of(model) if case.is_valid is not None]
    wrong = [f"{case.field}: {case.what}" for case in judged if case.is_valid != (problem(model, case.value) is None)]
    assert judged
    assert not wrong


@pytest.mark.parametrize(("model", "message"), RULE_CASES)
def test_a_rule_refuses_what_breaks_it_and_nothing_else(model: type[SpecModel], message: str) -> None:
    broken, kept = RULE_CASES[model, message]
    for value in broken:
        assert re.search(re.escape(message), problem(model, value) or ""), value
    for value in kept:
        assert problem(model, value) is None, value


def test_every_rule_is_tried() -> None:
    checkable = {(model, rule.message) for each in MODELS for model, rule in rules_of(each) if rule.holds is not None}
    assert checkable == set(RULE_CASES)
