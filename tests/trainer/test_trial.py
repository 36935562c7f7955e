"""A trial: its result, what it depends on, and how it ends when something goes wrong."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
import torch
from small_disk import no_file_beyond
from tiny_trials import (
    META_ITERATIONS,
    TINY_SETTINGS,
    HalfMinuteClock,
    final_trial,
    ignore,
    repeatable,
    tiny_trainer,
    tiny_trial,
)

from metasearch.api import Classification, Concat, ReptileSettings
from metasearch.errors import InvalidSpec, StoreUnavailable
from metasearch.search.candidates import Candidate
from metasearch.search.trials import NORMAL_95, Accuracy, Progress, Reason, Stage, State, Threshold
from metasearch_trainer import memory
from metasearch_trainer.checkpoints import TrainingState, load_state, save_state, write_tensors
from metasearch_trainer.learner import FewShotLearner
from metasearch_trainer.metalearners.base import State as Learned
from metasearch_trainer.metalearners.reptile import Reptile
from metasearch_trainer.shutdown import WorkerShutdown
from metasearch_trainer.trial import TrialEnded


def learned(theta: torch.Tensor) -> Learned:
    """Return a state of Reptile's before its first step."""
    tensors = {"theta": theta, "second_moment": torch.zeros_like(theta), "adam_steps": torch.zeros(())}
    return Learned(tensors)


# --- results ---


def test_a_search_trial_is_scored_on_validation_classes(tmp_path: Path) -> None:
    result = tiny_trainer(tmp_path).run(tiny_trial(), ignore)
    assert result.state is State.SUCCEEDED
    assert result.validation is not None
    assert result.score is not None
    assert 0 < (result.score_error or 0) < result.score < 1
    assert result.validation.transductive.tasks == 20
    assert result.test is None
    assert result.weights is None


def test_the_loss_of_training_is_recorded_and_tells_more_after_more_of_it(tmp_path: Path) -> None:
    short, long = (
        tiny_trainer(tmp_path, training={"metaIterations": 60}).run(tiny_trial(meta_iterations=steps), ignore)
        for steps in (4, 60)
    )
    assert 1 / 3 < (short.training_score or 0) < (long.training_score or 0) < 1


@pytest.mark.parametrize("way", list(Classification))
def test_the_score_is_an_accuracy_on_request(tmp_path: Path, way: Classification) -> None:
    evaluation = {"score": "Accuracy", "classification": str(way)}
    result = tiny_trainer(tmp_path, evaluation=evaluation).run(tiny_trial(), ignore)
    assert result.validation is not None
    accuracy: Accuracy = getattr(result.validation, way.field)
    assert result.score == accuracy.mean
    assert NORMAL_95 * (result.score_error or 0) == pytest.approx(accuracy.interval)


def test_scores_come_from_test_classes_on_request(tmp_path: Path) -> None:
    validation = tiny_trainer(tmp_path).run(tiny_trial(), ignore)
    test = tiny_trainer(tmp_path, evaluation={"split": "Test"}).run(tiny_trial(), ignore)
    assert validation.validation != test.validation


def test_a_trial_is_measured(tmp_path: Path) -> None:
    result = tiny_trainer(tmp_path).run(tiny_trial(), ignore)
    assert result.parameter_count == 4 * 9 + 8 + 2 * (4 * 8 + 16) + (8 * 8 * 9 + 16) + (8 * 3 + 3)
    assert min(result.multiply_adds or 0, result.wall_seconds or 0, result.latency_ms or 0) > 0
    assert (result.peak_memory_bytes or 0) > 50 * 2**20
    assert (result.device or "").startswith("cpu")


def test_a_candidates_hyperparameters_shape_its_network_and_training(tmp_path: Path) -> None:
    cell = "conv3x3(-1)+max_pool3x3(-2)"
    varied = Candidate(cell, {"filters": 3, "innerSteps": 2, "averaging": Decimal("0.5")})
    found = tiny_trainer(tmp_path / "varied").run(tiny_trial(candidate=varied), ignore)
    reptile = {"reptile": {"innerSteps": 2}, "averaging": "0.5"}
    spec = {"space": {"filters": 3}, "training": reptile}
    assert repeatable(found) == repeatable(tiny_trainer(tmp_path / "spec", **spec).run(tiny_trial(), ignore))
    plain = tiny_trainer(tmp_path / "plain").run(tiny_trial(), ignore)
    assert (found.parameter_count or 0) < (plain.parameter_count or 0)
    assert found.curve != plain.curve


