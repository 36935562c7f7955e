"""
Write trials to MLflow: an experiment per search, a run per trial.

MLflow needs a time for each value, and the record has none for the points of a curve: they have the time at which the
attempt began, what was measured has that of its end.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from metasearch.errors import StoreUnavailable
from metasearch.search.trials import State
from metasearch_cli.trackers.records import TrialRecord

# MLflow reads them when it is imported and used; what the user has set stays.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # we try again ourselves, and nobody must wait for it
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # the user has named a folder, and MLflow would refuse it

from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

TAG_TRIAL = "metasearch.trial"
TAG_RECORD = "metasearch.record"
"""A digest of the record of a trial that is over, by which a second command sees that it is there already."""

BATCH = 1_000
"""Values per request, the most that MLflow takes."""

_STATUS = {State.SUCCEEDED: "FINISHED", State.STOPPED: "KILLED", State.FAILED: "FAILED"}


@dataclass(frozen=True)
class _Written:
    """The run of a trial, and the record that it shows; None where another command wrote it."""

    id: str
    digest: str | None
    record: TrialRecord | None


class MlflowTracker:
    """A tracking server, a database or a folder of MLflow's."""

    def __init__(self, uri: str) -> None:
        """
        Raises:
            StoreUnavailable: MLflow cannot use the URI.
        """
        self._uri = uri
        self._experiments: dict[str, str] = {}
        self._runs: dict[tuple[str, str], _Written] = {}
        with self._errors():
            self._client = MlflowClient(uri, registry_uri=uri)
            self._client.search_experiments(max_results=1)

    def write(self, record: TrialRecord) -> None:
        with self._errors():
            experiment = self._experiment(record.search)
            key, digest = (record.search, record.trial), _digest(record)
            known = self._runs.get(key)
            if known is not None and known.digest == digest:
                return
            begun = 0
            if known is not None and known.record is not None and record.continues(known.record):
                id, begun = known.id, len(known.record.curve)
            else:
                if known is not None:
                    self._client.delete_run(known.id)
                id = self._begin(experiment, record)
            # Should a part of it fail, the run is made anew: what is there of it is not known then.
            self._runs[key] = _Written(id, None, None)
            self._add(id, record, begun)
            self._runs[key] = _Written(id, digest if record.state.is_over else None, record)

    def close(self) -> None:
        """Do nothing: each record was sent when it was written."""

    def _experiment(self, search: str) -> str:
        """Return the id of a search's experiment, made where it is missing, and learn which runs it has."""
        if search not in self._experiments:
            there = self._client.get_experiment_by_name(search)
            id: str = there.experiment_id if there else self._client.create_experiment(search)
            for run in self._all_runs(id):
                tags = run.data.tags
                if TAG_TRIAL in tags:
                    self._runs[search, tags[TAG_TRIAL]] = _Written(run.info.run_id, tags.get(TAG_RECORD), None)
            self._experiments[search] = id
        return self._experiments[search]

    def _all_runs(self, experiment: str) -> Iterator[Run]:
        token: str | None = None
        while True:
            page = self._client.search_runs([experiment], max_results=BATCH, page_token=token)
            yield from page
            if not (token := page.token):
                return

    def _begin(self, experiment: str, record: TrialRecord) -> str:
        run = self._client.create_run(
            experiment, _milliseconds(record.started_at), {TAG_TRIAL: record.trial}, record.trial
        )
        id: str = run.info.run_id
        self._client.log_batch(id, params=[Param(name, value) for name, value in record.parameters.items()])
        return id

    def _add(self, id: str, record: TrialRecord, begun: int) -> None:
        started_at = _milliseconds(record.started_at)
        values = [
            Metric(record.curve_name, point.score, started_at, point.meta_iteration) for point in record.curve[begun:]
        ]
        ended_at = _milliseconds(record.ended_at or record.started_at)
        values += [Metric(name, value, ended_at, record.step) for name, value in record.metrics.items()]
        for first in range(0, len(values), BATCH):
            self._client.log_batch(id, values[first : first + BATCH])
        if record.state.is_over:
            # Last, since the tag says that everything is there.
            self._client.set_terminated(id, _STATUS[record.state], ended_at)
            self._client.log_batch(id, tags=[RunTag(TAG_RECORD, _digest(record))])

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (MlflowException, OSError) as error:
            raise StoreUnavailable(
                f"MLflow at {self._uri} cannot be used ({_reason(error)}); mend that, or name another"
            ) from error


def _reason(error: BaseException) -> str:
    """Return the first line of an error; where a connection failed, that of its cause."""
    innermost = error
    while inner := innermost.__cause__ or innermost.__context__:
        innermost = inner
    told = innermost if isinstance(innermost, OSError) else error
    return str(told).partition("\n")[0].rstrip(".")


def _milliseconds(unix_seconds: float) -> int:
    return round(1_000 * unix_seconds)


def _digest(record: TrialRecord) -> str:
    return hashlib.sha256(repr(record).encode()).hexdigest()[:16]
