"""The planner serves any strategy: fidelities, priorities, hyperparameters and trials to go on from are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from builders import completed, make_result, make_search, pretend_result

from metasearch.errors import InvalidSpec
from metasearch.search.build import build_search, require_known_names
from metasearch.search.candidates import Candidate
from metasearch.search.planner import Phase, Search, belongs_to, current_status, plan
from metasearch.search.strategies import BUILT_IN, DONE, WAIT, History, Proposal, Proposals
from metasearch.search.trials import Trial
from metasearch.stores.order import sort_key

CELL = "conv3x3(-1)+identity(-2)"
SHORT = Proposal(candidate=Candidate(CELL), meta_iterations=3, priority=7)


class Asked:
    """A strategy that answers what a test says."""

    rounds = None
    varies_fidelity = True
    preliminary_rounds = 0

    def __init__(self, answer: Callable[[History, int], Proposals]) -> None:
        self.answer = answer

    def propose(self, history: History, room: int) -> Proposals:
        return self.answer(history, room)

    def title(self, round: int) -> str:
        return f"rung {round}"


def searching(answer: Callable[[History, int], Proposals], **spec: object) -> Search:
    return replace(make_search(**spec), strategy=Asked(answer))


def test_a_proposal_becomes_a_trial_with_all_that_it_says() -> None:
    proposal = Proposal(
        candidate=Candidate(CELL, {"metaStepSize": "0.5"}),
        meta_iterations=3,
        predicted=0.25,
        priority=7,
        resumes="test-1-0123456789",
        round=2,
        round_size=4,
    )
    search = searching(lambda _history, _room: [proposal])
    (spec,) = plan(search, [], now=0.0).propose
    assert (spec.candidate, spec.meta_iterations, spec.predicted, spec.priority, spec.resumes) == (
        proposal.candidate,
        3,
        0.25,
        7,
        "test-1-0123456789",
    )
    assert (spec.round, spec.round_size) == (2, 4)
    assert belongs_to(search, Trial(spec=spec))


def test_trials_that_differ_in_what_is_trained_have_names_of_their_own() -> None:
    proposals = [
        SHORT,
        replace(SHORT, meta_iterations=4),
        replace(SHORT, candidate=Candidate(CELL, {"innerSteps": 5})),
        replace(SHORT, resumes="test-1-0123456789"),
    ]
    specs = plan(searching(lambda _history, _room: proposals), [], now=0.0).propose
    assert len({spec.name for spec in specs}) == 4


def test_a_strategy_that_says_little_gets_the_specs_own_fidelity_and_the_order_of_proposing() -> None:
    search = searching(lambda history, _room: [Proposal(candidate=Candidate(CELL, {"n": len(history)}))])
    trials: list[Trial] = []
    for _ in range(3):
        trials += [Trial(spec=spec) for spec in plan(search, trials, now=0.0).propose]
    assert {trial.spec.meta_iterations for trial in trials} == {search.spec.training.meta_iterations}
    assert [trial.spec.priority for trial in trials] == [0, 1, 2]


def test_priorities_within_a_round_order_all_trials_whenever_they_were_proposed() -> None:
    def answer(history: History, _room: int) -> Proposals:
        later = Proposal(candidate=Candidate(CELL, {"n": len(history)}), priority=10 - len(history))
        return [later]

    search = searching(answer)
    trials: list[Trial] = []
    for _ in range(3):
        trials += [Trial(spec=spec) for spec in plan(search, trials, now=0.0).propose]
    claims = sorted(trials, key=lambda trial: sort_key(trial.spec))
    assert [trial.name for trial in claims] == [trial.name for trial in reversed(trials)]


def test_it_sees_every_search_trial_pending_and_running_ones_too_and_how_much_room_there_is() -> None:
    seen: list[tuple[int, int]] = []

    def answer(history: History, room: int) -> Proposals:
        seen.append((len(history), room))
        return [Proposal(candidate=Candidate(CELL, {"n": len(history)}))]

    search = searching(answer, budget={"maxTrials": 3})
    trials: list[Trial] = []
    for _ in range(4):
        trials += [Trial(spec=spec) for spec in plan(search, trials, now=0.0).propose]
    assert seen == [(0, 3), (1, 2), (2, 1), (3, 0)]
    assert len(trials) == 3


def test_a_proposal_whose_trial_is_there_already_ends_no_search_and_keeps_none_busy() -> None:
    search = searching(lambda _history, _room: [SHORT])
    (spec,) = plan(search, [], now=0.0).propose
    assert plan(search, [Trial(spec=spec)], now=0.0).propose == ()
    done = completed(Trial(spec=spec), pretend_result(spec))
    assert plan(search, [done], now=0.0).phase is Phase.FINAL


@pytest.mark.parametrize(("answer", "phase"), [(WAIT, Phase.SEARCHING), (DONE, Phase.FINAL)])
def test_a_strategy_that_is_done_ends_the_search_stage(answer: Proposals, phase: Phase) -> None:
    search = searching(lambda history, _room: answer if history else [SHORT, replace(SHORT, meta_iterations=4)])
    one, other = (Trial(spec=spec) for spec in plan(search, [], now=0.0).propose)
    done = completed(one, make_result())
    assert plan(search, [done, other], now=0.0).phase is Phase.SEARCHING
    assert current_status(search, [done, completed(other, make_result())], now=0.0).phase is phase


def test_another_fidelity_is_none_of_a_search_whose_strategy_has_one() -> None:
    search = make_search()
    (spec, *_) = plan(replace(search, strategy=Asked(lambda _history, _room: [SHORT])), [], now=0.0).propose
    assert not belongs_to(search, Trial(spec=spec))


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_strategy_of_ours_can_be_built_and_says_what_a_strategy_must(name: str) -> None:
    strategy = make_search(search={"strategy": name}).strategy
    assert strategy.title(1) == strategy.title(1).lower()
    assert strategy.rounds is None or strategy.rounds >= 1
    assert strategy.varies_fidelity in (True, False)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"search": {"strategy": "Psychic"}}, "spec.search.strategy is 'Psychic'"),
        ({"search": {"surrogate": {"type": "Crystal"}}}, "spec.search.surrogate.type is 'Crystal'"),
        ({"space": {"operations": ["identity", "warp"]}}, "spec.space.operations is 'warp'"),
    ],
)
def test_a_name_that_is_unknown_here_is_refused_with_those_that_are_known(spec: dict[str, object], field: str) -> None:
    resource = make_search().spec.model_validate({"dataset": {"name": "omniglot"}, **spec})
    with pytest.raises(InvalidSpec, match=f"{field}, which is not installed here; it must be one of"):
        require_known_names(resource)


def test_a_strategy_that_is_unknown_here_cannot_be_built() -> None:
    resource = make_search().spec.model_validate({"dataset": {"name": "omniglot"}, "search": {"strategy": "Psychic"}})
    with pytest.raises(InvalidSpec, match=r"spec\.search\.strategy is 'Psychic', which is not installed here"):
        build_search("test", resource, started_at=0.0)
