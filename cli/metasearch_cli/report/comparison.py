"""The values of a comparison of several searches. Nothing is drawn or put into words here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from metasearch.errors import InvalidSpec
from metasearch.outcome.figures import FoundNetwork
from metasearch.outcome.results import SearchResult
from metasearch.outcome.timeline import Timeline, timeline
from metasearch.search.trials import NORMAL_95, Trial
from metasearch_cli.report import series
from metasearch_cli.report.canvas import SEARCH_COLOURS

MOST_SEARCHES = SEARCH_COLOURS
"""The number of lines in a chart that can be told apart."""

ACCURACY_FIELDS = (
    "dataset.name",
    "dataset.folder.path",
    "dataset.folder.claim",
    "dataset.folder.split",
    "task.ways",
    "task.shots",
)
"""The fields of a spec by which two test accuracies are of the same tasks."""

SCORE_FIELDS = (
    *ACCURACY_FIELDS,
    "evaluation.split",
    "evaluation.score",
    "evaluation.classification",
    "evaluation.folds",
    "evaluation.shifts",
    "training.metaIterations",
)
"""The fields of a spec by which two scores of search trials are of the same kind, and of trainings equally long."""

UNSET = None
"""The value of a field that a spec does not have."""


@dataclass(frozen=True)
class Point:
    """The progress of a search at the end of one of its trials."""

    trials: int
    """Search trials that are over by then."""
    seconds: float
    """Since the first trial was proposed, times without workers left out."""
    best: float
    """The best score of a whole training so far, in [0, 1]."""
    interval: float
    """The half-width of its 95% interval; 0 where that is not known."""


@dataclass(frozen=True)
class Compared:
    """A search among others."""

    label: str
    """The search's name, and where others have it too, where it was found."""
    result: SearchResult
    trials: Sequence[Trial]
    timeline: Timeline | None
    """None where no trial has begun."""
    progress: tuple[Point, ...]
    """A point for each search trial that is over since the first whole training was; empty without one."""
    fields: Mapping[str, str]
    """The spec, defaults filled in: the values, as text, by the fields' dotted names."""

    @property
    def delivered(self) -> FoundNetwork[float] | None:
        return self.result.delivered

    @property
    def best_since(self) -> Point | None:
        """The point at which the best score was reached."""
        return next((point for point in self.progress if point.best == self.progress[-1].best), None)


def compared(searches: Sequence[tuple[str, SearchResult, Sequence[Trial]]]) -> list[Compared]:
    """
    Return searches ready to be compared.

    Args:
        searches: of each, how the user named it, its result and every trial on record.

    Raises:
        InvalidSpec: a search is there twice, or there are too many.
    """
    if len(searches) > MOST_SEARCHES:
        raise InvalidSpec(f"a report compares {MOST_SEARCHES} searches at most, not {len(searches)}; leave some out")
    _require_different((subject, result) for subject, result, _ in searches)
    names = Counter(result.search.name for _, result, _ in searches)
    return [
        _compared(
            result.search.name if names[result.search.name] == 1 else f"{result.search.name} ({subject})",
            result,
            sorted(trials, key=lambda trial: trial.name),  # a store may hand them in any order
        )
        for subject, result, trials in searches
    ]


def differing(searches: Iterable[Compared], fields: Iterable[str]) -> list[str]:
    """Return the fields that do not have the same value in all searches."""
    listed = list(searches)
    return [field for field in fields if len({each.fields.get(field, UNSET) for each in listed}) > 1]


def every_difference(searches: Sequence[Compared]) -> list[str]:
    """Return all fields in which the specs differ, in the order of a spec."""
    fields = dict.fromkeys(field for each in searches for field in each.fields)
    return differing(searches, fields)


# --- parts --------------------------------------------------------------------------------------------------------


def _require_different(searches: Iterable[tuple[str, SearchResult]]) -> None:
    seen: dict[tuple[str, float], str] = {}
    for subject, result in searches:
        # No two searches of one name begin in the same microsecond, and a copied folder holds the same search.
        key = result.search.name, result.search.started_at
        if key in seen:
            which = subject if subject == seen[key] else f"{seen[key]} and {subject}"
            raise InvalidSpec(f"the same search is given twice ({which}); name each search once")
        seen[key] = subject


def _compared(label: str, result: SearchResult, trials: Sequence[Trial]) -> Compared:
    found = timeline(trials, result.search.seen_at)
    progress = [
        Point(each.place, found.seconds_until(each.ended_at), each.best, NORMAL_95 * (each.best_error or 0.0))
        for each in series.ended_in_order(trials)
        if found is not None and each.best is not None
    ]
    spec = result.search.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    return Compared(label, result, trials, found, tuple(progress), dict(_flat(spec)))


def _flat(value: object, name: str = "") -> Iterable[tuple[str, str]]:
    """Yield the dotted names of the fields of a spec, as a YAML file has them, with their values as text."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _flat(each, f"{name}.{key}".lstrip("."))
    elif isinstance(value, list) and not any(isinstance(each, dict | list) for each in value):
        yield name, ", ".join(map(str, value)) or "none"
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _flat(each, f"{name}[{index}]")
    else:
        yield name, str(value).lower() if isinstance(value, bool) else str(value)
