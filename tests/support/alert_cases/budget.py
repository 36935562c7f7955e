"""Cases for the alerts about budgets."""

from __future__ import annotations

from alert_cases.form import NAME, RUNNING, Case, Firing, of_search, search_labels, silent_when_over, steady


def budget(**spent_of: tuple[float, float]) -> dict[str, str]:
    """Return a search that has spent so much of so much, by unit."""
    return {
        **RUNNING,
        **{of_search("budget_spent", unit=unit): steady(spent) for unit, (spent, _) in spent_of.items()},
        **{of_search("budget_limit", unit=unit): steady(limit) for unit, (_, limit) in spent_of.items()},
    }


# --- MetaSearchBudgetNearlySpent ---


def nearly(unit: str) -> Case:
    return Case(
        "MetaSearchBudgetNearlySpent",
        f"95 of 100 {unit}",
        budget(**{unit: (95, 100)}, trials=(10, 100)),
        Firing(
            60,
            search_labels("info", unit=unit),
            f"The budget of the search {NAME} is nearly spent ({unit})",
            f"The search {NAME} has spent 95% of its budget in {unit} (alerts above 90%). At the limit its trials are "
            "cut short; what was found is kept. Raise the limit in spec.budget if it should come to its own end.",
        ),
    )


NEARLY_SPENT = (
    *map(nearly, ("seconds", "gpu_seconds", "failed_trials")),
    *silent_when_over(nearly("seconds")),
    Case("MetaSearchBudgetNearlySpent", "90 of 100", budget(seconds=(90, 100))),
    Case("MetaSearchBudgetNearlySpent", "all of its trials, as it was meant to", budget(trials=(100, 100))),
)

# --- MetaSearchBudgetWillRunOut ---


def remaining(seconds: float) -> dict[str, str]:
    return {of_search("search_unlimited_remaining_seconds"): steady(seconds)}


def run_out(unit: str, share: str) -> Firing:
    return Firing(
        900,
        search_labels("warning", unit=unit),
        f"The budget of the search {NAME} will not suffice ({unit})",
        f"At its present speed the search {NAME} needs {share} of its budget in {unit} (alerts above 110%). It will be "
        "cut short. Raise the limit in spec.budget, give it more workers, or lower what it has to do.",
    )


# Half of 2,000 s is spent, and 1,300 s remain: 2,300 of 2,000 s will have been.
TOO_LONG = Case(
    "MetaSearchBudgetWillRunOut",
    "1,000 s of 2,000 s are spent, 1,300 s remain",
    {**budget(seconds=(1_000, 2_000)), **remaining(1_300)},
    run_out("seconds", "115%"),
)

WILL_RUN_OUT = (
    TOO_LONG,
    *silent_when_over(TOO_LONG),
    Case(
        "MetaSearchBudgetWillRunOut",
        "1,200 s remain",
        {**budget(seconds=(1_000, 2_000)), **remaining(1_200)},
    ),
    Case(
        "MetaSearchBudgetWillRunOut",
        "GPU-hours of a search whose time is not limited",
        {
            **budget(gpu_seconds=(6_000, 10_000)),
            of_search("budget_spent", unit="seconds"): steady(1_000),
            **remaining(1_000),
        },
        run_out("gpu_seconds", "120%"),
    ),
    Case("MetaSearchBudgetWillRunOut", "nobody can tell", budget(seconds=(1_500, 2_000))),
)

CASES = (*NEARLY_SPENT, *WILL_RUN_OUT)
