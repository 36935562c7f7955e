"""plan(): a pure function that, asked again and again, takes a search to its end."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from builders import (
    SMALL,
    STARTED,
    completed,
    make_result,
    make_search,
    make_trial,
    make_trial_spec,
    pretend_result,
    spec_names,
)
from planned_search import run_planned

from metasearch.search import trials as life
from metasearch.search.budget import Limit
from metasearch.search.candidates import Candidate
from metasearch.search.planner import Phase, Plan, Search, belongs_to, plan
from metasearch.search.trial_names import trial_name
from metasearch.search.trials import Reason, Stage, State, Trial, TrialResult, TrialSpec, by_round

Complete = Callable[[Trial], Trial]


def succeed(trial: Trial) -> Trial:
    return completed(trial, pretend_result(trial.spec))


def fail(trial: Trial) -> Trial:
    return completed(trial, TrialResult(state=State.FAILED, reason=Reason.DIVERGED, message="NaN"))


def turn(search: Search, trials: Sequence[Trial], now: float = STARTED + 1) -> tuple[list[Trial], Plan]:
    """Ask once and do what is said, as a driver does."""
    decided = plan(search, trials, now)
    stopped = [life.request_stop(trial) if trial.name in decided.stop else trial for trial in trials]
    there = {trial.name for trial in trials}
    return [*stopped, *(Trial(spec=spec) for spec in decided.propose if spec.name not in there)], decided


def run(
    search: Search, complete: Complete = succeed, trials: Sequence[Trial] = (), now: float = STARTED + 1
) -> tuple[list[Trial], Plan]:
    """Take turns until the search is over; every trial ends as soon as it is proposed."""
    recorded = list(trials)
    for _ in range(100):
        recorded, decided = turn(search, recorded, now)
        if decided.phase.is_over:
            return recorded, decided
        recorded = [trial if trial.state.is_over else complete(trial) for trial in recorded]
    raise AssertionError("the search does not end")


# --- a search from beginning to end ---


def test_a_search_goes_through_its_rounds_to_the_final_stage() -> None:
    trials, decided = run(make_search())
    assert [len(round) for round in by_round(trials)] == [10, 4, 4, 4, 4, 4]
    assert sum(trial.spec.stage is Stage.FINAL for trial in trials) == 2 * 2
    assert (decided.phase, decided.limit) == (Phase.SUCCEEDED, None)


def test_the_next_round_waits_for_every_trial_of_this_one() -> None:
    search = make_search()
    trials, _ = turn(search, [])
    most = [succeed(trial) for trial in trials[:-1]] + [trials[-1]]
    assert plan(search, most, STARTED + 1) == Plan(Phase.SEARCHING)


def test_proposals_of_later_rounds_are_predicted_and_ranked() -> None:
    search = make_search()
    trials, _ = turn(search, [])
    _, decided = turn(search, [succeed(trial) for trial in trials])
    predicted = [spec.predicted for spec in decided.propose]
    assert all(value is not None for value in predicted)
    assert predicted == sorted(predicted, reverse=True)


def test_no_candidate_is_tried_twice() -> None:
    trials, _ = run(make_search())
    keys = [trial.spec.candidate for trial in trials if trial.spec.stage is Stage.SEARCH]
    assert len(keys) == len(set(keys))


def test_final_trials_are_of_the_best_candidates_with_every_seed() -> None:
    trials, _ = run(make_search())
    best = sorted(
        (trial for trial in trials if trial.spec.stage is Stage.SEARCH), key=lambda trial: -(trial.score or 0)
    )[:2]
    final = {(trial.spec.candidate, trial.spec.seed) for trial in trials if trial.spec.stage is Stage.FINAL}
    assert final == {(trial.spec.candidate, seed) for trial in best for seed in (0, 1)}


FRONT = {"deliver": "Front", "top": 3, "seeds": 1, "metaIterations": 7, "baselines": []}


def front_cells(
    scores: dict[str, tuple[float, int]], confirmed: dict[str, float] | None = None, **final: Any
) -> list[str]:
    """Return the cells that are trained in full, given the score and size of each, and of some a second score."""
    search = make_search(budget={"maxTrials": len(scores)}, final={**FRONT, **final})
    looks = [(cell, score, size, 0) for cell, (score, size) in scores.items()]
    looks += [(cell, score, scores[cell][1], 1) for cell, score in (confirmed or {}).items()]
    trials = [
        make_trial(f"t{place}", make_result(score, size), candidate=cell, seed=seed, meta_iterations=1000)
        for place, (cell, score, size, seed) in enumerate(looks)
    ]
    return [spec.candidate.architecture for spec in plan(search, trials, STARTED).propose]


CELLS = [f"{left}(-1)+{right}(-2)" for left in ("conv3x3", "identity") for right in ("conv3x3", "identity")]


def test_of_a_front_the_cells_are_trained_that_no_other_beats_in_score_and_size() -> None:
    """The second is beaten by the third, which is smaller and better."""
    scores = dict(zip(CELLS, ((0.9, 400), (0.5, 300), (0.8, 200), (0.3, 100)), strict=True))
    assert front_cells(scores) == [CELLS[0], CELLS[2], CELLS[3]]
    assert front_cells(scores, top=2) == [CELLS[0], CELLS[2]]
    assert front_cells(scores, deliver="Best") == [CELLS[0], CELLS[2], CELLS[1]]


def test_the_best_after_a_second_look_is_trained_beside_the_front() -> None:
    """The first two were trained again; the third was lucky once, and beats both in score and size."""
    scores = dict(zip(CELLS[:3], ((0.9, 400), (0.89, 300), (0.88, 200)), strict=True))
    confirmed = {CELLS[0]: 0.7, CELLS[1]: 0.69}
    assert front_cells(scores, confirmed) == [CELLS[0], CELLS[2]]


def test_the_baselines_are_trained_beside_the_found_networks() -> None:
    trials, _ = run(
        make_search(final={"top": 1, "seeds": 2, "metaIterations": 7, "baselines": ["Conv4", "Conv4Pooled"]})
    )
    baselines = [trial.spec for trial in trials if trial.spec.stage is Stage.BASELINE]
    assert [(spec.candidate.architecture, spec.seed, spec.meta_iterations) for spec in baselines] == [
        ("Conv4", 0, 7),
        ("Conv4", 1, 7),
        ("Conv4Pooled", 0, 7),
        ("Conv4Pooled", 1, 7),
    ]


def sized(sizes: Callable[[str], int | None]) -> Complete:
    """Return what ends trials with networks of other sizes; `sizes` has that of a candidate's text."""

    def complete(trial: Trial) -> Trial:
        result = pretend_result(trial.spec)
        return completed(trial, dataclasses.replace(result, parameter_count=sizes(trial.spec.candidate.text)))

    return complete


