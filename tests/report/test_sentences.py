"""The report's words and numbers: each claim is what the result says, and no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from metasearch.outcome.certainty import Certainty, Difference
from metasearch.outcome.ends import End
from metasearch.outcome.figures import Estimate, FinalNetwork, FoundNetwork, HandMadeNetwork
from metasearch.outcome.results import Comparison, SearchResult
from metasearch.outcome.rounds import Examination
from metasearch.search.baselines import matched
from metasearch.search.budget import Limit
from metasearch.search.planner import Phase
from metasearch.search.trials import Reason, Stage, State, Trial, TrialResult
from metasearch_cli.report import formats, sentences, series
from metasearch_cli.report.certainty import certainty
from metasearch_cli.report.earlier_ends import earlier_ends
from metasearch_cli.report.examination import examination
from metasearch_cli.report.notices import Importance, Notice, compare, question

if TYPE_CHECKING:
    from conftest import Scene

MakeScene = Callable[..., "Scene"]


# --- the answer --------------------------------------------------------------------------------------------------


def network(accuracy: float, interval: float, parameters: int, seeds: int) -> FinalNetwork[float]:
    measured = Estimate[float](accuracy=accuracy, interval=interval)
    return FinalNetwork[float](
        seeds=seeds,
        parameter_count=parameters,
        multiply_adds=1,
        meta_iterations=1,
        score=accuracy,
        transductive=measured,
        non_transductive=measured,
        support_statistics=measured,
        tasks=400,
    )


@pytest.fixture
def judged(make_scene: MakeScene) -> Callable[..., Notice]:
    """Return a function that compares a network with a baseline of accuracy 0.75 ± 0.03 and 100,000 parameters."""
    result = make_scene((1,)).result

    def judge(
        accuracy: float, parameters: int, interval: float = 0.04, seeds: int = 2, *, same_size: bool = False
    ) -> Notice:
        measured = network(accuracy, interval, parameters, seeds)
        found = FoundNetwork[float](cell="conv3x3(-1)+identity(-2)", trials=("test-0",), **measured.model_dump())
        conv4 = HandMadeNetwork[float](name="Conv4", **network(0.75, 0.03, 100_000, seeds).model_dump())
        comparison = Comparison(
            baseline="Conv4",
            same_size=same_size,
            accuracy_difference=found.non_transductive.accuracy - 0.75,
            transductive_difference=0.0,
            support_statistics_difference=0.0,
            parameter_ratio=parameters / 100_000,
        )
        changed = {"final": (found,), "baselines": (conv4,), "comparison": comparison}
        answer = compare(result.model_copy(update=changed))
        assert answer is not None
        return answer

    return judge


def test_small_and_accurate_is_a_yes(judged: Callable[..., Notice]) -> None:
    answer = judged(0.85, 25_000)
    assert (answer.importance, answer.heading) == (Importance.GOOD, "Yes.")
    assert "has 25.0 % of Conv4’s parameters, and is 10.0 percentage points more accurate" in said(answer)
    assert "The difference is larger than its 95 % interval of ± 5.0 points." in said(answer)


def test_small_and_less_accurate_is_a_no(judged: Callable[..., Notice]) -> None:
    answer = judged(0.65, 5_000)
    assert (answer.importance, answer.heading) == (Importance.WARNING, "No.")
    assert "has 5.0 % of Conv4’s parameters, but is 10.0 percentage points less accurate" in said(answer)


@pytest.mark.parametrize(("accuracy", "words"), [(0.74, "but is 1.0 percentage points less"), (0.7501, "and is 0.0")])
def test_a_difference_within_its_interval_is_neither_yes_nor_no(
    judged: Callable[..., Notice], accuracy: float, words: str
) -> None:
    answer = judged(accuracy, 5_000)
    assert (answer.importance, answer.heading) == (Importance.PLAIN, "Not settled.")
    assert words in said(answer)
    assert "so which of the two is more accurate is not settled" in said(answer)
    assert judged(accuracy, 40_000).heading == "No."  # whatever its accuracy, it is too large


def test_accurate_and_large_is_a_no(judged: Callable[..., Notice]) -> None:
    assert judged(0.85, 25_001).heading == "No."
    assert "has 40.0 % of Conv4’s parameters, more than a quarter, but is 10.0" in said(judged(0.85, 40_000))
    assert "has 2.5 times as many parameters as Conv4, and is 10.0 percentage points less" in said(
        judged(0.65, 250_000)
    )


def test_a_baseline_of_the_same_size_must_only_be_as_accurate(judged: Callable[..., Notice]) -> None:
    answer = judged(0.85, 110_000, same_size=True)
    assert answer.heading == "Yes."
    assert "It has 110.0 % of Conv4’s parameters, and is 10.0 percentage points more accurate" in said(answer)
    answer = judged(0.65, 90_000, same_size=True)
    assert answer.heading == "No."
    assert "It has 90.0 % of Conv4’s parameters, but is 10.0 percentage points less accurate" in said(answer)


def test_the_question_names_the_baseline_to_beat(make_scene: MakeScene) -> None:
    def asked(**scores: float) -> str:
        result = make_scene(seeds=1, baselines={"Conv4": 0.8, **scores}).result
        assert result.comparison is not None
        return question(result.comparison)

    assert asked() == "Is the found network at least as accurate as Conv4, with at most a quarter of its parameters?"
    found = make_scene(seeds=1).result.delivered
    assert found is not None
    text = matched(found.parameter_count, 1, 28, 5).text
    assert asked(**{text: 0.7}) == (
        f"Is the found network at least as accurate as {text}, the best hand-made network of about its size?"
    )


def test_equal_accuracy_settles_nothing(judged: Callable[..., Notice]) -> None:
    answer = judged(0.75, 10_000)
    assert answer.heading == "Not settled."
    assert "is exactly as accurate" in said(answer)


def test_one_seed_is_said_to_be_one(judged: Callable[..., Notice]) -> None:
    assert "With one seed" in said(judged(0.8, 10_000, seeds=1))
    assert "With one seed" not in said(judged(0.8, 10_000, seeds=2))


def test_there_is_no_verdict_without_a_comparison(make_scene: MakeScene) -> None:
    assert compare(make_scene(baselines={}).result) is None
    assert compare(make_scene(top=0).result) is None


def said(notice: Notice) -> str:
    return plain(notice.text)


def plain(text: str) -> str:
    return text.replace(formats.SPACE, " ")


# --- notices ------------------------------------------------------------------------------------------------------


def notices(scene: Scene) -> dict[str, str]:
    return {notice.heading: plain(notice.text) for notice in sentences.notices(scene.result, scene.trials)}


def given_up(trials: list[Trial]) -> list[Trial]:
    """Let a limit end the last two search trials."""
    result = TrialResult(state=State.STOPPED, reason=Reason.BUDGET_EXHAUSTED, message="the budget was spent")
    stopped = [replace(trial, state=State.STOPPED, result=result) for trial in trials[8:10]]
    return [*trials[:8], *stopped, *trials[10:]]


def test_an_ordinary_search_needs_no_remark(make_scene: MakeScene) -> None:
    assert notices(make_scene()) == {}


def test_a_limit_of_time_is_named_with_what_it_cost(make_scene: MakeScene) -> None:
    scene = make_scene((10,), change=given_up, limit=Limit.WALL_TIME, budget={"wallTime": "6m"})
    text = notices(scene)["A limit ended a stage early."]
    assert text.startswith(
        "budget.wallTime (6m, of which 30 % is kept for final training) was reached, and 2 search trials were given up."
    )
    assert "depends on the machine’s speed" in text


def cut_short(trials: list[Trial]) -> list[Trial]:
    """Let a limit stop every final trial and the baseline's after 700 of 20,000 meta-iterations."""
    return [
        replace(
            trial,
            state=State.STOPPED,
            result=replace(trial.result, state=State.STOPPED, reason=Reason.BUDGET_EXHAUSTED, meta_iterations=700),
        )
        if trial.spec.stage is not Stage.SEARCH and trial.result
        else trial
        for trial in trials
    ]


