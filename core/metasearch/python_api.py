"""
The Python API: define a search, run it, and use what it found.

    from metasearch import Search

    run = Search("characters", dataset={"name": "omniglot"}, budget={"maxTrials": 20}).run("runs/characters")
    print(run.result.best)
    classifier = run.learner().adapt(images, labels)

The objects are those of the command: the same resource, result, trials and folder. Who runs a search is found by name
among the entry points of the group `metasearch.drivers`, since drivers are built on this library and not below it; the
one for this machine, `local`, comes with the command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import Any, Protocol, TypedDict, Unpack

from metasearch import extensions
from metasearch.api import Classification, MetaSearch, MetaSearchSpec, SpecModel
from metasearch.dataset_metadata import DatasetMetadata
from metasearch.loading import load_search, parse_search
from metasearch.outcome.results import SearchResult
from metasearch.search.trials import Trial

LOCAL = "local"
"""The driver that trains on this machine."""

Section = Mapping[str, Any] | SpecModel
"""A part of a spec: its fields by their names in YAML or in Python, or the model of it in `metasearch.api`."""


class SpecFields(TypedDict, total=False):
    """The fields of `spec`, as keywords; docs/reference/spec.md says what each means. Only `dataset` is required."""

    dataset: Section
    task: Section
    space: Section
    search: Section
    training: Section
    evaluation: Section
    budget: Section
    final: Section
    parallelism: int
    seed: int
    suspend: bool
    managed_by: str
    worker: Section
    storage: Section


# What a run delivers is the trainer's `FewShotLearner`; the library is below it, so here are the parts that are used.
Tensor = Any
"""A torch.Tensor; the library does without PyTorch."""


class Classifier(Protocol):
    """A network that has learned one task."""

    def classify(self, images: Tensor, way: Classification = Classification.SUPPORT_STATISTICS) -> Tensor:
        """Return the labels (count,) of images (count, channels, side, side) in [0, 1]."""
        ...


class Learner(Protocol):
    """A meta-trained network that learns a task from a few images; `metasearch_trainer.learner.FewShotLearner`."""

    def adapt(self, images: Tensor, labels: Tensor, seed: int = 0) -> Classifier:
        """Learn a task from images (count, channels, side, side) in [0, 1] and labels (count,), integers from 0."""
        ...


class Run(Protocol):
    """A search that was begun, at one moment."""

    @property
    def trials(self) -> Sequence[Trial]:
        """Every trial on record, of all stages."""
        ...

    @property
    def result(self) -> SearchResult:
        """Everything that was found so far; `result.json` holds the same."""
        ...

    @property
    def report(self) -> Path:
        """The file of the HTML report, which is written at the end of a run."""
        ...

    @property
    def best(self) -> Path:
        """The folder of the delivered network, which is written at the end of a run."""
        ...

    @property
    def front(self) -> Path:
        """The folder that has those of a delivered front's networks: 1, 2, ...; there only if `final.deliver` asks."""
        ...

    def write_report(self, output: Path | None = None) -> Path:
        """Write the HTML report anew, and return its path."""
        ...

    def export(self, output: Path | None = None) -> Path:
        """Write the folder of the delivered network, and return its path; SearchFailed where there is none (yet)."""
        ...

    def export_front(self, output: Path | None = None) -> Sequence[Path]:
        """Write the folders of a delivered front, and return their paths; SearchFailed where there is none (yet)."""
        ...

    def learner(self, device: str = "cpu") -> Learner:
        """Load the delivered network, ready to learn new classes; SearchFailed where there is none (yet)."""
        ...


Progress = Callable[[Run], None]
"""Is called with the search as it is now, whenever a trial has changed, and about once a second."""


class Driver(Protocol):
    """Runs searches, and opens those that it has run."""

    def run(
        self, resource: MetaSearch, folder: Path | None, workers: int | None, resume: bool, progress: Progress | None
    ) -> Run:
        """Run a search to its end; see `Search.run`."""
        ...

    def open(self, folder: Path) -> Run:
        """Read what a run has left; see `open_run`."""
        ...

    def inspect(self, resource: MetaSearch) -> DatasetMetadata:
        """Measure the data set of a search; see `Search.inspect`."""
        ...


