"""The times of attempts, and the speed of the one that is under way."""

from __future__ import annotations

from metasearch.search.trials import Attempt, Trial


def attempt_end(attempt: Attempt, now: float) -> float:
    """Return the end of an attempt, which for one that runs is now; never before its start."""
    # The two times may come from the clocks of different machines.
    return max(attempt.started_at, now if attempt.ended_at is None else attempt.ended_at)


def attempt_seconds(attempt: Attempt, now: float) -> float:
    """Return the time that an attempt has taken, in seconds; one under way counts up to now."""
    return attempt_end(attempt, now) - attempt.started_at


def attempt_speed(trial: Trial) -> float | None:
    """
    Return the mean speed of the attempt under way, in meta-iterations per second.

    None where nothing was reported, or not when.
    """
    progress, attempt = trial.progress, trial.attempts[-1]
    if progress.reported_at is None:
        return None
    done, seconds = progress.meta_iteration - progress.started_from, progress.reported_at - attempt.started_at
    # The clocks of two machines may differ by more than the time between a claim and its first report.
    return done / seconds if done > 0 and seconds > 0 else None