def test_networks_that_were_cut_short_are_said_to_be(make_scene: MakeScene) -> None:
    budget = {"budget": {"wallTime": "6m"}, "final": {"metaIterations": 20_000}}
    scene = make_scene(top=1, change=cut_short, limit=Limit.WALL_TIME, **budget)
    texts = notices(scene)
    assert texts["Training was cut short."].startswith(
        "Of the 20,000 meta-iterations asked for, the delivered network had 700 and Conv4 had 700 when the budget was "
        "spent."
    )
    assert "given up" not in texts["A limit ended a stage early."]


def test_a_limit_of_trials_does_not_depend_on_the_machine(make_scene: MakeScene) -> None:
    text = notices(make_scene(limit=Limit.TRIALS, budget={"maxTrials": 32}))["The budget ended the search stage."]
    assert text == "budget.maxTrials (32) was reached before the strategy was through."


def test_cells_chosen_on_test_classes_are_said_to_be(make_scene: MakeScene) -> None:
    assert "Test accuracies flatter the found cells." in notices(make_scene(evaluation={"split": "Test"}))


def test_a_missing_baseline_is_said_to_be(make_scene: MakeScene) -> None:
    assert "None was asked for" in notices(make_scene(baselines={}, final={"baselines": []}))["Without a baseline."]
    text = notices(make_scene(baselines={}))["Without a baseline."]
    assert text == "Conv4 was asked for, but none of its trials ran to its end."
    asked = {"final": {"baselines": ["Conv4", "Conv4Matched"]}}
    text = notices(make_scene(baselines={}, **asked))["Without a baseline."]
    assert text == "Conv4 and Conv4Matched were asked for, but none of their trials ran to its end."


