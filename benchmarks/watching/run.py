"""Let a situation happen, and say what was told of it and when."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from monitoring.alerts.catalogue import ALERTS
from monitoring.alerts.model import Severity

from watching.cluster import STEP_SECONDS, Cluster
from watching.evaluation import INTERVAL_SECONDS, RULES, Fired, Recording, fired
from watching.situation import HOUR, MINUTE, Situation, View, at_once

FOR_SECONDS = {alert.name: alert.for_seconds for alert in ALERTS}

MOST_SECONDS = 2 * INTERVAL_SECONDS
"""Time after `for` within which the right alert must fire."""


@dataclass(frozen=True)
class Told:
    """The right alert of a situation. Times are in seconds."""

    alert: str
    visible: float | None
    """Time from the fault until somebody who knows everything could see what the alert is about; None if never."""
    fired: float | None
    """Time from the fault until the alert fired; None if it did not."""

    @property
    def excess(self) -> float | None:
        """The time between the two, less `for`."""
        if self.visible is None or self.fired is None:
            return None
        return self.fired - self.visible - FOR_SECONDS[self.alert]

    @property
    def is_in_time(self) -> bool:
        return self.excess is not None and -INTERVAL_SECONDS <= self.excess <= MOST_SECONDS


@dataclass(frozen=True)
class Account:
    """Everything that a situation has led to."""

    told: tuple[Told, ...]
    others: tuple[Fired, ...]
    phase: str
    trials: int

    @property
    def pages(self) -> tuple[Fired, ...]:
        """The other alerts that somebody is called for."""
        return tuple(each for each in self.others if each.severity != Severity.INFO)

    @property
    def is_right(self) -> bool:
        """True if all that is right fired in time, and nobody was called for anything else."""
        return all(each.is_in_time for each in self.told) and not self.pages


def account(situation: Situation, rules: Path = RULES) -> Account:
    """Let a situation happen, and evaluate the rules over what was scraped."""
    recording, visible, cluster = record(situation)
    found = fired(recording, rules)
    first = {each.alert: each.first for each in reversed(found)}
    told = tuple(
        Told(alert, visible.get(alert), first[alert] - situation.fault_at if alert in first else None)
        for alert in situation.right
    )
    others = tuple(each for each in found if each.alert not in situation.right)
    searches = cluster.searches
    return Account(
        told,
        others,
        searches[0].plan.phase if searches else "deleted",
        len(searches[0].trials) if searches else 0,
    )


def record(situation: Situation) -> tuple[Recording, dict[str, float], Cluster]:
    """Return what was scraped, when each right alert had something to tell (from the fault on), and the cluster."""
    cluster, recording, visible = situation.cluster(), Recording(), dict[str, float]()
    waiting = list(situation.events)
    still_since, seen = 0.0, object()
    recording.add(dict(cluster.scrape()))
    while cluster.now < situation.hours * HOUR:
        while waiting and waiting[0][0] * MINUTE <= cluster.now:
            waiting.pop(0)[1](cluster)
        cluster.step()
        if cluster.searches:
            trials = cluster.searches[0].trials
            if trials != seen:
                seen, still_since = dict(trials), cluster.now
        since = cluster.now - situation.fault_at
        if since > 0 and cluster.searches:
            view = View(cluster, since, cluster.now - still_since)
            for alert, is_visible in situation.right.items():
                if alert not in visible and is_visible(view):
                    visible[alert] = since - STEP_SECONDS if is_visible is at_once else since
        if cluster.now % INTERVAL_SECONDS == 0:
            recording.add(dict(cluster.scrape()))
    return recording, visible, cluster
