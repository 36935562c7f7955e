"""The names of metrics follow Prometheus' conventions."""

from __future__ import annotations

import re

import pytest

from metasearch.metrics.catalogue import METRICS
from metasearch.metrics.model import Histogram, Kind, Metric, Unit


def test_names_are_unique_and_have_the_prefix() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names) > 30
    assert all(re.fullmatch(r"metasearch(_[a-z]+)+", name) for name in names)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_help_is_a_sentence_and_labels_are_words(metric: Metric) -> None:
    assert metric.help[0].isupper() or metric.help[0].isdigit()
    assert metric.help.endswith(".")
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", label) for label in metric.labels)
    assert not {"trial", "worker", "pod", "cell"} & set(metric.labels)
    assert list(metric.buckets) == sorted(set(metric.buckets))


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "metasearch_things", "kind": Kind.COUNTER},
        {"name": "metasearch_things_total", "kind": Kind.GAUGE},
        {"name": "metasearch_time", "kind": Kind.GAUGE, "unit": Unit.SECONDS},
        {"name": "metasearch_seconds", "kind": Kind.HISTOGRAM},
    ],
)
def test_a_name_against_the_conventions_is_an_error(fields: dict[str, object]) -> None:
    with pytest.raises(AssertionError, match=str(fields["name"])):
        Metric(help="A sentence.", **fields)  # type: ignore[arg-type]


def test_a_histogram_counts_what_is_not_above_its_bounds() -> None:
    assert Histogram.of([0.5, 1.0, 1.5, 99.0], (1.0, 2.0)) == Histogram((2, 3, 4), 102.0)
    assert Histogram.of([], (1.0, 2.0)) == Histogram((0, 0, 0), 0.0)