def test_a_baseline_that_is_missing_beside_others_is_said_to_be(make_scene: MakeScene) -> None:
    def without_pooled(trials: list[Trial]) -> list[Trial]:
        failed = TrialResult(state=State.FAILED, reason=Reason.OUT_OF_MEMORY, message="it held 5 GiB")
        return [
            replace(trial, state=State.FAILED, result=failed) if trial.spec.candidate.text == "Conv4Pooled" else trial
            for trial in trials
        ]

    baselines = {"Conv4": 0.8, "Conv4Pooled": 0.7}
    assert "Not every baseline is here." not in notices(make_scene(baselines=baselines))
    text = notices(make_scene(baselines=baselines, change=without_pooled))["Not every baseline is here."]
    assert text == "Conv4Pooled was asked for, but none of its trials ran to its end."
    text = notices(make_scene(baselines=baselines, change=without_pooled, phase=Phase.FINAL))
    assert text["Not every baseline is here."].endswith("but none of its trials has run to its end yet.")


def test_a_failed_search_counts_its_failures(make_scene: MakeScene) -> None:
    scene = make_scene((42,), top=0, baselines={}, phase=Phase.FAILED, message="no search trial succeeded")
    assert notices(scene)["The search failed."] == (
        "No search trial succeeded. Trials failed for these reasons: Diverged 1."
    )


# --- rankings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p_value", "spearman", "number", "text"),
    [
        (None, None, 2, "Too few measured candidates to say how well they were ranked."),
        (0.9, -0.3, 10, "No better than chance."),
        (0.5, 0.0, 10, "No better than chance."),
        (0.14, 0.52, 8, "Cannot be told from chance with 8 candidates (p = 0.14)."),
        (0.0301, 0.6, 12, "Better than chance (p = 0.030)."),
        (1e-9, 0.9, 100, "Better than chance (p < 0.001)."),
    ],
)
def test_a_ranking_is_called_no_better_than_it_is(
    p_value: float | None, spearman: float | None, number: int, text: str
) -> None:
    assert plain(sentences.ranking(p_value, spearman, number)) == text


