"""The dashboard of the operator: whether it does its work, how fast, and how the API server answers it."""

from __future__ import annotations

from metasearch.metrics import of_operator, of_search
from metasearch.metrics.model import Metric
from monitoring.dashboards.model import (
    NEVER,
    Colour,
    Dashboard,
    DisplayUnit,
    Panel,
    PanelKind,
    Query,
    Row,
    Variable,
)
from monitoring.dashboards.one_search import PHASES
from monitoring.dashboards.promql import RATE_WINDOW, Scope
from monitoring.limits import CACHE_STALE_SECONDS, STATUS_NEAR_LIMIT_BYTES

UID = "metasearch-operator"

SCOPE = Scope(('job=~"$job"', 'instance=~"$instance"'))
"""The chosen operators, by the labels that Prometheus gives to what it scrapes."""

VARIABLES = (
    Variable("job", "Job", of_operator.BUILD_INFO.name, "job", all_value=".+"),
    Variable("instance", "Instance", f'{of_operator.BUILD_INFO.name}{{job=~"$job"}}', "instance", all_value=".+"),
)

SEARCHES = f"count (count by (namespace, search) ({SCOPE.select(of_search.INFO)}))"
NOTHING_SCRAPED = "no operator is scraped"


def _quantiles(title: str, description: str, metric: Metric, no_value: str) -> Panel:
    return Panel(
        title,
        f"{description} Median and 99% quantile of the last minutes.",
        PanelKind.TIME_SERIES,
        DisplayUnit.SECONDS,
        (
            Query(SCOPE.recent_quantile(0.5, metric), "median", NEVER),
            Query(SCOPE.recent_quantile(0.99, metric), "99%", NEVER),
        ),
        no_value,
        8,
        8,
        minimum=0,
    )


NOW = Row(
    "Now",
    (
        Panel(
            "Version",
            "The version of each operator that is scraped.",
            PanelKind.STAT,
            DisplayUnit.NUMBER,
            (Query(SCOPE.largest(of_operator.BUILD_INFO, by=("version",)), "{{version}}", NEVER),),
            NOTHING_SCRAPED,
            6,
            4,
            shows_names=True,
        ),
        Panel(
            "Searches",
            "Searches that the operator can read, ended ones included.",
            PanelKind.STAT,
            DisplayUnit.COUNT,
            (Query(SEARCHES),),
            "none",
            6,
            4,
        ),
        Panel(
            "Age of the copies",
            "Time since the watch of any kind was last heard of, the longest. About a minute at most while all is "
            "well; from three minutes on decisions are made by what may no longer be so.",
            PanelKind.STAT,
            DisplayUnit.SECONDS,
            (Query(SCOPE.largest(of_operator.CACHE_AGE_SECONDS), empty_in=NEVER),),
            NOTHING_SCRAPED,
            6,
            4,
            decimals=0,
            thresholds=((90, Colour.ORANGE), (CACHE_STALE_SECONDS, Colour.RED)),
        ),
        Panel(
            "Largest status",
            "Size of the largest status of a search. The API server refuses objects of about 1.5 MB.",
            PanelKind.STAT,
            DisplayUnit.BYTES,
            (Query(SCOPE.largest(of_search.STATUS_BYTES)),),
            "no search",
            6,
            4,
            thresholds=((STATUS_NEAR_LIMIT_BYTES, Colour.ORANGE), (1_000_000, Colour.RED)),
        ),
    ),
)

