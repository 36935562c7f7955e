"""
Storage of a trial's files: checkpoints, which its training goes on from, and the weights of final trials.

A run on one machine keeps them in its own folder (`LocalStorage`). A pod loses its files when it ends, so what is worth
more than minutes, the checkpoints and weights of trials in full training, is kept outside of it (`RemoteStorage`):
written on the pod first, then uploaded to an artifact store, which is a mounted volume or an object store.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from metasearch.errors import StoreUnavailable
from metasearch.retry import Backoff, Retry
from metasearch.search.trials import Stage, TrialSpec
from metasearch.storage_layout import CHECKPOINTS, WEIGHTS, file_name
from metasearch_trainer.artifact_stores import ArtifactStore
from metasearch_trainer.process_output import log

UPLOAD_SECONDS = 60.0
"""Checkpoints are uploaded at most so often."""

MAX_UPLOAD_SHARE = 0.1
"""The share of a trial's time that uploading them may take."""

RETRY_SECONDS = 600.0
"""A storage that cannot be used is tried for so long; then the pod ends, with a sentence that says why."""

RETRY_BACKOFF = Backoff(first=1.0, longest=30.0, jitter=0.25)

Write = Callable[[Path], None]
"""Writes a file at a path."""


class Storage(Protocol):
    """
    Keeps a trial's files, as a trainer needs it.

    `fetch` and `deliver` raise StoreUnavailable where the storage cannot be used even after retries.
    """

    def checkpoint(self, trial: TrialSpec) -> Path:
        """Return the path of the file that a trial's training goes on from."""
        ...

    def fetch(self, trial: TrialSpec) -> None:
        """Bring a trial's checkpoint here before it begins, if there is one anywhere."""
        ...

    def saved(self, trial: TrialSpec) -> None:
        """Take note that its checkpoint was written."""
        ...

    def on_interrupt(self, trial: TrialSpec) -> None:
        """Do what is left to do when the process ends in the middle of the trial."""
        ...

    def deliver(self, trial: TrialSpec, write: Write) -> str | None:
        """Keep its weights; returns the file's name once they are safe, None where weights are not kept."""
        ...

    def forget(self, trial: TrialSpec) -> None:
        """Drop its checkpoint."""
        ...


@dataclass(frozen=True)
class LocalStorage:
    """Keeps files on this machine, for good."""

    checkpoints: Path
    weights: Path | None
    """None keeps no weights."""

    def checkpoint(self, trial: TrialSpec) -> Path:
        return self.checkpoints / file_name(trial.name)

    def fetch(self, trial: TrialSpec) -> None:
        """Do nothing: a checkpoint is here, if anywhere."""

    def saved(self, trial: TrialSpec) -> None:
        """Do nothing: a checkpoint is safe once it is written."""

    def on_interrupt(self, trial: TrialSpec) -> None:
        """Do nothing: the next process finds what there is."""

    def deliver(self, trial: TrialSpec, write: Write) -> str | None:
        if self.weights is None:
            return None
        path = self.weights / file_name(trial.name)
        write(path)
        return path.name

    def forget(self, trial: TrialSpec) -> None:
        self.checkpoint(trial).unlink(missing_ok=True)


class RemoteStorage:
    """Keeps files on a pod, whose files go with it, and those of trials in full training in an artifact store too."""

    def __init__(self, scratch: Path, store: ArtifactStore, retry: Retry) -> None:
        """
        Args:
            scratch: a folder of the pod's.
        """
        self._local = LocalStorage(scratch / CHECKPOINTS, scratch / WEIGHTS)
        self._store, self._retry = store, retry
        self._next_upload = 0.0
        self._is_checked = False
        self._is_uploaded = True

    def checkpoint(self, trial: TrialSpec) -> Path:
        return self._local.checkpoint(trial)

    def fetch(self, trial: TrialSpec) -> None:
        if not outlives_pod(trial):
            return
        self._check()
        path = self.checkpoint(trial)
        # One on the pod is newer than any that was uploaded.
        if not path.exists():
            self._retried(lambda: self._store.get(_checkpoint(trial), path))
        self._next_upload, self._is_uploaded = self._retry.monotonic() + UPLOAD_SECONDS, True

    def saved(self, trial: TrialSpec) -> None:
        self._is_uploaded = False
        if self._retry.monotonic() >= self._next_upload:
            self._upload(trial)

    def on_interrupt(self, trial: TrialSpec) -> None:
        if not self._is_uploaded:
            self._upload(trial)

    def deliver(self, trial: TrialSpec, write: Write) -> str | None:
        name = self._local.deliver(trial, write)
        assert self._local.weights is not None
        path = self._local.weights / file_name(trial.name)
        # Retried, unlike checkpoints: without its weights, hours of final training would be in vain.
        self._retried(lambda: self._store.put(path, f"{WEIGHTS}/{path.name}"))
        path.unlink(missing_ok=True)
        return name

    def forget(self, trial: TrialSpec) -> None:
        self._local.forget(trial)
        if outlives_pod(trial):
            # Once: a checkpoint that stays takes room and does no harm, since its trial is not run again.
            self._once(lambda: self._store.delete(_checkpoint(trial)))

    def _check(self) -> None:
        """Check that files can be put there: before hours of training, not after."""
        if not self._is_checked:
            self._retried(self._store.check)
            self._is_checked = True

    def _upload(self, trial: TrialSpec) -> None:
        """Try once: the training is worth more than its checkpoint, and another will come."""
        if not outlives_pod(trial):
            return
        began = self._retry.monotonic()
        self._is_uploaded = self._once(lambda: self._store.put(self.checkpoint(trial), _checkpoint(trial)))
        ended = self._retry.monotonic()
        # Counted from its end, so that a slow storage is used less often, not all the time.
        self._next_upload = ended + max(UPLOAD_SECONDS, (ended - began) / MAX_UPLOAD_SHARE)

    def _once(self, act: Callable[[], object]) -> bool:
        try:
            act()
        except StoreUnavailable as error:
            log(error)
            return False
        return True

    def _retried(self, act: Callable[[], object]) -> None:
        self._retry.until_available(act, RETRY_BACKOFF, RETRY_SECONDS)


def outlives_pod(trial: TrialSpec) -> bool:
    """Return whether a trial trains for so long that its checkpoint is to outlive the pod."""
    return trial.stage is not Stage.SEARCH


def _checkpoint(trial: TrialSpec) -> str:
    return f"{CHECKPOINTS}/{file_name(trial.name)}"
