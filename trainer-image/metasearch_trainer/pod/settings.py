"""What a pod is told: by its command line, its environment and where things are mounted."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from metasearch.cluster.api import Api
from metasearch.errors import InvalidSpec, StoreUnavailable
from metasearch.kubernetes.worker_job import DATA, SCRATCH, STORAGE


@dataclass(frozen=True)
class Pod:
    """Who we are."""

    namespace: str
    name: str
    uid: str
    memory_limit: int | None
    """Of the container, in bytes; None without one."""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Pod:
        missing = [name for name in ("POD_NAMESPACE", "POD_NAME", "POD_UID") if not environment.get(name)]
        if missing:
            raise InvalidSpec(f"{', '.join(missing)} must be in the environment; the operator's pods have them")
        limit = environment.get("MEMORY_LIMIT_BYTES")
        return cls(
            environment["POD_NAMESPACE"],
            environment["POD_NAME"],
            environment["POD_UID"],
            int(limit) if limit else None,
        )


@dataclass(frozen=True)
class Places:
    """Where things are in the pod."""

    scratch: Path
    """Writable; goes with the pod."""
    data: Path
    """The volume of dataset.folder.claim."""
    storage: Path
    """The volume of storage.claim."""


@dataclass(frozen=True)
class Settings:
    """What supervisor and slots both know."""

    search: str
    slots: int
    gpus: float
    """Of the whole pod."""
    max_trials: int
    places: Places

    def to_arguments(self) -> list[str]:
        """The same for another command line."""
        return [
            *("--search", self.search, "--slots", str(self.slots)),
            *("--gpus", str(self.gpus), "--max-trials", str(self.max_trials)),
            *("--scratch", str(self.places.scratch)),
            *("--data", str(self.places.data), "--storage", str(self.places.storage)),
        ]

    def spool(self, slot: int) -> Path:
        """Where a slot keeps a result until it is on record."""
        return self.places.scratch / "spool" / f"slot-{slot}.json"

    def make_scratch(self) -> None:
        """
        Have the folders that processes leave each other messages in.

        Raises:
            StoreUnavailable: they cannot be made.
        """
        try:
            for folder in ("spool", "ready", "busy"):
                (self.places.scratch / folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(
                f"{self.places.scratch} cannot be written ({error.strerror}); it must be a volume with room that user "
                f"{os.getuid()} may write to"
            ) from error

    def ready(self, worker: str) -> Path:
        """The file that a slot's process makes once it can run trials."""
        return self.places.scratch / "ready" / worker

    def busy(self, slot: int) -> Path:
        """The file that is there while a slot has work; the pod's readiness probe looks for any of them."""
        return self.places.scratch / "busy" / str(slot)


def parser(description: str) -> argparse.ArgumentParser:
    """Of `Settings`; who needs more adds to it."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--search", required=True, help="name of the MetaSearch, in the pod's namespace")
    made.add_argument("--slots", type=int, default=1, help="trials at once, each in a process of its own")
    made.add_argument("--gpus", type=float, default=0.0, help="GPUs of the whole pod")
    made.add_argument("--max-trials", type=int, default=500, help="after so many a slot's process is replaced")
    made.add_argument("--scratch", type=Path, default=Path(SCRATCH), help="a folder that goes with the pod")
    made.add_argument("--data", type=Path, default=Path(DATA), help="the volume of dataset.folder.claim")
    made.add_argument("--storage", type=Path, default=Path(STORAGE), help="the volume of storage.claim")
    return made


def settings_of(arguments: argparse.Namespace) -> Settings:
    return Settings(
        arguments.search,
        arguments.slots,
        arguments.gpus,
        arguments.max_trials,
        Places(arguments.scratch, arguments.data, arguments.storage),
    )


def open_api(environment: Mapping[str, str] = os.environ) -> Api:
    """As the pod's service account, or, outside of a cluster, as whom the kubeconfig says."""
    return Api.of_this_pod() if environment.get("KUBERNETES_SERVICE_HOST") else Api.of_kubeconfig()


def worker_name(pod: Pod, slot: int, start: int) -> str:
    """How the claims of a slot's process are signed; each process has a name of its own."""
    return f"{pod.name}.{slot}-{start}"
