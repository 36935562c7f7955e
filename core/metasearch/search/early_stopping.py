"""
The median rule: it gives up search trials that do badly.

A trial is compared with the last finished round only, and what it must reach is made part of it when it is proposed. So
whether it stops depends on nothing that happens meanwhile: not on the order of trials, not on the number of workers.

Source: the median stopping rule of Google Vizier (Golovin et al. 2017), which compares with all completed trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from metasearch.api import EarlyStoppingRule, MetaSearchSpec
from metasearch.search.trials import CurvePoint, Threshold, Trial


def curve_iterations(meta_iterations: int, points: int) -> list[int]:
    """Return the meta-iterations after which a trial is evaluated: evenly spaced, the last after all of them."""
    # A set, because points fall together where there are fewer iterations than points.
    return sorted({max(1, round(meta_iterations * point / points)) for point in range(1, points + 1)})


def thresholds(spec: MetaSearchSpec, finished_round: Sequence[Trial]) -> tuple[Threshold, ...]:
    """
    Compute what a trial of the next round must reach, and when, to go on.

    At each point of the learning curve after the warm-up, and before the last: the median over the finished round of
    the running average of scores up to there, less the median of the standard errors of a point.
    """
    rule = spec.search.early_stopping
    if rule.rule is EarlyStoppingRule.NEVER:
        return ()
    meta_iterations = spec.training.meta_iterations
    # Not at the last point, where the training is done and stopping saves nothing.
    compared = curve_iterations(meta_iterations, spec.evaluation.curve_points)[:-1]
    limits = []
    for iteration in compared:
        curves = [curve for trial in finished_round if (curve := _curve_to(trial, iteration))]
        if iteration >= float(rule.warm_up) * meta_iterations and curves:
            averages = [fmean(point.score for point in curve) for curve in curves]
            limits.append(Threshold(iteration, median(averages) - median(curve[-1].error for curve in curves)))
    return tuple(limits)


def _curve_to(trial: Trial, iteration: int) -> list[CurvePoint]:
    """Return the trial's curve up to a point of it; empty where it did not get that far."""
    curve = sorted(trial.result.curve if trial.result else (), key=lambda point: point.meta_iteration)
    upto = [point for point in curve if point.meta_iteration <= iteration]
    return upto if upto and upto[-1].meta_iteration == iteration else []
