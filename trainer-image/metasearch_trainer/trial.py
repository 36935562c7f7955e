"""The early end of a trial, and the observer that may ask for it."""

from __future__ import annotations

from collections.abc import Callable

from metasearch.search.trials import Progress, Reason, State

Observer = Callable[[Progress], None]
"""Called after every meta-iteration and between parts of an evaluation; raises TrialEnded to end the trial."""

StepObserver = Callable[[int, int], None]
"""Called after every outer step with the number of its tasks and of all their images."""


def ignore_step(tasks: int, images: int) -> None:
    """Observe nothing."""


class TrialEnded(Exception):
    """The trial must not go on. Part of its life, not an error."""

    def __init__(self, state: State, reason: Reason, message: str) -> None:
        """
        Args:
            state: Stopped or Failed.
            message: one sentence for the user.
        """
        super().__init__(message)
        self.state, self.reason, self.message = state, reason, message
