"""The form of an alert; nothing here knows which there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

PREFIX = "MetaSearch"

INTERVAL_SECONDS = 30
"""Time between two evaluations of a rule."""

PLACEHOLDER = "$threshold"
"""The word that stands for the threshold in expressions and texts until it is known."""

SECONDS_PER_MINUTE = 60
SECONDS_PER_HOUR = 3600


class Severity(StrEnum):
    """The urgency of an alert."""

    CRITICAL = "critical"
    """Nothing gets on for anybody: wake somebody."""
    WARNING = "warning"
    """A search does not get on, or something is about to be lost: look at it today."""
    INFO = "info"
    """Money or time is wasted, or something waits that may be meant to."""


class Comparison(StrEnum):
    """The relation to the threshold that an alert fires at."""

    ABOVE = ">"
    AT_LEAST = ">="
    BELOW = "<"


@dataclass(frozen=True)
class Threshold:
    """A number that the values of the chart can replace."""

    comparison: Comparison
    value: float
    is_share: bool = False
    """True for a share or a correlation, of which nothing is above 1."""

    @property
    def text(self) -> str:
        """The number as it is written in rules; a whole one has no fraction."""
        return f"{int(self.value)}" if self.value == int(self.value) else f"{self.value}"


@dataclass(frozen=True)
class Runbook:
    """The page for somebody who is told; each part is Markdown without headings."""

    meaning: str
    impact: str
    diagnosis: str
    mitigation: str


@dataclass(frozen=True)
class Alert:
    """
    An alert: when it fires, and what it says.

    Texts are templates of Prometheus: `$labels` and `$value` are those of the series that fires.
    """

    name: str
    severity: Severity
    for_seconds: int
    """Time for which the expression must hold; a multiple of the evaluation interval."""
    labels: tuple[str, ...]
    """Labels that say what is concerned, besides `severity`."""
    when: str
    """A clause that continues "it fires when"; the threshold in it is a placeholder."""
    measure: str
    """An expression; its value is compared with the threshold, and is `$value` in the texts."""
    summary: str
    description: str
    """It says what is wrong, where, and what to do first."""
    runbook: Runbook
    threshold: Threshold | None = None
    """None where it fires for every series of the measure."""
    guards: Sequence[str] = ()
    """Parts of the expression that narrow it; each begins with `and on` or `unless on`."""

    def __post_init__(self) -> None:
        assert self.name.startswith(PREFIX), f"{self.name}: a name begins with {PREFIX}"
        assert self.for_seconds > 0, f"{self.name}: one bad sample is no reason to tell anybody"
        assert self.for_seconds % INTERVAL_SECONDS == 0, f"{self.name}: time passes in evaluation intervals"
        assert all(each.startswith(("and on", "unless on")) for each in self.guards), f"{self.name}: a guard narrows"
        used = any(PLACEHOLDER in text for text in (self.when, self.description))
        assert not used or self.threshold, f"{self.name}: its texts name a threshold that it has not"

    @property
    def expression(self) -> str:
        """The expression, with a placeholder where there is a threshold."""
        compared = f"{self.measure} {self.threshold.comparison} {PLACEHOLDER}" if self.threshold else self.measure
        return "\n".join([compared, *self.guards])

    def filled(self, text: str) -> str:
        """Return an expression or a text of this alert with its own threshold."""
        return text.replace(PLACEHOLDER, self.threshold.text) if self.threshold else text


@dataclass(frozen=True)
class Group:
    """Alerts of one subject, evaluated together and in order."""

    name: str
    alerts: tuple[Alert, ...]


def duration_text(seconds: int) -> str:
    """Return a time as Prometheus writes it, in the largest unit that leaves no fraction."""
    for size, unit in ((SECONDS_PER_HOUR, "h"), (SECONDS_PER_MINUTE, "m")):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
