"""
The store of a search on a cluster: its MetaTrials.

A change reads a trial, applies a rule of `search.trials`, and writes the trial unless it has changed in between.
So it is safe that two operators run at once, that a copy is behind, and that a request is sent twice. The API server
holds worker pods to the same rules once more: see `kubernetes.trial_resource` and the chart's admission policy.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from metasearch.cluster.api import Api, Conflict, NotFound
from metasearch.kubernetes import names
from metasearch.kubernetes.ownership import is_owned_by
from metasearch.kubernetes.trial_conversion import Json, new_trial, status_of, trial_of
from metasearch.search import trials
from metasearch.search.trials import Progress, Stage, StaleClaim, State, Trial, TrialResult, TrialSpec
from metasearch.stores.order import ClaimOrder, claim_order, sort_key


class KubernetesStore:
    """A `TrialStore` in MetaTrial resources. Safe to use from several threads and processes."""

    def __init__(
        self,
        api: Api,
        search: Json,
        max_attempts: int = 1,
        pod_uid: str = "",
        recorded: Callable[[], Sequence[Trial]] | None = None,
    ) -> None:
        """
        Args:
            search: the MetaSearch, as read from the cluster.
            max_attempts: `spec.budget.maxAttempts`.
            pod_uid: of the pod that claims are made for.
            recorded: where to read the search's trials; None to ask the API server each time. A copy may be behind.
        """
        self.api, self.search, self._max_attempts, self.pod_uid = api, search, max_attempts, pod_uid
        self._recorded = recorded or (lambda: list(map(trial_of, self._listed())))
        metadata = search["metadata"]
        self._folder = names.TRIAL.path(metadata["namespace"])
        self._selector = f"{names.LABEL_SEARCH}={metadata['name']}"

    # --- TrialRegistry ---

    def trials(self) -> Sequence[Trial]:
        return sorted(self._recorded(), key=lambda trial: sort_key(trial.spec))

    def propose(self, specs: Iterable[TrialSpec]) -> None:
        for spec in specs:
            try:
                self.api.create(self._folder, new_trial(spec, self.search))
            except Conflict:  # it is there: proposed before, or by another operator
                continue

    def request_stop(self, names: Iterable[str]) -> None:
        for name in names:
            with contextlib.suppress(StaleClaim):  # deleted by hand
                self._change(name, trials.request_stop)

    def release(self, worker: str, now: float, outcome: str) -> None:
        # The copy may be behind; `release_trial` reads the trial again.
        for trial in self._recorded():
            if trial.holder == worker:
                self.release_trial(trial.name, worker, now, outcome)

    def release_trial(self, name: str, worker: str, now: float, outcome: str) -> None:
        """Release one trial, if the worker still has it."""
        self._change(name, lambda trial: trials.release(trial, now, outcome) if trial.holder == worker else trial)

    # --- TrialQueue ---

    def claim(self, worker: str, now: float, gpus: float) -> Trial | None:
        # Again where others have claimed all of a list: trials that were released since are on the next one.
        while pending := self._listed(state=State.PENDING):
            for resource in _in_order(pending):
                claimed = trials.claim(trial_of(resource), worker, now, gpus)
                try:
                    self._write(resource, claimed, self.pod_uid)
                except (Conflict, NotFound):  # somebody was faster
                    continue
                return claimed
        return None

    def report(self, claimed: Trial, progress: Progress) -> Trial:
        return self._change(claimed.name, lambda trial: trials.report(trial, claimed.epoch, progress))

    def look(self, claimed: Trial) -> Trial:
        """Read a claimed trial again: it says whether to stop; raises StaleClaim where the claim is void."""
        return trials.require_current(trial_of(self._read(claimed.name)), claimed.epoch)

    def held_by(self, worker: str) -> Sequence[Trial]:
        """Ask the API server for the trials that a worker has claimed."""
        running = map(trial_of, self._listed(state=State.RUNNING))
        return [trial for trial in running if trial.holder == worker]

    def complete(self, claimed: Trial, result: TrialResult, now: float) -> Trial:
        return self._change(
            claimed.name, lambda trial: trials.complete(trial, claimed.epoch, result, now, self._max_attempts)
        )

    # --- resources ---

    def _listed(self, state: State | None = None) -> list[Json]:
        """List the search's trials, and no others that only carry its name."""
        query = {"labelSelector": self._selector}
        if state is not None:
            query["fieldSelector"] = f"status.state={state}"
        found, _ = self.api.list_all(self._folder, **query)
        return [resource for resource in found if is_owned_by(resource, self.search)]

    def _read(self, name: str) -> Json:
        try:
            return self.api.get(f"{self._folder}/{name}")
        except NotFound as error:  # deleted by hand; it will be proposed again
            raise StaleClaim(name) from error

    def _change(self, name: str, change: Callable[[Trial], Trial]) -> Trial:
        while True:
            resource = self._read(name)
            trial = trial_of(resource)
            changed = change(trial)
            if changed == trial:  # such as a second request to stop; a write would wake every watch for nothing
                return changed
            # The claim stays that of the pod that made it, also where the operator writes.
            claim = resource["status"].get("claim", {})
            try:
                self._write(resource, changed, claim.get("podUID"))
            except Conflict:  # written in between: the rule decides anew, from what is there now
                continue
            return changed

    def _write(self, resource: Json, trial: Trial, pod_uid: str | None) -> None:
        metadata: dict[str, Any] = resource["metadata"]
        self.api.patch(
            f"{self._folder}/{metadata['name']}/status",
            [
                {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
                # The whole status: after the test, there is nothing in it that this would overwrite unseen.
                {"op": "replace", "path": "/status", "value": status_of(trial, pod_uid)},
            ],
        )


def _order_of(resource: Json) -> ClaimOrder:
    """Read the bare spec: for each claim all that wait are sorted, and to validate them takes far longer."""
    spec, name = resource["spec"], resource["metadata"]["name"]
    # A trial of an earlier version has no round; it is refused with a sentence once its turn comes.
    return claim_order(Stage(spec["stage"]), spec.get("round", 0), spec.get("priority", 0), name)


def _in_order(pending: Sequence[Json]) -> Iterable[Json]:
    """Yield the next trial in turn, then the rest in random order, because other workers try the same list."""
    first, *others = sorted(pending, key=_order_of)
    yield first
    yield from random.sample(others, len(others))