MATCHED = {"top": 2, "seeds": 2, "metaIterations": 10, "baselines": ["Conv4", "Conv4Matched", "Conv4Pooled"]}


def hand_made(trials: Sequence[Trial]) -> dict[str, TrialSpec]:
    """Return the trials of hand-made networks, by name."""
    return {trial.name: trial.spec for trial in trials if trial.spec.stage is Stage.BASELINE}


def baselines_of(trials: Sequence[Trial]) -> list[str]:
    """Return the texts of the hand-made networks that are trained, each once."""
    return sorted({spec.candidate.text for spec in hand_made(trials).values()})


def test_a_matched_baseline_has_the_size_of_the_best_search_trial_alone() -> None:
    search = make_search(final=MATCHED)
    searching = [trial for trial in run(search)[0] if trial.spec.stage is Stage.SEARCH]
    best = max(searching, key=lambda trial: trial.score or 0).spec.candidate.text
    trials, _ = run(search, sized(lambda text: 25_900 if text == best else 1_000_000))
    assert baselines_of(trials) == ["Conv4", "Conv4-30", "Conv4Pooled"]


def test_a_search_whose_trials_have_no_parameter_count_has_no_final_stage() -> None:
    trials, decided = run(make_search(final=MATCHED), sized(lambda _: None))
    assert (decided.phase, decided.message) == (Phase.FAILED, "no search trial succeeded")
    assert baselines_of(trials) == []


