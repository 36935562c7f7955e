"""The form of a dashboard; nothing here knows Grafana's JSON or a query language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum

GRID_COLUMNS = 24
"""Columns of the grid that panels lie on, as Grafana has them."""


class PanelKind(StrEnum):
    """The way in which a panel shows its data; the values are Grafana's names of its plugins."""

    STAT = "stat"
    TIME_SERIES = "timeseries"
    TABLE = "table"
    BAR_GAUGE = "bargauge"
    STATE_TIMELINE = "state-timeline"
    HEATMAP = "heatmap"

    @property
    def shows_present_only(self) -> bool:
        """True for a kind that shows the latest value, not a time."""
        return self in (PanelKind.STAT, PanelKind.TABLE, PanelKind.BAR_GAUGE)


class DisplayUnit(StrEnum):
    """The unit that values are shown in; the values are Grafana's names of units."""

    NUMBER = "none"
    COUNT = "short"
    """With K and Mil for large numbers."""
    SHARE = "percentunit"
    """A share from 0 to 1, shown as a percentage."""
    SECONDS = "s"
    BYTES = "bytes"
    PER_SECOND = "suffix:/s"
    REQUESTS_PER_SECOND = "reqps"
    META_ITERATIONS_PER_SECOND = "suffix:it/s"
    CORES = "suffix:cores"
    GPUS = "suffix:GPUs"
    MOMENT = "dateTimeAsIso"
    """A Unix time in milliseconds, shown as date and time."""


class Colour(StrEnum):
    """A colour by Grafana's name, which has a shade for light pages and one for dark ones."""

    GREEN = "green"
    YELLOW = "yellow"
    ORANGE = "orange"
    RED = "red"
    BLUE = "blue"
    PURPLE = "purple"
    GREY = "text"


class SearchState(Enum):
    """The situations in which every query is tried."""

    NO_SEARCH = "no search"
    RUNNING = "running"
    FAILED = "failed"
    FINISHED = "finished"


States = frozenset[SearchState]

NEVER: States = frozenset()
BEFORE_A_SEARCH: States = frozenset({SearchState.NO_SEARCH})
UNLESS_RUNNING: States = frozenset(SearchState) - {SearchState.RUNNING}
UNLESS_FINISHED: States = frozenset(SearchState) - {SearchState.FINISHED}


@dataclass(frozen=True)
class Query:
    """An expression in PromQL, with variables, and the name of the series that it gives."""

    expression: str
    legend: str = ""
    """`{{label}}` stands for the value of a label."""
    empty_in: States = BEFORE_A_SEARCH
    """The situations in which it gives no series, or only such as have no value."""


@dataclass(frozen=True)
class Text:
    """A text for a value, and its colour."""

    value: str
    """A number or a label's value, as text."""
    text: str
    colour: Colour


@dataclass(frozen=True)
class Column:
    """A column of a table, which has a row for each combination of labels that all its queries share."""

    title: str
    query: Query | None = None
    """None for a label that all queries share."""
    label: str | None = None
    """The label to show; None shows the query's value."""
    unit: DisplayUnit = DisplayUnit.NUMBER
    decimals: int | None = None
    width: int | None = None
    """In pixels; None shares what others leave."""
    texts: Sequence[Text] = ()
    link: str | None = None
    """The address of another dashboard, with Grafana's variables for the cells of the row."""

    def __post_init__(self) -> None:
        assert self.query or self.label, f"{self.title}: a column shows a value or a label"


@dataclass(frozen=True)
class Panel:
    """A panel with everything that is the same in Grafana and in a picture."""

    title: str
    description: str
    """Sentences that say what it tells, and what to make of it."""
    kind: PanelKind
    unit: DisplayUnit
    queries: Sequence[Query]
    """Those of a table are its columns'."""
    no_value: str
    """The text that stands where there is no data."""
    width: int
    """In columns of the grid."""
    height: int
    """In rows of the grid."""
    decimals: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    is_stacked: bool = False
    shows_names: bool = False
    """True for a stat that shows the names of its series in place of their values."""
    thresholds: Sequence[tuple[float, Colour]] = ()
    """Values from which on a colour holds, ascending; below the first it is the colour of the kind."""
    texts: Sequence[Text] = ()
    columns: Sequence[Column] = ()
    sort_column: str | None = None
    """The title of the column that a table is sorted by."""
    is_descending: bool = False

    @property
    def all_queries(self) -> Sequence[Query]:
        """Its queries, a table's those of its columns, each once."""
        return list(dict.fromkeys([*self.queries, *(each.query for each in self.columns if each.query)]))

    def __post_init__(self) -> None:
        assert bool(self.columns) == (self.kind is PanelKind.TABLE), f"{self.title}: a table has columns"
        assert not (self.columns and self.queries), f"{self.title}: a table has the queries of its columns"
        assert 0 < self.width <= GRID_COLUMNS, f"{self.title}: a panel fits the grid"


@dataclass(frozen=True)
class Row:
    """Panels under a common title."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Variable:
    """A choice at the top of a dashboard, of the values of a label."""

    name: str
    label: str
    """The text in front of it."""
    query: str
    """The series whose labels are offered."""
    of_label: str
    """The label whose values are offered."""
    all_value: str | None = None
    """A regular expression that stands for all; None where exactly one value is to be chosen."""

    @property
    def is_multiple(self) -> bool:
        """True where several values may be chosen, which Grafana then writes as a regular expression."""
        return self.all_value is not None


@dataclass(frozen=True)
class Dashboard:
    """A dashboard."""

    uid: str
    """Grafana's name for it, which addresses hold; also the name of its file."""
    title: str
    description: str
    variables: Sequence[Variable]
    rows: Sequence[Row]

    @property
    def panels(self) -> Iterator[Panel]:
        """All panels, in order."""
        return (panel for row in self.rows for panel in row.panels)


@dataclass(frozen=True)
class Place:
    """A place on the grid, in columns and rows from the top left."""

    x: int
    y: int
    width: int
    height: int


def places(dashboard: Dashboard) -> Iterator[tuple[Row | Panel, Place]]:
    """Yield the places of titles and panels: from left to right, and below where the next would not fit."""
    top = 0
    for row in dashboard.rows:
        yield row, Place(0, top, GRID_COLUMNS, 1)
        x, y, tallest = 0, top + 1, 0
        for panel in row.panels:
            if x + panel.width > GRID_COLUMNS:
                x, y, tallest = 0, y + tallest, 0
            yield panel, Place(x, y, panel.width, panel.height)
            x, tallest = x + panel.width, max(tallest, panel.height)
        top = y + tallest
