"""The dashboard of all searches: which there are, how far each is, what they cost together, and what is stuck."""

from __future__ import annotations

from metasearch.metrics import of_search, of_worker
from metasearch.metrics.model import Metric
from monitoring.dashboards import one_search
from monitoring.dashboards.model import (
    UNLESS_RUNNING,
    Column,
    Dashboard,
    DisplayUnit,
    Panel,
    PanelKind,
    Query,
    Row,
    Variable,
)
from monitoring.dashboards.promql import Scope

UID = "metasearch-searches"

SCOPE = Scope(('namespace=~"$namespace"', 'search=~"$search"'))
"""The chosen searches. Grafana escapes what is chosen for a regular expression, as these variables may be several."""

VARIABLES = (
    # A run on one machine has no namespace, and is among all.
    Variable("namespace", "Namespace", one_search.ANY_SEARCH.select(), "namespace", all_value=".*"),
    Variable("search", "Search", one_search.ANY_SEARCH.select('namespace=~"$namespace"'), "search", all_value=".+"),
)

KEYS = of_search.SEARCH_LABELS
NO_SEARCH_TEXT = "no search"

LINK = (
    f"/d/{one_search.UID}?var-datasource=${{datasource}}&var-namespace=${{__data.fields.namespace}}"
    "&var-search=${__data.fields.search}&${__url_time_range}"
)
"""The address of the dashboard of a row's search, with the present data source and time."""

UNDER_WAY = f"{SCOPE.largest(of_search.PHASE, one_search.IS_UNDER_WAY, by=KEYS)} == 1"
"""1 for each search that has not ended."""


EVERY = f"{SCOPE.largest(of_search.INFO, by=KEYS)} or {SCOPE.largest(of_search.CONDITION, by=KEYS)}"
"""A series for each search, those that cannot be read included."""


def _of_each(metric: Metric, *conditions: str) -> Query:
    return Query(SCOPE.largest(metric, *conditions, by=KEYS))


def _stat(title: str, description: str, query: Query, unit: DisplayUnit = DisplayUnit.COUNT) -> Panel:
    return Panel(title, description, PanelKind.STAT, unit, (query,), "none", 4, 4)


TOTALS = Row(
    "Together",
    (
        _stat(
            "Searches",
            "Searches that there are, ended ones included.",
            Query(f"count ({EVERY})"),
        ),
        _stat("Under way", "Searches that have not ended.", Query(f"count ({UNDER_WAY})", empty_in=UNLESS_RUNNING)),
        _stat(
            "Trials that run",
            "Trials that hold a slot of a worker.",
            Query(SCOPE.total(of_search.TRIALS, 'state="Running"')),
        ),
        _stat(
            "Workers that run",
            "Worker pods in phase Running.",
            Query(SCOPE.total(of_search.WORKERS, 'phase="Running"'), empty_in=UNLESS_RUNNING),
        ),
        _stat(
            "GPU time",
            "GPUs times the time for which trials have held them, of all these searches.",
            Query(SCOPE.total(of_search.BUDGET_SPENT, 'unit="gpu_seconds"')),
            DisplayUnit.SECONDS,
        ),
        _stat(
            "Throughput",
            "Meta-iterations per second of all workers together.",
            Query(SCOPE.rate(of_worker.META_ITERATIONS), empty_in=UNLESS_RUNNING),
            DisplayUnit.META_ITERATIONS_PER_SECOND,
        ),
    ),
)

INFO = Query(SCOPE.largest(of_search.INFO, by=(*KEYS, "dataset", "strategy", "meta_learner")))
PHASE = Query(f"{SCOPE.largest(of_search.PHASE, by=(*KEYS, 'phase'))} == 1")
READY = Query(SCOPE.largest(of_search.CONDITION, 'condition="Ready"', by=(*KEYS, "reason")))

TABLE = Row(
    "Searches",
    (
        Panel(
            "Searches",
            "Each search; its name leads to its own dashboard. The state is the reason of its condition Ready, as "
            "`kubectl get` shows it.",
            PanelKind.TABLE,
            DisplayUnit.NUMBER,
            (),
            NO_SEARCH_TEXT,
            24,
            10,
            columns=(
                Column("Search", label="search", link=LINK),
                Column("Namespace", label="namespace"),
                Column("Phase", PHASE, label="phase", width=100, texts=one_search.PHASES),
                Column("State", READY, label="reason", width=140),
                Column("Progress", _of_each(of_search.PROGRESS), unit=DisplayUnit.SHARE, decimals=0, width=90),
                Column(
                    "Remains",
                    Query(f"{SCOPE.largest(of_search.REMAINING, by=KEYS)} and {UNDER_WAY}", empty_in=UNLESS_RUNNING),
                    unit=DisplayUnit.SECONDS,
                    decimals=1,
                    width=100,
                ),
                Column("Best score", _of_each(of_search.BEST_SCORE), decimals=3, width=100),
                Column("Round", _of_each(of_search.ROUND), width=70),
                Column("Trials", _of_each(of_search.BUDGET_SPENT, 'unit="trials"'), width=70),
                Column("of at most", _of_each(of_search.BUDGET_LIMIT, 'unit="trials"'), width=90),
                Column("Failed", _of_each(of_search.BUDGET_SPENT, 'unit="failed_trials"'), width=70),
                Column(
                    "Slot time",
                    _of_each(of_search.WORKER_SECONDS),
                    unit=DisplayUnit.SECONDS,
                    decimals=1,
                    width=100,
                ),
                Column(
                    "GPU time",
                    _of_each(of_search.BUDGET_SPENT, 'unit="gpu_seconds"'),
                    unit=DisplayUnit.SECONDS,
                    decimals=1,
                    width=100,
                ),
                Column("Data set", INFO, label="dataset"),
                Column("Strategy", INFO, label="strategy"),
                Column("Learner", INFO, label="meta_learner"),
            ),
            sort_column="Search",
        ),
    ),
)