def test_trials_that_do_not_say_how_large_their_images_were_are_matched_by_none() -> None:
    def old(trial: Trial) -> Trial:
        return completed(trial, dataclasses.replace(pretend_result(trial.spec), image_channels=None, image_side=None))

    trials, decided = run(make_search(final=MATCHED), old)
    assert baselines_of(trials) == ["Conv4", "Conv4Pooled"]
    assert decided.phase is Phase.SUCCEEDED


def test_random_search_tries_as_many_whole_cells_as_the_budget_allows() -> None:
    search = make_search(search={"strategy": "Random"}, budget={"maxTrials": 17})
    trials, decided = run(search)
    cells = {trial.spec.candidate.architecture for trial in trials if trial.spec.stage is Stage.SEARCH}
    assert len(cells) == 17
    assert {cell.count("|") for cell in cells} == {2}
    assert decided.limit is None


# --- purity ---


def test_the_plan_does_not_depend_on_the_order_of_the_trials() -> None:
    search = make_search()
    trials, _ = turn(search, [])
    done = [succeed(trial) for trial in trials]
    shuffled = random.Random(0).sample(done, len(done))
    assert plan(search, shuffled, STARTED + 1) == plan(search, done, STARTED + 1)


@pytest.mark.parametrize("final", [SMALL["final"], MATCHED], ids=["no baselines", "baselines"])
def test_a_search_rebuilt_from_its_trials_after_any_turn_ends_the_same(final: dict[str, Any]) -> None:
    """A driver that is killed after any single trial and started anew comes to the same place."""
    reference, _ = run(make_search(final=final))
    trials: list[Trial] = []
    for _ in range(200):
        trials, decided = turn(make_search(final=final), trials)
        if decided.phase.is_over:
            break
        pending = next((trial for trial in trials if not trial.state.is_over), None)
        trials = [succeed(trial) if trial is pending else trial for trial in trials]
    assert {trial.name: trial.score for trial in trials} == {trial.name: trial.score for trial in reference}


@pytest.mark.parametrize("seed", range(8))
def test_a_search_that_is_restarted_anywhere_trains_the_same_baselines(seed: int) -> None:
    """Each driver creates a part of what it proposes, in any order, and some of what is under way ends."""
    reference, _ = run(make_search(final=MATCHED))
    rng, trials = random.Random(seed), list[Trial]()
    for _ in range(1_000):
        decided = plan(make_search(final=MATCHED), trials, STARTED + 1)
        if decided.phase.is_over:
            break
        # Always some progress: without proposals left, at least one trial ends.
        created = rng.sample(decided.propose, rng.randint(1, len(decided.propose))) if decided.propose else []
        running = [trial for trial in trials if not trial.state.is_over]
        ended = rng.sample(running, rng.randint(0 if created else 1, len(running)))
        trials = [succeed(trial) if trial in ended else trial for trial in trials]
        trials += [Trial(spec=spec) for spec in created]
        rng.shuffle(trials)
    assert {trial.name for trial in trials} == {trial.name for trial in reference}
    assert hand_made(trials) == hand_made(reference)
    assert all(belongs_to(make_search(final=MATCHED), trial) for trial in trials)


@pytest.mark.parametrize("created", [1, 3])
def test_a_round_that_was_only_partly_created_is_completed(created: int) -> None:
    search = make_search()
    first = [succeed(trial) for trial in turn(search, [])[0]]
    whole = plan(search, first, STARTED + 1).propose
    part = [succeed(Trial(spec=spec)) for spec in whole[:created]]
    assert spec_names(plan(search, [*first, *part], STARTED + 1).propose) == spec_names(whole[created:])


def test_a_round_that_would_now_be_ranked_otherwise_keeps_what_is_there() -> None:
    search = make_search()
    first = [succeed(trial) for trial in turn(search, [])[0]]
    stranger = make_trial(
        "test-2-other", round=2, round_size=4, candidate="identity(-1)+identity(-1) | identity(0)+identity(0)"
    )
    proposed = plan(search, [*first, stranger], STARTED + 1).propose
    assert len(proposed) == 3


