"""Every reason that programs and people may meet is explained, and every constant is what the pages say."""

from __future__ import annotations

import importlib
import pkgutil
import re
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from builders import STARTED, make_spec

import metasearch_operator
from metasearch import cluster
from metasearch.retry import Backoff
from metasearch.search.budget import Limit
from metasearch.search.planner import Phase, Plan
from metasearch_operator import conditions as conditions_module
from metasearch_operator.conditions import Situation, compute_conditions
from metasearch_operator.diagnosis import EXIT_REASONS
from metasearch_operator.reasons import EndReason, EventReason, ExhaustedReason, ReadyReason, SuspendedReason

PAGE = (Path(__file__).parents[2] / "docs/reference/conditions.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))

REASONS: dict[str, type[StrEnum]] = {
    "Ready": ReadyReason,
    "Succeeded and Failed": EndReason,
    "Suspended": SuspendedReason,
    "BudgetExhausted": ExhaustedReason,
    "Events": EventReason,
}
"""The enums of reasons, by the section of the page that explains them."""


def explained_in(section: str) -> set[str]:
    """Return the reasons that a section's table has."""
    return set(re.findall(r"^\| `([A-Za-z]+)` \|", SECTIONS[section], re.MULTILINE))


@pytest.mark.parametrize("section", REASONS)
def test_the_page_has_every_reason_and_no_other(section: str) -> None:
    assert explained_in(section) == {str(reason) for reason in REASONS[section]}


def test_every_reason_that_a_person_has_to_act_on_says_how() -> None:
    rows = re.findall(r"^\| `\w+` \|(.*)\|(.*)\|$", SECTIONS["Ready"], re.MULTILINE)
    assert len(rows) == len(ReadyReason)
    assert all(meaning.strip() and advice.strip() for meaning, advice in rows)


def test_the_page_has_every_condition() -> None:
    situation = Situation(make_spec(), Plan(Phase.SEARCHING), workers=1, trials_running=1, problem=None, remarks=())
    said = {condition.type for condition in compute_conditions(situation, (), 1, STARTED)}
    assert set(re.findall(r"^\| `([A-Za-z]+)` \|", SECTIONS["Conditions"], re.MULTILINE)) == said


def test_reasons_follow_what_they_are_of() -> None:
    assert {str(phase) for phase in Phase} <= set(ReadyReason)
    assert {limit[0].upper() + limit[1:] for limit in Limit} == set(ExhaustedReason) - {ExhaustedReason.WITHIN_BUDGET}
    assert set(EXIT_REASONS.values()) <= set(ReadyReason)


def test_no_reason_is_spelled_out_elsewhere() -> None:
    """A reason outside of `reasons` would not be compared with the page."""
    folder = Path(conditions_module.__file__).parent
    spelled = re.compile("|".join(rf'"{reason}"' for reasons in REASONS.values() for reason in reasons))
    allowed = {"reasons.py": True}
    found = {
        f"{path.name}: {word}"
        for path in folder.glob("*.py")
        if path.name not in allowed
        for word in spelled.findall(path.read_text(encoding="utf-8"))
    }
    types = {f'conditions.py: "{name}"' for name in ("Succeeded", "Failed", "Suspended", "BudgetExhausted")}
    phases_of_pods = {
        f'{name}.py: "{phase}"' for name in ("lost_workers", "cache") for phase in ("Succeeded", "Failed")
    }
    assert found <= types | phases_of_pods


# --- constants ----------------------------------------------------------------------------------------------------

OPERATOR = (Path(__file__).parents[2] / "docs/operator.md").read_text(encoding="utf-8")
CONSTANTS: dict[str, str] = dict(re.findall(r"^\| `([a-z_.]+\.[A-Z_]+)` \| ([0-9., ]+) \|", OPERATOR, re.MULTILINE))


def value_of(constant: str) -> Any:
    module, _, name = constant.rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("constant", CONSTANTS)
def test_a_constant_is_what_the_page_says(constant: str) -> None:
    value = value_of(constant)
    if isinstance(value, Backoff):
        assert (value.factor, value.jitter) == (2.0, 0.0)
        value = (value.first, value.longest)
    values = value if isinstance(value, tuple) else (value,)
    assert tuple(map(float, CONSTANTS[constant].split(","))) == tuple(map(float, values))


def test_the_page_has_every_length_of_time() -> None:
    for package in (metasearch_operator, cluster):
        for found in pkgutil.iter_modules(package.__path__):
            text = (Path(package.__path__[0]) / f"{found.name}.py").read_text(encoding="utf-8")
            names = re.findall(r"^([A-Z_]+_(?:SECONDS|BACKOFF)) = ", text, re.MULTILINE)
            assert {f"{package.__name__}.{found.name}.{name}" for name in names} <= CONSTANTS.keys()
