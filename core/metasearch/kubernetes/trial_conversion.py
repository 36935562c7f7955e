"""
Convert trials as `search.trials` has them to trials as Kubernetes keeps them, and back.

Nothing is lost on the way; times are kept to the microsecond, far finer than anything that depends on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from metasearch.errors import InvalidSpec
from metasearch.kubernetes import names
from metasearch.kubernetes.models import ClusterModel
from metasearch.kubernetes.ownership import owner_reference
from metasearch.kubernetes.times import Time
from metasearch.kubernetes.trial_resource import (
    MESSAGE_MAX_LENGTH,
    AttemptResource,
    CandidateResource,
    Claim,
    MetaTrialSpec,
    MetaTrialStatus,
    ProgressResource,
    ResultResource,
    blocks_of,
)
from metasearch.search.trials import Attempt, Progress, Trial, TrialResult, TrialSpec

_spec: TypeAdapter[TrialSpec] = TypeAdapter(TrialSpec)
_progress: TypeAdapter[Progress] = TypeAdapter(Progress)
_result: TypeAdapter[TrialResult] = TypeAdapter(TrialResult)

Json = dict[str, Any]
"""A resource, or a part of one, as JSON or YAML holds it."""


class OldTrial(InvalidSpec):
    """A MetaTrial has the form of an earlier version."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the MetaTrial {name} was made by an earlier version of MetaSearch, whose trials this version cannot "
            "read; delete its MetaSearch and apply it again"
        )


def new_trial(spec: TrialSpec, search: Mapping[str, Any]) -> Json:
    """
    Make the resource to create for a trial.

    Args:
        search: the MetaSearch that it belongs to, as read from the cluster.
    """
    owner = search["metadata"]
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.TRIAL.kind,
        "metadata": {
            "name": spec.name,
            "namespace": owner["namespace"],
            "labels": {
                names.LABEL_SEARCH: owner["name"],
                names.LABEL_STAGE: str(spec.stage),
                names.LABEL_ROUND: str(spec.round),
            },
            "ownerReferences": [owner_reference(search)],
        },
        "spec": spec_of(spec),
    }


def spec_of(spec: TrialSpec) -> Json:
    """Return the resource's spec; the trial's name is in its metadata."""
    architecture, hyperparameters = spec.candidate.architecture, spec.candidate.texts
    candidate = CandidateResource(architecture=architecture, hyperparameters=hyperparameters)
    fields = {**_spec.dump_python(spec), "candidate": candidate, "blocks": blocks_of(spec.stage, architecture)}
    return _written(MetaTrialSpec.model_validate(fields))


def status_of(trial: Trial, pod_uid: str | None) -> Json:
    """
    Return the resource's status.

    Args:
        pod_uid: of the pod that made the last claim; None where no worker has claimed the trial yet.
    """
    last = trial.attempts[-1] if trial.attempts else None
    status = MetaTrialStatus(
        state=trial.state,
        # A claim without a pod's uid does not validate, because only pods claim trials on a cluster.
        claim=Claim(worker=last.worker, pod_uid=pod_uid or "", epoch=trial.epoch) if last else None,
        attempts=tuple(map(_attempt_resource, trial.attempts)),
        stop_requested=trial.stop_requested,
        progress=_progress_resource(trial.progress),
        result=_result_resource(trial.result, trial.epoch) if trial.result else None,
    )
    return _written(status)


def trial_of(resource: Mapping[str, Any]) -> Trial:
    """
    Read the trial that a resource holds.

    Raises:
        OldTrial: it was made by an earlier version of MetaSearch.
        ValidationError: it holds no trial.
    """
    name = resource["metadata"]["name"]
    if isinstance(resource["spec"].get("candidate"), str):  # then, the cell was all of it
        raise OldTrial(name)
    spec = MetaTrialSpec.model_validate(resource["spec"])
    status = MetaTrialStatus.model_validate(resource.get("status", {}))
    return Trial(
        # The number of blocks follows from the architecture; resources have it for people and columns.
        spec=_spec.validate_python({"name": name, **spec.model_dump(exclude={"blocks"})}),
        state=status.state,
        epoch=status.claim.epoch if status.claim else 0,
        attempts=tuple(map(_attempt, status.attempts)),
        stop_requested=status.stop_requested,
        progress=_progress_of(status.progress) if status.progress else Progress(),
        result=_result_of(status),
        created_at=Time(created).unix_seconds if (created := resource["metadata"].get("creationTimestamp")) else None,
    )


# --- parts --------------------------------------------------------------------------------------------------------


def _written(model: ClusterModel) -> Json:
    """Return the model as JSON without its absent fields: Kubernetes has no nulls."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def _attempt_resource(attempt: Attempt) -> AttemptResource:
    return AttemptResource(
        epoch=attempt.epoch,
        worker=attempt.worker,
        started_at=Time.at(attempt.started_at),
        gpus=attempt.gpus,
        ended_at=None if attempt.ended_at is None else Time.at(attempt.ended_at),
        outcome=attempt.outcome,
    )


def _attempt(resource: AttemptResource) -> Attempt:
    return Attempt(
        epoch=resource.epoch,
        worker=resource.worker,
        started_at=resource.started_at.unix_seconds,
        gpus=resource.gpus,
        ended_at=None if resource.ended_at is None else resource.ended_at.unix_seconds,
        outcome=resource.outcome,
    )


def _progress_resource(progress: Progress) -> ProgressResource | None:
    if progress == Progress():
        return None
    reported_at = None if progress.reported_at is None else Time.at(progress.reported_at)
    return ProgressResource.model_validate({**_progress.dump_python(progress), "reported_at": reported_at})


def _progress_of(resource: ProgressResource) -> Progress:
    reported_at = None if resource.reported_at is None else resource.reported_at.unix_seconds
    return _progress.validate_python({**resource.model_dump(), "reported_at": reported_at})


def _result_resource(result: TrialResult, epoch: int) -> ResultResource:
    fields = _result.dump_python(result)
    # The API server would refuse a longer message, and the result with it.
    if result.message and len(result.message) > MESSAGE_MAX_LENGTH:
        fields["message"] = result.message[: MESSAGE_MAX_LENGTH - 1] + "…"
    # The result's state is ignored here: the status around it has it.
    return ResultResource.model_validate({"epoch": epoch, **fields})


def _result_of(status: MetaTrialStatus) -> TrialResult | None:
    if status.result is None:
        return None
    return _result.validate_python({"state": status.state, **status.result.model_dump(exclude={"epoch"})})