@pytest.mark.parametrize("created", range(11))
def test_final_trials_that_were_only_partly_created_are_completed(created: int) -> None:
    search = make_search(final=MATCHED)
    searching = [trial for trial in run(search)[0] if trial.spec.stage is Stage.SEARCH]
    whole = plan(search, searching, STARTED + 1).propose
    part = [Trial(spec=spec) for spec in whole[:created]]
    assert spec_names(plan(search, [*searching, *part], STARTED + 1).propose) == spec_names(whole[created:])


def test_a_name_depends_on_what_is_evaluated_alone() -> None:
    spec = make_trial_spec(meta_iterations=10)
    name = trial_name("s", spec, "key", 0)
    assert name == trial_name("s", dataclasses.replace(spec, name="other", predicted=0.5, priority=3), "key", 0)
    changes: list[dict[str, Any]] = [
        {"stage": Stage.FINAL},
        {"meta_iterations": 11},
        {"seed": 1},
        {"resumes": "s-1-begun"},
        {"is_beginning": True},
    ]
    others = {trial_name("s", dataclasses.replace(spec, **change), "key", 0) for change in changes}
    others |= {trial_name("s", spec, "other", 0), trial_name("s", spec, "key", 1)}
    assert len(others | {name}) == 8


# --- trials that are deleted by hand ---


def searched(search: Search, rounds: int) -> list[Trial]:
    """Return the trials of so many rounds, all of them done."""
    trials: list[Trial] = []
    for _ in range(rounds):
        trials = [trial if trial.state.is_over else succeed(trial) for trial in turn(search, trials)[0]]
    return trials


@pytest.mark.parametrize("round", [1, 2, 3])
@pytest.mark.parametrize("places", [[0], [1, 3], [0, 1, 2]])
def test_trials_that_are_gone_are_proposed_again_and_nothing_else_is(round: int, places: list[int]) -> None:
    search = make_search()
    trials = searched(search, rounds=3)
    gone = [by_round(trials)[round - 1][place] for place in places]
    decided = plan(search, [trial for trial in trials if trial not in gone], STARTED + 1)
    assert decided.phase is Phase.SEARCHING
    assert sorted(spec_names(decided.propose)) == sorted(trial.name for trial in gone)
    assert [spec.candidate for spec in decided.propose] == [trial.spec.candidate for trial in gone]


@pytest.mark.parametrize("round", [1, 2, 3])
def test_a_round_that_is_gone_is_proposed_again_and_nothing_else_is(round: int) -> None:
    search = make_search()
    trials = searched(search, rounds=3)
    gone = by_round(trials)[round - 1]
    decided = plan(search, [trial for trial in trials if trial not in gone], STARTED + 1)
    assert decided.phase is Phase.SEARCHING
    assert sorted(spec_names(decided.propose)) == sorted(trial.name for trial in gone)


def test_gaps_are_filled_from_the_first_round_on() -> None:
    """A later round's gaps are known only once the earlier ones are filled."""
    search = make_search()
    first, second, third = by_round(searched(search, rounds=3))
    decided = plan(search, [*first[1:], *second[1:], *third], STARTED + 1)
    assert spec_names(decided.propose) == [first[0].name]
    decided = plan(search, [*first, *second[1:], *third[1:]], STARTED + 1)
    assert spec_names(decided.propose) == [second[0].name]


def test_a_gap_is_filled_while_others_run() -> None:
    search = make_search()
    trials, _ = turn(search, [])
    running = [life.claim(trial, "w", STARTED, 0.0) for trial in trials[1:]]
    assert spec_names(plan(search, running, STARTED + 1).propose) == [trials[0].name]


def test_a_search_with_gaps_ends_as_it_would_have() -> None:
    search = make_search()
    reference, _ = run(search)
    rest = [trial for index, trial in enumerate(searched(search, rounds=3)) if index % 3]
    trials, decided = run(search, trials=rest)
    assert decided.phase is Phase.SUCCEEDED
    assert {trial.name for trial in trials} == {trial.name for trial in reference}