RECONCILES = Row(
    "Reconciles",
    (
        Panel(
            "Reconciles",
            "Reconciles per second, and those of them that ended in an error and are tried again.",
            PanelKind.TIME_SERIES,
            DisplayUnit.PER_SECOND,
            (
                Query(SCOPE.rate(of_operator.RECONCILE_SECONDS, part="_count"), "all", NEVER),
                Query(SCOPE.rate(of_operator.RECONCILE_ERRORS, by=("reason",)), "error: {{reason}}"),
            ),
            NOTHING_SCRAPED,
            8,
            8,
            minimum=0,
        ),
        _quantiles(
            "Time of a reconcile", "Ranking included.", of_operator.RECONCILE_SECONDS, "no reconcile in this time"
        ),
        Panel(
            "Reconciles by time",
            "Reconciles by the time that they took. Two bands are usual: those that rank candidates take seconds.",
            PanelKind.HEATMAP,
            DisplayUnit.SECONDS,
            (
                Query(
                    "sum by (le) "
                    f"(increase({SCOPE.select(of_operator.RECONCILE_SECONDS, part='_bucket')}[{RATE_WINDOW}]))",
                    "{{le}}",
                    NEVER,
                ),
            ),
            "no reconcile in this time",
            8,
            8,
        ),
        Panel(
            "Rankings",
            "Rounds per second for which the surrogate was fitted and candidates were ranked.",
            PanelKind.TIME_SERIES,
            DisplayUnit.PER_SECOND,
            (Query(SCOPE.rate(of_operator.RANKING_SECONDS, part="_count"), "rankings", NEVER),),
            NOTHING_SCRAPED,
            8,
            8,
            minimum=0,
        ),
        _quantiles(
            "Time of a ranking",
            "Time to fit the surrogate and rank the candidates of a round, in a process of its own; workers may wait "
            "for it.",
            of_operator.RANKING_SECONDS,
            "no ranking in this time",
        ),
        Panel(
            "Searches by phase",
            "Searches by phase; a search under way is Searching or Final.",
            PanelKind.TIME_SERIES,
            DisplayUnit.COUNT,
            (
                Query(
                    f"sum by (phase) (max by (namespace, search, phase) ({SCOPE.select(of_search.PHASE)}))", "{{phase}}"
                ),
            ),
            "no search",
            8,
            8,
            minimum=0,
            is_stacked=True,
            texts=PHASES,
        ),
    ),
)

API = Row(
    "API server",
    (
        Panel(
            "Requests by verb",
            "Requests to the API server per second, by verb.",
            PanelKind.TIME_SERIES,
            DisplayUnit.REQUESTS_PER_SECOND,
            (Query(SCOPE.rate(of_operator.API_REQUEST_SECONDS, by=("verb",), part="_count"), "{{verb}}", NEVER),),
            NOTHING_SCRAPED,
            8,
            8,
            minimum=0,
            is_stacked=True,
        ),
        Panel(
            "Requests without success",
            "Requests per second that the API server refused, by code. 409: two writers met, and the operator tries "
            "again. 403: a right is missing. 429: the API server has too much to do. No code: it did not answer.",
            PanelKind.TIME_SERIES,
            DisplayUnit.REQUESTS_PER_SECOND,
            (
                Query(
                    SCOPE.rate(of_operator.API_REQUEST_SECONDS, 'code!~"2.."', by=("code", "resource"), part="_count")
                    + " > 0",
                    "{{code}} {{resource}}",
                ),
            ),
            "every request has succeeded",
            8,
            8,
            minimum=0,
        ),
        Panel(
            "Time to an answer",
            "Time to the answer of the API server, by verb: 99% quantile of the last minutes. Watches count until "
            "their first byte.",
            PanelKind.TIME_SERIES,
            DisplayUnit.SECONDS,
            (Query(SCOPE.recent_quantile(0.99, of_operator.API_REQUEST_SECONDS, ("verb",)), "{{verb}}", NEVER),),
            "no request in this time",
            8,
            8,
            minimum=0,
        ),
        Panel(
            "Watches that broke",
            "Watches that broke per second, so that everything was listed again, by kind and reason.",
            PanelKind.TIME_SERIES,
            DisplayUnit.PER_SECOND,
            (Query(SCOPE.rate(of_operator.WATCH_RESTARTS, by=("resource", "reason")), "{{resource}}: {{reason}}"),),
            "no watch has broken",
            12,
            8,
            minimum=0,
        ),
        Panel(
            "Age of the copies by kind",
            "Time since the watch of each kind was last heard of.",
            PanelKind.TIME_SERIES,
            DisplayUnit.SECONDS,
            (Query(SCOPE.largest(of_operator.CACHE_AGE_SECONDS, by=("resource",)), "{{resource}}", NEVER),),
            NOTHING_SCRAPED,
            12,
            8,
            minimum=0,
            thresholds=((CACHE_STALE_SECONDS, Colour.RED),),
        ),
    ),
)

DASHBOARD = Dashboard(
    UID,
    "MetaSearch / Operator",
    "Whether the operator does its work, how fast, and how the API server answers it.",
    VARIABLES,
    (NOW, RECONCILES, API),
)
