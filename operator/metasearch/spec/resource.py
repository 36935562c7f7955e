"""The resource itself, as `kubectl apply` and `metasearch run` take it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from metasearch.spec.base import SpecModel
from metasearch.spec.budget import Budget, Final
from metasearch.spec.data import Dataset, Task
from metasearch.spec.search import Search
from metasearch.spec.space import Space
from metasearch.spec.training import Evaluation, Training

NAME_MAX_LENGTH = 40  # leaves room for "-<level>-<hash>" within the 63 characters of a label value


class MetaSearchSpec(SpecModel):
    """A search. `dataset` alone is a valid one."""

    dataset: Dataset = Field(description="dataset says where the images come from.")
    task: Task = Field(default=Task(), description="task is the few-shot task to get good at.")
    space: Space = Field(default=Space(), description="space is what can be tried.")
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


class Metadata(BaseModel):
    """The part of a resource's metadata that MetaSearch reads; the rest belongs to Kubernetes."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=NAME_MAX_LENGTH)]


class MetaSearch(SpecModel):
    """The resource, as in a file for `kubectl apply` or `metasearch run`."""

    api_version: Literal["metasearch.dev/v1alpha1"]
    kind: Literal["MetaSearch"]
    metadata: Metadata
    spec: MetaSearchSpec