def test_a_final_trial_that_is_gone_is_proposed_again() -> None:
    search = make_search()
    trials, _ = run(search)
    gone = next(trial for trial in trials if trial.spec.stage is Stage.FINAL)
    decided = plan(search, [trial for trial in trials if trial is not gone], STARTED + 1)
    assert (decided.phase, spec_names(decided.propose)) == (Phase.FINAL, [gone.name])


# --- whose trials they are ---


def test_every_trial_that_a_search_proposes_is_its_own() -> None:
    search = make_search(final=MATCHED)
    trials, _ = run(search)
    assert {trial.spec.stage for trial in trials} == set(Stage)
    assert all(belongs_to(search, trial) for trial in trials)


def candidates(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the changes with the candidate's text read."""
    if "hyperparameters" in changes:
        return {"candidate": Candidate("conv3x3(-1)+conv3x3(-1)", changes["hyperparameters"])}
    return changes | {"candidate": Candidate(changes["candidate"])} if "candidate" in changes else changes


def renamed(search: Search, trial: Trial, **changes: Any) -> Trial:
    """Return a changed trial with the name that it would have."""
    spec = dataclasses.replace(trial.spec, **candidates(changes))
    name = trial_name(search.name, spec, spec.candidate.text, search.spec.seed)
    return Trial(spec=dataclasses.replace(spec, name=name))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"name": "test-1-0123456789"}, id="another name"),
        pytest.param({"name": "other-1-0123456789"}, id="another search's name"),
        pytest.param({"candidate": "identity(-2)+identity(-2)"}, id="another candidate"),
        pytest.param({"candidate": "conv5x5(-1)+identity(-2)"}, id="an operation that the space has not"),
        pytest.param({"candidate": "rm -rf"}, id="no candidate at all"),
        pytest.param({"hyperparameters": {"innerSteps": 3}}, id="other hyperparameters"),
        pytest.param({"resumes": "test-1-0123456789"}, id="a trial that goes on from another"),
        pytest.param({"round": 2}, id="another round"),
        pytest.param({"stage": Stage.FINAL}, id="another stage"),
        pytest.param({"stage": Stage.BASELINE}, id="a baseline"),
        pytest.param({"seed": 1}, id="another seed"),
        pytest.param({"meta_iterations": 1}, id="other iterations"),
    ],
)
def test_a_trial_that_is_not_what_its_name_says_is_none_of_the_searchs(changes: dict[str, Any]) -> None:
    search = make_search()
    trial = next(trial for trial in turn(search, [])[0] if str(trial.spec.candidate) != "identity(-2)+identity(-2)")
    assert belongs_to(search, trial)
    assert not belongs_to(search, Trial(spec=dataclasses.replace(trial.spec, **candidates(changes))))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"meta_iterations": 1}, id="a search trial that is too short"),
        pytest.param({"seed": 2}, id="a search trial with another seed"),
        pytest.param({"stage": Stage.FINAL}, id="a final trial that is too short"),
        pytest.param({"stage": Stage.FINAL, "meta_iterations": 10, "seed": 2}, id="a final trial too many"),
        pytest.param(
            {"stage": Stage.BASELINE, "meta_iterations": 10, "round": 0, "candidate": "Conv4"},
            id="no baseline asked for",
        ),
    ],
)
def test_a_trial_that_the_search_never_asks_for_is_none_of_its_own(changes: dict[str, Any]) -> None:
    search = make_search()
    trial = turn(search, [])[0][0]
    assert not belongs_to(search, renamed(search, trial, **changes))


def test_a_baseline_that_was_not_asked_for_is_none_of_the_searchs() -> None:
    search = make_search(final={"baselines": ["Conv4"]})
    asked = {"stage": Stage.BASELINE, "round": 0, "meta_iterations": search.spec.final.meta_iterations}
    trial = turn(search, [])[0][0]
    assert belongs_to(search, renamed(search, trial, candidate="Conv4", **asked))
    assert not belongs_to(search, renamed(search, trial, candidate="ResNet", **asked))
    assert not belongs_to(search, renamed(search, trial, candidate="Conv4-30", **asked))
    assert not belongs_to(search, renamed(search, trial, candidate="Conv4Pooled", **asked))


