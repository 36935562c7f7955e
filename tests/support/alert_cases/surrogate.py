"""Cases for the alerts about the surrogate."""

from __future__ import annotations

from alert_cases.form import NAME, RUNNING, Case, Firing, of_search, phase, search_labels, silent_when_over, steady


def examined(spearman: float = 0.19, ceiling: float = 0.52, trials: float = 16) -> dict[str, str]:
    return {
        **RUNNING,
        of_search("surrogate_examination_correlation", kind="spearman"): steady(spearman),
        of_search("surrogate_examination_correlation", kind="ceiling"): steady(ceiling),
        of_search("surrogate_examination_trials"): steady(trials),
    }


CHANCE = Case(
    "MetaSearchSurrogateNoBetterThanChance",
    "0.19 over 16 trials, where 0.52 could be",
    examined(),
    Firing(
        600,
        search_labels("info"),
        f"The surrogate of the search {NAME} is no better than chance",
        f"Over the trials that were drawn at random, predictions and scores of the search {NAME} have the rank "
        "correlation 0.19 (alerts below 0.2). It tries what the surrogate prefers, so it is no better than a random "
        "search. Compare the rounds in the report, and choose another surrogate next time.",
    ),
)

CASES = (
    CHANCE,
    *silent_when_over(CHANCE),
    Case("MetaSearchSurrogateNoBetterThanChance", "0.2", examined(spearman=0.2)),
    Case("MetaSearchSurrogateNoBetterThanChance", "fewer than 16 trials", examined(trials=15.5)),
    Case("MetaSearchSurrogateNoBetterThanChance", "scores that are mostly noise", examined(ceiling=0.5)),
    Case(
        "MetaSearchSurrogateNoBetterThanChance",
        "final trials ask for no prediction",
        {**examined(), **phase("Final")},
    ),
)
