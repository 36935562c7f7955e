"""The dashboard of one search: whether it gets anywhere, its cost, its end, and what stands in its way."""

from __future__ import annotations

from metasearch.metrics import of_search, of_worker
from monitoring.dashboards.model import (
    UNLESS_FINISHED,
    UNLESS_RUNNING,
    Colour,
    Column,
    Dashboard,
    DisplayUnit,
    Panel,
    PanelKind,
    Query,
    Row,
    SearchState,
    Text,
    Variable,
)
from monitoring.dashboards.promql import AnyOf, Scope
from monitoring.dashboards.search_trials import cost_row, trials_row
from monitoring.dashboards.search_workers import NO_SEARCH_TEXT, NO_WORKERS_TEXT, conditions_row, workers_row

UID = "metasearch-search"

SCOPE = Scope(('namespace="$namespace"', 'search="$search"'))
"""Exactly one search, by equality, so that no character of a name has a meaning."""

ANY_SEARCH = AnyOf((of_search.INFO, of_search.CONDITION))
"""The series by which searches are found: one that the operator cannot read has conditions, a local one has none."""

VARIABLES = (
    Variable("namespace", "Namespace", ANY_SEARCH.select(), "namespace"),
    Variable("search", "Search", ANY_SEARCH.select('namespace="$namespace"'), "search"),
)

PHASES = (
    Text("Searching", "Searching", Colour.BLUE),
    Text("Final", "Final", Colour.PURPLE),
    Text("Succeeded", "Succeeded", Colour.GREEN),
    Text("Failed", "Failed", Colour.RED),
)

IS_UNDER_WAY = 'phase=~"Searching|Final"'

UNDER_WAY = f"{SCOPE.largest(of_search.PHASE, IS_UNDER_WAY)} == 1"
"""1 while the search has not ended."""

PROGRESS = SCOPE.largest(of_search.PROGRESS)
REMAINING = f"{SCOPE.largest(of_search.REMAINING)} and {UNDER_WAY}"
UNLIMITED_REMAINING = f"{SCOPE.largest(of_search.UNLIMITED_REMAINING)} and {UNDER_WAY}"

# --- now ----------------------------------------------------------------------------------------------------------

NOW = Row(
    "Now",
    (
        Panel(
            "Phase",
            "Searching: cells are tried. Final: the best are trained in full. Succeeded and Failed: it has ended, with "
            "a network and without one.",
            PanelKind.STAT,
            DisplayUnit.NUMBER,
            (Query(f"{SCOPE.largest(of_search.PHASE, by=('phase',))} == 1", "{{phase}}"),),
            NO_SEARCH_TEXT,
            4,
            4,
            shows_names=True,
            texts=PHASES,
        ),
        Panel(
            "Progress",
            "Estimated share of the search's time that is over.",
            PanelKind.STAT,
            DisplayUnit.SHARE,
            (Query(PROGRESS),),
            "not known yet",
            4,
            4,
            decimals=0,
            minimum=0,
            maximum=1,
        ),
        Panel(
            "Time that remains",
            "Estimated time until the search ends, and until it would end without a limit of time. It is unsure while "
            "few trials have ended.",
            PanelKind.STAT,
            DisplayUnit.SECONDS,
            (
                Query(REMAINING, "to its end", empty_in=UNLESS_RUNNING),
                Query(UNLIMITED_REMAINING, "without a limit", empty_in=UNLESS_RUNNING),
            ),
            "ended, or not known yet",
            4,
            4,
            decimals=1,
        ),
        Panel(
            "Expected end",
            "The present time and the estimated time that remains.",
            PanelKind.STAT,
            DisplayUnit.MOMENT,
            (Query(f"(time() + ({REMAINING})) * 1000", empty_in=UNLESS_RUNNING),),
            "ended, or not known yet",
            4,
            4,
        ),
        Panel(
            "Best score",
            "Best score of a whole training, from 0 to 1: exp(-loss) of its queries, or their accuracy if the spec "
            "says so.",
            PanelKind.STAT,
            DisplayUnit.NUMBER,
            (Query(SCOPE.largest(of_search.BEST_SCORE)),),
            "no training has ended",
            4,
            4,
            decimals=3,
        ),
        Panel(
            "Cells on the front",
            "Cells that no other beats in both score and number of parameters.",
            PanelKind.STAT,
            DisplayUnit.NUMBER,
            (Query(SCOPE.largest(of_search.FRONT)),),
            NO_SEARCH_TEXT,
            4,
            4,
        ),
        Panel(
            "Delivered accuracy",
            "Accuracy of the delivered network on test classes, which played no part in the search, by the way in "
            "which a task's queries are classified.",
            PanelKind.STAT,
            DisplayUnit.SHARE,
            (Query(SCOPE.largest(of_search.ACCURACY, by=("classification",)), "{{classification}}", UNLESS_FINISHED),),
            "nothing is delivered yet",
            8,
            4,
            decimals=1,
        ),
        Panel(
            "Meta-iterations",
            "Meta-iterations of all trials as last reported, those under way included.",
            PanelKind.STAT,
            DisplayUnit.COUNT,
            (Query(SCOPE.largest(of_search.META_ITERATIONS)),),
            NO_SEARCH_TEXT,
            4,
            4,
        ),
        Panel(
            "Started",
            "The time at which the search began.",
            PanelKind.STAT,
            DisplayUnit.MOMENT,
            (Query(f"{SCOPE.largest(of_search.STARTED)} * 1000"),),
            NO_SEARCH_TEXT,
            4,
            4,
        ),
        Panel(
            "Ended",
            "The time at which the search ended, with a network or without one.",
            PanelKind.STAT,
            DisplayUnit.MOMENT,
            (
                Query(
                    f"{SCOPE.largest(of_search.COMPLETED)} * 1000",
                    empty_in=frozenset({SearchState.NO_SEARCH, SearchState.RUNNING}),
                ),
            ),
            "under way",
            4,
            4,
        ),
        Panel(
            "Results that wait",
            "Results on the disks of workers that the API server has not taken yet. More than 0 for minutes: it is "
            "away, or refuses them.",
            PanelKind.STAT,
            DisplayUnit.NUMBER,
            (Query(SCOPE.total(of_worker.SPOOLED), empty_in=UNLESS_RUNNING),),
            NO_WORKERS_TEXT,
            4,
            4,
            thresholds=((1, Colour.ORANGE),),
        ),
    ),
)

