"""Hand-made networks: their texts, their sizes, and the one that matches a found network."""

from __future__ import annotations

import pytest
from builders import make_result
from hypothesis import given
from hypothesis import strategies as st

from metasearch.api import Baseline
from metasearch.errors import InvalidSpec
from metasearch.search.baselines import MOST_FILTERS, HandMade, is_wanted, matched, wanted

IMAGES = {"channels": 1, "side": 28, "ways": 5}
"""Omniglot's, whose 28 pixels four strides of 2 make 14, 7, 4 and then 2."""

# --- sizes --------------------------------------------------------------------------------------------------------


def test_conv4_is_as_large_as_published() -> None:
    """113,221 parameters for Omniglot and 5 ways (Nichol et al. 2018)."""
    assert HandMade().parameter_count(**IMAGES) == 113_221


def test_parameters_counted_by_hand() -> None:
    first, others = 30 * (1 * 9 + 3), 3 * 30 * (30 * 9 + 3)
    assert HandMade(30).parameter_count(**IMAGES) == first + others + 5 * (30 * 2 * 2 + 1) == 25_535


def test_a_pooled_head_reads_one_value_per_filter() -> None:
    assert HandMade(64, is_pooled=True).parameter_count(**IMAGES) == 113_221 - 5 * 64 * (2 * 2 - 1)


def test_colour_and_size_count() -> None:
    """84 pixels become 42, 21, 11, 6."""
    assert HandMade(2).parameter_count(channels=3, side=84, ways=20) == 2 * 30 + 3 * 2 * 21 + 20 * (2 * 36 + 1)


# --- the same size ------------------------------------------------------------------------------------------------

# For f filters, by hand: 12 f + 3 f (9 f + 3) + 5 (4 f + 1) = 27 f² + 41 f + 5.
SIZES = {1: 73, 2: 195, 3: 371, 29: 23_901, 30: 25_535, 31: 27_223}


@pytest.mark.parametrize(
    ("parameters", "filters"),
    [
        pytest.param(25_900, 30, id="Auto-Meta's"),
        pytest.param(25_535, 30, id="exactly"),
        pytest.param(26_379, 30, id="as close to both"),
        pytest.param(26_380, 31, id="closer to the larger"),
        pytest.param(24_718, 29, id="as close to both below"),
        pytest.param(113_221, 64, id="Conv4's own"),
        pytest.param(195, 2, id="small"),
        pytest.param(100, 1, id="smaller"),
        pytest.param(1, 1, id="smaller than any"),
        pytest.param(10**15, MOST_FILTERS, id="larger than any"),
    ],
)
def test_the_number_of_filters_that_comes_closest(parameters: int, filters: int) -> None:
    assert {each: HandMade(each).parameter_count(**IMAGES) for each in SIZES} == SIZES
    assert matched(parameters, **IMAGES) == HandMade(filters)


@given(
    parameters=st.integers(1, 2_000_000),
    channels=st.integers(1, 4),
    side=st.integers(8, 512),
    ways=st.integers(2, 200),
)
def test_no_other_number_of_filters_comes_closer(parameters: int, channels: int, side: int, ways: int) -> None:
    def miss(filters: int) -> int:
        return abs(HandMade(filters).parameter_count(channels, side, ways) - parameters)

    found = matched(parameters, channels, side, ways).filters
    assert found == min(range(1, 300), key=miss)


# --- texts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("Conv4", HandMade(64)),
        ("Conv4-30", HandMade(30)),
        ("Conv4-1", HandMade(1)),
        ("Conv4-99999", HandMade(MOST_FILTERS)),
        ("Conv4Pooled", HandMade(64, is_pooled=True)),
    ],
)
def test_a_text_says_all_of_a_network(text: str, network: HandMade) -> None:
    assert HandMade.parse(text) == network
    assert network.text == text


@pytest.mark.parametrize(
    "text",
    ["", "ResNet", "conv4", "Conv4Matched", "Conv4-0", "Conv4-064", "Conv4-64", "Conv4-100000", "Conv4-x", "Conv4\n"],
)
def test_a_network_has_no_other_text(text: str) -> None:
    with pytest.raises(InvalidSpec, match="is no hand-made network; it must be Conv4, Conv4Pooled, or Conv4- and"):
        HandMade.parse(text)


# --- what is trained ----------------------------------------------------------------------------------------------

ALL = tuple(Baseline)


def texts(baselines: tuple[Baseline, ...], parameters: int = 25_900, **changes: int | None) -> list[str]:
    result = make_result(parameters=parameters, **changes)
    return [network.text for network in wanted(baselines, result, ways=5)]


def test_what_was_asked_for_is_trained_in_that_order() -> None:
    assert texts(ALL) == ["Conv4", "Conv4-30", "Conv4Pooled"]
    assert texts((Baseline.CONV4_POOLED,)) == ["Conv4Pooled"]
    assert texts(()) == []


def test_a_matched_network_that_is_conv4_is_trained_once() -> None:
    assert texts(ALL, parameters=113_000) == ["Conv4", "Conv4Pooled"]
    assert texts((Baseline.CONV4_MATCHED,), parameters=113_000) == ["Conv4"]


@pytest.mark.parametrize("unknown", ["parameter_count", "image_channels", "image_side"])
def test_without_the_size_of_the_found_network_or_of_its_images_none_is_matched(unknown: str) -> None:
    assert texts(ALL, **{unknown: None}) == ["Conv4", "Conv4Pooled"]


@given(parameters=st.integers(1, 10**12), baselines=st.lists(st.sampled_from(ALL), unique=True))
def test_what_is_trained_may_be_trained(parameters: int, baselines: list[Baseline]) -> None:
    assert all(is_wanted(baselines, text) for text in texts(tuple(baselines), parameters=parameters))


@pytest.mark.parametrize(
    ("baselines", "text"),
    [
        ((), "Conv4"),
        ((Baseline.CONV4,), "Conv4-30"),
        ((Baseline.CONV4,), "Conv4Pooled"),
        ((Baseline.CONV4_MATCHED,), "Conv4Pooled"),
        ((Baseline.CONV4_POOLED,), "Conv4"),
        (ALL, "Conv4-64"),
        (ALL, "Conv4Matched"),
        (ALL, "conv3x3(-1)+conv3x3(-1)"),
    ],
)
def test_what_was_not_asked_for_may_not_be_trained(baselines: tuple[Baseline, ...], text: str) -> None:
    assert not is_wanted(baselines, text)
