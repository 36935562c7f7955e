"""Situations of trials, budgets, slots and whole searches."""

from __future__ import annotations

from metasearch.search.trials import Reason
from watching.search import fails, fails_once_chosen, scores_at_random, takes
from watching.situation import (
    ORDINARY,
    PROGRESSIVE,
    Situation,
    budget_share,
    faults,
    gpus_should_be_busy,
    hang,
    is_mostly_idle,
    is_no_better_than_chance,
    most_fail,
    search,
    will_run_out,
)

TRIALS = (
    Situation(
        "every trial fails",
        "each diverges after 2 minutes",
        {"MetaSearchTrialsFailing": most_fail},
        ((40.25, search(behaviour=fails(Reason.DIVERGED, 1.0, ORDINARY, 120))),),
        fields={"budget": {"maxTrials": 900, "maxFailedTrials": 200}},
        hours=1.5,
    ),
    Situation(
        "every trial fails at once",
        "each ends in an error after half a minute, from the first on",
        behaviour=fails(Reason.ERROR, 1.0, ORDINARY, 30),
        hours=1,
        untold="`budget.maxFailedTrials` ends the search within minutes, and no alert tells of one that has ended",
    ),
    Situation(
        "one trial fails",
        "a candidate diverges",
        events=((40.25, search(behaviour=fails_once_chosen(Reason.DIVERGED, ORDINARY))),),
    ),
    Situation(
        "a candidate fails at every attempt",
        "the others are well",
        events=((40.25, search(behaviour=fails_once_chosen(Reason.ERROR, ORDINARY))),),
    ),
    Situation(
        "every worker hangs",
        "the volume with the images does not answer any more",
        {"MetaSearchSearchStalled": lambda view: view.still_seconds >= 600},
        ((40.25, hang(9)),),
    ),
    Situation(
        "one worker of two hangs",
        "its trials keep the round from its end",
        {"MetaSearchSearchStalled": lambda view: view.still_seconds >= 600},
        ((40.25, hang(1)),),
        hours=3,
        fields={"search": PROGRESSIVE},
        remark="it is seen when nothing else is left to do; until then the search gets on",
    ),
    Situation(
        "budget nearly spent",
        "the search comes to its own end at 95% of `budget.wallTime`",
        {"MetaSearchBudgetNearlySpent": lambda view: budget_share(view) > 0.9},
        fields={
            "budget": {"maxTrials": 150, "wallTime": "146m"},
            "final": {"top": 3, "seeds": 2, "metaIterations": 1500, "baselines": ["Conv4"]},
        },
        hours=3,
    ),
    Situation(
        "budget will run out",
        "`budget.wallTime` is 40% of what the search needs",
        {"MetaSearchBudgetWillRunOut": will_run_out},
        fields={"budget": {"maxTrials": 400, "wallTime": "100m"}},
        hours=1.2,
    ),
    Situation(
        "surrogate no better than chance",
        "scores have nothing to do with cells",
        {"MetaSearchSurrogateNoBetterThanChance": is_no_better_than_chance},
        behaviour=scores_at_random(ORDINARY),
        fields={"search": PROGRESSIVE},
        hours=3,
    ),
    Situation(
        "GPU idle",
        "it computes for 5% of the time, with every slot busy",
        {"MetaSearchGpuIdle": gpus_should_be_busy},
        begin=faults(gpu_activity=0.05),
    ),
    Situation("GPU busy", "it computes for 60% of the time", begin=faults(gpu_activity=0.6)),
    Situation(
        "slots idle",
        "rounds of 4 trials on 32 slots, which Kueue keeps",
        {"MetaSearchSlotsIdle": is_mostly_idle},
        fields={"parallelism": 32, "search": {**PROGRESSIVE, "progressive": {"beamWidth": 4}}},
        begin=search(is_queued=True),
        hours=3,
    ),
    Situation(
        "few final trainings on many slots",
        "two final trainings of an hour or more on 32 slots, which Kueue keeps",
        fields={
            "parallelism": 32,
            "budget": {"maxTrials": 100},
            "final": {"top": 2, "seeds": 1, "metaIterations": 10_000, "baselines": []},
        },
        begin=search(is_queued=True),
        hours=4,
    ),
    Situation(
        "trials of two hours",
        "each takes two hours to three",
        behaviour=takes(7200, 10_000),
        hours=8,
    ),
    Situation(
        "suspended for 3 hours",
        "`spec.suspend` is set, and taken away again",
        events=((40.25, lambda c: c.searches[0].suspend(True)), (220.25, lambda c: c.searches[0].suspend(False))),
        hours=5,
    ),
    Situation(
        "finished, and kept for hours",
        "a search of 60 trials that has delivered its network",
        fields={"budget": {"maxTrials": 60, "wallTime": "3h"}},
        hours=6,
    ),
    Situation(
        "failed, and kept for hours",
        "a search that may fail 5 times",
        fields={"budget": {"maxTrials": 400, "maxFailedTrials": 5}},
        behaviour=fails(Reason.DIVERGED, 0.3, ORDINARY),
        hours=4,
    ),
    Situation(
        "search deleted",
        "while its trials run",
        events=((40.25, lambda cluster: cluster.delete(cluster.searches[0])),),
    ),
)
