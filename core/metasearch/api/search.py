"""The settings of a search's strategy, surrogate and early stopping."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from pydantic import Field

from metasearch.api.base import Rule, SpecModel
from metasearch.api.hyperparameters import MAX_HYPERPARAMETERS, Hyperparameter
from metasearch.api.names import EXTENSION_MAX_LENGTH, EXTENSION_PATTERN
from metasearch.quantities import DecimalText, Memory


class Surrogate(SpecModel):
    """The predictor that ranks the children of measured cells."""

    type: str = Field(
        default="LSTM",
        max_length=EXTENSION_MAX_LENGTH,
        pattern=EXTENSION_PATTERN,
        description="type is LSTM (Auto-Meta), MLP (mean of block embeddings, PNAS's better extrapolator), Ridge "
        "(linear in figures of the whole network and in the parent's score; it has no settings), or a surrogate that "
        "an installed package adds. Default: LSTM.",
    )
    hidden_size: int = Field(
        default=100,
        ge=4,
        le=512,
        description="hiddenSize is the number of units of a layer. Default: 100, the paper's.",
    )
    layers: int = Field(
        default=1, ge=1, le=3, description="layers is the number of LSTM or hidden MLP layers. Default: 1."
    )
    members: int = Field(
        default=5,
        ge=1,
        le=20,
        description="members is the size of the ensemble; with more than one, each learns from 4/5 of the scores. "
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


class Search(SpecModel):
    """The way in which candidates are proposed."""

    strategy: str = Field(
        default="Progressive",
        max_length=EXTENSION_MAX_LENGTH,
        pattern=EXTENSION_PATTERN,
        description="strategy is Progressive (PNAS: cells grow block by block, ranked by the surrogate), Evolution "
        "(regularized), Random, or a strategy that an installed package adds. Default: Progressive.",
    )
    beam_width: int = Field(
        default=100,
        ge=1,
        le=2000,
        description="beamWidth is the number of cells that Progressive trains in each round after the first, which is "
        "trained whole. "
        "Default: 100, Auto-Meta's.",
    )
    surrogate: Surrogate = Field(default=Surrogate(), description="surrogate predicts the scores of untried cells.")
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
        Rule(
            cel="!has(self.hyperparameters) || "
            "self.hyperparameters.all(x, self.hyperparameters.exists_one(y, y.name == x.name))",
            message="must not name a field twice in hyperparameters",
            holds=lambda search: len({each.name for each in search.hyperparameters}) == len(search.hyperparameters),
        ),
    )
