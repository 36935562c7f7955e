"""
How many workers a search needs now, told from its trials alone.

Workers are not let go at once where trials run out, for a level's end is followed by the next level's beginning, and a
pod takes seconds to start.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from metasearch.api import MetaSearchSpec
from metasearch.kubernetes.worker_job import most_pods, slots_per_pod
from metasearch.search.trials import Trial

IDLE_SECONDS = 60.0
"""How long a slot that has nothing to do is kept."""


def pods_needed(spec: MetaSearchSpec, trials: Sequence[Trial], now: float, *, in_queue: bool) -> int:
    """
    Pods that should run.

    Args:
        now: Unix time in seconds.
        in_queue: whether Kueue has to let them: it admits a Job of one size, and takes one back whose size changes.
    """
    if in_queue:
        return most_pods(spec)
    open_trials = sum(not trial.state.is_over for trial in trials)
    slots = max(open_trials, _recently_busy(trials, now))
    return min(math.ceil(slots / slots_per_pod(spec)), most_pods(spec))


def _recently_busy(trials: Sequence[Trial], now: float) -> int:
    """Slots that are at work, or were a moment ago."""
    return len(
        {
            _slot(attempt.worker)
            for trial in trials
            for attempt in trial.attempts
            if attempt.ended_at is None or now - attempt.ended_at < IDLE_SECONDS
        }
    )


def _slot(worker: str) -> str:
    """A slot, whichever of its processes it was: `<pod>.<slot>-<start>` without the last."""
    return worker.rpartition("-")[0]
