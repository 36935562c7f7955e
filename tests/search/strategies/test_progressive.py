"""Progressive search: candidates of one step, a beam of children of each size, and on at the largest."""

from __future__ import annotations

from typing import Any

import pytest
from builders import SMALL, TokenMeans, completed, make_result, make_search, make_spec, pretend_result
from planned_search import run_planned

from metasearch.api import ProgressiveSearchSettings
from metasearch.search.candidates import Candidate
from metasearch.search.planner import Search, plan
from metasearch.search.strategies import DONE, WAIT, Answer, Proposal, Strategy
from metasearch.search.strategies.progressive import Progressive, RoundSizes
from metasearch.search.trials import Reason, State, Trial, TrialResult


def measured(search: Search, rounds: int) -> list[Trial]:
    """Return the trials of so many rounds, all of them done."""
    trials: list[Trial] = []
    for _ in range(rounds):
        specs = plan(search, trials, now=0.0).propose
        trials += [completed(Trial(spec=spec), pretend_result(spec)) for spec in specs]
    return trials


def proposed(strategy: Strategy, history: list[Trial], room: int = 100) -> list[Proposal]:
    answer = strategy.propose(history, room)
    assert not isinstance(answer, Answer)
    return list(answer)


def test_the_first_round_is_every_smallest_candidate_once_and_unpredicted() -> None:
    search = make_search()
    first = proposed(search.strategy, [])
    assert sorted(each.candidate.text for each in first) == sorted(map(str, search.space.smallest()))
    assert {(each.round, each.round_size, each.predicted) for each in first} == {(1, 10, None)}


def test_the_order_of_the_first_round_depends_on_the_seed_alone() -> None:
    first, again, other = (proposed(make_search(seed=seed).strategy, []) for seed in (0, 0, 1))
    assert first == again
    assert [each.candidate for each in first] != [each.candidate for each in other]


def test_one_step_candidates_are_at_most_a_third_of_the_trials() -> None:
    assert [len(proposed(make_search(budget={"maxTrials": most}).strategy, [])) for most in (2, 9, 12)] == [1, 3, 4]


@pytest.mark.parametrize(
    ("one_step", "max_size", "settings", "spec", "expected"),
    [
        # Auto-Meta: 55 cells of one block, then 100 of each further size.
        (55, 5, {"first_trials": 55}, {"budget": {"maxTrials": 455}}, RoundSizes(55, 100, 8)),
        # The quick example: a dozen of 80, beams of 12, and a rest for the largest size.
        (55, 3, {"beam_width": 12}, {"budget": {"maxTrials": 80}}, RoundSizes(12, 12, 8)),
        (
            55,
            3,
            {"beam_width": 12, "first_trials": 55, "refit_trials": 4},
            {"budget": {"maxTrials": 40}, "parallelism": 6},
            RoundSizes(13, 12, 4),
        ),
        # Half of a small budget is for sizes below the largest: 17 less 3, by four sizes.
        (3, 6, {}, {"budget": {"maxTrials": 35}}, RoundSizes(3, 3, 8)),
        (3, 6, {"beam_width": 2}, {"budget": {"maxTrials": 35}}, RoundSizes(3, 2, 2)),
        (10, 1, {}, {"budget": {"maxTrials": 100}}, RoundSizes(10, 10, 10)),
        # As many in a round as there are workers, but no more than the beam.
        (55, 3, {}, {"budget": {"maxTrials": 455}, "parallelism": 30}, RoundSizes(12, 100, 30)),
        (55, 3, {}, {"budget": {"maxTrials": 455}, "parallelism": 112}, RoundSizes(12, 100, 100)),
    ],
)
def test_a_budget_is_divided_among_sizes(
    one_step: int, max_size: int, settings: dict[str, int], spec: dict[str, Any], expected: RoundSizes
) -> None:
    assert RoundSizes.of(one_step, max_size, ProgressiveSearchSettings(**settings), make_spec(**spec)) == expected


