"""Notices for the top of the report, and the one that says whether the search was worth it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from metasearch.outcome.figures import FinalNetwork
from metasearch.outcome.results import Comparison, SearchResult
from metasearch_cli.report.formats import SPACE, percent, points, share_of

AIMED_RATIO = 0.25
"""The share of the parameters of a larger baseline up to which a found network counts as small."""


class Importance(StrEnum):
    """The importance of a notice, which decides its colour."""

    GOOD = "good"
    PLAIN = "plain"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True)
class Notice:
    """A thing to know of the search, in a few words and then in full."""

    importance: Importance
    heading: str
    text: str


def question(comparison: Comparison) -> str:
    """Return the question that `compare` answers."""
    asked = f"Is the found network at least as accurate as {comparison.baseline}"
    if comparison.same_size:
        return f"{asked}, the best hand-made network of about its size?"
    return f"{asked}, with at most a quarter of its parameters?"


def compare(result: SearchResult) -> Notice | None:
    """Compare the delivered network with the baseline that it is to beat; None until both are trained in full."""
    comparison, baseline = result.comparison, result.compared
    if comparison is None or result.delivered is None or baseline is None:
        return None
    is_small = comparison.same_size or comparison.parameter_ratio <= AIMED_RATIO
    is_accurate = comparison.accuracy_difference >= 0
    interval = _interval(result.delivered, baseline)
    is_settled = abs(comparison.accuracy_difference) > interval
    compared = f"{_size(comparison)}, {'and' if is_small == is_accurate else 'but'} is"
    certainty = _certainty(is_settled, interval, min(result.delivered.seeds, baseline.seeds))
    text = f"{compared} {_accuracy(comparison)}. {certainty}"
    # A heading says no more than the sentences below it: a difference within its interval answers nothing.
    if is_small and not is_settled:
        return Notice(Importance.PLAIN, "Not settled.", text)
    if is_small and is_accurate:
        return Notice(Importance.GOOD, "Yes.", text)
    return Notice(Importance.WARNING, "No.", text)


def _size(comparison: Comparison) -> str:
    ratio = comparison.parameter_ratio
    if comparison.same_size:
        return f"It has {percent(ratio)} of {comparison.baseline}’s parameters"
    if ratio > 1:
        return f"It has {share_of(ratio)} as many parameters as {comparison.baseline}"
    too_many = ", more than a quarter" if ratio > AIMED_RATIO else ""
    return f"It has {share_of(ratio)} of {comparison.baseline}’s parameters{too_many}"


def _accuracy(comparison: Comparison) -> str:
    difference = comparison.accuracy_difference
    if difference == 0:
        return "exactly as accurate"
    return f"{points(difference)} {'more' if difference > 0 else 'less'} accurate (queries alone)"


def _interval(delivered: FinalNetwork[float], baseline: FinalNetwork[float]) -> float:
    """Return the half width of the 95% interval of the difference of two accuracies."""
    # The errors of two independent means add up in squares.
    return math.hypot(delivered.non_transductive.interval, baseline.non_transductive.interval)


def _certainty(is_settled: bool, interval: float, seeds: int) -> str:
    """Say what the 95% intervals mean for the difference; `seeds` is the smaller number of the two networks'."""
    bounds = f"its 95{SPACE}% interval of ±{SPACE}{100 * interval:.1f} points"
    if not is_settled:
        text = f"The difference is within {bounds}, so which of the two is more accurate is not settled."
    else:
        text = f"The difference is larger than {bounds}."
    if seeds == 1:
        text += " With one seed, that interval says nothing of how much training itself varies."
    return text