def test_a_matched_baseline_of_any_size_is_the_searchs_own() -> None:
    """A trial that is gone, or not known here, may have been the best when it was planned."""
    search = make_search(final=MATCHED)
    asked = {"stage": Stage.BASELINE, "round": 0, "meta_iterations": search.spec.final.meta_iterations}
    trial = turn(search, [])[0][0]
    assert belongs_to(search, renamed(search, trial, candidate="Conv4-30", **asked))
    assert not belongs_to(search, renamed(search, trial, candidate="Conv4-64", **asked))
    assert not belongs_to(search, renamed(search, trial, candidate="Conv4-030", **asked))
    assert not belongs_to(search, renamed(search, trial, candidate="Conv4-30; innerSteps=3", **asked))


def test_a_trial_of_another_seed_of_the_search_is_none_of_its_own() -> None:
    trials, _ = turn(make_search(seed=1), [])
    assert not any(belongs_to(make_search(), trial) for trial in trials)


# --- failures ---


def test_failed_trials_are_left_out_and_the_search_goes_on() -> None:
    def fail_identities(trial: Trial) -> Trial:
        return (
            fail(trial) if trial.spec.candidate.architecture.startswith("identity(-2)+identity(-2)") else succeed(trial)
        )

    trials, decided = run(make_search(), fail_identities)
    assert decided.phase is Phase.SUCCEEDED
    assert any(trial.state is State.FAILED for trial in trials)


def test_more_failures_than_the_budget_allows_end_the_search() -> None:
    trials, decided = run(make_search(budget={"maxFailedTrials": 3}), fail)
    assert (decided.phase, decided.limit) == (Phase.FAILED, Limit.FAILED_TRIALS)
    assert "budget.maxFailedTrials" in (decided.message or "")
    assert not any(trial.spec.stage is Stage.FINAL for trial in trials)


def test_too_many_failures_stop_the_trials_that_still_run() -> None:
    search = make_search(budget={"maxFailedTrials": 1})
    trials, _ = turn(search, [])
    recorded = [fail(trials[0]), fail(trials[1]), *trials[2:]]
    recorded, decided = turn(search, recorded)
    assert set(decided.stop) == {trial.name for trial in trials[2:]}
    assert turn(search, recorded)[1].phase is Phase.FAILED


def test_a_search_without_any_success_fails_and_says_so() -> None:
    _, decided = run(make_search(budget={"maxFailedTrials": 100}), fail)
    assert (decided.phase, decided.message) == (Phase.FAILED, "no search trial succeeded")


def test_a_search_whose_final_trials_all_fail_says_so() -> None:
    _, decided = run(make_search(), lambda trial: fail(trial) if trial.spec.stage is Stage.FINAL else succeed(trial))
    assert (decided.phase, decided.message) == (Phase.FAILED, "no final trial succeeded")


# --- budget ---


@pytest.mark.parametrize(
    ("most", "sizes"),
    [(5, [1, 1, 3]), (10, [3, 2, 4, 1]), (12, [4, 4, 4]), (18, [6, 4, 4, 4]), (31, [10, 4, 4, 4, 4, 4, 1])],
)
def test_no_more_trials_are_proposed_than_the_budget_has(most: int, sizes: list[int]) -> None:
    trials, decided = run(make_search(budget={"maxTrials": most}))
    assert [len(round) for round in by_round(trials)] == sizes
    assert (decided.phase, decided.limit) == (Phase.SUCCEEDED, None)


@pytest.mark.parametrize("most", [9, 10, 11])
def test_a_search_that_spends_its_trials_or_its_space_is_not_cut_short(most: int) -> None:
    trials, decided = run(make_search(space={**SMALL["space"], "maxBlocks": 1}, budget={"maxTrials": most}))
    assert [len(round) for round in by_round(trials)] == [min(most, 10)]
    assert decided.limit is None


