"""Make the tables of docs/reference/metrics.md from the catalogue of metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from metasearch.metrics import of_operator, of_search, of_worker
from metasearch.metrics.model import Metric

SECTIONS: Sequence[tuple[str, str, Sequence[Metric]]] = (
    (
        "Of a search",
        "Computed from what is on record, counters and histograms too: a restart of the operator resets none. "
        f"Each has the labels {' and '.join(f'`{label}`' for label in of_search.SEARCH_LABELS)}, which the tables "
        "leave out; they are gone when the search is gone.",
        of_search.METRICS,
    ),
    ("Of the operator's process", "They begin anew when it does.", of_operator.METRICS),
    (
        "Of a worker",
        "They begin anew with each pod, and what a pod did since the last scrape goes with it: they are for what a "
        "worker does now, and those of a search for what was done and spent. They have the labels of a search, too.",
        of_worker.METRICS,
    ),
)


def sections() -> Iterator[str]:
    """Yield a heading, a paragraph and a table for each group of metrics."""
    for title, paragraph, metrics in SECTIONS:
        yield f"\n## {title}\n\n{paragraph}\n\n| name | type | labels | meaning |\n|---|---|---|---|\n"
        for metric in metrics:
            labels = ", ".join(f"`{label}`" for label in metric.labels if label not in of_search.SEARCH_LABELS)
            yield f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |\n"