class Search:
    """
    A search that can be run: a MetaSearch resource.

    Example:
        Search("characters", dataset={"name": "omniglot"}, task={"ways": 5, "shots": 1})

    Raises:
        InvalidSpec: a field is wrong; the sentence names it and says what would be right.
    """

    def __init__(self, name: str, **spec: Unpack[SpecFields]) -> None:
        """
        Args:
            name: as in `metadata.name`; names of trials begin with it.
            spec: the fields of `spec`. Decimals may be numbers or text, keys may be as in YAML or as in Python.
        """
        self.resource = parse_search(
            {
                "apiVersion": "metasearch.dev/v1alpha1",
                "kind": "MetaSearch",
                "metadata": {"name": name},
                "spec": _as_yaml_has_it(spec),
            },
            where="the search",
        )

    @classmethod
    def from_file(cls, path: str | PathLike[str], overrides: Sequence[str] = ()) -> Search:
        """Read a YAML file; `overrides` are as of `metasearch run --set`, such as "search.progressive.beamWidth=8"."""
        return cls._of(load_search(Path(path), overrides))

    @classmethod
    def from_dict(cls, resource: Mapping[str, Any]) -> Search:
        """Take a resource as a YAML file holds it: apiVersion, kind, metadata, spec."""
        return cls._of(parse_search(_as_yaml_has_it(resource), where="the search"))

    @classmethod
    def _of(cls, resource: MetaSearch) -> Search:
        search = cls.__new__(cls)  # past __init__, which parses the fields of a spec
        search.resource = resource
        return search

    @property
    def name(self) -> str:
        """The name of the search."""
        return self.resource.metadata.name

    @property
    def spec(self) -> MetaSearchSpec:
        """The whole spec, defaults filled in."""
        return self.resource.spec

    def inspect(self, driver: str = LOCAL) -> DatasetMetadata:
        """
        Measure the data set: classes, images, pixels, duplicates, tasks, and what the search would refuse of it.

        Args:
            driver: the name of an entry point in the group metasearch.drivers; the data is read where it runs searches.

        Raises:
            InvalidData: a file is missing or cannot be read; the sentence names it.
        """
        return _driver(driver).inspect(self.resource)

    def run(
        self,
        folder: str | PathLike[str] | None = None,
        *,
        workers: int | None = None,
        resume: bool = False,
        progress: Progress | None = None,
        driver: str = LOCAL,
    ) -> Run:
        """
        Run the search to its end.

        Ctrl-C, or an error in `progress`, ends the workers and keeps everything: `resume=True` goes on.

        Args:
            folder: for everything that is recorded; None for runs/<name>.
            workers: processes that train; None for `spec.parallelism`, at most one per core.
            resume: go on with what the folder holds, if anything.
            progress: is called again and again with the search as it is.
            driver: the name of an entry point in the group metasearch.drivers.

        Raises:
            SearchFailed: the search ended without a network; `open_run` shows what there is.
            MetaSearchError: a sentence that says what to mend. Everything recorded stays.
        """
        return _driver(driver).run(self.resource, Path(folder) if folder else None, workers, resume, progress)


def open_run(folder: str | PathLike[str], driver: str = LOCAL) -> Run:
    """
    Read the folder of a run that is over or under way, or was interrupted.

    Raises:
        FolderConflict: the folder holds no search.
    """
    return _driver(driver).open(Path(folder))


def _driver(name: str) -> Driver:
    built_in: Mapping[str, Callable[[], Driver]] = {}  # all of them are above the library
    return extensions.find(extensions.Group.DRIVERS, name, built_in, "driver")()


def _as_yaml_has_it(value: Any) -> Any:
    """Turn Python values into those of a YAML file, where decimals are text."""
    if isinstance(value, SpecModel):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(value, Mapping):
        return {str(key): _as_yaml_has_it(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_as_yaml_has_it(each) for each in value]
    if isinstance(value, float | Decimal):
        # repr has the fewest digits that give the float back; Decimal(0.1) would have 55.
        return format(Decimal(repr(value)) if isinstance(value, float) else value, "f")
    return str(value) if isinstance(value, str | PathLike) else value
