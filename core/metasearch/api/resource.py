"""The resource itself, as `kubectl apply` and `metasearch run` take it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from metasearch.api.base import Rule, SpecModel
from metasearch.api.budget import Budget, Final
from metasearch.api.data import OMNIGLOT_SEARCH_CLASSES, Dataset, DatasetName, Task
from metasearch.api.hyperparameters import AVERAGING, SPACE_NAMES, names_rule, refuse_undrawable
from metasearch.api.names import DOMAIN_PATH_PATTERN, LABEL_PATTERN
from metasearch.api.search import Search
from metasearch.api.space import Space
from metasearch.api.storage import Storage
from metasearch.api.training import Evaluation, Training
from metasearch.api.worker import Worker

NAME_MAX_LENGTH = 40  # leaves room for "-<round>-<hash>" within the 63 characters of a label value

OPERATOR_MANAGER = "metasearch.dev/operator"
"""The value of managedBy that names this operator."""

CHANGEABLE = (
    "budget",
    "final.baselines",
    "final.reserve",
    "final.seeds",
    "final.top",
    "parallelism",
    "storage",
    "suspend",
    "worker",
)
"""Parts of a spec that may change once the search has begun: they decide when it ends and where it runs, not how trials
are trained and scored."""


def _or_default(part: str, field: str, default: int) -> str:
    """Return the value in CEL of a field of a part of the spec, either of which may be left out."""
    return f"(has(self.{part}) && has(self.{part}.{field}) ? self.{part}.{field} : {default})"


class MetaSearchSpec(SpecModel):
    """A search. `dataset` alone is a valid one."""

    dataset: Dataset = Field(description="dataset says where the images come from.")
    task: Task = Field(default=Task(), description="task is the few-shot task to solve.")
    space: Space = Field(default=Space(), description="space is the set of cells that can be tried.")
    search: Search = Field(default=Search(), description="search says how candidates are chosen.")
    training: Training = Field(default=Training(), description="training says how a trial is meta-trained.")
    evaluation: Evaluation = Field(default=Evaluation(), description="evaluation says how a trial is scored.")
    budget: Budget = Field(default=Budget(), description="budget is what the search may spend.")
    final: Final = Field(default=Final(), description="final is the full training of the best cells.")
    parallelism: int = Field(
        default=4, ge=1, le=10_000, description="parallelism is the number of trials that may run at once. Default: 4."
    )
    seed: int = Field(
        default=0,
        ge=0,
        le=2**31 - 1,
        description="seed decides every random choice: the same spec and seed on one kind of machine gives the same "
        "candidates and scores. Default: 0.",
    )
    suspend: bool = Field(
        default=False,
        description="suspend is true to take the workers away and keep everything until it is false again; the time "
        "between does not count against wallTime. A run on one machine ignores it. Default: false.",
    )
    worker: Worker = Field(default=Worker(), description="worker says what pods run the trials on a cluster.")
    managed_by: str = Field(
        default=OPERATOR_MANAGER,
        max_length=63,
        pattern=DOMAIN_PATH_PATTERN,
        description="managedBy is the controller that runs the search, such as kueue.x-k8s.io/multikueue; from one "
        "that is not its own the operator keeps away. A run on one machine ignores it. Default: "
        f"{OPERATOR_MANAGER}.",
    )
    storage: Storage | None = Field(
        default=None,
        description="storage is where a search on a cluster keeps its weights. A run on one machine ignores it; "
        "what is written already is not moved. Default: none, and the weights go with their pods.",
    )

    rules = (
        Rule(
            cel="!has(self.search) || !has(self.search.initial) || self.search.initial.all(cell, "
            "cell.split('|').size() <= (has(self.space) && has(self.space.maxBlocks) ? self.space.maxBlocks : "
            f"{Space().max_blocks}))",
            message="must have cells of at most space.maxBlocks blocks in search.initial",
            holds=lambda spec: all(cell.count("|") < spec.space.max_blocks for cell in spec.search.initial),
        ),
        # Of other data sets, the trainer knows the number of classes.
        Rule(
            cel="!has(self.dataset.name) || !(self.dataset.name in ['omniglot', 'omniglot-random']) || "
            "(has(self.evaluation) && has(self.evaluation.folds) ? self.evaluation.folds : 1) * "
            f"(has(self.task) && has(self.task.ways) ? self.task.ways : 5) <= {OMNIGLOT_SEARCH_CLASSES}",
            message="must have few enough evaluation.folds that each has task.ways of Omniglot's "
            f"{OMNIGLOT_SEARCH_CLASSES:,} training and validation classes",
            holds=lambda spec: (
                not spec.dataset.is_omniglot or spec.evaluation.folds * spec.task.ways <= OMNIGLOT_SEARCH_CLASSES
            ),
        ),
        Rule(
            cel=names_rule(),
            message="must name in search.hyperparameters only fields of space "
            f"({', '.join(SPACE_NAMES)}), {AVERAGING}, and settings of training.metaLearner",
        ),
        Rule(
            cel="!has(self.search) || !has(self.search.constraints) || !(has(self.search.constraints.maxMultiplyAdds) "
            "|| has(self.search.constraints.maxMemory) || has(self.search.constraints.latency)) || "
            "has(self.dataset.imageSize) || "
            f"(has(self.dataset.name) && self.dataset.name in {list(map(str, DatasetName))})",
            message="must have dataset.imageSize where search.constraints has maxMultiplyAdds, maxMemory or latency, "
            "unless the images are Omniglot's",
            holds=lambda spec: not spec.search.constraints.need_image_side or spec.dataset.image_side is not None,
        ),
        Rule(
            cel="!has(self.search) || !has(self.search.constraints) || !has(self.search.constraints.latency) || "
            f"(self.search.constraints.latency.ways == {_or_default('task', 'ways', Task().ways)} && "
            f"self.search.constraints.latency.shots == {_or_default('task', 'shots', Task().shots)} && "
            f"self.search.constraints.latency.shifts == {_or_default('evaluation', 'shifts', Evaluation().shifts)})",
            message="must have the task.ways, task.shots and evaluation.shifts that search.constraints.latency was "
            "measured with: take it out and measure it anew with metasearch latency",
            holds=lambda spec: (
                (latency := spec.search.constraints.latency) is None
                or (latency.ways, latency.shots, latency.shifts)
                == (spec.task.ways, spec.task.shots, spec.evaluation.shifts)
            ),
        ),
    )

    @model_validator(mode="after")
    def _can_draw(self) -> Self:
        refuse_undrawable(self.search.hyperparameters, self.training)
        return self


class Metadata(BaseModel):
    """The part of a resource's metadata that MetaSearch reads; the rest belongs to Kubernetes."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Annotated[
        str,
        Field(
            pattern=LABEL_PATTERN,
            max_length=NAME_MAX_LENGTH,
            description="name is the search's, at most 40 characters, because the names of its trials begin with it.",
        ),
    ]


class MetaSearch(SpecModel):
    """The resource, as in a file for `kubectl apply` or `metasearch run`."""

    api_version: Literal["metasearch.dev/v1alpha1"]
    kind: Literal["MetaSearch"]
    metadata: Metadata
    spec: MetaSearchSpec
