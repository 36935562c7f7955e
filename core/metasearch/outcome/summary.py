"""
Compute the status of a MetaSearch from the result of its search.

Values in, values out. A plan reads nothing of a status but its times (`kubernetes.timing`): no trial records them, and
the part of `spec.budget.wallTime` that is spent depends on them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

from metasearch.api import Storage
from metasearch.kubernetes.search_status import (
    IMAGE_MAX_LENGTH,
    MAX_BASELINES,
    MAX_FRONT,
    MAX_RANKED,
    MAX_ROUNDS,
    PREDICTED_BY_MAX_LENGTH,
    Condition,
    EndStatus,
    ExaminationStatus,
    Left,
    ProgressStatus,
    RoundStatus,
    SearchStatus,
    SpentStatus,
)
from metasearch.kubernetes.times import Time
from metasearch.outcome.ends import End
from metasearch.outcome.figures import FoundNetwork, FrontNetwork
from metasearch.outcome.results import SearchResult
from metasearch.outcome.rounds import Round
from metasearch.quantities import Duration
from metasearch.search import budget
from metasearch.storage_layout import address_of, weights_path

MOST_SECONDS, MOST_HOURS = 10**10 - 1, 10**12 - 1
"""The most that a duration and a decimal of a status can hold; a spec may ask for more."""


def search_status(
    result: SearchResult,
    final_trials: int,
    generation: int,
    conditions: Sequence[Condition],
    suspended_seconds: float,
    completed_at: float | None,
    storage: Storage | None,
    folder: str,
    worker_image: str,
) -> SearchStatus:
    """
    Summarize a result as the status of its MetaSearch, with lists cut to the lengths that a status may have.

    Args:
        final_trials: the number of trials of the final stage, baselines' too.
        generation: `metadata.generation` of the MetaSearch that the result was made for.
        suspended_seconds: of all suspensions that are over.
        completed_at: a Unix time in seconds; None while the search is under way.
        folder: `search_folder` of the MetaSearch.
    """
    return SearchStatus(
        observed_generation=generation,
        conditions=tuple(conditions),
        start_time=Time.at(result.search.started_at),
        # Rounded down, so that the time that is spent never becomes less.
        suspended_time=_duration(math.floor(suspended_seconds)),
        completion_time=None if completed_at is None else Time.at(completed_at),
        ends=tuple(map(_end, result.ends)),
        round=result.rounds[-1].round if result.rounds else 0,
        trials=result.trials,
        trials_done=_trials_done(result),
        final_trials=final_trials,
        rounds=tuple(map(_round, result.rounds[-MAX_ROUNDS:])),
        examination=_examination(result),
        predicted_by=_predicted_by(result),
        spent=_spent(result),
        progress=_progress(result),
        left=_left(result),
        best_score=_best_score(result),
        ranked=result.ranked[:MAX_RANKED],
        front=result.front[:MAX_FRONT],
        delivered=_with_address(result.delivered, storage, folder) if result.delivered else None,
        delivered_front=_delivered_front(result),
        baselines=result.baselines[:MAX_BASELINES],
        worker_image=worker_image[:IMAGE_MAX_LENGTH],
    )


def recorded_ends(status: SearchStatus) -> tuple[End, ...]:
    """Return the ends that a status has on record; that they were is told by nothing else."""
    return tuple(
        End(
            at=each.completion_time.unix_seconds,
            phase=each.phase,
            limit=each.limit,
            trials=each.trials,
            final_trials=each.final_trials,
            wall_seconds=each.wall_time.seconds,
            gpu_hours=float(each.gpu_hours),
            best_score=each.best_score,
            spec_hash=each.spec_hash,
        )
        for each in status.ends
    )


# --- parts --------------------------------------------------------------------------------------------------------


def _end(end: End) -> EndStatus:
    return EndStatus(
        completion_time=Time.at(end.at),
        phase=end.phase,
        limit=end.limit,
        trials=end.trials,
        final_trials=end.final_trials,
        wall_time=_duration(end.wall_seconds),
        gpu_hours=_hours(end.gpu_hours),
        best_score=end.best_score,
        spec_hash=end.spec_hash,
    )


def _trials_done(result: SearchResult) -> str:
    """Return the search trials that are over and those that the budget allows, since a column can show one field."""
    done = sum(round.trained + round.stopped + round.failed for round in result.rounds)
    return f"{done}/{result.search.spec.budget.max_trials}"


def _round(round: Round) -> RoundStatus:
    return RoundStatus(
        round=round.round,
        proposed=round.proposed,
        trained=round.trained,
        beginnings=round.beginnings,
        stopped=round.stopped,
        failed=round.failed,
        best=round.best,
        spearman=_correlation(round.spearman),
        ceiling=round.ceiling,
        kendall=_correlation(round.kendall),
        top_recall=round.top_recall,
    )


def _examination(result: SearchResult) -> ExaminationStatus | None:
    found = result.examination
    if found is None:
        return None
    return ExaminationStatus(trials=found.trials, spearman=_correlation(found.spearman), ceiling=found.ceiling)


def _predicted_by(result: SearchResult) -> str | None:
    """Return who predicted the last round that has predictions, cut to the length that a status may have."""
    text = next((round.predicted_by for round in reversed(result.rounds) if round.predicted_by), None)
    if text is None or len(text) <= PREDICTED_BY_MAX_LENGTH:
        return text
    return f"{text[: PREDICTED_BY_MAX_LENGTH - 1]}…"


def _best_score(result: SearchResult) -> str | None:
    return None if result.best_score is None else f"{result.best_score:.4f}"


def _correlation(value: float | None) -> float | None:
    """Return a correlation within [-1, 1], which rounding may have left by a little."""
    return None if value is None else max(-1.0, min(1.0, value))


def _spent(result: SearchResult) -> SpentStatus:
    spent = result.spent
    return SpentStatus(
        share=f"{_percent(result)}%",
        trials=spent.trials,
        failed_trials=spent.failed_trials,
        wall_time=_duration(spent.wall_seconds),
        worker_time=_duration(spent.worker_seconds),
        gpu_hours=_hours(spent.gpu_hours),
    )


def _percent(result: SearchResult) -> int:
    """Return how much of the nearest limit is used, in whole percent; 100 not before it is reached."""
    share = budget.used_share(result.search.spec, result.spent)
    # The small addend undoes rounding: 100 * 0.29 is 28.999999999999996. The status has room for three digits.
    return min(999, math.floor(100 * share + 1e-9))


def _progress(result: SearchResult) -> ProgressStatus | None:
    found = result.remaining
    if found is None:
        return None
    # Rounded, so that a status that is all but the same is not written again.
    return ProgressStatus(
        percentage=found.percentage,
        estimated_remaining_seconds=int(found.rounded_seconds),
        confidence=found.confidence,
    )


def _left(result: SearchResult) -> Left:
    limits, spent = result.search.spec.budget, result.spent
    return Left(
        trials=max(0, limits.max_trials - spent.trials),
        failed_trials=max(0, limits.max_failed_trials - spent.failed_trials),
        wall_time=None if limits.wall_time is None else _duration(limits.wall_time.seconds - spent.wall_seconds),
        gpu_hours=None if limits.gpu_hours is None else _hours(float(limits.gpu_hours) - spent.gpu_hours),
    )


def _with_address(network: FoundNetwork[float], storage: Storage | None, folder: str) -> FoundNetwork[float]:
    """Replace the name of the weights' file by the place where a cluster keeps it."""
    is_kept = storage is not None and network.weights is not None
    address = _address(storage, weights_path(folder, network.trials[0])) if storage and is_kept else None
    return network.model_copy(update={"weights": address})


def _delivered_front(result: SearchResult) -> tuple[FrontNetwork[float], ...] | None:
    """Return the delivered front in few words; None where there is none, so that the status has no such field."""
    front = tuple(
        FrontNetwork[float](
            folder=network.folder,
            parameter_count=network.parameter_count,
            score=network.score,
            trial=network.trials[0],
        )
        for network in result.delivered_front
        if network.folder is not None
    )
    return front or None


def _address(storage: Storage, path: str) -> str:
    """Return the address in an object store, or a claim and a path on its volume."""
    return address_of(storage.url, path) if storage.url else f"{storage.claim}/{path}"


def _duration(seconds: float) -> Duration:
    return Duration(f"{min(max(0, round(seconds)), MOST_SECONDS)}s")


def _hours(hours: float) -> Decimal:
    # Six digits are some milliseconds of one GPU; more would only make each status differ from the last.
    text = f"{min(max(0.0, hours), MOST_HOURS):.6f}"
    return Decimal(text.rstrip("0").rstrip("."))