def test_the_chance_of_a_perfect_ranking_of_four_is_one_in_twenty_four(make_scene: MakeScene) -> None:
    def ranked(trials: list[Trial]) -> list[Trial]:
        return [replace(trial, spec=replace(trial.spec, predicted=trial.score)) for trial in trials[:4]]

    (round,) = series.predicted_rounds(make_scene((4,), top=0, change=ranked).trials)
    assert round.p_value == pytest.approx(1 / 24)


# --- series -------------------------------------------------------------------------------------------------------


def test_the_best_so_far_counts_only_trials_that_ran_to_their_end(five_rounds: Scene) -> None:
    ended = series.ended_in_order(five_rounds.trials)
    assert len(ended) == 455
    complete = [each.score for each in ended if each.state is State.SUCCEEDED and each.score is not None]
    assert ended[-1].best == max(complete)
    assert [each.place for each in ended] == list(range(1, 456))


def test_the_best_so_far_is_never_a_beginning(make_scene: MakeScene) -> None:
    """Seven beginnings and five whole trainings, of which each beginning has the higher score."""

    def screened(trials: list[Trial]) -> list[Trial]:
        return [as_beginning(trial, 0.99) if place < 7 else trial for place, trial in enumerate(trials)]

    scene = make_scene((12,), top=0, baselines={}, change=screened)
    ended = series.ended_in_order(scene.trials)
    assert sum(each.is_beginning for each in ended) == 7
    whole = [each.score for each in ended if not each.is_beginning and each.score is not None]
    assert (ended[-1].best, max(each.best or 0 for each in ended)) == (max(whole), max(whole))
    assert all(not each.trial.spec.is_beginning for each in series.longest_trained(scene.trials))
    assert len(series.longest_trained(scene.trials)) == 5
    assert len(series.search_curves(scene.trials)) == 5


def test_without_a_whole_training_there_is_no_best_so_far(make_scene: MakeScene) -> None:
    ended = series.ended_in_order(make_scene((3,), top=0, baselines={}, change=all_begun).trials)
    assert [each.best for each in ended] == [None] * 3


def as_beginning(trial: Trial, score: float) -> Trial:
    """Return the trial as the first 250 of 1,000 meta-iterations."""
    assert trial.result is not None
    return replace(
        trial,
        spec=replace(trial.spec, is_beginning=True, meta_iterations=250),
        result=replace(trial.result, score=score, validation=None),
    )


def all_begun(trials: list[Trial]) -> list[Trial]:
    return [as_beginning(trial, 0.02) for trial in trials]


def test_all_worker_time_is_accounted_for(five_rounds: Scene) -> None:
    spent = series.time_spent(five_rounds.result, five_rounds.trials)
    assert sum(row.total for row in spent) == pytest.approx(five_rounds.result.spent.worker_seconds)
    assert [(row.stage, row.round) for row in spent[-2:]] == [(Stage.FINAL, 0), (Stage.BASELINE, 0)]


def test_attempts_under_way_count_up_to_when_the_result_was_made(make_scene: MakeScene) -> None:
    def one_running(trials: list[Trial]) -> list[Trial]:
        attempt = replace(trials[1].attempts[0], ended_at=None, outcome=None)
        return [trials[0], replace(trials[1], state=State.RUNNING, result=None, attempts=(attempt,))]

    result, trials = make_scene(change=one_running, phase=Phase.SEARCHING)
    (round,) = series.time_spent(result, trials)
    assert round.running > 0
    assert round.total == pytest.approx(result.spent.worker_seconds)


def test_lost_attempts_are_distinguished_from_complete_ones(make_scene: MakeScene) -> None:
    def lost_once(trials: list[Trial]) -> list[Trial]:
        attempt = replace(trials[0].attempts[0], outcome="Lost")
        return [replace(trials[0], attempts=(attempt, *trials[0].attempts))]

    (round,) = series.time_spent(*make_scene(change=lost_once))
    assert round.lost == round.complete > 0


