"""The part of a search's dashboard that is about its workers, and about its conditions."""

from __future__ import annotations

from metasearch.metrics import of_search, of_worker
from monitoring.dashboards.model import UNLESS_RUNNING, Colour, Column, DisplayUnit, Panel, PanelKind, Query, Row, Text
from monitoring.dashboards.promql import Scope

GPU_ACTIVITY = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
"""NVIDIA's DCGM exporter: the share of time in which a GPU's graphics or compute engine was active, from 0 to 1."""

NO_WORKERS_TEXT = "no worker is running"
NO_SEARCH_TEXT = "no such search"


def _with_pod_labels(selector: str) -> str:
    """
    Return an expression whose labels `pod` and `namespace` are those of the pod that holds the GPU.

    The exporter gives them these names. Where Prometheus keeps the names for the exporter's own pod, it renames them.
    """
    for label in ("pod", "namespace"):
        selector = f'label_replace({selector}, "{label}", "$1", "exported_{label}", "(.+)")'
    return selector


def workers_row(scope: Scope) -> Row:
    """Return the panels about the workers of the searches of a scope."""
    pods = f"max by (namespace, pod) ({scope.select(of_worker.MEMORY)}) * 0 + 1"
    gpus_used = f"sum ({_with_pod_labels(GPU_ACTIVITY)} * on (namespace, pod) group_left () ({pods}))"
    busy = scope.total(of_search.SLOTS, 'state="busy"')
    slots = f"({scope.total(of_search.SLOTS)} > 0)"  # no share of nothing
    return Row(
        "Workers",
        (
            Panel(
                "Throughput",
                "Meta-iterations per second of all workers together.",
                PanelKind.TIME_SERIES,
                DisplayUnit.META_ITERATIONS_PER_SECOND,
                (Query(scope.rate(of_worker.META_ITERATIONS), "meta-iterations", UNLESS_RUNNING),),
                NO_WORKERS_TEXT,
                8,
                8,
                minimum=0,
            ),
            Panel(
                "Busy share of slots",
                "The part of the running workers' slots that hold a trial, by the records and by the workers' own "
                "count of time. Low: rounds are too small for so many workers, or trials fail early.",
                PanelKind.TIME_SERIES,
                DisplayUnit.SHARE,
                (
                    Query(f"{busy} / {slots}", "by the records", UNLESS_RUNNING),
                    Query(f"{scope.rate(of_worker.SLOT_BUSY_SECONDS)} / {slots}", "by the workers", UNLESS_RUNNING),
                ),
                NO_WORKERS_TEXT,
                8,
                8,
                decimals=0,
                minimum=0,
                maximum=1,
            ),
            Panel(
                "Workers",
                "Worker pods by phase. Pending for long: no node takes them, or a queue holds them back.",
                PanelKind.TIME_SERIES,
                DisplayUnit.COUNT,
                (Query(scope.largest(of_search.WORKERS, by=("phase",)), "{{phase}}", UNLESS_RUNNING),),
                NO_WORKERS_TEXT,
                8,
                8,
                minimum=0,
                is_stacked=True,
            ),
            Panel(
                "GPUs held and used",
                "GPUs that workers hold, and how many of them are worth of work they do: the sum of the active shares "
                "that NVIDIA's DCGM exporter reports. Far apart: more slots per GPU would use it better. Without that "
                "exporter only the first is shown.",
                PanelKind.TIME_SERIES,
                DisplayUnit.GPUS,
                (
                    Query(scope.rate(of_worker.GPU_SECONDS), "held", UNLESS_RUNNING),
                    Query(gpus_used, "used", UNLESS_RUNNING),
                ),
                NO_WORKERS_TEXT,
                8,
                8,
                minimum=0,
            ),
            Panel(
                "GPU and main memory",
                "Memory of all workers together: their processes', and what their trials have allocated on GPUs.",
                PanelKind.TIME_SERIES,
                DisplayUnit.BYTES,
                (
                    Query(scope.total(of_worker.MEMORY), "main memory", UNLESS_RUNNING),
                    Query(scope.total(of_worker.GPU_MEMORY), "GPU memory", UNLESS_RUNNING),
                ),
                NO_WORKERS_TEXT,
                8,
                8,
                minimum=0,
            ),
            Panel(
                "CPU",
                "CPU cores that all workers together use.",
                PanelKind.TIME_SERIES,
                DisplayUnit.CORES,
                (Query(scope.rate(of_worker.CPU_SECONDS), "used", UNLESS_RUNNING),),
                NO_WORKERS_TEXT,
                8,
                8,
                minimum=0,
            ),
            Panel(
                "Tasks and images",
                "Tasks and images per second of all workers together, an image as often as it is in a batch.",
                PanelKind.TIME_SERIES,
                DisplayUnit.PER_SECOND,
                (
                    Query(scope.rate(of_worker.TASKS), "tasks", UNLESS_RUNNING),
                    Query(scope.rate(of_worker.IMAGES), "images", UNLESS_RUNNING),
                ),
                NO_WORKERS_TEXT,
                12,
                8,
                minimum=0,
            ),
            Panel(
                "Change of trials",
                "Time of a slot between the end of a trial and the begin of the next, where one was there: median and "
                "95% quantile of the last minutes.",
                PanelKind.TIME_SERIES,
                DisplayUnit.SECONDS,
                (
                    Query(scope.recent_quantile(0.5, of_worker.SWITCH_SECONDS), "median", UNLESS_RUNNING),
                    Query(scope.recent_quantile(0.95, of_worker.SWITCH_SECONDS), "95%", UNLESS_RUNNING),
                ),
                "no slot has changed its trial",
                12,
                8,
                minimum=0,
            ),
        ),
    )


CONDITION_TEXTS = (
    Text("0", "False", Colour.GREY),
    Text("1", "Unknown", Colour.YELLOW),
    Text("2", "True", Colour.BLUE),
)


def conditions_row(scope: Scope) -> Row:
    """Return the panels about the conditions of the searches of a scope."""
    values = " or ".join(
        scope.select(of_search.CONDITION, f'status="{text.text}"') + f" * {text.value}" for text in CONDITION_TEXTS
    )
    conditions = Query(scope.largest(of_search.CONDITION, by=("condition", "status", "reason")))
    return Row(
        "Conditions",
        (
            Panel(
                "Conditions over time",
                "The conditions that `kubectl describe` shows, too, each True or False over time.",
                PanelKind.STATE_TIMELINE,
                DisplayUnit.NUMBER,
                (Query(f"max by (condition) ({values})", "{{condition}}"),),
                NO_SEARCH_TEXT,
                16,
                8,
                texts=CONDITION_TEXTS,
            ),
            Panel(
                "Conditions now",
                "The present status of each condition and its reason; the documentation's page on conditions says what "
                "to do about each.",
                PanelKind.TABLE,
                DisplayUnit.NUMBER,
                (),
                NO_SEARCH_TEXT,
                8,
                8,
                columns=(
                    Column("Condition", label="condition"),
                    Column("Status", conditions, label="status", width=80),
                    Column("Reason", conditions, label="reason"),
                ),
                sort_column="Condition",
            ),
        ),
    )
