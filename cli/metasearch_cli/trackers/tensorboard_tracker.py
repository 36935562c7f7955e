"""
Write trials as TensorBoard reads them: a folder per trial below that of its search, with an event file.

TensorBoard needs a time for each value, and the record has none for the points of a curve: they have the time at which
the attempt began, what was measured has that of its end.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from metasearch.errors import StoreUnavailable
from metasearch.search.trials import State
from metasearch_cli.trackers.records import TrialRecord

SUFFIX = ".metasearch"
"""The end of the names of our event files, by which those of an earlier command are found and replaced."""


@dataclass(frozen=True)
class _Open:
    """The event file of a trial that is not over."""

    writer: EventFileWriter
    record: TrialRecord


class TensorBoardTracker:
    """A folder that `tensorboard --logdir` shows."""

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            StoreUnavailable: the folder cannot be made.
        """
        self._folder = folder
        self._open: dict[str, _Open] = {}
        with self._disk_errors():
            folder.mkdir(parents=True, exist_ok=True)

    def write(self, record: TrialRecord) -> None:
        with self._disk_errors():
            known = self._open.pop(record.trial, None)
            if known is not None and record.continues(known.record):
                writer, begun = known.writer, len(known.record.curve)
            else:
                if known is not None:
                    known.writer.close()
                writer, begun = self._begin(record), 0
            for event in _events(record, begun):
                writer.add_event(event)
            if record.state.is_over:
                writer.close()
            else:
                writer.flush()
                self._open[record.trial] = _Open(writer, record)

    def close(self) -> None:
        with self._disk_errors():
            while self._open:
                self._open.popitem()[1].writer.close()

    def _begin(self, record: TrialRecord) -> EventFileWriter:
        """Open a new event file in place of an earlier one, which would be shown beside it."""
        folder = self._folder / record.search / record.trial
        for earlier in folder.glob(f"*{SUFFIX}"):
            earlier.unlink()
        writer = EventFileWriter(str(folder), filename_suffix=SUFFIX)
        parameters = hparams_pb(dict(record.parameters), record.trial, record.started_at)
        writer.add_event(Event(summary=parameters, wall_time=record.started_at, step=0))
        return writer

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreUnavailable(
                f"{self._folder} cannot be written for TensorBoard ({error.strerror}); name another folder"
            ) from error


def _events(record: TrialRecord, begun: int) -> Iterator[Event]:
    """Yield the curve from its point number `begun` on, and what was measured where the trial is over."""
    for point in record.curve[begun:]:
        yield _scalar(record.curve_name, point.score, point.meta_iteration, record.started_at)
    if not record.state.is_over:
        return
    ended_at = record.ended_at or record.started_at
    for name, value in record.metrics.items():
        yield _scalar(name, value, record.step, ended_at)
    yield Event(summary=_end(record.state, ended_at), wall_time=ended_at, step=record.step)


def _scalar(name: str, value: float, step: int, wall_time: float) -> Event:
    return Event(summary=Summary(value=[Summary.Value(tag=name, simple_value=value)]), step=step, wall_time=wall_time)


def _end(state: State, ended_at: float) -> Summary:
    """Return how a trial ended, for the table of hyperparameters; the function for it there needs TensorFlow."""
    status = api_pb2.STATUS_SUCCESS if state is State.SUCCEEDED else api_pb2.STATUS_FAILURE
    end = HParamsPluginData(session_end_info=SessionEndInfo(status=status, end_time_secs=ended_at))
    described = metadata.create_summary_metadata(end)
    value = Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=described, tensor=metadata.NULL_TENSOR)
    return Summary(value=[value])
