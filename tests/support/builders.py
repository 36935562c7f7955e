"""Builders that hide what a test does not care about."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np

from metasearch.api import MetaSearch, MetaSearchSpec
from metasearch.loading import parse_search
from metasearch.search import strategies, trials
from metasearch.search.build import build_search
from metasearch.search.candidates import Candidate
from metasearch.search.confirmation import strategy_spec
from metasearch.search.planner import Search
from metasearch.search.surrogates.base import Candidates, Observations, Scores
from metasearch.search.trials import (
    Accuracies,
    Accuracy,
    CurvePoint,
    Stage,
    State,
    Trial,
    TrialResult,
    TrialSpec,
)

STARTED = 1_000.0
SOME_CELL = "conv3x3(-1)+identity(-2)"


def make_resource(name: str = "test", **spec: Any) -> MetaSearch:
    """Make a resource on Omniglot; keywords are fields of spec as in YAML."""
    return parse_search(
        {
            "apiVersion": "metasearch.dev/v1alpha1",
            "kind": "MetaSearch",
            "metadata": {"name": name},
            "spec": {"dataset": {"name": "omniglot"}, **spec},
        }
    )


def make_spec(**spec: Any) -> MetaSearchSpec:
    """Make the spec of a resource on Omniglot; keywords are its fields as in YAML."""
    return make_resource(**spec).spec


def merged(fields: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields with some of them changed, in the objects among them too."""
    return {
        **fields,
        **{
            name: merged(fields.get(name) or {}, value) if isinstance(value, Mapping) else value
            for name, value in changes.items()
        },
    }


SMALL: Mapping[str, Any] = {
    "space": {"operations": ["conv3x3", "identity"], "maxBlocks": 3},
    "search": {
        "progressive": {"beamWidth": 4},
    },
    "final": {"top": 2, "seeds": 2, "metaIterations": 10, "baselines": []},
}
"""A search of 10 + 4 + 4 x 4 + 4 trials that plans in milliseconds."""

SMALL_BUDGET = {"maxTrials": 30}


def make_search(**spec: Any) -> Search:
    """Make a small search that began at STARTED, with a surrogate that is as simple as can be."""
    budget = {**SMALL_BUDGET, **spec.get("budget", {})}
    wanted = {"confirmations": 0, **spec.get("search", SMALL["search"])}
    resource = make_spec(**{**SMALL, **spec, "budget": budget, "search": wanted})
    search = build_search("test", resource, started_at=STARTED)
    return replace(search, strategy=strategies.build(strategy_spec(resource), search.space, TokenMeans))


class TokenMeans:
    """A surrogate in microseconds: the mean, over a candidate's tokens, of the scores they were seen with."""

    def fit(self, observations: Observations, seed: Sequence[int]) -> TokenMeansPredictor:  # noqa: ARG002
        seen: dict[int, list[float]] = {}
        scores: list[float] = observations.scores.tolist()
        for tokens, score in zip(observations.candidates.tokens, scores, strict=True):
            for token in itertools.chain.from_iterable(tokens):
                seen.setdefault(token, []).append(score)
        default = fmean(scores)
        return TokenMeansPredictor({token: fmean(values) for token, values in seen.items()}, default)


class TokenMeansPredictor:
    def __init__(self, means: Mapping[int, float], default: float) -> None:
        self._means, self._default = means, default
        self.left_out: Scores = np.array([])
        self.description = "means of tokens"

    def predict(self, candidates: Candidates) -> Scores:
        tokens = (itertools.chain.from_iterable(each) for each in candidates.tokens)
        return np.array([fmean(self._means.get(token, self._default) for token in each) for each in tokens])


def make_trial_spec(name: str = "test-1-a", candidate: str | Candidate | None = None, **changes: Any) -> TrialSpec:
    """Make the spec of a trial of a cell, by its text, or of any candidate; a baseline is of Conv4 unless it says."""
    if candidate is None:
        candidate = "Conv4" if changes.get("stage") is Stage.BASELINE else SOME_CELL
    defaults = TrialSpec(
        name=name,
        stage=Stage.SEARCH,
        round=1,
        candidate=Candidate(candidate) if isinstance(candidate, str) else candidate,
        seed=0,
        meta_iterations=10,
        round_size=1,
    )
    return replace(defaults, **changes)


def make_accuracies(mean: float) -> Accuracies:
    accuracy = Accuracy(mean, 0.01, 100)
    return Accuracies(accuracy, accuracy, accuracy)


def make_result(score: float = 0.5, parameters: int = 1_000, **changes: Any) -> TrialResult:
    """Make the result of a trial that ran to its end."""
    result = TrialResult(
        state=State.SUCCEEDED,
        score=score,
        validation=make_accuracies(score),
        curve=(CurvePoint(5, score / 2), CurvePoint(10, score)),
        parameter_count=parameters,
        multiply_adds=parameters * 100,
        image_channels=1,
        image_side=28,
        wall_seconds=1.0,
        latency_ms=1.0,
        peak_memory_bytes=2**29,
        device="cpu",
    )
    return replace(result, **changes)


def make_trial(name: str = "test-1-a", result: TrialResult | None = None, **spec: Any) -> Trial:
    """Make a pending trial or, with a result, one that is over."""
    trial = Trial(spec=make_trial_spec(name, **spec))
    return trial if result is None else completed(trial, result)


def completed(trial: Trial, result: TrialResult, began: float = STARTED, ended: float = STARTED + 1) -> Trial:
    """Return a trial after a claim and its completion."""
    claimed = trials.claim(trial, "worker", began, gpus=0.0)
    return trials.complete(claimed, claimed.epoch, result, ended, max_attempts=1)


def pretend_score(candidate: str) -> float:
    """Return a score in (0, 1) that depends on the candidate alone: it grows with convolutions, with a little noise."""
    noise = np.random.default_rng(list(candidate.encode())).random()
    return 0.3 + 0.1 * min(5, candidate.count("conv")) + 0.05 * noise


def pretend_result(spec: TrialSpec) -> TrialResult:
    """Invent the result that a trainer would have measured."""
    score = pretend_score(spec.candidate.architecture)
    weights = 100 * (1 + spec.candidate.architecture.count("conv"))
    final = spec.stage is not Stage.SEARCH
    return make_result(score, weights, test=make_accuracies(score) if final else None, weights="w" if final else None)


def spec_names(specs: Sequence[TrialSpec]) -> list[str]:
    return [spec.name for spec in specs]