def test_later_rounds_are_the_best_children_and_one_in_eight_drawn_at_random() -> None:
    search = make_search(search={"progressive": {"beamWidth": 8}})
    history = measured(search, 1)
    second = proposed(search.strategy, history)
    chosen, drawn = [each for each in second if not each.is_drawn], [each for each in second if each.is_drawn]
    assert (len(chosen), len(drawn)) == (7, 1)
    predicted = [each.predicted for each in chosen]
    assert predicted == sorted(predicted, reverse=True)  # type: ignore[type-var]
    assert {each.predicted_by for each in second} == {"means of tokens"}
    children = {
        search.space.write(child).text
        for trial in history
        for child in search.space.children(search.space.read(trial.spec.candidate))
    }
    assert {each.candidate.text for each in second} <= children


def test_what_is_drawn_depends_on_the_seed_and_not_on_the_predictions() -> None:
    def drawn(seed: int, score: float) -> set[str]:
        search = make_search(seed=seed, search={"progressive": {"beamWidth": 8}})
        specs = plan(search, [], now=0.0).propose
        history = [
            completed(Trial(spec=spec), make_result(score if "conv" in spec.candidate.text else 0.5)) for spec in specs
        ]
        return {each.candidate.text for each in proposed(search.strategy, history) if each.is_drawn}

    assert len({frozenset(drawn(seed, 0.9)) for seed in range(8)}) > 4


def test_at_the_largest_size_neighbours_of_the_best_join_the_children() -> None:
    search = make_search(budget={"maxTrials": 200})
    history = measured(search, 8)
    grown = {
        search.space.key(child)
        for trial in history
        for child in search.space.children(search.space.read(trial.spec.candidate))
    }
    late = [search.space.key(search.space.read(trial.spec.candidate)) for trial in history if trial.spec.round > 3]
    assert any(key not in grown for key in late)


def test_candidates_that_failed_have_no_children() -> None:
    search = make_search()
    good, *others = measured(search, 1)
    failure = TrialResult(state=State.FAILED, reason=Reason.DIVERGED)
    failed = [completed(Trial(spec=trial.spec), failure) for trial in others]
    parent = good.spec.candidate.text
    assert all(parent in each.candidate.text.split(" | ") for each in proposed(search.strategy, [good, *failed]))


def test_it_waits_for_a_round_and_is_done_when_the_trials_are_spent() -> None:
    search = make_search(budget={"maxTrials": 30})
    history = measured(search, 6)
    assert len(history) == 30
    assert search.strategy.propose([*history[:-1], Trial(spec=history[-1].spec)], room=100) is WAIT
    assert search.strategy.propose(history, room=0) is DONE


def test_a_small_space_is_searched_whole_and_done_then() -> None:
    search = make_search(space={"operations": ["identity"], "maxBlocks": 2}, budget={"maxTrials": 500})
    trials, decided = run_planned(search, pretend_result)
    keys = [search.space.key(search.space.read(trial.spec.candidate)) for trial in trials if trial.spec.round]
    everything = {search.space.key(each) for each in search.space.everything()}
    assert set(keys) == everything
    assert decided.limit is None


@pytest.mark.parametrize("rounds", [0, 1, 2, 3, 6])
def test_without_room_no_surrogate_is_made(rounds: int) -> None:
    search = make_search()
    strategy = Progressive(search.spec, search.space, surrogate=lambda: pytest.fail("a surrogate was made"))
    assert strategy.propose(measured(search, rounds), room=0) == (DONE if rounds == 6 else ())


def test_given_cells_come_first_whatever_their_size() -> None:
    given = "conv3x3(-1)+identity(-2) | conv3x3(0)+conv3x3(0) | conv3x3(1)+identity(0)"
    search = make_search(search={"progressive": {"beamWidth": 4}, "initial": [given]})
    first = proposed(search.strategy, [])
    assert first[0].candidate == search.space.write(search.space.read(Candidate(given)))
    assert len(first) == 10


def test_rounds_are_named_by_the_size_of_their_candidates() -> None:
    strategy = Progressive(make_spec(**SMALL), make_search().space, TokenMeans)
    titles = [strategy.title(round) for round in (1, 2, 3, 9)]
    assert (strategy.rounds, titles) == (None, ["1 block", "2 blocks", "3 blocks", "3 blocks"])
