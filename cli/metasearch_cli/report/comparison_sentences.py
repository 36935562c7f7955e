"""Put into words what a comparison of searches shows, and claim no difference that is within its interval."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from metasearch.outcome.figures import FoundNetwork
from metasearch_cli.report.comparison import ACCURACY_FIELDS, SCORE_FIELDS, Compared, differing
from metasearch_cli.report.formats import SPACE, percent_with_interval, plural, points
from metasearch_cli.report.notices import Importance, Notice


def verdict(searches: Sequence[Compared]) -> str:
    """Say which search delivered the most accurate network, if that can be said."""
    found = [(each, each.delivered) for each in searches]
    delivered = [(each, network) for each, network in found if network is not None]
    if not delivered:
        return "None of the searches has delivered a network yet, so there are only their scores to compare."
    if len(delivered) == 1:
        each, network = delivered[0]
        return f"Only {each.label} has delivered a network: {_accuracy(network)}."
    if fields := differing([each for each, _ in delivered], ACCURACY_FIELDS):
        return (
            f"The delivered networks solve different tasks ({_listed(fields)} {_differ(fields)}), so their accuracies "
            "are not compared."
        )
    delivered.sort(key=lambda pair: -pair[1].non_transductive.accuracy)
    return _most_accurate(delivered) + _one_seed(delivered)


def _most_accurate(delivered: Sequence[tuple[Compared, FoundNetwork[float]]]) -> str:
    """Say which of several networks is the most accurate; they are sorted so."""
    (first, best), *others = delivered
    near = [each.label for each, network in others if not _is_settled(best, network)]
    if near:
        highest = [each.label for each, network in delivered if network.non_transductive == best.non_transductive]
        behind = [label for label in near if label not in highest]
        return (
            f"The {'network' if len(highest) == 1 else 'networks'} of {_listed(highest)} measured highest, "
            f"{_accuracy(best)}"
            + (
                f", but {_listed(behind)} {_is(behind)} within the 95{SPACE}% interval of the difference"
                if behind
                else ""
            )
            + ": which is more accurate is not settled."
        )
    second, network = others[0]
    difference = best.non_transductive.accuracy - network.non_transductive.accuracy
    return (
        f"{first.label} delivered the most accurate network, {_accuracy(best)}. Next is {second.label} with "
        f"{_accuracy(network)}; the difference of {points(difference)} is larger than its 95{SPACE}% interval of "
        f"±{SPACE}{100 * _interval(best, network):.1f}."
    )


def notices(searches: Sequence[Compared]) -> Iterator[Notice]:
    """Yield the notices without which a reader might take the figures for more than they are."""
    if fields := differing(searches, SCORE_FIELDS):
        text = (
            f"{_listed(fields)} {_differ(fields)}. Each line of the charts says how its own search went; do not "
            "compare their heights."
        )
        yield Notice(Importance.WARNING, "The scores are of different kinds.", text)
    if empty := [each.label for each in searches if not each.progress]:
        text = f"{_listed(empty)} {'has' if len(empty) == 1 else 'have'} no line in the charts."
        yield Notice(Importance.PLAIN, "No whole training has ended there.", text)
    if under_way := [each.label for each in searches if not each.result.search.phase.is_over]:
        text = f"{_listed(under_way)} {_is(under_way)} shown as of the last record."
        yield Notice(Importance.PLAIN, "Under way.", text)
    devices = {each.result.search.devices for each in searches if each.result.search.devices}
    if len(devices) > 1:
        text = "Seconds say as much about these as about the searches; compare progress by trials."
        yield Notice(Importance.WARNING, "They ran on different devices.", text)


def _accuracy(network: FoundNetwork[float]) -> str:
    measured = network.non_transductive
    return f"{percent_with_interval(measured.accuracy, measured.interval)} right (queries alone, test classes)"


def _interval(one: FoundNetwork[float], other: FoundNetwork[float]) -> float:
    """Return the half-width of the 95% interval of the difference of two accuracies."""
    # The errors of two independent means add up in squares.
    return math.hypot(one.non_transductive.interval, other.non_transductive.interval)


def _is_settled(one: FoundNetwork[float], other: FoundNetwork[float]) -> bool:
    return abs(one.non_transductive.accuracy - other.non_transductive.accuracy) > _interval(one, other)


def _one_seed(delivered: Sequence[tuple[Compared, FoundNetwork[float]]]) -> str:
    if min(network.seeds for _, network in delivered) > 1:
        return ""
    return " With one seed, an interval says nothing of how much training itself varies."


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _differ(fields: Sequence[str]) -> str:
    return "differs" if len(fields) == 1 else "differ"


def _listed(names: Sequence[str]) -> str:
    """Join names as a sentence does: a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def title(searches: Sequence[Compared]) -> str:
    return _listed([each.label for each in searches])


def subtitle(searches: Sequence[Compared]) -> str:
    trials = sum(each.result.trials.total for each in searches)
    return f"{number_of(len(searches))}, {plural(trials, 'trial')} in all"


def number_of(searches: int) -> str:
    return f"{searches}{SPACE}{'search' if searches == 1 else 'searches'}"
