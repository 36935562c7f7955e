"""
Whatever of a running search is edited, its status tells of it, and putting it back recovers.

After Acto (Gu et al. 2023). Each field that may change is set to the values on its bounds, beyond them and to
nothing. A search as it begins: tests/operator/test_any_spec.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from builders import SMALL
from devcluster.access import ClusterAccess
from devcluster.operator_process import running_operator
from devcluster.resources import create_worker_account
from devcluster.searches import SearchHandle, create_search
from fake_worker import fake_worker
from model_cases import cases_of
from operator_builders import make_search_json
from pretended_search import pretended_scores

from metasearch.api import CHANGEABLE, MetaSearchSpec
from metasearch.cluster.api import Api, Refused
from metasearch.errors import InvalidSpec
from metasearch.loading import parse_search

Json = dict[str, Any]

SPEC: Json = {
    **SMALL,
    "dataset": {"name": "omniglot"},
    "search": {"strategy": "Random"},
    "budget": {"maxTrials": 4},
    "parallelism": 2,
}

EVERY = 15
"""Number of edits of which one is tried, unless --whole asks for all."""

WITHOUT_NODES = {"WaitingForWorkers", "Unschedulable"}
"""Reasons of Ready that a search has while no node takes its pods, as none does here."""


@pytest.fixture
def search(cluster_with_crds: ClusterAccess, client: Api, namespace: str, tmp_path: Any) -> Iterator[SearchHandle]:
    """Begin a search of an operator of its namespace alone."""
    create_worker_account(client, namespace)
    with running_operator(cluster_with_crds, tmp_path, [namespace]) as operator:
        search = SearchHandle(client, create_search(client, namespace, "test", **SPEC))
        search.wait_for(lambda: search.jobs() and search.trials())
        yield search
        operator.require_running()


def edits() -> list[Json]:
    """Return specs in which one field that may change has another value, or none."""
    found = []
    for case in cases_of(MetaSearchSpec):
        part = str(case.path[0]) if case.path else ""
        if isinstance(case.value, dict) and any(each.split(".")[0] == part for each in CHANGEABLE):
            value = case.value.get(part)
            whole = {**SPEC[part], **value} if isinstance(value, dict) and part in ("budget", "final") else value
            found.append({**SPEC, part: whole})
    # More trials, once proposed, stay, so that the search would not come to the same end.
    return [spec for spec in found if not asks_for_more(spec)]


def asks_for_more(spec: Json) -> bool:
    """Tell whether a spec is valid and lets more trials be proposed than that of the search."""
    try:
        parsed = parse_search({**make_search_json(), "spec": spec})
    except InvalidSpec:
        return False
    return parsed.spec.budget.max_trials > SPEC["budget"]["maxTrials"]


def is_taken(search: SearchHandle, spec: Json) -> bool:
    """Replace the spec, and wait until the operator has seen it. Return whether the API server lets it."""
    try:
        search.api.patch(search.path, [{"op": "replace", "path": "/spec", "value": spec}])
    except Refused:
        return False
    search.wait_for(partial(is_observed, search))
    return True


def is_observed(search: SearchHandle) -> bool:
    resource = search.resource
    return bool(resource["status"].get("observedGeneration") == resource["metadata"]["generation"])


def test_whatever_is_edited_is_told_and_may_be_put_back(search: SearchHandle, whole: bool) -> None:
    answers = Counter[str]()
    for spec in edits()[:: 1 if whole else EVERY]:
        if is_taken(search, spec):
            reason = search.condition("Ready")[1]
            assert reason != "OperatorError", (spec, search.condition("Ready"))
            answers[reason] += 1
            assert is_taken(search, SPEC)
            search.wait_for(lambda: search.condition("Ready")[1] in WITHOUT_NODES)
        else:
            answers["refused"] += 1
    assert 0 < answers["refused"] < answers.total()
    assert not whole or {"Suspended", "PodsRefused"} <= set(answers)
    with fake_worker(search):
        assert search.wait_until_over() == "Succeeded"
    # A trial that a short limit ended on the way is there too, and the same cell in another trial.
    measured = [trial.score for trial in search.trials() if trial.score is not None]
    assert sorted(measured) == sorted(pretended_scores("test", SPEC).values())