def test_delivered_weights_say_what_network_hyperparameters_have_made(tmp_path: Path) -> None:
    varied = Candidate("conv3x3(-1)+max_pool3x3(-2)", {"filters": 3, "concat": "Unused", "innerSteps": 2})
    result = tiny_trainer(tmp_path).run(final_trial(candidate=varied), ignore)
    described = FewShotLearner.load(tmp_path / "weights" / f"{final_trial().name}.safetensors").description
    assert (described.space.filters, described.space.concat) == (3, Concat.UNUSED)
    assert described.recipe.settings(ReptileSettings).inner_steps == 2
    assert described.network().layout.size == result.parameter_count


def test_a_final_training_of_its_own_keeps_the_network_of_the_candidate(tmp_path: Path) -> None:
    varied = Candidate("conv3x3(-1)+max_pool3x3(-2)", {"filters": 3, "innerSteps": 2})
    own = {"metaLearner": "Prototypes", "prototypes": TINY_SETTINGS["prototypes"]}
    result = tiny_trainer(tmp_path, final={"training": own}).run(final_trial(candidate=varied), ignore)
    assert result.parameter_count == tiny_trainer(tmp_path).network(tiny_trial(candidate=varied)).layout.size


def test_the_curve_ends_with_the_score(tmp_path: Path) -> None:
    result = tiny_trainer(tmp_path).run(tiny_trial(), ignore)
    assert [point.meta_iteration for point in result.curve] == [2, 4, 6, 8]
    assert result.curve[-1].score == result.score


def test_training_helps(tmp_path: Path) -> None:
    """Both have folders of their own, lest on a busy machine one go on from the other's checkpoint."""
    untrained = tiny_trainer(
        tmp_path / "untrained",
        training={"reptile": {"metaStepSize": "0", "evaluationSteps": 2}},
        evaluation={"tasks": 100},
    )
    trained = tiny_trainer(
        tmp_path / "trained", training={"reptile": {"evaluationSteps": 2}}, evaluation={"tasks": 100}
    )
    more = tiny_trial(meta_iterations=40)
    accuracies = [result.validation for result in (trained.run(more, ignore), untrained.run(more, ignore))]
    learned, guessed = (each.non_transductive.mean if each else 0 for each in accuracies)
    assert learned > guessed + 0.1


def test_a_final_trial_is_evaluated_on_test_classes_and_leaves_its_weights(tmp_path: Path) -> None:
    result = tiny_trainer(tmp_path).run(final_trial(), ignore)
    assert result.test is not None
    assert result.test.non_transductive.tasks == 15
    assert (tmp_path / "weights" / (result.weights or "")).is_file()


def test_a_baseline_is_a_hand_made_network_and_leaves_no_weights(tmp_path: Path) -> None:
    result = tiny_trainer(tmp_path).run(tiny_trial(stage=Stage.BASELINE, candidate="Conv4"), ignore)
    assert (result.parameter_count or 0) > 100_000
    assert (result.test is not None, result.weights) == (True, None)


def test_a_baseline_has_as_many_filters_as_its_candidate_says(tmp_path: Path) -> None:
    result = tiny_trainer(tmp_path).run(tiny_trial(stage=Stage.BASELINE, candidate="Conv4-3"), ignore)
    assert (result.image_channels, result.image_side) == (1, 10)
    assert result.parameter_count == 3 * 12 + 3 * 3 * (3 * 9 + 3) + 3 * (3 + 1)


def test_a_baseline_that_is_none_fails_and_says_so(tmp_path: Path) -> None:
    result = tiny_trainer(tmp_path).run(tiny_trial(stage=Stage.BASELINE, candidate="ResNet"), ignore)
    assert result.state is State.FAILED
    assert "'ResNet' is no hand-made network; it must be Conv4" in (result.message or "")


