"""Invented searches to report on: what trials measured is drawn from a seeded generator."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from builders import make_resource

from metasearch.outcome.results import SearchResult, summarize
from metasearch.search import pareto
from metasearch.search.baselines import HandMade
from metasearch.search.budget import Limit
from metasearch.search.build import build_search
from metasearch.search.candidates import Candidate
from metasearch.search.planner import Phase, Plan
from metasearch.search.space import CellSpace
from metasearch.search.trials import (
    Accuracies,
    Accuracy,
    Attempt,
    CurvePoint,
    Reason,
    Stage,
    State,
    Trial,
    TrialResult,
    TrialSpec,
)

STARTED = 1_750_000_000.0
OPERATIONS = ("conv3x3", "conv5x5", "identity", "avg_pool3x3", "max_pool3x3")
SURE = 0.004
CONV4 = {"Conv4": 0.8}


class Scene(NamedTuple):
    """A search at one moment."""

    result: SearchResult
    trials: list[Trial]


class Generator:
    """A maker of trials that two workers seem to have run one after the other."""

    def __init__(self, seed: int, gpus: float) -> None:
        self.rng, self.gpus = np.random.default_rng(seed), gpus
        self.clock = [STARTED, STARTED + 3]
        self.made = 0

    def trial(self, cell: str, score: float, *, state: State = State.SUCCEEDED, **spec: Any) -> Trial:
        """Make a trial that has ended with this score."""
        self.made += 1
        stage, round = spec.pop("stage", Stage.SEARCH), spec.pop("round", 1)
        made = TrialSpec(
            **{"seed": 0, "meta_iterations": 1000, "round_size": 1} | spec,
            name=f"test-{round}-{self.made:010x}",
            stage=stage,
            round=round,
            candidate=Candidate(cell),
            priority=self.made,
        )
        result = self._result(made, score, state)
        attempt = self._attempt(result)
        return Trial(spec=made, state=state, epoch=1, attempts=(attempt,), result=result)

    def _attempt(self, result: TrialResult) -> Attempt:
        worker = int(np.argmin(self.clock))
        began = self.clock[worker]
        self.clock[worker] += result.wall_seconds or 5.0
        outcome = str(result.reason or result.state)
        return Attempt(1, f"worker-{worker}", began, self.gpus, self.clock[worker], outcome)

    def _result(self, spec: TrialSpec, score: float, state: State) -> TrialResult:
        if state is State.FAILED:
            return TrialResult(
                state=state, reason=Reason.DIVERGED, message="the loss was not finite at meta-iteration 12"
            )
        points = 5 if state is State.SUCCEEDED else 2
        steps = [round(spec.meta_iterations * place / 5) for place in range(1, points + 1)]
        rise = [score - (score - 0.2) * 0.6**place + self.rng.normal(0, 0.012) for place in range(1, points)]
        curve = tuple(map(CurvePoint, steps, [*rise, score]))
        seconds = float(spec.meta_iterations / 1000 * self.rng.uniform(40, 90) * points / 5)
        cell = spec.candidate.architecture
        size = 400 + 1100 * cell.count("3x3") + 1400 * cell.count("5x5")
        size = HandMade.parse(cell).parameter_count(1, 28, 5) if spec.stage is Stage.BASELINE else size
        if state is State.STOPPED:
            message = "its score was below the threshold"
            return TrialResult(
                state=state,
                reason=Reason.EARLY_STOPPED,
                message=message,
                score=score,
                curve=curve,
                wall_seconds=seconds,
            )
        return TrialResult(
            state=state,
            score=score,
            validation=accuracies(score),
            test=None if spec.stage is Stage.SEARCH else accuracies(score - 0.01),
            curve=curve,
            parameter_count=size,
            multiply_adds=size * 140,
            wall_seconds=seconds,
            peak_memory_bytes=round(1.4 * 2**30),
            latency_ms=float(self.rng.uniform(1, 12)),
            device="cuda (NVIDIA H100)" if self.gpus else "cpu (x86_64)",
            weights=None if spec.stage is Stage.SEARCH else "weights",
        )


def accuracies(score: float) -> Accuracies:
    alone, by_support = Accuracy(score, SURE, 200), Accuracy(min(1.0, score + 0.01), SURE, 200)
    return Accuracies(Accuracy(min(1.0, score + 0.05), SURE, 200), alone, by_support)


def random_cells(rng: np.random.Generator, blocks: int, count: int) -> list[str]:
    """Draw so many different cells."""
    space = CellSpace(OPERATIONS, blocks)
    found: dict[str, None] = {}
    while len(found) < count:
        found.setdefault(str(space.sample(rng)))
    return list(found)


def merit(rng: np.random.Generator, cell: str) -> float:
    """Return a score that grows with convolutions and blocks, with some noise."""
    return float(0.62 + 0.02 * cell.count("conv") + 0.012 * cell.count("|") + rng.normal(0, 0.02))


def search_trials(generator: Generator, sizes: Sequence[int], blocks: int | None) -> Iterator[Trial]:
    """Yield so many trials for each round; in later rounds some are stopped, and a few fail."""
    for round, size in enumerate(sizes, 1):
        for place, cell in enumerate(random_cells(generator.rng, blocks or round, size)):
            score = merit(generator.rng, cell)
            predicted = score + float(generator.rng.normal(0, 0.02)) if round > 1 else None
            state = State.STOPPED if round > 1 and place % 4 == 3 else State.SUCCEEDED
            state = State.FAILED if place % 41 == 40 else state
            given_up = 0.1 if state is State.STOPPED else 0.0
            yield generator.trial(
                cell, score - given_up, state=state, round=round, round_size=size, predicted=predicted
            )


def final_trials(
    generator: Generator, trials: Sequence[Trial], top: int, seeds: int, baselines: Mapping[str, float]
) -> Iterator[Trial]:
    """Yield final trials of the best cells and of hand-made networks, whose scores are given."""
    for best in pareto.ranked(trials)[:top]:
        for seed in range(seeds):
            score = best.score + 0.08 + float(generator.rng.normal(0, 0.004))
            found = best.trial.spec
            yield generator.trial(
                found.candidate.architecture,
                score,
                stage=Stage.FINAL,
                round=found.round,
                seed=seed,
                meta_iterations=20_000,
            )
    for (text, mean), seed in itertools.product(baselines.items(), range(seeds)):
        score = mean + float(generator.rng.normal(0, 0.004))
        yield generator.trial(text, score, stage=Stage.BASELINE, round=0, seed=seed, meta_iterations=20_000)


def scene(
    sizes: Sequence[int] = (12, 10, 10),
    *,
    name: str = "test",
    phase: Phase = Phase.SUCCEEDED,
    top: int = 2,
    seeds: int = 2,
    baselines: Mapping[str, float] = CONV4,
    limit: Limit | None = None,
    message: str | None = None,
    gpus: float = 0.0,
    blocks: int | None = None,
    change: Callable[[list[Trial]], list[Trial]] = list,
    **spec: Any,
) -> Scene:
    """Make a search with so many trials in each round; `change` may replace any of them."""
    generator = Generator(len(sizes), gpus)
    trials = list(search_trials(generator, sizes, blocks))
    trials = change(trials + list(final_trials(generator, trials, top, seeds, baselines)))
    space = {"operations": list(OPERATIONS), "maxBlocks": 5}
    search = build_search(name, make_resource(**{"space": space} | spec).spec, STARTED)
    return Scene(summarize(search, trials, Plan(phase, limit=limit, message=message), max(generator.clock)), trials)


@pytest.fixture(scope="session")
def make_scene() -> Callable[..., Scene]:
    return scene


@pytest.fixture(scope="session")
def five_rounds() -> Scene:
    """Return a search of Auto-Meta's size: 455 trials in five rounds; ten cells and a baseline on three seeds."""
    budget = {"maxTrials": 455, "wallTime": "24h", "gpuHours": "48"}
    return scene(
        (55, 100, 100, 100, 100),
        name="omniglot-full",
        top=10,
        seeds=3,
        baselines={"Conv4": 0.83},
        gpus=1.0,
        budget=budget,
    )
