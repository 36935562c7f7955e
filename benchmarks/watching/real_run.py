"""Let real faults happen, and note when their alerts have something to tell and when they fire."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from metasearch.errors import StoreUnavailable
from watching.firing import FiredAlert, Firing
from watching.on_nodes import Begun, RealFault, Scene, Site, Visible
from watching.run import Told

PREFIX = "MetaSearch"
MOST_SECONDS = 1800.0
"""Time after which an alert that has not fired is given up."""

POLL_SECONDS = 2.0
SETTLING_SECONDS = 90.0
"""Time for which the operator works again before the next fault, so that no alert is left of the last one."""


@dataclass
class Observed:
    """A fault and what was told of it. Times are in seconds from its beginning."""

    fault: RealFault
    visible: dict[str, float] = field(default_factory=dict)
    fired: dict[str, float] = field(default_factory=dict)
    others: list[FiredAlert] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def told(self) -> list[Told]:
        """The right alerts, by their full names."""
        return [Told(PREFIX + alert, self.visible.get(alert), self.fired.get(alert)) for alert in self.fault.alerts]

    @property
    def is_complete(self) -> bool:
        """True once every right alert has fired, or a normal situation was watched for long enough."""
        return set(self.fired) == set(self.fault.alerts) and self.seconds >= self.fault.watched_seconds


@dataclass
class _Running:
    observed: Observed
    begun: Begun
    begun_at: float


def together(site: Site, firing: Firing, faults: Sequence[RealFault]) -> list[Observed]:
    """Begin all faults at once; each ends when its alerts have fired. They are returned in their order."""
    running = [_begin(site, fault) for fault in faults]
    all_observed = [each.observed for each in running]
    while running:
        time.sleep(POLL_SECONDS)
        for each in list(running):
            _observe(site, firing, each)
            if each.observed.is_complete or each.observed.seconds > MOST_SECONDS:
                _end(each)
                running.remove(each)
    return all_observed


def one_by_one(site: Site, firing: Firing, faults: Sequence[RealFault]) -> Iterator[Observed]:
    """Let each fault begin when the one before has ended, and yield it then."""
    for fault in faults:
        yield from together(site, firing, [fault])
        time.sleep(SETTLING_SECONDS)


def _begin(site: Site, fault: RealFault) -> _Running:
    print(f"{fault.title}: begins", file=sys.stderr, flush=True)
    begun_at = time.time()
    return _Running(Observed(fault), fault.begin(site), begun_at)


def _observe(site: Site, firing: Firing, running: _Running) -> None:
    observed, search = running.observed, running.begun.search
    observed.seconds = time.time() - running.begun_at
    scene = Scene(site, search, observed.seconds)
    for alert, is_visible in observed.fault.alerts.items():
        if alert not in observed.visible and _can_be_seen(is_visible, scene):
            observed.visible[alert] = observed.seconds
    right = {PREFIX + alert for alert in observed.fault.alerts}
    since = firing.since(running.begun_at, search.name if search else "")
    for each in since:
        if each.alert in right:
            observed.fired.setdefault(each.alert.removeprefix(PREFIX), each.at - running.begun_at)
    observed.others = [each for each in since if each.alert not in right]


def _can_be_seen(is_visible: Visible, scene: Scene) -> bool:
    try:
        return is_visible(scene)
    except StoreUnavailable:  # the API server is away, and nothing can be seen
        return False


def _end(running: _Running) -> None:
    running.begun.undo()
    print(f"{running.observed.fault.title}: {running.observed.fired}", file=sys.stderr, flush=True)
