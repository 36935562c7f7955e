"""
Whatever a spec says, the operator refuses it in a sentence or runs the search, from the first look to the end.

Values are those on the bounds of every field, alone and together (as in Acto, Gu et al. 2023). The API server's part of
this, refusing what is out of bounds, is in tests/cluster/test_crds.py.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from builders import SMALL, STARTED, TokenMeans, completed, pretend_result
from hypothesis import given
from hypothesis import strategies as st
from model_cases import cases_of
from operator_builders import RecordingApi, make_search_json
from reconciling import FakeCache, cached, reconciler, said, written

from metasearch.api import MetaSearchSpec
from metasearch.errors import InvalidSpec
from metasearch.kubernetes.names import TRIAL
from metasearch.kubernetes.search_status import SearchStatus
from metasearch.kubernetes.trial_conversion import trial_of
from metasearch.loading import parse_search
from metasearch.search import strategies
from metasearch.search.build import build_search
from metasearch.search.confirmation import strategy_spec
from metasearch.search.strategies import History, Proposals
from metasearch.search.trials import Trial
from metasearch_operator.reasons import ReadyReason

Json = dict[str, Any]

LOOKS = 4
"""Times at which a search is looked at: as it begins, and each time after all of its trials have ended."""

BETWEEN_LOOKS_SECONDS = 3600.0

LONGEST = "999999h99999999m9999999999s"

EXPECTED = set(ReadyReason) - {ReadyReason.OPERATOR_ERROR}


# --- the life of a search -----------------------------------------------------------------------------------------


class KeepingApi(RecordingApi):
    """A fake `Api` that keeps what it is asked to create."""

    def __init__(self) -> None:
        super().__init__()
        self.created: list[Json] = []

    def create(self, path: str, body: Json) -> Json:
        self.created.append(body)
        return super().create(path, body)


class SimpleRanking:
    """A ranking in this process, by a surrogate that is fitted in microseconds."""

    def propose(self, spec: MetaSearchSpec, history: History, room: int) -> Proposals:
        search = build_search("test", spec, STARTED)
        return strategies.build(strategy_spec(spec), search.space, TokenMeans).propose(history, room)


def reasons_of(spec: Json) -> list[str]:
    """Run a search of a spec to its fourth look at the most, and return the reasons of Ready."""
    reasons: list[str] = []
    trials: dict[str, Trial] = {}
    resource = {**make_search_json(), "spec": spec}
    for look in range(LOOKS):
        now, api = STARTED + look * BETWEEN_LOOKS_SECONDS, KeepingApi()
        made = reconciler(FakeCache(held_trials=cached(list(trials.values()))), api, now, SimpleRanking())
        result = made.reconcile(resource)
        status = written(result)
        SearchStatus.model_validate(status)
        resource = {**resource, "status": status}
        reasons.append(said(result)[1])
        new = [trial_of(body) for body in api.created if body["kind"] == TRIAL.kind]
        trials |= {each.name: completed(each, pretend_result(each.spec), now, now + 1) for each in new}
        if not new:
            break
    return reasons


# --- specs --------------------------------------------------------------------------------------------------------


def is_taken(spec: Json) -> bool:
    """Tell whether a spec is what the API server lets in."""
    try:
        parse_search({**make_search_json(), "spec": spec})
    except InvalidSpec:
        return False
    return True


@cache
def specs_of(part: str) -> list[Json]:
    """Return specs of a small search in which one field of a part is on its bound."""
    found = []
    for case in cases_of(MetaSearchSpec):
        if case.path[:1] == (part,) and isinstance(case.value, dict):
            # What accompanies `search` is the learner of an installed package, which is not installed here.
            given = {name: value for name, value in case.value.items() if (part, name) != ("search", "training")}
            for spec in ({**SMALL, **given, **_filled(part, given)}, {**SMALL, **given}):
                if is_taken(spec):
                    found.append(spec)
                    break
    return found


def _filled(part: str, given: Json) -> Json:
    """Return a part with the fields of a small search that it does not have itself."""
    both = SMALL.get(part), given.get(part)
    return {part: {**both[0], **both[1]}} if all(isinstance(each, dict) for each in both) else {}


PARTS = sorted(field.alias or "" for field in MetaSearchSpec.model_fields.values())


@st.composite
def several(draw: st.DrawFn) -> Json:
    """Draw a spec with fields of several parts on their bounds."""
    parts = draw(st.lists(st.sampled_from(PARTS), min_size=2, max_size=4, unique=True))
    return SMALL | {part: draw(st.sampled_from(specs_of(part))).get(part) for part in ("dataset", *parts)}


# --- what is shown ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", PARTS)
def test_a_spec_on_a_bound_is_run_or_refused_in_a_sentence(part: str, whole: bool) -> None:
    for spec in specs_of(part)[:: 1 if whole else 20]:
        assert set(reasons_of(spec)) <= EXPECTED, spec


@given(spec=several().filter(is_taken))
def test_several_on_their_bounds_are_run_or_refused_in_a_sentence(spec: Json) -> None:
    assert set(reasons_of(spec)) <= EXPECTED


def test_a_limit_longer_than_a_status_can_hold_is_one_all_the_same() -> None:
    assert set(reasons_of({**SMALL, "dataset": {"name": "omniglot"}, "budget": {"wallTime": LONGEST}})) <= EXPECTED