# --- numbers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (6.596, "6.6 s"),
        (59.7, "1 min"),
        (304.2, "5 min 4 s"),
        (3600, "1 h"),
        (86_400, "24 h"),
        (34_450, "9 h 34 min"),
        (300_000, "3 d 11 h"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert plain(formats.duration(seconds)) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (405, "405"), (1000, "1k"), (1040, "1.0k"), (6555, "6.6k"), (972_260, "972k"), (2_657_792, "2.7M")],
)
def test_short_numbers(number: float, text: str) -> None:
    assert formats.short(number) == text


def test_other_numbers() -> None:
    assert plain(formats.percent_with_interval(0.744, 0.0186)) == "74.4 ± 1.9 %"
    assert plain(formats.memory(808_202_240)) == "771 MiB"
    assert plain(formats.memory(4 * 2**30)) == "4.0 GiB"
    assert plain(formats.milliseconds(2.14)) == "2.1 ms"
    assert formats.correlation(-0.25) == "−0.25"
    assert formats.moment(0) == "1970-01-01 00:00 UTC"
    assert [plain(formats.plural(number, "trial")) for number in (0, 1, 2)] == ["0 trials", "1 trial", "2 trials"]


def test_the_headline_without_networks_is_of_the_search(make_scene: MakeScene) -> None:
    result: SearchResult = make_scene((3,), top=0, baselines={}, phase=Phase.FINAL).result
    text = plain(sentences.headline(result))
    assert text.startswith("The best cell so far makes a network with")
    assert text.endswith("after 1,000 meta-iterations; chance is 20.0 %. No network has been trained in full yet.")


def test_the_headline_of_beginnings_calls_them_so(make_scene: MakeScene) -> None:
    result = make_scene((3,), top=0, baselines={}, phase=Phase.SEARCHING, change=all_begun).result
    text = plain(sentences.headline(result))
    assert text.startswith(
        "No cell has had a whole training of 1,000 meta-iterations yet. The best beginning so far is of"
    )
    assert text.endswith("it scores 0.020 by its training loss after 250 meta-iterations.")
    assert certainty(result) == ""


def test_the_headline_names_the_meta_iterations_of_the_trial_itself(make_scene: MakeScene) -> None:
    training = {"metaIterations": 2_000}
    result = make_scene((3,), top=0, baselines={}, phase=Phase.FINAL, training=training).result
    assert "after 1,000 meta-iterations; chance" in plain(sentences.headline(result))


# --- how sure it is -----------------------------------------------------------------------------------------------


def sure(result: SearchResult, search: Difference | None, final: Difference | None = None, looks: int = 0) -> str:
    found = Certainty(search=search, final=final, second_looks=looks)
    return certainty(result.model_copy(update={"certainty": found}))


def test_the_certainty_of_the_choice_is_said_in_standard_errors(make_scene: MakeScene) -> None:
    result = make_scene((3,)).result
    close, clear = (Difference(score_difference=0.012, standard_error=error) for error in (0.02, 0.004))
    assert sure(result, close) == (
        "In the search, the cell in first place scored 1.2 points above the second, 0.6 standard errors of the "
        "difference: too little to tell them apart; no cell was trained a second time."
    )
    assert sure(result, clear, looks=1) == (
        "In the search, the cell in first place scored 1.2 points above the second, 3.0 standard errors of the "
        "difference: enough to tell them apart; 1 cell was trained a second time with another seed."
    )
    both = sure(result, close, clear, looks=2)
    assert both.startswith(
        "The delivered network scored 1.2 points above the next one trained in full, 3.0 standard errors of the "
        "difference: enough to tell them apart. In the search, the cell in first place"
    )
    assert both.endswith("2 cells were trained a second time with another seed.")


