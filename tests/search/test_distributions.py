"""Distributions: bounds, the spread of what is drawn, and the way back from a value to its place."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from math import exp, log
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metasearch.api import Hyperparameter, MetaLearning, Training
from metasearch.search.candidates import Candidate, Value
from metasearch.search.distributions import Distribution, distribution_of

PLACES = (np.arange(10_000) + 0.5) / 10_000


def made(name: str, distribution: str, learner: str = "Reptile", **fields: Any) -> Distribution:
    hyperparameter = Hyperparameter.model_validate({"name": name, "distribution": distribution, **fields})
    return distribution_of(hyperparameter, MetaLearning(meta_learner=learner))


def rate(distribution: str, minimum: str, maximum: str, **fields: Any) -> Distribution:
    return made("innerLearningRate", distribution, minimum=minimum, maximum=maximum, **fields)


def filters(distribution: str, minimum: int, maximum: int, **fields: Any) -> Distribution:
    return made("filters", distribution, minimum=minimum, maximum=maximum, **fields)


OF_EVERY_KIND = {
    "uniform": rate("Uniform", "0.1", "0.9"),
    "uniform, whole": filters("Uniform", 3, 12),
    "narrow": rate("Uniform", "0.1234", "0.1236"),
    "linear": rate("Linear", "0.1", "0.9", steps=3),
    "linear, whole": filters("Linear", 4, 64, steps=4),
    "logarithmic": rate("LogUniform", "0.0001", "0.1"),
    "logarithmic, whole": filters("LogUniform", 1, 512),
    "exponential": rate("Exponential", "0.1", "0.9", scale="0.2"),
    "exponential, whole": filters("Exponential", 4, 64, scale=8),
    "even": made("population", "Uniform", "Evolution", minimum=2, maximum=10),
    "choice": made("optimizerState", "Choice", values=["Kept", "Fresh"]),
    "choice of three": made("filters", "Choice", values=[4, 8, 16]),
    "fixed": made("filters", "Fixed", value=7),
}
every_kind = pytest.mark.parametrize("distribution", OF_EVERY_KIND.values(), ids=OF_EVERY_KIND)


# --- what is drawn ---


@every_kind
@given(place=st.floats(0, 1))
def test_what_is_drawn_can_be_drawn_and_is_recorded_in_few_characters(distribution: Distribution, place: float) -> None:
    value = distribution.at(place)
    assert distribution.has(value)
    recorded = Candidate("a", {"x": value})
    assert recorded.hyperparameters["x"] == value
    assert len(recorded.texts["x"]) <= 8
    assert distribution.at(place) == value


@pytest.mark.parametrize(
    ("distribution", "lowest", "highest"),
    [
        (rate("Uniform", "0.1", "0.9"), Decimal("0.1"), Decimal("0.9")),
        (rate("LogUniform", "0.00123456", "0.123456"), Decimal("0.00123456"), Decimal("0.123456")),
        (rate("Exponential", "0.1", "0.9", scale="0.01"), Decimal("0.1"), Decimal("0.9")),
        (rate("Linear", "0.1", "0.9", steps=7), Decimal("0.1"), Decimal("0.9")),
        (filters("Uniform", 3, 12), 3, 12),
        (filters("LogUniform", 1, 512), 1, 512),
        (filters("Exponential", 4, 64, scale=8), 4, 64),
        (made("population", "Uniform", "Evolution", minimum=2, maximum=10), 2, 10),
    ],
)
def test_both_ends_are_reached_and_never_passed(distribution: Distribution, lowest: Value, highest: Value) -> None:
    assert (distribution.at(0.0), distribution.at(1.0)) == (lowest, highest)


def quantiles(distribution: Distribution, *shares: float) -> list[float]:
    drawn = [float(distribution.at(place)) for place in PLACES.tolist()]
    return [float(each) for each in np.quantile(drawn, shares)]


def test_uniform_numbers_spread_evenly() -> None:
    assert quantiles(rate("Uniform", "0.1", "0.9"), 0.25, 0.5, 0.75) == pytest.approx([0.3, 0.5, 0.7], abs=2e-3)


def test_logarithms_of_log_uniform_numbers_spread_evenly() -> None:
    found = quantiles(rate("LogUniform", "0.0001", "0.1"), 1 / 3, 0.5, 2 / 3)
    assert found == pytest.approx([1e-3, 10**-2.5, 1e-2], rel=5e-3)


def test_exponential_numbers_get_rare_by_scale_and_are_cut_off() -> None:
    """The share below x is (1 - e^(-x / scale)) / (1 - e^(-length / scale))."""
    distribution = rate("Exponential", "0.1", "0.9", scale="0.2")
    drawn = np.array([float(distribution.at(place)) for place in PLACES.tolist()])
    for number in (0.2, 0.3, 0.5, 0.8):
        expected = (1 - exp(-(number - 0.1) / 0.2)) / (1 - exp(-0.8 / 0.2))
        assert np.mean(drawn < number) == pytest.approx(expected, abs=3e-3)


def test_linear_numbers_are_equal_steps_equally_often() -> None:
    counts = Counter(filters("Linear", 4, 64, steps=4).at(place) for place in PLACES.tolist())
    assert counts == dict.fromkeys((4, 19, 34, 49, 64), 2000)
    assert {rate("Linear", "0.1", "0.9", steps=3).at(place) for place in PLACES.tolist()} == {
        *map(Decimal, ("0.1", "0.367", "0.633", "0.9"))
    }


def test_each_whole_number_is_as_likely() -> None:
    counts = Counter(filters("Uniform", 3, 12).at(place) for place in PLACES.tolist())
    assert counts == dict.fromkeys(range(3, 13), 1000)


def test_whole_numbers_of_a_log_uniform_range_are_as_likely_as_their_share() -> None:
    counts = Counter(filters("LogUniform", 4, 7).at(place) for place in PLACES.tolist())
    for number in range(4, 8):
        assert counts[number] == pytest.approx(10_000 * log((number + 1) / number) / log(8 / 4), abs=2)


def test_numbers_stay_multiples_where_a_field_asks_for_them() -> None:
    drawn = {made("population", "Uniform", "Evolution", minimum=2, maximum=10).at(place) for place in PLACES.tolist()}
    assert drawn == {2, 4, 6, 8, 10}


def test_numbers_close_together_are_told_apart() -> None:
    assert len({rate("Uniform", "0.1234", "0.1236").at(place) for place in PLACES.tolist()}) > 100


def test_choices_are_equally_likely() -> None:
    counts = Counter(made("filters", "Choice", values=[4, 8, 16]).at(place) for place in PLACES.tolist())
    assert sorted(counts) == [4, 8, 16]
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize(("minimum", "maximum", "kinds"), [(1, 5, {int}), ("0.5", 5, {int, Decimal})])
def test_options_of_a_packages_learner_are_whole_where_both_ends_are(
    minimum: Any, maximum: Any, kinds: set[type]
) -> None:
    distribution = made("depth", "Uniform", "OfAPackage", minimum=minimum, maximum=maximum)
    assert {type(distribution.at(place)) for place in PLACES.tolist()} == kinds


def test_decimals_of_a_field_are_not_made_whole() -> None:
    distribution = made("averaging", "Choice", values=["0.5", "0"])
    assert {distribution.at(place) for place in (0.1, 0.9)} == {Decimal("0.5"), 0}
    whole_ends = distribution_of(
        Hyperparameter.model_validate(
            {"name": "innerLearningRate", "distribution": "Uniform", "minimum": 1, "maximum": 5}
        ),
        Training.model_validate({"metaLearner": "FOMAML"}),
    )
    assert whole_ends.at(0.3) == Decimal("2.2")


# --- the way back ---


@every_kind
def test_coordinates_rise_with_the_place_and_lie_within_0_and_1(distribution: Distribution) -> None:
    rows = [distribution.coordinates(distribution.at(place)) for place in PLACES[::50].tolist()]
    assert {len(row) for row in rows} == {distribution.columns}
    assert all(0 <= number <= 1 for row in rows for number in row)
    if distribution.columns == 1:
        assert rows == sorted(rows)


@pytest.mark.parametrize("name", ["uniform", "logarithmic", "exponential"])
def test_coordinates_are_places(name: str) -> None:
    distribution = OF_EVERY_KIND[name]
    for place in (0.1, 0.5, 0.9):
        assert distribution.coordinates(distribution.at(place))[0] == pytest.approx(place, abs=0.01)


def test_choices_have_a_column_each_and_two_of_them_one_together() -> None:
    three = made("filters", "Choice", values=[4, 8, 16])
    assert [three.coordinates(value) for value in (4, 8, 16)] == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    two = made("optimizerState", "Choice", values=["Kept", "Fresh"])
    assert [two.coordinates(value) for value in ("Kept", "Fresh")] == [(0,), (1,)]
    assert made("filters", "Fixed", value=7).coordinates(7) == ()


# --- neighbours ---


@every_kind
@given(place=st.floats(0, 1))
def test_neighbours_can_be_drawn_and_differ(distribution: Distribution, place: float) -> None:
    value = distribution.at(place)
    neighbours = distribution.neighbours(value)
    assert value not in neighbours
    assert len(set(neighbours)) == len(neighbours)
    assert all(map(distribution.has, neighbours))
    assert neighbours or distribution is OF_EVERY_KIND["fixed"]


@pytest.mark.parametrize(
    ("distribution", "value", "expected"),
    [
        (filters("Uniform", 3, 12), 5, [4, 6]),
        (filters("Uniform", 3, 12), 3, [4]),
        (filters("Uniform", 1, 100), 50, [40, 60]),
        (filters("LogUniform", 1, 1023), 1, [2]),
        (filters("Linear", 4, 64, steps=4), 34, [19, 49]),
        (filters("Linear", 4, 64, steps=4), 64, [49]),
        (rate("Uniform", "0", "1"), Decimal("0.5"), [Decimal("0.4"), Decimal("0.6")]),
        (rate("LogUniform", "0.0001", "1"), Decimal("0.01"), [Decimal("0.00398"), Decimal("0.0251")]),
        (rate("Uniform", "0", "1"), 1, [Decimal("0.9")]),
        (made("filters", "Choice", values=[4, 8, 16]), 8, [4, 16]),
        (made("population", "Uniform", "Evolution", minimum=2, maximum=10), 4, [2, 6]),
        (made("filters", "Fixed", value=7), 7, []),
    ],
)
def test_neighbours_are_the_next_steps_or_the_other_choices(
    distribution: Distribution, value: Value, expected: list[Value]
) -> None:
    assert list(distribution.neighbours(value)) == expected


@every_kind
def test_what_is_out_of_bounds_cannot_be_drawn(distribution: Distribution) -> None:
    for value in (-1, 1000, Decimal("3.5"), "Other"):
        assert not distribution.has(value)
