"""
Where the files of a trial are: checkpoints, which its training goes on from, and the weights of final trials.

A run on one machine keeps them in its own folder (`Folders`). A pod loses its files when it ends, so what is worth more
than minutes, the checkpoints and weights of trials in full training, is kept outside of it (`KeptOutside`): written
here first, then brought to a shelf, which is a mounted volume or an object store.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from metasearch.errors import StoreUnavailable
from metasearch.kubernetes.storage_layout import CHECKPOINTS, WEIGHTS, file_name
from metasearch.search.trials import Stage, TrialSpec
from metasearch_trainer.backoff import Backoff, Patience
from metasearch_trainer.endings import say
from metasearch_trainer.shelves import Shelf

UPLOAD_SECONDS = 60.0
"""Checkpoints are brought to a shelf at most so often."""

UPLOAD_SHARE = 0.1
"""Of a trial's time that may go into bringing them there."""

PATIENCE_SECONDS = 600.0
PAUSES = Backoff(first=1.0, most=30.0)

Write = Callable[[Path], None]
"""Writes a file at a path."""


class Storage(Protocol):
    """
    What a trainer needs.

    `fetch` and `deliver` raise StoreUnavailable where the storage cannot be used, however patiently.
    """

    def checkpoint(self, trial: TrialSpec) -> Path:
        """The file that a trial's training goes on from."""
        ...

    def fetch(self, trial: TrialSpec) -> None:
        """Before a trial begins: have its checkpoint here, if there is one anywhere."""
        ...

    def saved(self, trial: TrialSpec) -> None:
        """Its checkpoint was written."""
        ...

    def leave(self, trial: TrialSpec) -> None:
        """The process ends in the middle of the trial."""
        ...

    def deliver(self, trial: TrialSpec, write: Write) -> str | None:
        """Keep its weights; returns the file's name once they are safe, None where weights are not kept."""
        ...

    def forget(self, trial: TrialSpec) -> None:
        """Drop its checkpoint."""
        ...


@dataclass(frozen=True)
class Folders:
    """On this machine, for good."""

    checkpoints: Path
    weights: Path | None
    """None keeps no weights."""

    def checkpoint(self, trial: TrialSpec) -> Path:
        return self.checkpoints / file_name(trial.name)

    def fetch(self, trial: TrialSpec) -> None:
        """It is here, if anywhere."""

    def saved(self, trial: TrialSpec) -> None:
        """That is all there is to it."""

    def leave(self, trial: TrialSpec) -> None:
        """The next process finds what there is."""

    def deliver(self, trial: TrialSpec, write: Write) -> str | None:
        if self.weights is None:
            return None
        path = self.weights / file_name(trial.name)
        write(path)
        return path.name

    def forget(self, trial: TrialSpec) -> None:
        self.checkpoint(trial).unlink(missing_ok=True)


class KeptOutside:
    """On a pod, whose files go with it, and on a shelf, for trials in full training."""

    def __init__(self, scratch: Path, shelf: Shelf, patience: Patience) -> None:
        """
        Args:
            scratch: a folder of the pod's.
        """
        self._here = Folders(scratch / CHECKPOINTS, scratch / WEIGHTS)
        self._shelf, self._patience = shelf, patience
        self._next_upload = 0.0
        self._is_checked = False
        self._is_uploaded = True

    def checkpoint(self, trial: TrialSpec) -> Path:
        return self._here.checkpoint(trial)

    def fetch(self, trial: TrialSpec) -> None:
        if not is_kept(trial):
            return
        self._check()
        path = self.checkpoint(trial)
        if not path.exists():
            self._patiently(lambda: self._shelf.get(_checkpoint(trial), path))
        self._next_upload, self._is_uploaded = self._patience.monotonic() + UPLOAD_SECONDS, True

    def saved(self, trial: TrialSpec) -> None:
        self._is_uploaded = False
        if self._patience.monotonic() >= self._next_upload:
            self._upload(trial)

    def leave(self, trial: TrialSpec) -> None:
        if not self._is_uploaded:
            self._upload(trial)

    def deliver(self, trial: TrialSpec, write: Write) -> str | None:
        name = self._here.deliver(trial, write)
        assert self._here.weights is not None
        path = self._here.weights / file_name(trial.name)
        self._patiently(lambda: self._shelf.put(path, f"{WEIGHTS}/{path.name}"))
        path.unlink(missing_ok=True)
        return name

    def forget(self, trial: TrialSpec) -> None:
        self._here.forget(trial)
        if is_kept(trial):
            self._once(lambda: self._shelf.drop(_checkpoint(trial)))

    def _check(self) -> None:
        """See that files can be put there: before hours of training, not after."""
        if not self._is_checked:
            self._patiently(self._shelf.check)
            self._is_checked = True

    def _upload(self, trial: TrialSpec) -> None:
        """Without patience: the training is worth more than its checkpoint, and another will come."""
        if not is_kept(trial):
            return
        began = self._patience.monotonic()
        self._is_uploaded = self._once(lambda: self._shelf.put(self.checkpoint(trial), _checkpoint(trial)))
        ended = self._patience.monotonic()
        self._next_upload = ended + max(UPLOAD_SECONDS, (ended - began) / UPLOAD_SHARE)

    def _once(self, act: Callable[[], object]) -> bool:
        try:
            act()
        except StoreUnavailable as error:
            say(error)
            return False
        return True

    def _patiently(self, act: Callable[[], object]) -> None:
        self._patience.keep_trying(act, PAUSES, PATIENCE_SECONDS)


def is_kept(trial: TrialSpec) -> bool:
    """Whether a trial trains for so long that its checkpoint is to outlive the pod."""
    return trial.stage is not Stage.SEARCH


def _checkpoint(trial: TrialSpec) -> str:
    return f"{CHECKPOINTS}/{file_name(trial.name)}"