def test_a_worker_that_does_not_know_a_name_says_so_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match=r"spec\.training\.metaLearner is 'Unheard', which is not installed here"):
        tiny_trainer(tmp_path, training={"metaLearner": "Unheard"})


# --- repeatability ---


def test_a_result_depends_on_the_trial_alone(tmp_path: Path) -> None:
    """Neither the process's earlier trials nor the state of any random generator matter."""
    fresh = tiny_trainer(tmp_path).run(tiny_trial(), ignore)
    torch.manual_seed(123)
    used = tiny_trainer(tmp_path)
    used.run(tiny_trial("other", candidate="identity(-1)+identity(-2)"), ignore)
    assert repeatable(used.run(tiny_trial(), ignore)) == repeatable(fresh)


def test_equal_cells_have_equal_results_however_they_are_written(tmp_path: Path) -> None:
    one = tiny_trial(candidate="conv3x3(-1)+identity(-2) | conv3x3(0)+identity(-1) | identity(-2)+conv3x3(-2)")
    other = tiny_trial(candidate="conv3x3(-2)+identity(-2) | identity(-2)+conv3x3(-1) | identity(-1)+conv3x3(1)")
    trainer = tiny_trainer(tmp_path)
    assert repeatable(trainer.run(one, ignore)) == repeatable(trainer.run(other, ignore))


@pytest.mark.parametrize("changes", [{"seed": 1}, {"seed": 2}])
def test_another_seed_gives_another_training(tmp_path: Path, changes: dict[str, int]) -> None:
    trainer = tiny_trainer(tmp_path)
    assert trainer.run(tiny_trial(), ignore).curve != trainer.run(tiny_trial(**changes), ignore).curve


@pytest.mark.parametrize("after", range(1, 14))  # 8 meta-iterations, 3 points of the curve, 2 evaluations
def test_a_trial_that_is_interrupted_anywhere_goes_on_to_the_same_result(tmp_path: Path, after: int) -> None:
    whole = tiny_trainer(tmp_path / "whole").run(final_trial(), ignore)
    looks = itertools.count(1)

    def leave(progress: Progress) -> None:
        del progress
        if next(looks) == after:
            raise WorkerShutdown

    with pytest.raises(WorkerShutdown):
        tiny_trainer(tmp_path, HalfMinuteClock()).run(final_trial(), leave)
    assert list((tmp_path / "checkpoints").iterdir())
    trainer = tiny_trainer(tmp_path)
    assert repeatable(trainer.run(final_trial(), ignore)) == repeatable(whole)
    assert list((tmp_path / "checkpoints").iterdir())  # until the result is on record
    trainer.forget(final_trial())
    assert not list((tmp_path / "checkpoints").iterdir())


def test_a_worker_that_shuts_down_loses_nothing_of_a_trial_that_has_just_begun(tmp_path: Path) -> None:
    """No checkpoint is due on a clock that stands still."""
    whole = tiny_trainer(tmp_path / "whole").run(tiny_trial(), ignore)

    def leave(progress: Progress) -> None:
        if progress.meta_iteration == 3:
            raise WorkerShutdown

    with pytest.raises(WorkerShutdown):
        tiny_trainer(tmp_path, clock=lambda: 0.0).run(tiny_trial(), leave)
    seen: list[int] = []
    result = tiny_trainer(tmp_path).run(tiny_trial(), lambda progress: seen.append(progress.meta_iteration))
    assert seen[0] == 4
    assert repeatable(result) == repeatable(whole)


def test_a_full_disk_does_not_keep_a_worker_from_shutting_down(tmp_path: Path) -> None:
    def leave(progress: Progress) -> None:
        del progress
        raise WorkerShutdown

    with no_file_beyond(100), pytest.raises(WorkerShutdown):
        tiny_trainer(tmp_path, clock=lambda: 0.0).run(tiny_trial(), leave)