def test_wall_time_ends_the_search_stage_early_enough_for_the_final_one() -> None:
    search = make_search(budget={"wallTime": "100s"}, final={"top": 1, "seeds": 1, "baselines": [], "reserve": "0.4"})
    trials, _ = turn(search, [])
    trials = [succeed(trials[0]), *trials[1:]]
    assert not plan(search, trials, STARTED + 59).stop
    trials, decided = turn(search, trials, STARTED + 60)
    assert (set(decided.stop), decided.limit) == ({trial.name for trial in trials[1:]}, Limit.WALL_TIME)
    trials, decided = turn(search, trials, STARTED + 61)
    assert [spec.stage for spec in decided.propose] == [Stage.FINAL]
    trials, decided = run(search, trials=trials, now=STARTED + 62)
    assert (decided.phase, decided.limit) == (Phase.SUCCEEDED, Limit.WALL_TIME)


def test_wall_time_stops_final_trials_and_what_is_done_counts() -> None:
    search = make_search(
        budget={"wallTime": "100s"}, final={"top": 1, "seeds": 2, "metaIterations": 5, "baselines": []}
    )
    recorded: list[Trial] = []
    while not any(trial.spec.stage is Stage.FINAL for trial in recorded):
        recorded, _ = turn(search, [trial if trial.state.is_over else succeed(trial) for trial in recorded])
    final = [trial for trial in recorded if trial.spec.stage is Stage.FINAL]
    recorded = [succeed(trial) if trial is final[0] else trial for trial in recorded]
    recorded, decided = turn(search, recorded, STARTED + 100)
    assert decided.stop == (final[1].name,)
    _, decided = turn(search, recorded, STARTED + 101)
    assert (decided.phase, decided.limit) == (Phase.SUCCEEDED, Limit.WALL_TIME)


def cut_short(trial: Trial) -> Trial:
    """Return a final trial that a limit stopped while it trained, with the network it had by then."""
    stopped = dataclasses.replace(
        pretend_result(trial.spec), state=State.STOPPED, reason=Reason.BUDGET_EXHAUSTED, meta_iterations=3
    )
    asked = life.request_stop(life.claim(trial, "w", STARTED, 0.0))
    return life.complete(asked, asked.epoch, stopped, STARTED + 101, max_attempts=1)


def final_stage(search: Search) -> tuple[list[Trial], list[Trial]]:
    """Return all trials and the final ones of a search whose final trials were just proposed."""
    recorded: list[Trial] = []
    while not any(trial.spec.stage is Stage.FINAL for trial in recorded):
        recorded, _ = turn(search, [trial if trial.state.is_over else succeed(trial) for trial in recorded])
    return recorded, [trial for trial in recorded if trial.spec.stage is Stage.FINAL]


def test_a_final_trial_that_is_cut_short_with_a_network_is_a_success() -> None:
    search = make_search(budget={"wallTime": "100s"})
    recorded, final = final_stage(search)
    ended = [cut_short(trial) if trial in final else trial for trial in recorded]
    decided = plan(search, ended, STARTED + 101)
    assert (decided.phase, decided.limit) == (Phase.SUCCEEDED, Limit.WALL_TIME)


def test_final_trials_that_a_limit_ends_before_they_train_are_no_success() -> None:
    search = make_search(budget={"wallTime": "100s"})
    _, decided = run(search, trials=final_stage(search)[0], now=STARTED + 100)
    assert (decided.phase, decided.limit) == (Phase.FAILED, Limit.WALL_TIME)
    assert decided.message == "the budget was spent before any final trial had a network"


def test_the_limit_that_is_reported_is_that_of_the_final_stage_where_it_was_cut_short() -> None:
    search = make_search(budget={"wallTime": "100s", "maxTrials": 12})
    recorded, final = final_stage(search)
    assert plan(search, recorded, STARTED + 1).limit is None
    ended = [cut_short(trial) if trial in final else trial for trial in recorded]
    assert plan(search, ended, STARTED + 101).limit is Limit.WALL_TIME


def test_a_limit_that_is_reached_after_the_end_has_ended_nothing() -> None:
    search = make_search(budget={"wallTime": "100s"})
    trials, _ = run(search)
    assert plan(search, trials, STARTED + 1000) == Plan(Phase.SUCCEEDED)


