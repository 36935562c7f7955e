"""Ten searches that are well, of different sizes, strategies and durations."""

from __future__ import annotations

from watching.search import takes
from watching.situation import PROGRESSIVE, Situation, faults, lose, search

HEALTHY = (
    Situation(
        "2 slots, Progressive",
        "1 pod, 4 minutes a trial",
        fields={"search": PROGRESSIVE, "parallelism": 2, "worker": {"slots": 2}},
    ),
    Situation(
        "8 slots, Progressive, GPUs",
        "2 pods, 4 minutes a trial",
        begin=faults(gpu_activity=0.5),
        fields={"search": PROGRESSIVE, "budget": {"maxTrials": 400, "wallTime": "12h", "gpuHours": "40"}},
        hours=6,
    ),
    Situation(
        "8 slots, short trials",
        "2 pods, half a minute a trial",
        behaviour=takes(20, 60),
        fields={"budget": {"maxTrials": 400, "wallTime": "4h"}},
        hours=3,
    ),
    Situation(
        "8 slots, Random, a pod lost each hour",
        "8 pods",
        events=tuple((40.25 + 60 * number, lose(1)) for number in range(4)),
        fields={"search": {"strategy": "Random"}, "worker": {"slots": 1}},
        hours=5,
    ),
    Situation(
        "16 slots, Evolution",
        "4 pods, 20 minutes a trial",
        behaviour=takes(900, 1500),
        fields={"search": {"strategy": "Evolution"}, "parallelism": 16},
        hours=8,
    ),
    Situation(
        "16 slots, Halving",
        "4 pods, 4 minutes a trial",
        fields={"search": {"strategy": "Halving"}, "parallelism": 16},
        hours=5,
    ),
    Situation(
        "4 slots in a queue of Kueue, LocalSearch",
        "1 pod",
        begin=search(is_queued=True),
        fields={"search": {"strategy": "LocalSearch", "surrogate": {"type": "Ridge"}}, "parallelism": 4},
        hours=5,
    ),
    Situation(
        "32 slots, Progressive, few final trainings",
        "8 pods, 10 minutes a trial",
        behaviour=takes(400, 800),
        fields={
            "search": {"progressive": {"beamWidth": 64}, "surrogate": {"type": "Ridge"}},
            "parallelism": 32,
            "final": {"top": 1, "seeds": 1, "metaIterations": 4000, "baselines": ["Conv4"]},
        },
        hours=5,
    ),
    Situation(
        "1 slot, on CPUs for a day",
        "1 pod, 30 minutes a trial",
        behaviour=takes(1200, 2400),
        fields={"parallelism": 1, "worker": {"slots": 1}, "budget": {"maxTrials": 30, "wallTime": "48h"}},
        hours=24,
    ),
    Situation(
        "112 slots, Random",
        "14 pods with 8 slots, 30 minutes a trial",
        behaviour=takes(1200, 2400),
        fields={
            "search": {"strategy": "Random"},
            "parallelism": 112,
            "worker": {"slots": 8},
            "budget": {"maxTrials": 700, "wallTime": "24h"},
        },
        hours=6,
    ),
)
