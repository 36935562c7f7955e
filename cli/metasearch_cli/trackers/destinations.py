"""The places that `metasearch run --log-to` and `metasearch log` name: tensorboard:FOLDER and mlflow:URI."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from metasearch.errors import InvalidSpec
from metasearch_cli.extras import Extra, needing, require
from metasearch_cli.trackers.records import Tracker


class Kind(StrEnum):
    """The trackers that there are; each needs the extra of the same name."""

    TENSORBOARD = "tensorboard"
    MLFLOW = "mlflow"


@dataclass(frozen=True)
class Destination:
    """A tracker, and the place in it."""

    kind: Kind
    place: str
    """A folder, or a tracking URI."""

    @classmethod
    def parse(cls, text: str) -> Destination:
        """
        Read a destination.

        Raises:
            InvalidSpec: it has another form.
        """
        kind, _, place = text.partition(":")
        if kind not in set(Kind) or not place:
            raise InvalidSpec(f"{text!r} is no place to log to; give tensorboard:FOLDER or mlflow:URI")
        return cls(Kind(kind), place)

    def __str__(self) -> str:
        return f"{self.kind}:{self.place}"

    def open(self) -> Tracker:
        """
        Open the tracker.

        Raises:
            MetaSearchError: its package is not installed.
            StoreUnavailable: the place cannot be used.
        """
        extra, purpose = Extra(self.kind), f"logging to {self}"
        require(extra, purpose)
        with needing(extra, purpose):
            if self.kind is Kind.TENSORBOARD:
                from metasearch_cli.trackers.tensorboard_tracker import TensorBoardTracker

                return TensorBoardTracker(Path(self.place))
            from metasearch_cli.trackers.mlflow_tracker import MlflowTracker

            return MlflowTracker(self.place)


@contextmanager
def opened(texts: Sequence[str]) -> Iterator[list[tuple[Destination, Tracker]]]:
    """Open the trackers of all destinations, and close them at the end; raises as `Destination.open` does."""
    destinations = [Destination.parse(text) for text in texts]
    with ExitStack() as stack:
        yield [(each, stack.enter_context(closing(each.open()))) for each in destinations]
