"""The settings of a search's strategy, surrogate and early stopping."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import Field

from metasearch.api import strategies
from metasearch.api.base import Rule, SpecModel, only_where
from metasearch.api.hyperparameters import MAX_HYPERPARAMETERS, Hyperparameter
from metasearch.api.latency import Latency
from metasearch.api.names import EXTENSION_MAX_LENGTH, EXTENSION_PATTERN, Architecture
from metasearch.quantities import DecimalText, Memory

STRATEGY_SETTINGS = {
    "Progressive": "progressive",
    "Evolution": "evolution",
    "LocalSearch": "local_search",
    "Halving": "halving",
    "Priority": "priority",
}
"""The field of `Search` with the settings of each strategy that has any."""

S = TypeVar("S", bound=SpecModel)


def _settings(name: str, strategy: str) -> Any:
    return Field(default=None, description=f"{name} are the settings of {strategy}. Default: its own defaults.")


class Surrogate(SpecModel):
    """The predictor that ranks the children of measured cells."""

    type: str = Field(
        default="Stacked",
        max_length=EXTENSION_MAX_LENGTH,
        pattern=EXTENSION_PATTERN,
        description="type is Stacked (LSTM, Ridge and Trees, whose votes come from how well each predicts what it has "
        "not learned from), LSTM (Auto-Meta), MLP (mean of block embeddings, PNAS's better extrapolator), Ridge "
        "(linear in figures of the whole network and in the parent's score), Trees (boosted, on the same), or a "
        "surrogate that an installed package adds. Ridge and Trees have no settings; Stacked's are its LSTM's. "
        "Default: Stacked.",
    )
    hidden_size: int = Field(
        default=100,
        ge=4,
        le=512,
        description="hiddenSize is the number of units of a layer of the LSTM or MLP. Default: 100, the paper's.",
    )
    layers: int = Field(
        default=1, ge=1, le=3, description="layers is the number of LSTM or hidden MLP layers. Default: 1."
    )
    members: int = Field(
        default=5,
        ge=1,
        le=20,
        description="members is the number of LSTMs or MLPs that predict together; with more than one, each learns "
        "from 4/5 of the scores. With one, nothing is left out to judge it by, and Stacked gives it no vote. "
        "Default: 5.",
    )


class EarlyStoppingRule(StrEnum):
    """The rule by which a trial that does badly is given up."""

    NEVER = "Never"
    MEDIAN = "Median"


class EarlyStopping(SpecModel):
    """Gives up search trials that learn worse than the last finished round did. Final trials always run in full."""

    rule: EarlyStoppingRule = Field(
        default=EarlyStoppingRule.MEDIAN,
        description="rule is Median (stop where the best score so far is below the median of the last finished round's "
        "running averages at the same iteration, less one standard error) or Never. Default: Median.",
    )
    warm_up: DecimalText = Field(
        default=Decimal("0.3"),
        ge=0,
        le=1,
        description='warmUp is the share of metaIterations before which a trial is never stopped. Default: "0.3".',
    )


class Screening(SpecModel):
    """Trains all candidates a little, and the best of them on. Not for Halving and Priority, which choose lengths."""

    share: DecimalText = Field(
        default=Decimal("1"),
        gt=0,
        le=1,
        description="share is the share of training.metaIterations after which a candidate is first scored, by its "
        'training loss, such as "0.25". With "1" every search trial is trained in full, and earlyStopping holds. '
        'Default: "1".',
    )
    keep: DecimalText = Field(
        default=Decimal("0.125"),
        gt=0,
        lt=1,
        description="keep is the share of the candidates so scored that goes on, from its checkpoint, to all "
        'metaIterations. Each training counts as a trial of budget.maxTrials. Default: "0.125".',
    )


class Constraints(SpecModel):
    """Limits on the networks of candidates. One beyond a limit is never proposed: arithmetic tells before training."""

    max_parameters: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000_000,
        description="maxParameters is the most parameters of a network, normalisation and classifier included. Unlike "
        "space.maxParameters, which gives a large cell fewer filters, it leaves the cell out. Default: no limit.",
    )
    max_multiply_adds: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000_000_000,
        description="maxMultiplyAdds is the most multiply-adds of a network per image. Default: no limit.",
    )
    max_memory: Memory | None = Field(
        default=None,
        description="maxMemory is the most memory that a gradient of an outer step may keep, such as 2Gi: the values "
        "between the layers for all images that are trained on at a time, and the weights that each task has of its "
        "own, in four bytes each. PyTorch itself comes on top (budget.trialMemory limits the whole process), and "
        "operations of installed packages count nothing. Default: no limit.",
    )
    latency: Latency | None = Field(
        default=None,
        description="latency is a limit on the time that a network takes to classify, with a table that `metasearch "
        "latency` measures. Default: no limit.",
    )

    @property
    def need_image_side(self) -> bool:
        """Tell whether a limit is on something that grows with the images."""
        return any(limit is not None for limit in (self.max_multiply_adds, self.max_memory, self.latency))


class Search(SpecModel):
    """The way in which candidates are proposed."""

    strategy: str = Field(
        default="Progressive",
        max_length=EXTENSION_MAX_LENGTH,
        pattern=EXTENSION_PATTERN,
        description="strategy is Progressive (PNAS: cells grow block by block, ranked by the surrogate), Evolution "
        "(regularized), LocalSearch (one part of a cell after the other is changed to the best), Halving (random "
        "cells, the better of them trained on), Priority (best first, with trainings that pause), Random, Grid (every "
        "cell), or a strategy that an installed package adds. Default: Progressive.",
    )
    initial: tuple[Architecture, ...] = Field(
        default=(),
        max_length=100,
        description="initial are cells in their text form, such as conv3x3(-1)+identity(-2), that are tried before any "
        "other; Grid tries no others. Default: none.",
    )
    progressive: strategies.ProgressiveSearchSettings | None = _settings("progressive", "Progressive")
    evolution: strategies.EvolutionSearchSettings | None = _settings("evolution", "Evolution")
    local_search: strategies.LocalSearchSettings | None = _settings("localSearch", "LocalSearch")
    halving: strategies.HalvingSearchSettings | None = _settings("halving", "Halving")
    priority: strategies.PrioritySearchSettings | None = _settings("priority", "Priority")
    surrogate: Surrogate = Field(default=Surrogate(), description="surrogate predicts the scores of untried cells.")
    screening: Screening = Field(
        default=Screening(), description="screening trains all candidates a little, and the best of them on."
    )
    confirmations: int = Field(
        default=2,
        ge=0,
        le=20,
        description="confirmations is the number of best cells that are trained once more, with another seed, where "
        "their scores cannot be told apart, before the final ones are chosen by the mean of both; at most a twentieth "
        "of budget.maxTrials, which counts them. Default: 2.",
    )
    early_stopping: EarlyStopping = Field(
        default=EarlyStopping(), description="earlyStopping gives up trials that do badly."
    )
    hyperparameters: tuple[Hyperparameter, ...] = Field(
        default=(),
        max_length=MAX_HYPERPARAMETERS,
        description="hyperparameters are varied from candidate to candidate, together with the cell; a candidate's "
        "values replace those of space and training. What a rule of the spec forbids together is not proposed. "
        "Default: none, candidates differ in their cells alone.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    constraints: Constraints = Field(
        default=Constraints(), description="constraints keep networks that are too large out of the search."
    )

    rules = (
        *(only_where("strategy", strategy, field, "Progressive") for strategy, field in STRATEGY_SETTINGS.items()),
        Rule(
            cel="!has(self.initial) || self.initial.all(x, self.initial.exists_one(y, y == x))",
            message="must not name a cell twice in initial",
            holds=lambda search: len(set(search.initial)) == len(search.initial),
        ),
        Rule(
            cel="!has(self.hyperparameters) || "
            "self.hyperparameters.all(x, self.hyperparameters.exists_one(y, y.name == x.name))",
            message="must not name a field twice in hyperparameters",
            holds=lambda search: len({each.name for each in search.hyperparameters}) == len(search.hyperparameters),
        ),
    )

    def settings(self, kind: type[S]) -> S:
        """Return a strategy's settings, by their class: the given ones, or where there are none its defaults."""
        given = (getattr(self, field) for field in STRATEGY_SETTINGS.values())
        return next((each for each in given if isinstance(each, kind)), kind())