def test_time_before_an_interruption_counts(tmp_path: Path) -> None:
    def leave(progress: Progress) -> None:
        if progress.meta_iteration == 4:
            raise WorkerShutdown

    with pytest.raises(WorkerShutdown):
        tiny_trainer(tmp_path, HalfMinuteClock()).run(tiny_trial(), leave)
    assert (tiny_trainer(tmp_path).run(tiny_trial(), ignore).wall_seconds or 0) > 31


def test_a_checkpoint_that_cannot_be_read_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "tiny-1-a.safetensors"
    path.parent.mkdir()
    path.write_bytes(b"torn")
    assert tiny_trainer(tmp_path).run(tiny_trial(), ignore).state is State.SUCCEEDED


# --- early ends ---


def test_a_trial_below_its_threshold_is_given_up_with_its_curve(tmp_path: Path) -> None:
    result = tiny_trainer(tmp_path).run(tiny_trial(thresholds=(Threshold(4, 1.1),)), ignore)
    assert (result.state, result.reason) == (State.STOPPED, Reason.EARLY_STOPPED)
    assert [point.meta_iteration for point in result.curve] == [2, 4]
    assert result.score == result.curve[-1].score
    assert result.parameter_count is not None


def test_a_trial_above_its_threshold_goes_on(tmp_path: Path) -> None:
    result = tiny_trainer(tmp_path).run(tiny_trial(thresholds=(Threshold(4, 0.0),)), ignore)
    assert result.state is State.SUCCEEDED