def test_gpu_hours_of_lost_attempts_count() -> None:
    search = make_search(budget={"gpuHours": "1"}, final={"top": 1, "seeds": 1, "reserve": "0.5", "baselines": []})
    trials, _ = turn(search, [])
    lost = life.release(life.claim(trials[0], "w", STARTED, gpus=0.5), STARTED + 3600, life.LOST)
    assert plan(search, [lost, *trials[1:]], STARTED + 3600).limit is Limit.GPU_HOURS
    half = life.release(life.claim(trials[0], "w", STARTED, gpus=0.5), STARTED + 1800, life.LOST)
    assert plan(search, [half, *trials[1:]], STARTED + 1800).limit is None


def test_paused_time_is_not_spent() -> None:
    search = make_search(budget={"wallTime": "100s"})
    paused = dataclasses.replace(search, paused_seconds=1000.0)
    trials, _ = turn(search, [])
    assert plan(search, trials, STARTED + 1001).stop
    assert not plan(paused, trials, STARTED + 1001).stop


# --- early stopping ---


def test_thresholds_come_from_the_last_finished_round_alone() -> None:
    search = make_search()
    first, decided = turn(search, [])
    assert not any(spec.thresholds for spec in decided.propose)
    _, decided = turn(search, [succeed(trial) for trial in first])
    points = {spec.thresholds for spec in decided.propose}
    assert len(points) == 1


def test_trials_that_were_stopped_early_are_learned_from_but_not_trained_in_full() -> None:
    def stop_most(trial: Trial) -> Trial:
        if trial.spec.stage is Stage.SEARCH and trial.spec.priority > 0:
            stopped = make_result(0.9, state=State.STOPPED, reason=Reason.EARLY_STOPPED)
            return completed(trial, stopped)
        return succeed(trial)

    trials, decided = run(make_search(), stop_most)
    full = {trial.spec.candidate for trial in trials if trial.spec.stage is Stage.FINAL}
    succeeded = {
        trial.spec.candidate for trial in trials if trial.spec.stage is Stage.SEARCH and trial.state is State.SUCCEEDED
    }
    assert full <= succeeded
    assert decided.phase is Phase.SUCCEEDED


def test_specs_that_are_proposed_twice_are_equal() -> None:
    search = make_search()
    one, other = plan(search, [], STARTED), plan(search, [], STARTED)
    assert one == other
    assert isinstance(one.propose[0], TrialSpec)


@pytest.mark.parametrize("strategy", ["Random", "Grid"])
def test_a_large_round_is_proposed_little_by_little_and_is_the_same(
    strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each trial is an object of the API server: thousands that may begin at once are not all written at once."""
    space = {"operations": ["conv3x3", "conv5x5", "identity"], "maxBlocks": 1}
    search = make_search(space=space, search={"strategy": strategy}, budget={"maxTrials": 24}, parallelism=3)
    at_once, _ = run_planned(search, pretend_result, workers=3)
    monkeypatch.setattr("metasearch.search.planner.MOST_OPEN", 10)
    by_and_by, _ = run_planned(search, pretend_result, workers=3)
    assert len(plan(search, [], STARTED).propose) == 10 < len(at_once)
    assert [trial.spec for trial in by_and_by] == [trial.spec for trial in at_once]


def test_trials_are_proposed_by_the_hundred_not_one_for_each_that_ends() -> None:
    """A grid lists all that it would try each time that it is asked."""
    search = make_search(search={"strategy": "Random"}, budget={"maxTrials": 2000}, parallelism=3)
    first = [Trial(spec=each) for each in plan(search, [], STARTED).propose]
    assert len(first) == 200
    ended = [completed(trial, pretend_result(trial.spec)) for trial in first[:100]]
    assert not plan(search, [*ended[:99], *first[99:]], STARTED).propose
    assert len(plan(search, [*ended, *first[100:]], STARTED).propose) == 100


def test_many_workers_have_enough_to_do() -> None:
    search = make_search(search={"strategy": "Random"}, budget={"maxTrials": 2000}, parallelism=500)
    assert len(plan(search, [], STARTED).propose) == 1000