# --- progress -----------------------------------------------------------------------------------------------------

ROUND_TRIALS = Query(SCOPE.total(of_search.TRIALS, 'stage="Search"', by=("round",)))
ROUND_ENDED = Query(SCOPE.total(of_search.TRIALS, 'stage="Search"', 'state=~"Succeeded|Stopped|Failed"', by=("round",)))
ROUND_FAILED = Query(SCOPE.total(of_search.TRIALS, 'stage="Search"', 'state="Failed"', by=("round",)))


def _correlation(kind: str) -> Query:
    return Query(SCOPE.largest(of_search.CORRELATION, f'kind="{kind}"', by=("round",)))


PROGRESS_ROW = Row(
    "Progress",
    (
        Panel(
            "Trials",
            "Trials by state. Pending ones wait for a slot.",
            PanelKind.TIME_SERIES,
            DisplayUnit.COUNT,
            (
                # Those that are over are counted for all rounds, the others for the last ones, where they are.
                Query(SCOPE.total(of_search.ENDED, by=("state",)), "{{state}}"),
                Query(SCOPE.total(of_search.TRIALS, 'state=~"Pending|Running"', by=("state",)), "{{state}}"),
            ),
            NO_SEARCH_TEXT,
            8,
            8,
            minimum=0,
            is_stacked=True,
            texts=(
                Text("Pending", "Pending", Colour.GREY),
                Text("Running", "Running", Colour.BLUE),
                Text("Succeeded", "Succeeded", Colour.GREEN),
                Text("Stopped", "Stopped", Colour.YELLOW),
                Text("Failed", "Failed", Colour.RED),
            ),
        ),
        Panel(
            "Best score so far",
            "It grows in steps. Flat for many rounds: more trials are unlikely to find better.",
            PanelKind.TIME_SERIES,
            DisplayUnit.NUMBER,
            (Query(SCOPE.largest(of_search.BEST_SCORE), "best score"),),
            "no training has ended",
            8,
            8,
            decimals=3,
        ),
        Panel(
            "Surrogate against chance",
            "Rank correlation of predictions and scores of the trials that were drawn at random, all rounds together. "
            "0 is chance; the ceiling is what perfect predictions could have, with scores as unsure as they are.",
            PanelKind.TIME_SERIES,
            DisplayUnit.NUMBER,
            (Query(SCOPE.largest(of_search.EXAMINATION, by=("kind",)), "{{kind}}"),),
            "no trial has examined the surrogate",
            8,
            8,
            decimals=2,
            minimum=-1,
            maximum=1,
        ),
        Panel(
            "Rounds: predicted against measured",
            "Each of the last rounds: its trials, and how well the surrogate had ranked them before they were "
            "measured. A correlation near its ceiling is as good as can be; the recall is the share of the round's "
            "best quarter that was predicted to be in it, 0.25 by chance.",
            PanelKind.TABLE,
            DisplayUnit.NUMBER,
            (),
            NO_SEARCH_TEXT,
            18,
            8,
            columns=(
                Column("Round", label="round", width=70),
                Column("Trials", ROUND_TRIALS),
                Column("Ended", ROUND_ENDED),
                Column("Failed", ROUND_FAILED),
                Column("Spearman", _correlation("spearman"), decimals=2),
                Column("Kendall", _correlation("kendall"), decimals=2),
                Column("Ceiling", _correlation("ceiling"), decimals=2),
                Column(
                    "Recall", Query(SCOPE.largest(of_search.RECALL, by=("round",))), unit=DisplayUnit.SHARE, decimals=0
                ),
            ),
            sort_column="Round",
            is_descending=True,
        ),
        Panel(
            "Trials that examine the surrogate",
            "Trials drawn at random whose predictions were compared with their scores. Below about 20, the "
            "correlations may well be luck.",
            PanelKind.STAT,
            DisplayUnit.NUMBER,
            (Query(SCOPE.largest(of_search.EXAMINED)),),
            "none",
            6,
            8,
        ),
    ),
)

DASHBOARD = Dashboard(
    UID,
    "MetaSearch / One search",
    "Whether a search gets anywhere, what it costs, when it will end, and what stands in its way.",
    VARIABLES,
    (NOW, PROGRESS_ROW, cost_row(SCOPE), trials_row(SCOPE), workers_row(SCOPE), conditions_row(SCOPE)),
)
