"""Candidates: one form for equal ones, and nothing lost on the way through a record."""

from __future__ import annotations

import pickle
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from metasearch.api.names import HYPERPARAMETER_PATTERN
from metasearch.errors import InvalidSpec
from metasearch.search.candidates import CHOICE_PATTERN, Candidate, Value
from metasearch.search.space import CellSpace, candidate_key

CELL = "conv3x3(-1)+identity(-2)"

VALUES: st.SearchStrategy[Value] = (
    st.integers(-(10**12) + 1, 10**12 - 1)
    | st.decimals(-1000, 1000, places=9)
    | st.from_regex(CHOICE_PATTERN, fullmatch=True)
)
CANDIDATES = st.builds(
    Candidate, st.just(CELL), st.dictionaries(st.from_regex(HYPERPARAMETER_PATTERN, fullmatch=True), VALUES, max_size=4)
)
json_form = TypeAdapter(Candidate)


def test_a_candidate_without_hyperparameters_is_its_architecture() -> None:
    assert Candidate(CELL).text == str(Candidate(CELL)) == CELL


def test_a_text_shows_hyperparameters_in_order_and_without_exponents() -> None:
    values: dict[str, Value] = {"steps": 5, "rate": Decimal("1E-7"), "optimizer": "adam"}
    assert Candidate(CELL, values).text == f"{CELL}; optimizer=adam, rate=0.0000001, steps=5"


@pytest.mark.parametrize("same", [5, "5", "5.0", Decimal("5.00"), Decimal("0.5E1")])
def test_values_that_are_equal_are_one(same: Value) -> None:
    one, other = Candidate(CELL, {"steps": 5}), Candidate(CELL, {"steps": same})
    assert one == other
    assert hash(one) == hash(other)
    assert one.text == other.text


def test_the_order_in_which_values_are_given_does_not_matter() -> None:
    assert Candidate(CELL, {"a": 1, "b": 2}).text == Candidate(CELL, {"b": 2, "a": 1}).text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", 1),
        ("Rate", 1),
        ("a-b", 1),
        ("rate", ""),
        ("rate", "a, b=1"),
        ("rate", "1e-3"),
        ("rate", True),
        ("rate", Decimal("NaN")),
        ("rate", Decimal("1E-13")),
        ("rate", 10**12),
    ],
)
def test_what_no_record_could_hold_is_refused(name: str, value: Value) -> None:
    with pytest.raises(InvalidSpec, match="hyperparameter"):
        Candidate(CELL, {name: value})


@given(CANDIDATES)
def test_a_candidate_comes_back_from_json_and_from_another_process(candidate: Candidate) -> None:
    assert json_form.validate_json(json_form.dump_json(candidate)) == candidate
    assert pickle.loads(pickle.dumps(candidate)) == candidate  # noqa: S301


@given(CANDIDATES)
def test_a_candidate_comes_back_from_its_texts(candidate: Candidate) -> None:
    again = Candidate(CELL, candidate.texts)
    assert again == candidate
    assert {name: type(value) for name, value in again.hyperparameters.items()} == {
        name: type(value) for name, value in candidate.hyperparameters.items()
    }


def test_a_key_knows_renumbered_cells_and_hyperparameters() -> None:
    space = CellSpace(("conv3x3", "identity"), 2)
    one = "conv3x3(-1)+identity(-2) | identity(-1)+identity(-1)"
    other = "identity(-1)+identity(-1) | identity(-2)+conv3x3(-1)"
    assert candidate_key(space, Candidate(one)) == candidate_key(space, Candidate(other))
    assert candidate_key(space, Candidate(one, {"steps": 5})) == candidate_key(space, Candidate(other, {"steps": 5}))
    keys = {candidate_key(space, Candidate(one, {"steps": steps} if steps else {})) for steps in (0, 5, 6)}
    assert len(keys) == 3
