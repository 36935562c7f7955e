"""
The CRDs on a real API server.

Every bound and rule of the models is tested on both sides; the cases are derived from the models, so a new field is
covered by itself. A run on one machine must accept and refuse the very same resources.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders import make_result, make_spec, make_trial, make_trial_spec
from devcluster.access import ClusterAccess
from devcluster.resources import temporary_namespace
from kubectl_proxy import WRITE, Answer, Json, ProxyClient, open_proxy_client
from local_search import wait_until
from model_cases import Case, cases_of
from rule_cases import CLAIM, RULE_CASES

from metasearch.api import (
    CHANGEABLE,
    Dataset,
    Evaluation,
    EvolutionSearchSettings,
    Final,
    Folder,
    Hyperparameter,
    MetaLearning,
    MetaSearchSpec,
    PodTemplate,
    PrototypesSettings,
    Search,
    Space,
    SpecModel,
    Storage,
    Toleration,
    Training,
    TruncatedSettings,
)
from metasearch.cluster import api as api_module
from metasearch.errors import InvalidSpec
from metasearch.kubernetes import names
from metasearch.kubernetes.crds import definitions
from metasearch.kubernetes.names import SEARCH, TRIAL
from metasearch.kubernetes.search_status import SearchStatus
from metasearch.kubernetes.trial_conversion import new_trial, status_of, trial_of
from metasearch.kubernetes.trial_resource import CandidateResource, MetaTrialSpec, MetaTrialStatus
from metasearch.loading import load_search, parse_search
from metasearch.search import trials
from metasearch.search.trials import LOST, CurvePoint, Progress, Trial

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
OMNIGLOT = {"name": "omniglot"}


# --- a cluster with our resources ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def namespace(client: api_module.Api) -> Iterator[str]:
    with temporary_namespace(client) as name:
        yield name


@pytest.fixture(scope="module")
def api(cluster_with_crds: ClusterAccess, namespace: str) -> Iterator[ProxyClient]:
    with open_proxy_client(cluster_with_crds, namespace) as api:
        yield api


def search(spec: Any, name: str = "test") -> Json:
    return {"apiVersion": names.API_VERSION, "kind": SEARCH.kind, "metadata": {"name": name}, "spec": spec}


def trial_resource(spec: Any, name: str = "test") -> Json:
    return {"apiVersion": names.API_VERSION, "kind": TRIAL.kind, "metadata": {"name": name}, "spec": spec}


def created(api: ProxyClient, resource: names.Resource, body: Json) -> Json:
    answer = api.create(resource, body, WRITE)
    assert answer.is_accepted, answer.message
    return answer.body


@pytest.fixture
def name() -> str:
    """Return a name that no object has."""
    return f"t-{os.urandom(4).hex()}"


# --- the definitions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", [SEARCH, TRIAL], ids=lambda resource: resource.kind)
def test_the_api_server_finds_nothing_wrong_with_a_definition(
    cluster_with_crds: ClusterAccess, resource: names.Resource
) -> None:
    definition = cluster_with_crds.get("crd", resource.definition)
    conditions = {each["type"]: each["status"] for each in definition["status"]["conditions"]}
    assert (conditions["Established"], conditions["NamesAccepted"]) == ("True", "True")
    assert conditions.get("NonStructuralSchema", "False") == "False"


@pytest.mark.parametrize("resource", [SEARCH, TRIAL], ids=lambda resource: resource.kind)
def test_a_definition_is_kept_as_it_was_given(cluster_with_crds: ClusterAccess, resource: names.Resource) -> None:
    """The API server drops unknown fields of a CRD, so one that is kept whole has none."""
    given = definitions()[resource]["spec"]["versions"][0]
    kept = cluster_with_crds.get("crd", resource.definition)["spec"]["versions"][0]
    assert kept["schema"] == given["schema"]


@pytest.mark.parametrize("word", [SEARCH.short, SEARCH.singular, SEARCH.plural, TRIAL.short, names.CATEGORY])
def test_kubectl_knows_the_short_names(cluster_with_crds: ClusterAccess, namespace: str, word: str) -> None:
    cluster_with_crds.run("get", word, f"--namespace={namespace}")


# --- defaults -----------------------------------------------------------------------------------------------------


def without_nothing(value: Any) -> Any:
    """Leave out what is null or empty, as resources do, and write whole numbers as text, which they may be given as."""
    if isinstance(value, list):
        return [without_nothing(each) for each in value]
    if not isinstance(value, dict):
        return str(value) if type(value) is int else value
    inner = {name: without_nothing(each) for name, each in value.items()}
    return {name: each for name, each in inner.items() if each not in (None, {}, [])}


def test_a_data_set_is_all_it_takes(api: ProxyClient) -> None:
    answer = api.create(SEARCH, search({"dataset": OMNIGLOT}))
    assert answer.is_accepted, answer.message
    assert without_nothing(answer.body["spec"]) == without_nothing(make_spec().model_dump(mode="json", by_alias=True))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_to_the_api_server_what_it_is_here(api: ProxyClient, path: Path) -> None:
    answer = api.create(SEARCH, yaml.safe_load(path.read_text(encoding="utf-8")))
    assert answer.is_accepted, answer.message
    here = load_search(path).spec.model_dump(mode="json", by_alias=True)
    assert without_nothing(answer.body["spec"]) == without_nothing(here)


def test_a_new_trial_is_pending(api: ProxyClient, name: str) -> None:
    created(api, TRIAL, trial_resource(trial_spec(), name))
    (kept,) = api.list(TRIAL, f"fieldSelector=metadata.name={name}")
    assert kept["status"] == {"state": "Pending", "stopRequested": False}
    assert trial_of(kept).state is trials.State.PENDING


# --- bounds -------------------------------------------------------------------------------------------------------


def refusal(resource: Json) -> str | None:
    """Return the complaint of a run on one machine about a resource, or None."""
    try:
        parse_search(resource)
    except InvalidSpec as error:
        return str(error)
    return None


def disagreements(cases: Sequence[Case], attempt: Callable[[Any], Answer], root: str) -> Iterator[str]:
    """Yield the cases that the API server judges otherwise than the models, or refuses without naming the field."""
    for case in cases:
        answer = attempt(case.value)
        if case.is_valid is not None and answer.is_accepted != case.is_valid:
            yield f"{case.field} {case.what}: {answer.status} {answer.message}"
        if case.is_valid is False and f"{root}{case.field}" not in answer.message:
            yield f"{case.field} {case.what} is refused without a word of it: {answer.message}"


@pytest.mark.parametrize("part", sorted(field.alias or "" for field in MetaSearchSpec.model_fields.values()))
def test_a_spec_is_bounded_as_its_models_are(api: ProxyClient, part: str) -> None:
    cases = [case for case in cases_of(MetaSearchSpec) if case.path[:1] == (part,) and case.is_valid is not None]
    assert cases
    assert not list(disagreements(cases, lambda spec: api.create(SEARCH, search(spec)), "spec"))


@pytest.mark.parametrize("part", sorted(field.alias or "" for field in MetaSearchSpec.model_fields.values()))
def test_a_run_on_one_machine_takes_what_the_api_server_takes(api: ProxyClient, part: str) -> None:
    resources = [search(case.value) for case in cases_of(MetaSearchSpec) if case.path[:1] == (part,)]
    answers = [(resource, api.create(SEARCH, resource), refusal(resource)) for resource in resources]
    assert not [
        (resource["spec"], answer.message, here)
        for resource, answer, here in answers
        if answer.is_accepted != (here is None)
    ]


@pytest.mark.parametrize(
    "resource",
    [
        *(search({"dataset": OMNIGLOT}, name) for name in ("a", "a" * 40, "a" * 41, "A", "-a", "a.b", "a_b")),
        search(None),
        search("text"),
        search({}),
        search({"unknown": 1, "dataset": OMNIGLOT}),
        {key: value for key, value in search({}).items() if key != "spec"},
        {**search({"dataset": OMNIGLOT}), "unknown": 1},
    ],
)
def test_both_take_or_refuse_a_whole_resource(api: ProxyClient, resource: Json) -> None:
    answer = api.create(SEARCH, resource)
    assert answer.is_accepted == (refusal(resource) is None), answer.message


def trial_spec() -> Json:
    spec: Json = new_trial(make_trial_spec(), {"metadata": {"name": "a", "namespace": "b", "uid": "c"}})["spec"]
    return spec


def test_a_trial_is_bounded_as_its_models_are(api: ProxyClient) -> None:
    cases = list(cases_of(MetaTrialSpec))
    assert not list(disagreements(cases, lambda spec: api.create(TRIAL, trial_resource(spec)), "spec"))


@pytest.mark.parametrize(
    ("resource", "model", "spec"),
    [(SEARCH, SearchStatus, {"dataset": OMNIGLOT}), (TRIAL, MetaTrialStatus, trial_spec())],
    ids=["MetaSearch", "MetaTrial"],
)
def test_a_status_is_bounded_as_its_models_are(
    api: ProxyClient, name: str, resource: names.Resource, model: type[SpecModel], spec: Json
) -> None:
    kept = created(api, resource, {**search(spec, name), "kind": resource.kind})
    cases = list(cases_of(model))
    assert not list(
        disagreements(cases, lambda status: api.replace_status(resource, {**kept, "status": status}), "status")
    )


# --- rules --------------------------------------------------------------------------------------------------------

WITHIN: dict[type[SpecModel], Callable[[Json], Json]] = {
    Dataset: lambda dataset: {"dataset": dataset},
    Folder: lambda folder: {"dataset": {"folder": folder}},
    Space: lambda space: {"dataset": OMNIGLOT, "space": space},
    Training: lambda training: {"dataset": OMNIGLOT, "training": training},
    MetaLearning: lambda training: {"dataset": OMNIGLOT, "final": {"training": training}},
    Final: lambda final: {"dataset": OMNIGLOT, "final": final},
    PrototypesSettings: lambda settings: {
        "dataset": OMNIGLOT,
        "training": {"metaLearner": "Prototypes", "prototypes": settings},
    },
    TruncatedSettings: lambda settings: {
        "dataset": OMNIGLOT,
        "training": {"metaLearner": "Truncated", "truncated": settings},
    },
    Toleration: lambda one: {"dataset": OMNIGLOT, "worker": {"template": {"tolerations": [one]}}},
    PodTemplate: lambda template: {"dataset": OMNIGLOT, "worker": {"template": template}},
    Storage: lambda storage: {"dataset": OMNIGLOT, "storage": storage},
    Evaluation: lambda evaluation: {"dataset": OMNIGLOT, "evaluation": evaluation},
    Hyperparameter: lambda one: {"dataset": OMNIGLOT, "search": {"hyperparameters": [one]}},
    Search: lambda search: {"dataset": OMNIGLOT, "search": search},
    EvolutionSearchSettings: lambda settings: {
        "dataset": OMNIGLOT,
        "search": {"strategy": "Evolution", "evolution": settings},
    },
    MetaSearchSpec: lambda spec: spec,
}
"""Functions that put a part of a spec into a whole spec."""

TRIAL_WITHIN: dict[type[SpecModel], Callable[[Json], Json]] = {
    CandidateResource: lambda candidate: {**trial_spec(), "candidate": candidate},
    MetaTrialSpec: lambda spec: spec,
}

SPEC_RULES = [rule for rule in RULE_CASES if rule[0] in WITHIN]
TRIAL_RULES = [rule for rule in RULE_CASES if rule[0] in TRIAL_WITHIN]
STATUS_RULES = [rule for rule in RULE_CASES if rule[0] is MetaTrialStatus]


@pytest.mark.parametrize(("model", "message"), SPEC_RULES)
def test_a_rule_of_a_spec(api: ProxyClient, model: type[SpecModel], message: str) -> None:
    broken, kept = RULE_CASES[model, message]
    for value in broken:
        resource = search(WITHIN[model](value))
        assert message in api.create(SEARCH, resource).message
        assert message in (refusal(resource) or "")
    for value in kept:
        answer = api.create(SEARCH, search(WITHIN[model](value)))
        assert answer.is_accepted, answer.message


@pytest.mark.parametrize(
    ("name", "training", "is_known"),
    [
        ("filters", {}, True),
        ("averaging", {}, True),
        ("innerSteps", {}, True),
        ("innerSteps", {"metaLearner": "Prototypes"}, False),
        ("mergedTasks", {"metaLearner": "Prototypes"}, True),
        ("mergedTasks", {}, False),
        ("metaIterations", {}, False),
        ("filtres", {}, False),
        ("depth", {"metaLearner": "Own"}, True),
    ],
)
def test_the_api_server_knows_which_fields_may_vary(
    api: ProxyClient, name: str, training: Json, is_known: bool
) -> None:
    value = "0.5" if name == "averaging" else 1
    hyperparameter = {"name": name, "distribution": "Fixed", "value": value}
    resource = search({"dataset": OMNIGLOT, "training": training, "search": {"hyperparameters": [hyperparameter]}})
    answer = api.create(SEARCH, resource)
    assert answer.is_accepted == is_known, answer.message
    assert (refusal(resource) is None) == is_known
    if not is_known:
        assert "must name in search.hyperparameters only fields of space (filters, filterScale, " in answer.message


@pytest.mark.parametrize(("model", "message"), TRIAL_RULES)
def test_a_rule_of_a_trial(api: api_module.Api, model: type[SpecModel], message: str) -> None:
    broken, kept = RULE_CASES[model, message]
    for value in broken:
        assert message in api.create(TRIAL, trial_resource(TRIAL_WITHIN[model](value))).message
    for value in kept:
        answer = api.create(TRIAL, trial_resource(TRIAL_WITHIN[model](value)))
        assert answer.is_accepted, answer.message


def test_every_rule_is_tried_on_the_api_server() -> None:
    assert len(SPEC_RULES) + len(TRIAL_RULES) + len(STATUS_RULES) == len(RULE_CASES)


@pytest.mark.parametrize(("model", "message"), STATUS_RULES)
def test_a_rule_of_a_status(api: ProxyClient, name: str, model: type[SpecModel], message: str) -> None:
    resource = created(api, TRIAL, trial_resource(trial_spec(), name))
    broken, kept = RULE_CASES[model, message]
    for value in broken:
        assert message in api.replace_status(TRIAL, {**resource, "status": value}).message
    for value in kept:
        answer = api.replace_status(TRIAL, {**resource, "status": value})
        assert answer.is_accepted, answer.message


# --- what may change ----------------------------------------------------------------------------------------------


def test_of_a_search_only_some_parts_may_change(api: ProxyClient, name: str) -> None:
    kept = created(api, SEARCH, search({"dataset": OMNIGLOT}, name))
    tried = set()
    for case in cases_of(MetaSearchSpec):
        if not case.is_valid:
            continue
        part = str(case.path[0])
        # What accompanies the part in the case is fixed as well.
        beside = {
            "dataset": OMNIGLOT,
            **{key: each for key, each in case.value.items() if key not in (part, "dataset")},
        }
        if make_spec(**case.value) != make_spec(**beside):
            answer = api.replace(SEARCH, {**kept, "spec": {"dataset": OMNIGLOT, part: case.value[part]}})
            field = ".".join(str(each) for each in case.path[:2])
            may_change = part in CHANGEABLE or field in CHANGEABLE
            expected = "" if may_change else f"{part} must not change once the search is there"
            assert answer.is_accepted == may_change, (case.field, case.what, answer.message)
            assert expected in answer.message
            tried.add(part)
    assert tried == {field.alias for field in MetaSearchSpec.model_fields.values()}


def test_of_a_trial_the_spec_never_changes(api: ProxyClient, name: str) -> None:
    kept = created(api, TRIAL, trial_resource(trial_spec(), name))
    changed = [case.value for case in cases_of(MetaTrialSpec) if case.is_valid]
    different = [spec for spec in changed if MetaTrialSpec(**spec) != MetaTrialSpec(**trial_spec())]
    assert different
    for spec in different:
        assert re.search("spec: Invalid value.*must not change", api.replace(TRIAL, {**kept, "spec": spec}).message)


ATTEMPT: Json = {"epoch": 2, "worker": "w-0", "startedAt": "2026-01-31T12:00:00.000000Z", "gpus": "0.0"}
CLAIMED: Json = {"state": "Running", "claim": CLAIM, "attempts": [ATTEMPT]}
DONE: Json = {**CLAIMED, "state": "Stopped", "result": {"epoch": 2, "score": "0.5"}}


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        pytest.param(
            CLAIMED, {**CLAIMED, "claim": {**CLAIM, "epoch": 1}}, "must not have a lower epoch than before", id="epoch"
        ),
        pytest.param(CLAIMED, {"state": "Pending", "attempts": [ATTEMPT]}, "must keep its claim", id="claim"),
        pytest.param(CLAIMED, {**CLAIMED, "attempts": []}, "must keep its attempts", id="attempts"),
        pytest.param(CLAIMED, {"state": "Running", "claim": CLAIM}, "must keep its attempts", id="all attempts"),
        pytest.param(
            {**CLAIMED, "stopRequested": True}, CLAIMED, "must not take back stopRequested", id="a request to stop"
        ),
        pytest.param(
            DONE, {**DONE, "result": {"epoch": 2, "score": "0.9"}}, "must not change: the first result", id="score"
        ),
        pytest.param(DONE, {**DONE, "result": {"epoch": 2}}, "must not change: the first result", id="no score"),
        pytest.param(DONE, {**DONE, "state": "Failed"}, "must keep its result and state", id="state"),
        pytest.param(DONE, CLAIMED, "must keep its result and state", id="no result"),
        pytest.param(DONE, {}, "must keep its result and state", id="nothing"),
        pytest.param(DONE, None, "must keep its result and state", id="no status"),
        pytest.param(
            DONE,
            {**DONE, "claim": {**CLAIM, "epoch": 3}},
            "must have a result with the epoch of the claim",
            id="another claim",
        ),
    ],
)
def test_what_is_recorded_of_a_trial_stays(
    api: ProxyClient, name: str, before: Json, after: Json | None, message: str
) -> None:
    kept = created(api, TRIAL, trial_resource(trial_spec(), name))
    written = api.replace_status(TRIAL, {**kept, "status": before}, WRITE)
    assert written.is_accepted, written.message
    again = {key: value for key, value in written.body.items() if key != "status"}
    answer = api.replace_status(TRIAL, again if after is None else {**again, "status": after}, WRITE)
    assert answer.status == 422
    assert message in answer.message


def test_a_whole_life_is_kept_step_by_step(api: ProxyClient, namespace: str, name: str) -> None:
    """The life has a lost worker, another claim, progress, a request to stop, and the result."""
    spec = make_trial_spec(name, predicted=0.1 + 0.2)
    owner = {"metadata": {"name": "a", "namespace": namespace, "uid": "c"}}
    body = new_trial(spec, owner)
    del body["metadata"]["ownerReferences"]  # to nobody, which the cluster would clean up after
    resource = created(api, TRIAL, body)
    lost = trials.release(trials.claim(make_trial(name, predicted=0.1 + 0.2), "w-0", 1.5, 0.25), 2.5, LOST)
    running = trials.request_stop(trials.claim(lost, "w-1", 3.5, 0.25))
    further = trials.report(running, 2, Progress(5, (CurvePoint(5, 1 / 3),)))
    done = trials.complete(further, 2, make_result(1 / 3), 4.5, max_attempts=1)
    for step in (lost, running, further, done):
        answer = api.replace_status(TRIAL, {**resource, "status": status_of(step, "pod")}, WRITE)
        assert answer.is_accepted, answer.message
        resource = answer.body
        assert trial_of(resource) == step


def test_workers_can_ask_for_what_is_pending(api: ProxyClient, name: str) -> None:
    kept = created(api, TRIAL, trial_resource(trial_spec(), name))
    assert name in names_in(api, "Pending")
    assert api.replace_status(TRIAL, {**kept, "status": CLAIMED}, WRITE).is_accepted
    assert name not in names_in(api, "Pending")
    assert name in names_in(api, "Running")


def names_in(api: ProxyClient, state: str) -> set[str]:
    return {trial["metadata"]["name"] for trial in api.list(TRIAL, f"fieldSelector=status.state={state}")}


# --- what people see ----------------------------------------------------------------------------------------------


def objects(schema: Json, path: str) -> Iterator[tuple[str, Json]]:
    """Yield every schema that has fields, with the path that `kubectl explain` takes."""
    inner = schema.get("items", schema)
    if "properties" in inner:
        yield path, inner["properties"]
        for name, each in inner["properties"].items():
            yield from objects(each, f"{path}.{name}")


OBJECTS = [
    (resource.singular, path, fields)
    for resource, definition in definitions().items()
    for part in ("spec", "status")
    for path, fields in objects(
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part],
        f"{resource.singular}.{part}",
    )
]


@pytest.mark.parametrize(("resource", "path", "fields"), OBJECTS, ids=[path for _, path, _ in OBJECTS])
def test_kubectl_explains_every_field(cluster_with_crds: ClusterAccess, resource: str, path: str, fields: Json) -> None:
    # A definition is established a moment before it can be explained.
    wait_until(lambda: cluster_with_crds.kubectl("explain", resource).returncode == 0)
    explained = " ".join(cluster_with_crds.run("explain", path).split())
    for name, field in fields.items():
        assert name in explained
        assert " ".join(field["description"].split()) in explained


@pytest.mark.parametrize("resource", [SEARCH, TRIAL], ids=lambda resource: resource.kind)
def test_kubectl_lists_every_field(cluster_with_crds: ClusterAccess, resource: names.Resource) -> None:
    wait_until(lambda: cluster_with_crds.kubectl("explain", resource.singular).returncode == 0)
    listed = set(
        re.findall(r"^\s+(\S+)\t", cluster_with_crds.run("explain", resource.singular, "--recursive"), re.MULTILINE)
    )
    known = {name for singular, _, fields in OBJECTS if singular == resource.singular for name in fields}
    assert known <= listed


def test_kubectl_get_shows_how_far_a_search_is(
    cluster_with_crds: ClusterAccess, api: ProxyClient, namespace: str, name: str
) -> None:
    kept = created(api, SEARCH, search({"dataset": OMNIGLOT}, name))
    cell: Json = {"trial": "a-1-b", "cell": "conv3x3(-1)+identity(-2)", "blocks": 1, "depth": 1}
    size = {"parameterCount": 9, "multiplyAdds": 9, "metaIterations": 9}
    counts = {"total": 12, "pending": 1, "running": 2, "succeeded": 9, "stopped": 0, "failed": 0}
    spent = {"share": "37%", "trials": 12, "failedTrials": 0, "wallTime": "90s", "workerTime": "99s", "gpuHours": "0"}
    ready = {"type": "Ready", "status": "True", "reason": "Searching", "message": "", "lastTransitionTime": NOON}
    status = {
        "round": 2,
        "trials": counts,
        "trialsDone": "9/30",
        "finalTrials": 3,
        "progress": {"percentage": 42, "estimatedRemainingSeconds": 120, "confidence": "Medium"},
        "bestScore": "0.9123",
        "ranked": [{**cell, **size, "score": "0.91234", "interval": "0.01"}],
        "spent": spent,
        "conditions": [ready],
    }
    answer = api.replace_status(SEARCH, {**kept, "status": status}, WRITE)
    assert answer.is_accepted, answer.message
    header, row = cluster_with_crds.run("get", "msearch", name, f"--namespace={namespace}").splitlines()
    assert header.split() == ["NAME", "ROUND", "TRIALS", "BEST", "SPENT", "STATE", "AGE"]
    assert row.split()[:-1] == [name, "2", "9/30", "0.9123", "37%", "Searching"]
    header, row = cluster_with_crds.run("get", "msearch", name, f"--namespace={namespace}", "-o=wide").splitlines()
    assert header.split()[6:-1] == ["FINAL", "RUNNING", "FAILED", "OVER-%", "WALL-TIME", "GPU-HOURS", "CELL"]
    assert row.split()[6:-1] == ["3", "2", "0", "42", "90s", "0", "conv3x3(-1)+identity(-2)"]


NOON = "2026-01-31T12:00:00Z"


def test_kubectl_get_shows_what_became_of_a_trial(
    cluster_with_crds: ClusterAccess, api: ProxyClient, namespace: str, name: str
) -> None:
    kept = created(api, TRIAL, trial_resource(trial_spec(), name))
    failed: Trial = make_trial(name, result=make_result(0.25, state=trials.State.FAILED, reason=trials.Reason.DIVERGED))
    assert api.replace_status(TRIAL, {**kept, "status": status_of(failed, "pod")}, WRITE).is_accepted
    header, row = cluster_with_crds.run("get", "mtrial", name, f"--namespace={namespace}").splitlines()
    assert header.split() == [
        *("NAME", "STAGE", "ROUND", "STATE", "REPORTED", "ITERATIONS", "BEGINNING", "SCORE", "ATTEMPTS", "REASON"),
        "AGE",
    ]
    # It has reported nothing before its end, so that column is empty.
    assert row.split()[:-1] == [name, "Search", "1", "Failed", "10", "false", "0.25", "1", "Diverged"]


def test_kubectl_get_shows_how_far_a_trial_is(
    cluster_with_crds: ClusterAccess, api: ProxyClient, namespace: str, name: str
) -> None:
    kept = created(api, TRIAL, trial_resource(trial_spec(), name))
    claimed = trials.claim(make_trial(name), "a-pod.1-2", 1_769_860_800.0, gpus=0.0)
    running = trials.report(claimed, 1, Progress(7, reported_at=1_769_860_807.5))
    answer = api.replace_status(TRIAL, {**kept, "status": status_of(running, "pod")}, WRITE)
    assert answer.is_accepted, answer.message
    header, row = cluster_with_crds.run("get", "mtrial", name, f"--namespace={namespace}", "-o=wide").splitlines()
    assert header.split()[9:-1] == ["REASON", "BLOCKS", "PREDICTED", "WORKER", "MESSAGE", "CELL"]
    assert row.split()[3:8] == ["Running", "7", "10", "false", "1"]
    assert row.split()[-2:-1] == ["conv3x3(-1)+identity(-2)"]
    assert "a-pod.1-2" in row.split()