def test_where_there_is_no_second_or_no_error_it_says_so(make_scene: MakeScene) -> None:
    result = make_scene((3,)).result
    assert sure(result, None).startswith("Only one cell had a whole training in the search, so there is no second")
    unknown = sure(result, Difference(score_difference=-0.01, standard_error=None))
    assert "1.0 points below the second, and the standard error of the difference is not known; no cell" in unknown


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (None, ""),
        ((1, None, None), "The surrogate cannot be judged yet: 1 trial drawn at random, and it takes 4."),
        ((9, -0.5, 0.87), "The surrogate’s Spearman over 9 trials drawn at random, all rounds together, is -0.50"),
        ((9, 0.5, None), "is 0.50 (ceiling none)."),
    ],
)
def test_the_examination_is_of_drawn_trials(
    make_scene: MakeScene, found: tuple[int, float | None, float | None] | None, text: str
) -> None:
    told = None if found is None else Examination(trials=found[0], spearman=found[1], ceiling=found[2])
    said = examination(make_scene((1,)).result.model_copy(update={"examination": told}))
    assert text in said
    assert bool(said) == bool(text)


@pytest.mark.parametrize(
    ("classification", "meaning"),
    [
        ("NonTransductive", "each alone, on"),
        ("SupportStatistics", "each alone by the support images’ statistics, on"),
        ("Transductive", "the queries of a task together (transductive), on"),
    ],
)
def test_the_score_is_explained(make_scene: MakeScene, classification: str, meaning: str) -> None:
    evaluation = {"score": "Accuracy", "classification": classification}
    spec = make_scene((1,), evaluation=evaluation).result.search.spec
    assert f"query images classified right, {meaning} validation classes" in plain(sentences.score_meaning(spec))


def test_a_likelihood_is_explained(make_scene: MakeScene) -> None:
    spec = make_scene((1,)).result.search.spec
    said = plain(sentences.score_meaning(spec))
    assert said.startswith(
        "Score: the probability that a query image’s class is given (geometric mean), the queries of"
    )


def test_the_score_of_folds_is_explained(make_scene: MakeScene) -> None:
    spec = make_scene((1,), evaluation={"folds": 4}).result.search.spec
    assert plain(sentences.score_meaning(spec)).endswith(
        "on classes that training left out, 4 folds with 200 tasks each."
    )


@pytest.mark.parametrize(
    ("pixels", "said"), [(0, ""), (1, "copies moved by 1 pixel."), (2, "copies moved by 2 pixels.")]
)
def test_shifts_are_spoken_of_where_there_are_some(make_scene: MakeScene, pixels: int, said: str) -> None:
    spec = make_scene((1,), evaluation={"shifts": pixels}).result.search.spec
    assert plain(sentences.shifts(spec)).endswith(said)
    assert bool(sentences.shifts(spec)) is bool(pixels)


def test_the_headline_speaks_of_the_users_classes(make_scene: MakeScene) -> None:
    scene = make_scene(dataset={"folder": {"path": "leaves"}}, task={"ways": 7, "shots": 3})
    assert "learns 7 new classes from 3 images of each" in plain(sentences.headline(scene.result))
    assert plain(sentences.subtitle(scene.result, scene.trials)).startswith("7-way 3-shot on leaves")


# --- earlier ends ---------------------------------------------------------------------------------------------------


def test_a_search_that_went_on_says_at_what_it_had_ended(make_scene: MakeScene) -> None:
    result = make_scene((3,)).result
    first, second = (
        End(
            at=1_700_000_000.0 + day * 86_400,
            phase=Phase.SUCCEEDED,
            limit=limit,
            trials=40 * day,
            final_trials=1,
            wall_seconds=7_200.0 * day,
            gpu_hours=0.0,
            best_score=score,
            spec_hash="0123456789abcdef",
        )
        for day, limit, score in ((1, Limit.WALL_TIME, 0.7125), (2, None, None))
    )
    over = result.model_copy(update={"ends": (first, second)})
    assert plain(" ".join(earlier_ends(over))) == (
        f"It had ended on {plain(formats.moment(first.at))}, by budget.wallTime, with 40 search trials and 1 final "
        "trial in 2 h, best score 71.2 %, and went on."
    )
    assert earlier_ends(result.model_copy(update={"ends": (second,)})) == []  # it is at its first end
    under_way = result.search.model_copy(update={"phase": Phase.SEARCHING})
    (text,) = earlier_ends(result.model_copy(update={"ends": (second,), "search": under_way}))
    assert plain(text).endswith("with 80 search trials and 1 final trial in 4 h, and went on.")
