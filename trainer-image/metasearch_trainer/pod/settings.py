"""Settings of a pod: its command line, its environment, and where things are mounted."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from metasearch.cluster.api import Api
from metasearch.errors import InvalidSpec, StoreUnavailable
from metasearch.kubernetes.worker_job import DATA, SCRATCH, STORAGE
from metasearch.worker_names import WorkerName
from metasearch_trainer.pod.control_group import ControlGroup
from metasearch_trainer.signs_of_life import HUNG_SECONDS

COUNTS = "counts"
"""The folder of the files in which slots count their work."""


@dataclass(frozen=True)
class Pod:
    """The identity of this pod."""

    namespace: str
    name: str
    uid: str
    memory_limit: int | None
    """The limit of the container in bytes; None without one."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], group: ControlGroup | None = None) -> Pod:
        """
        Read what the Job's container is given by the downward API.

        Args:
            group: that of this container. A limit on memory that is not the spec's, such as that of a LimitRange, only
                the group knows.

        Raises:
            InvalidSpec: a variable is missing.
        """
        missing = [name for name in ("POD_NAMESPACE", "POD_NAME", "POD_UID") if not environment.get(name)]
        if missing:
            raise InvalidSpec(f"{', '.join(missing)} must be in the environment; the operator's pods have them")
        limit = environment.get("MEMORY_LIMIT_BYTES")
        return cls(
            environment["POD_NAMESPACE"],
            environment["POD_NAME"],
            environment["POD_UID"],
            int(limit) if limit else (group or ControlGroup()).memory_limit_bytes(),
        )


@dataclass(frozen=True)
class MountPaths:
    """Folders of the pod that outlive its processes."""

    scratch: Path
    """An emptyDir: writable, and goes with the pod."""
    data: Path
    """The volume of dataset.folder.claim."""
    storage: Path
    """The volume of storage.claim."""


@dataclass(frozen=True)
class Settings:
    """The settings that supervisor and slots share."""

    search: str
    slots: int
    gpus: float
    """GPUs of the whole pod, whole ones and slices; a share of them is each slot's."""
    needs_gpu: bool
    """The pod was given GPUs that PyTorch trains on, and must not train without."""
    max_trials: int
    paths: MountPaths
    hung_seconds: float = HUNG_SECONDS
    """Time without a sign of life after which a slot's process is killed."""

    @classmethod
    def from_arguments(cls, arguments: argparse.Namespace) -> Settings:
        """Read what `argument_parser` has parsed."""
        return cls(
            arguments.search,
            arguments.slots,
            arguments.gpus,
            arguments.needs_gpu,
            arguments.max_trials,
            MountPaths(arguments.scratch, arguments.data, arguments.storage),
            arguments.hung_seconds,
        )

    def to_arguments(self) -> list[str]:
        """Return the same settings as arguments of a slot's command line."""
        return [
            *("--search", self.search, "--slots", str(self.slots)),
            *("--gpus", str(self.gpus), *(["--needs-gpu"] if self.needs_gpu else [])),
            *("--max-trials", str(self.max_trials), "--hung-seconds", str(self.hung_seconds)),
            *("--scratch", str(self.paths.scratch)),
            *("--data", str(self.paths.data), "--storage", str(self.paths.storage)),
        ]

    def spool(self, slot: int) -> Path:
        """Return the file in which a slot keeps a result until it is on record."""
        return self.paths.scratch / "spool" / f"slot-{slot}.json"

    def make_scratch(self) -> None:
        """
        Create the folders in which processes leave each other messages.

        Raises:
            StoreUnavailable: they cannot be created.
        """
        try:
            for folder in ("spool", "ready", "alive", "busy", COUNTS):
                (self.paths.scratch / folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(
                f"{self.paths.scratch} cannot be written ({error.strerror}); it must be a volume with room that user "
                f"{os.getuid()} may write to"
            ) from error

    def ready(self, worker: WorkerName) -> Path:
        """Return the file that a slot's process creates once it can run trials."""
        return self.paths.scratch / "ready" / str(worker)

    def alive(self, worker: WorkerName) -> Path:
        """Return the file that a slot's process touches as a sign of life."""
        return self.paths.scratch / "alive" / str(worker)

    @property
    def spec_changes(self) -> Path:
        """The file in which the supervisor tells slots of edits of the search."""
        return self.paths.scratch / "spec.json"

    @property
    def counts(self) -> Path:
        """The folder with a file of `SlotCounts` for each process that slots have had."""
        return self.paths.scratch / COUNTS

    def counts_of(self, worker: WorkerName) -> Path:
        """Return the file in which a slot's process counts its work."""
        return self.counts / f"{worker.slot}-{worker.start}.json"

    def busy(self, slot: int) -> Path:
        """Return the file that is there while a slot has work; the pod's readiness probe looks for any of them."""
        return self.paths.scratch / "busy" / str(slot)


def argument_parser(description: str) -> argparse.ArgumentParser:
    """Return a parser of `Settings`, to which a program adds its further arguments."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--search", required=True, help="name of the MetaSearch, in the pod's namespace")
    parser.add_argument("--slots", type=int, default=1, help="trials at once, each in a process of its own")
    parser.add_argument("--gpus", type=float, default=0.0, help="GPUs of the whole pod")
    parser.add_argument("--needs-gpu", action="store_true", help="end where PyTorch sees no GPU")
    parser.add_argument("--max-trials", type=int, default=500, help="after so many a slot's process is replaced")
    parser.add_argument(
        "--hung-seconds", type=float, default=HUNG_SECONDS, help="a slot without a sign of life for so long is killed"
    )
    parser.add_argument("--scratch", type=Path, default=Path(SCRATCH), help="a folder that goes with the pod")
    parser.add_argument("--data", type=Path, default=Path(DATA), help="the volume of dataset.folder.claim")
    parser.add_argument("--storage", type=Path, default=Path(STORAGE), help="the volume of storage.claim")
    return parser


def open_api(environment: Mapping[str, str] = os.environ) -> Api:
    """Connect as the pod's service account, or, outside of a cluster, as the user of the kubeconfig."""
    return Api.of_this_pod() if environment.get("KUBERNETES_SERVICE_HOST") else Api.of_kubeconfig()
