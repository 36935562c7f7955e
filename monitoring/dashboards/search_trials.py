"""The part of a search's dashboard that is about its cost, and about its trials."""

from __future__ import annotations

from metasearch.metrics import of_search
from metasearch.metrics.model import Metric
from monitoring.dashboards.model import Colour, DisplayUnit, Panel, PanelKind, Query, Row
from monitoring.dashboards.promql import RATE_WINDOW, Scope
from monitoring.dashboards.search_workers import NO_SEARCH_TEXT
from monitoring.limits import NEARLY_SPENT_SHARE


def cost_row(scope: Scope) -> Row:
    """Return the panels about what a search costs."""
    spent_share = (
        f"{scope.largest(of_search.BUDGET_SPENT, by=('unit',))} / "
        f"on (unit) ({scope.largest(of_search.BUDGET_LIMIT, by=('unit',))} > 0)"
    )
    at_the_end = f"({spent_share}) / on () group_left () ({scope.largest(of_search.PROGRESS)} > 0.05)"
    return Row(
        "Cost",
        (
            Panel(
                "Budget used",
                "The part of each limit of the budget that is spent: trials, failed trials, seconds since the search "
                "began, and GPU-seconds. The first to reach 100% ends the search stage, or the search.",
                PanelKind.BAR_GAUGE,
                DisplayUnit.SHARE,
                (Query(spent_share, "{{unit}}"),),
                NO_SEARCH_TEXT,
                8,
                8,
                decimals=0,
                minimum=0,
                maximum=1,
                thresholds=((NEARLY_SPENT_SHARE, Colour.ORANGE), (1.0, Colour.RED)),
            ),
            Panel(
                "Budget at the end",
                "The part of each limit that will be spent when the search ends, if it costs as much as until now. The "
                "highest is the limit that ends the search stage; one far below 100% does not matter.",
                PanelKind.TIME_SERIES,
                DisplayUnit.SHARE,
                (Query(at_the_end, "{{unit}}"),),
                "not known yet",
                8,
                8,
                decimals=0,
                minimum=0,
                thresholds=((1.0, Colour.RED),),
            ),
            Panel(
                "Time spent",
                "Time since the search began, time in which slots have held trials, and GPUs times the time for which "
                "they were held.",
                PanelKind.TIME_SERIES,
                DisplayUnit.SECONDS,
                (
                    Query(scope.largest(of_search.BUDGET_SPENT, 'unit="seconds"'), "wall time"),
                    Query(scope.largest(of_search.WORKER_SECONDS), "slot time"),
                    Query(scope.largest(of_search.BUDGET_SPENT, 'unit="gpu_seconds"'), "GPU time"),
                ),
                NO_SEARCH_TEXT,
                8,
                8,
                minimum=0,
            ),
        ),
    )


def trials_row(scope: Scope) -> Row:
    """Return the panels about the trials of a search."""
    waits = scope.select(of_search.QUEUE_SECONDS, part="_bucket")
    return Row(
        "Trials",
        (
            Panel(
                "Trials without success",
                "Trials that failed or were stopped, by reason. OutOfMemory: raise the workers' memory or lower their "
                "slots. Diverged: a candidate that cannot be trained, which a search survives.",
                PanelKind.BAR_GAUGE,
                DisplayUnit.NUMBER,
                (
                    Query(
                        scope.largest(of_search.ENDED, 'state!="Succeeded"', by=("stage", "state", "reason")),
                        "{{stage}} {{state}}: {{reason}}",
                    ),
                ),
                "none",
                8,
                8,
                minimum=0,
                thresholds=((0, Colour.ORANGE),),
            ),
            Panel(
                "Attempts",
                "Claims of trials that are over, by outcome. Lost: the worker died. Many of these: look at the nodes, "
                "or at the workers' memory.",
                PanelKind.BAR_GAUGE,
                DisplayUnit.NUMBER,
                (Query(scope.largest(of_search.ATTEMPTS, by=("outcome",)), "{{outcome}}"),),
                "no attempt has ended",
                8,
                8,
                minimum=0,
            ),
            Panel(
                "Waits for a slot",
                "Trials by the time from their creation to their first claim, as they are claimed. Long waits: more "
                "workers would end the search earlier.",
                PanelKind.HEATMAP,
                DisplayUnit.SECONDS,
                (
                    Query(
                        f"sum by (le) (increase({waits}[{RATE_WINDOW}]))",
                        "{{le}}",
                    ),
                ),
                "no trial was claimed",
                8,
                8,
            ),
            _durations(scope, "Training and evaluation", "Time of trials that succeeded.", of_search.TRIAL_SECONDS),
            _durations(
                scope, "From claim to end", "Time of attempts, whatever their outcome.", of_search.CLAIM_SECONDS
            ),
            _durations(
                scope, "From creation to claim", "Time for which trials wait for a slot.", of_search.QUEUE_SECONDS
            ),
        ),
    )


def _durations(scope: Scope, title: str, description: str, metric: Metric) -> Panel:
    """Return a panel of a duration of trials, for each stage."""
    return Panel(
        title,
        f"{description} Median and 95% quantile of all until now.",
        PanelKind.TIME_SERIES,
        DisplayUnit.SECONDS,
        (
            Query(scope.quantile_so_far(0.5, metric, ("stage",)), "{{stage}}, median"),
            Query(scope.quantile_so_far(0.95, metric, ("stage",)), "{{stage}}, 95%"),
        ),
        "no trial has got there yet",
        8,
        8,
        minimum=0,
    )