def test_an_observer_can_stop_a_trial(tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.meta_iteration == 5:
            raise TrialEnded(State.STOPPED, Reason.BUDGET_EXHAUSTED, "enough")

    result = tiny_trainer(tmp_path).run(tiny_trial(), stop)
    assert (result.state, result.reason, result.message) == (State.STOPPED, Reason.BUDGET_EXHAUSTED, "enough")
    assert [point.meta_iteration for point in result.curve] == [2, 4]


def stop_at(meta_iteration: int) -> Callable[[Progress], None]:
    """Return an observer that asks the trial to stop from then on, at every report, as a worker does."""

    def stop(progress: Progress) -> None:
        if progress.meta_iteration >= meta_iteration:
            raise TrialEnded(State.STOPPED, Reason.BUDGET_EXHAUSTED, "enough")

    return stop


def test_a_final_trial_that_a_limit_stops_delivers_what_it_has_trained(tmp_path: Path) -> None:
    result = tiny_trainer(tmp_path, final={"tasks": 50}).run(final_trial(), stop_at(5))
    assert (result.state, result.reason, result.meta_iterations) == (State.STOPPED, Reason.BUDGET_EXHAUSTED, 5)
    assert result.message == "cut short after 5 of 8 meta-iterations, for the search's budget was spent"
    assert result.validation is not None
    assert result.test is not None
    assert result.test.non_transductive.tasks == 20  # those of a search score, where final.tasks are more
    assert [point.meta_iteration for point in result.curve] == [2, 4, 5]
    assert None not in (result.parameter_count, result.multiply_adds, result.latency_ms)
    learner = FewShotLearner.load(tmp_path / "weights" / (result.weights or ""))
    assert learner.description.recipe.task.ways == 3


def test_what_is_delivered_is_the_network_of_that_meta_iteration(tmp_path: Path) -> None:
    """A trial of eight meta-iterations that is stopped at four is as good as its own curve said then."""
    trainer = tiny_trainer(tmp_path, evaluation={"curveTasks": 20})
    whole, cut = trainer.run(final_trial(), ignore), trainer.run(final_trial(), stop_at(4))
    assert cut.curve[:1] == whole.curve[:1]
    assert cut.meta_iterations == 4
    assert whole.meta_iterations == META_ITERATIONS


def test_a_training_that_a_limit_stops_is_annealed_in_a_tenth_of_its_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on for 2 of 20 steps, over which the share that is done rises in a line from a half towards 1."""
    shares = []

    def record(_: Reptile, state: object, tasks: object, progress: torch.Tensor) -> None:
        del state, tasks
        shares.append(float(progress))

    monkeypatch.setattr(Reptile, "outer_step", record)
    trainer = tiny_trainer(tmp_path, final={"metaIterations": 40})
    result = trainer.run(final_trial(meta_iterations=40), stop_at(20))
    assert result.message == "cut short after 22 of 40 meta-iterations, for the search's budget was spent"
    assert shares == pytest.approx([*(step / 40 for step in range(20)), 2 / 3, 5 / 6])


def test_annealing_ends_with_the_minute_that_it_may_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 31 s between any two looks at the clock, a minute is less than a step, so that none is taken."""
    monkeypatch.setattr(Reptile, "outer_step", lambda *_: None)
    trainer = tiny_trainer(tmp_path, HalfMinuteClock(), final={"metaIterations": 40})
    assert trainer.run(final_trial(meta_iterations=40), stop_at(20)).meta_iterations == 20


def test_a_training_that_diverges_ends_within_fifty_meta_iterations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = itertools.count(1)

    def diverge(_: Reptile, state: Learned, tasks: object, progress: object) -> None:
        del tasks, progress
        if next(steps) == 7:
            state.theta.fill_(float("nan"))

    monkeypatch.setattr(Reptile, "outer_step", diverge)
    trainer = tiny_trainer(tmp_path, training={"metaIterations": 1000}, evaluation={"curvePoints": 1})
    result = trainer.run(tiny_trial(meta_iterations=1000), ignore)
    assert (result.state, result.reason, result.meta_iterations) == (State.FAILED, Reason.DIVERGED, 50)
    assert result.message == "parameters were no longer finite after 50 meta-iterations"


def test_a_baseline_that_a_limit_stops_is_measured_and_keeps_no_weights(tmp_path: Path) -> None:
    baseline = tiny_trial(stage=Stage.BASELINE, candidate="Conv4")
    result = tiny_trainer(tmp_path).run(baseline, stop_at(1))
    assert (result.state, result.meta_iterations, result.weights) == (State.STOPPED, 1, None)
    assert result.test is not None


def test_a_final_trial_that_is_stopped_in_its_evaluation_has_all_its_training(tmp_path: Path) -> None:
    reports = itertools.count(1)

    def stop(progress: Progress) -> None:
        if progress.meta_iteration == META_ITERATIONS and next(reports) > 1:
            raise TrialEnded(State.STOPPED, Reason.BUDGET_EXHAUSTED, "enough")

    result = tiny_trainer(tmp_path).run(final_trial(), stop)
    assert (result.state, result.meta_iterations) == (State.STOPPED, META_ITERATIONS)
    assert result.message == "cut short in its test, for the search's budget was spent"
    assert result.weights is not None


def test_a_worker_may_leave_while_a_trial_that_was_cut_short_is_evaluated(tmp_path: Path) -> None:
    reports = itertools.count(1)

    def stop_and_leave(_: Progress) -> None:
        if next(reports) == 1:
            raise TrialEnded(State.STOPPED, Reason.BUDGET_EXHAUSTED, "enough")
        raise WorkerShutdown

    with pytest.raises(WorkerShutdown):
        tiny_trainer(tmp_path).run(final_trial(), stop_and_leave)


def test_a_trial_that_diverges_is_a_failed_result(tmp_path: Path) -> None:
    trainer = tiny_trainer(tmp_path)
    theta = torch.full((trainer.network(tiny_trial()).layout.size,), float("nan"))
    save_state(TrainingState(learned(theta), 3), tmp_path / "checkpoints" / "tiny-1-a.safetensors")
    result = trainer.run(tiny_trial(), ignore)
    assert (result.state, result.reason, result.score) == (State.FAILED, Reason.DIVERGED, None)
    assert "after 4 meta-iterations" in (result.message or "")


def test_a_trial_that_takes_too_long_is_a_failed_result(tmp_path: Path) -> None:
    result = tiny_trainer(tmp_path, HalfMinuteClock(), budget={"trialTime": "2m"}).run(tiny_trial(), ignore)
    assert (result.state, result.reason) == (State.FAILED, Reason.TIMED_OUT)
    assert "budget.trialTime (2m)" in (result.message or "")


def test_a_process_that_is_too_large_from_the_start_fails_the_trial(tmp_path: Path) -> None:
    result = tiny_trainer(tmp_path, budget={"trialMemory": "64Mi"}).run(tiny_trial(), ignore)
    assert (result.state, result.reason) == (State.FAILED, Reason.OUT_OF_MEMORY)
    assert "budget.trialMemory (64Mi)" in (result.message or "")


def test_a_trial_over_its_memory_cap_fails_and_the_process_lives_on(tmp_path: Path) -> None:
    cap = f"{memory.resident_bytes() // 2**20 + 100}Mi"
    large = {"space": {"filters": 512}, "training": {"reptile": {"metaBatchSize": 32, "innerBatchSize": 100}}}
    result = tiny_trainer(tmp_path, budget={"trialMemory": cap}, **large).run(tiny_trial(), ignore)
    assert (result.state, result.reason) == (State.FAILED, Reason.OUT_OF_MEMORY)
    assert f"({cap})" in (result.message or "")
    assert tiny_trainer(tmp_path).run(tiny_trial("next"), ignore).state is State.SUCCEEDED


def test_an_unforeseen_fault_is_a_failed_result_with_its_text(tmp_path: Path) -> None:
    result = tiny_trainer(tmp_path).run(tiny_trial(candidate="conv3x3(-1)+unheard_of(-2)"), ignore)
    assert (result.state, result.reason) == (State.FAILED, Reason.ERROR)
    assert "unheard_of" in (result.message or "")


def test_a_store_that_cannot_be_used_is_not_the_candidates_failure(tmp_path: Path) -> None:
    def refuse(_: Progress) -> None:
        raise StoreUnavailable("full")

    with pytest.raises(StoreUnavailable, match="full"):
        tiny_trainer(tmp_path).run(tiny_trial(), refuse)


def test_neither_are_weights_for_which_there_is_no_room(tmp_path: Path) -> None:
    sentence = r"weights/tiny-1-final\.safetensors cannot be written .*; free the disk or mend .* with --resume"
    with no_file_beyond(1000), pytest.raises(StoreUnavailable, match=sentence):
        tiny_trainer(tmp_path).run(final_trial(), ignore)
    assert list((tmp_path / "weights").iterdir()) == []
    assert tiny_trainer(tmp_path).run(final_trial(), ignore).state is State.SUCCEEDED


def test_progress_is_reported_at_every_meta_iteration(tmp_path: Path) -> None:
    seen: list[int] = []
    tiny_trainer(tmp_path).run(tiny_trial(), lambda progress: seen.append(progress.meta_iteration))
    assert sorted(set(seen)) == list(range(1, META_ITERATIONS + 1))


# --- checkpoints ---


def test_a_checkpoint_is_read_back_as_written(tmp_path: Path) -> None:
    """A checkpoint takes whatever tensors and integers a meta-learner has."""
    tensors = {"theta": torch.rand(7), "rates": torch.rand(7, 2), "outer.steps": torch.tensor(12.0)}
    state = TrainingState(Learned(tensors, {"draws": 2**60}), 5, (), 3.5)
    save_state(state, tmp_path / "c.safetensors")
    loaded = load_state(tmp_path / "c.safetensors", torch.device("cpu"))
    assert loaded is not None
    assert loaded.learned.tensors.keys() == tensors.keys()
    assert all(torch.equal(loaded.learned.tensors[name], tensor) for name, tensor in tensors.items())
    assert (loaded.meta_iteration, loaded.seconds, loaded.learned.integers) == (5, 3.5, {"draws": 2**60})


def test_a_checkpoint_of_an_earlier_version_is_begun_anew(tmp_path: Path) -> None:
    theta = torch.rand(7)
    header = {"meta_iteration": "5", "curve": "[]", "seconds": "3.5"}
    write_tensors(
        {"theta": theta, "second_moment": theta + 1, "adam_steps": theta[:1] + 2}, header, tmp_path / "c.safetensors"
    )
    assert load_state(tmp_path / "c.safetensors", torch.device("cpu")) is None


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert load_state(tmp_path / "missing", torch.device("cpu")) is None