# --- what is stuck ------------------------------------------------------------------------------------------------

IDLE_WINDOW = "30m"
"""A search whose trials make no meta-iteration for so long is stuck."""

ITERATIONS = SCOPE.select(of_search.META_ITERATIONS)

UNREADY = SCOPE.largest(of_search.CONDITION, 'condition="Ready"', 'status!="True"', by=(*KEYS, "status", "reason"))
HAS_ENDED = 'phase=~"Succeeded|Failed"'
ENDED = f"{SCOPE.largest(of_search.PHASE, HAS_ENDED, by=KEYS)} == 1"
NOT_READY = Query(
    # One that has failed is not ready, either. One that cannot be read has no phase at all, and is stuck.
    f"{UNREADY} unless on ({', '.join(KEYS)}) ({ENDED})",
    empty_in=UNLESS_RUNNING,
)

CHANGE = f"max_over_time({ITERATIONS}[{IDLE_WINDOW}]) - min_over_time({ITERATIONS}[{IDLE_WINDOW}])"
IDLE = Query(
    f"max by ({', '.join(KEYS)}) ({CHANGE}) == 0 and on ({', '.join(KEYS)}) ({UNDER_WAY})", empty_in=UNLESS_RUNNING
)

STUCK = Row(
    "What is stuck",
    (
        Panel(
            "Not ready",
            "Searches under way in whose way something stands, and what; the documentation's page on conditions says "
            "what to do about each reason.",
            PanelKind.TABLE,
            DisplayUnit.NUMBER,
            (),
            "nothing is in any search's way",
            12,
            6,
            columns=(
                Column("Search", label="search", link=LINK),
                Column("Namespace", label="namespace"),
                Column("Ready", NOT_READY, label="status", width=90),
                Column("Reason", NOT_READY, label="reason"),
            ),
            sort_column="Search",
        ),
        Panel(
            "No progress",
            "Searches under way whose trials have made no meta-iteration in the last 30 minutes, suspended and queued "
            "ones included.",
            PanelKind.TABLE,
            DisplayUnit.NUMBER,
            (),
            "every search gets on",
            12,
            6,
            columns=(
                Column("Search", label="search", link=LINK),
                Column("Namespace", label="namespace"),
                Column("Meta-iterations", IDLE),
            ),
            sort_column="Search",
        ),
    ),
)


def _of_searches(
    title: str, description: str, metric: Metric, unit: DisplayUnit, no_value: str, *conditions: str
) -> Panel:
    return Panel(
        title,
        description,
        PanelKind.TIME_SERIES,
        unit,
        (Query(SCOPE.largest(metric, *conditions, by=KEYS), "{{namespace}}/{{search}}"),),
        no_value,
        8,
        8,
        minimum=0,
    )


BUSY = SCOPE.total(of_search.TRIALS, 'state="Running"', by=KEYS)

OVER_TIME = Row(
    "Over time",
    (
        _of_searches(
            "Progress",
            "Estimated share of each search's time that is over.",
            of_search.PROGRESS,
            DisplayUnit.SHARE,
            NO_SEARCH_TEXT,
        ),
        _of_searches(
            "Best score so far",
            "Best score of a whole training of each search.",
            of_search.BEST_SCORE,
            DisplayUnit.NUMBER,
            "no training has ended",
        ),
        Panel(
            "Trials that run",
            "Trials that hold a slot, by search: who uses the cluster.",
            PanelKind.TIME_SERIES,
            DisplayUnit.COUNT,
            (Query(f"{BUSY} > 0", "{{namespace}}/{{search}}", UNLESS_RUNNING),),
            "no trial runs",
            8,
            8,
            minimum=0,
            is_stacked=True,
        ),
    ),
)

DASHBOARD = Dashboard(
    UID,
    "MetaSearch / All searches",
    "Every search: how far it is, its best score, its cost, and what is stuck.",
    VARIABLES,
    (TOTALS, TABLE, STUCK, OVER_TIME),
)
