"""
Storage of a trial's files: checkpoints, which its training goes on from, and the weights of final trials.

A run on one machine keeps them in its own folder (`LocalStorage`). A pod loses its files when it ends, so what is worth
more than minutes, the checkpoints and weights of trials in full training, and what another pod may go on from, is kept
outside of it (`RemoteStorage`): written on the pod first, then uploaded to an artifact store, which is a mounted volume
or an object store.
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

    def resumed(self, trial: TrialSpec) -> Path:
        """Return the path of the checkpoint of the trial that it resumes."""
        ...

    def fetch(self, trial: TrialSpec) -> None:
        """Bring a trial's checkpoint here before it begins, or that of the one it resumes, if there is one anywhere."""
        ...

    def saved(self, trial: TrialSpec) -> None:
        """Take note that its checkpoint was written."""
        ...

    def keep(self, trial: TrialSpec) -> None:
        """Make its checkpoint safe: the process ends in the middle of the trial, or another trial may go on from it."""
        ...

    def deliver(self, trial: TrialSpec, write: Write) -> str | None:
        """Keep its weights; returns the file's name once they are safe, None where weights are not kept."""
        ...

    def forget(self, trial: TrialSpec) -> None:
        """Drop its checkpoint, unless another trial may go on from it, and that of the one it has resumed."""
        ...


@dataclass(frozen=True)
class LocalStorage:
    """Keeps files on this machine, for good."""

    checkpoints: Path
    weights: Path | None
    """None keeps no weights."""

    def checkpoint(self, trial: TrialSpec) -> Path:
        return self.checkpoints / file_name(trial.name)

    def resumed(self, trial: TrialSpec) -> Path:
        assert trial.resumes is not None
        return self.checkpoints / file_name(trial.resumes)

    def fetch(self, trial: TrialSpec) -> None:
        """Do nothing: a checkpoint is here, if anywhere."""

    def saved(self, trial: TrialSpec) -> None:
        """Do nothing: a checkpoint is safe once it is written."""

    def keep(self, trial: TrialSpec) -> None:
        """Do nothing: the next process finds what there is."""

    def deliver(self, trial: TrialSpec, write: Write) -> str | None:
        if self.weights is None:
            return None
        path = self.weights / file_name(trial.name)
        write(path)
        return path.name

    def forget(self, trial: TrialSpec) -> None:
        if not trial.is_beginning:
            self.checkpoint(trial).unlink(missing_ok=True)
        if trial.resumes is not None:
            self.resumed(trial).unlink(missing_ok=True)


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

    def resumed(self, trial: TrialSpec) -> Path:
        return self._local.resumed(trial)

    def fetch(self, trial: TrialSpec) -> None:
        if not outlives_pod(trial):
            return
        self._check()
        self._fetch(self.checkpoint(trial))
        if trial.resumes is not None and not self.checkpoint(trial).exists():
            self._fetch(self.resumed(trial))
        self._next_upload, self._is_uploaded = self._retry.monotonic() + UPLOAD_SECONDS, True

    def saved(self, trial: TrialSpec) -> None:
        self._is_uploaded = False
        if self._retry.monotonic() >= self._next_upload:
            self._upload(trial)

    def keep(self, trial: TrialSpec) -> None:
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
        # Once: a checkpoint that stays takes room and does no harm, since its trial is not run again.
        if outlives_pod(trial) and not trial.is_beginning:
            self._once(lambda: self._store.delete(_uploaded(self.checkpoint(trial))))
        if trial.resumes is not None:
            self._once(lambda: self._store.delete(_uploaded(self.resumed(trial))))

    def _fetch(self, path: Path) -> None:
        # One on the pod is newer than any that was uploaded.
        if not path.exists():
            self._retried(lambda: self._store.get(_uploaded(path), path))

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
        self._is_uploaded = self._once(
            lambda: self._store.put(self.checkpoint(trial), _uploaded(self.checkpoint(trial)))
        )
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
    """Return whether a trial's checkpoint is to outlive the pod: it trains for long, or others may go on from it."""
    return trial.stage is not Stage.SEARCH or trial.is_beginning or trial.resumes is not None


def _uploaded(checkpoint: Path) -> str:
    """Return the name in the artifact store of a checkpoint's file."""
    return f"{CHECKPOINTS}/{checkpoint.name}"
