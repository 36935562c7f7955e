"""A search's duration is estimated before it starts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from builders import make_spec
from local_search import metasearch, write_resource
from tiny_trials import tiny_spec

from metasearch.api import MetaSearchSpec
from metasearch.loading import load_search, parse_search
from metasearch_cli.local.costs import measure
from metasearch_cli.local.estimate import (
    Cost,
    Costs,
    Estimate,
    estimate,
    sentences,
    trials_by_blocks,
    warnings,
)

ROOT = Path(__file__).parent.parent.parent
HOUR = 3600.0


def small_spec(**changes: Any) -> MetaSearchSpec:
    """Make a spec of 4 + 10 search trials of 100 meta-iterations and 10 + 2 * 5 tasks, then 2 x 2 final ones."""
    spec: dict[str, Any] = {
        "space": {"operations": ["conv3x3", "identity"], "maxBlocks": 2},
        "search": {"progressive": {"beamWidth": 4}},
        "training": {"metaIterations": 100},
        "evaluation": {"tasks": 10, "curvePoints": 3, "curveTasks": 5},
        "final": {"top": 2, "seeds": 2, "metaIterations": 1000, "tasks": 30, "baselines": []},
    }
    spec["budget"] = {"maxTrials": 14}
    for part, fields in changes.items():
        spec[part] = spec.get(part, {}) | fields
    return make_spec(**spec)


COSTS = Costs((Cost(meta_iteration=1.0, task=0.5), Cost(meta_iteration=2.0, task=1.0)), baseline=None)

# --- arithmetic ---------------------------------------------------------------------------------------------------


def test_rounds_wait_for_their_last_trial_and_final_trainings_for_the_search() -> None:
    found = estimate(small_spec(), COSTS, workers=3)
    first, second = 100 * 1.0 + 20 * 0.5, 100 * 2.0 + 20 * 1.0
    assert (found.search_trials, found.search_seconds) == (14, 2 * first + 4 * second)
    assert (found.final_trainings, found.final_seconds) == (4, 2 * (1000 * 2.0 + 50 * 1.0))


def test_a_screened_trial_costs_what_is_trained_of_it() -> None:
    screening = {"screening": {"share": "0.25", "keep": "0.25"}, "strategy": "Random", "progressive": None}
    found = estimate(small_spec(search=screening, budget={"maxTrials": 15}), COSTS, workers=1)
    # 12 trials of 25 meta-iterations, of which 3 go on for 75 more and are scored on 10 tasks.
    assert found.search_seconds == pytest.approx(2.0 * (12 * 25 + 3 * 75) + 1.0 * 3 * 10)


def test_search_trials_are_trained_and_scored_once_for_each_fold_and_final_ones_once() -> None:
    plain, folded = (estimate(small_spec(evaluation={"folds": folds}), COSTS, workers=3) for folds in (1, 4))
    assert folded.search_seconds == 4 * plain.search_seconds
    assert (folded.search_trials, folded.final_seconds) == (plain.search_trials, plain.final_seconds)


def test_the_baselines_are_trained_beside_the_cells() -> None:
    costs = Costs(COSTS.cells, baseline=Cost(meta_iteration=0.5, task=0.5))
    found = estimate(small_spec(final={"baselines": ["Conv4"]}), costs, workers=1)
    three = estimate(small_spec(final={"baselines": ["Conv4", "Conv4Matched", "Conv4Pooled"]}), costs, workers=1)
    assert (found.final_trainings, found.final_seconds) == (6, 4 * 2050 + 2 * 525)
    assert (three.final_trainings, three.final_seconds) == (10, 4 * 2050 + 6 * 525)


def test_final_trainings_of_another_kind_have_their_own_cost() -> None:
    costs = Costs(COSTS.cells, baseline=None, final=Cost(meta_iteration=3.0, task=0.1))
    found = estimate(small_spec(final={"training": {"metaLearner": "Prototypes"}}), costs, workers=1)
    assert (found.final_trainings, found.final_seconds) == (4, 4 * (1000 * 3.0 + 50 * 0.1))
    assert found.search_seconds == estimate(small_spec(), COSTS, workers=1).search_seconds


@pytest.mark.parametrize(
    ("changes", "sizes"),
    [
        ({}, [4, 10]),
        ({"budget": {"maxTrials": 12}}, [4, 8]),
        ({"budget": {"maxTrials": 7}}, [2, 5]),
        ({"search": {"strategy": "Random", "progressive": None}, "budget": {"maxTrials": 7}}, [0, 7]),
        ({"space": {"operations": ["conv3x3", "identity"], "maxBlocks": 3}, "budget": {"maxTrials": 90}}, [10, 4, 76]),
    ],
)
def test_there_are_as_many_cells_of_a_size_as_the_search_tries(changes: dict[str, Any], sizes: list[int]) -> None:
    assert trials_by_blocks(small_spec(**changes)) == sizes


def test_no_more_cells_are_trained_in_full_than_were_tried() -> None:
    assert estimate(small_spec(budget={"maxTrials": 1}), COSTS, workers=1).final_trainings == 2


# --- words --------------------------------------------------------------------------------------------------------


def test_an_estimate_says_what_takes_how_long() -> None:
    (sentence,) = sentences(small_spec(), Estimate(95, 2 * HOUR, 3, 4800), workers=2)
    assert sentence == (
        "about 3 h 20 min on this machine with 2 workers: 95 search trials 2 h, 3 final trainings 1 h 20 min"
    )


def test_how_many_cells_a_front_has_is_not_known_before() -> None:
    spec = small_spec(final={"deliver": "Front"})
    assert "at most 4 final trainings " in sentences(spec, estimate(spec, COSTS, workers=3), workers=3)[0]


def test_final_trainings_that_do_not_fit_are_warned_of() -> None:
    spec = small_spec(budget={"wallTime": "8h"})
    (warning,) = warnings(spec, Estimate(95, 6 * HOUR - 1440, 33, 40 * HOUR))
    assert warning.startswith(
        "the final trainings need about 40 h, and budget.wallTime leaves them 2 h 24 min: lower final.metaIterations "
        "(1,000)"
    )


def test_a_search_that_ends_early_leaves_its_time_to_the_final_trainings() -> None:
    spec = small_spec(budget={"wallTime": "8h"})
    assert warnings(spec, Estimate(95, 1 * HOUR, 3, 7 * HOUR)) == []
    assert len(warnings(spec, Estimate(95, 1 * HOUR, 3, 7 * HOUR + 1))) == 1


def test_search_trials_that_do_not_fit_are_warned_of() -> None:
    (warning,) = warnings(small_spec(budget={"wallTime": "10h"}), Estimate(95, 9 * HOUR, 3, 3 * HOUR))
    assert warning.startswith("the search trials need about 9 h, and budget.wallTime leaves them 7 h: lower training.")


def test_a_search_that_folds_make_too_long_may_have_fewer() -> None:
    spec = small_spec(budget={"wallTime": "10h"}, evaluation={"folds": 6})
    (warning,) = warnings(spec, Estimate(95, 9 * HOUR, 3, 3 * HOUR))
    assert "lower training.metaIterations (100), evaluation.folds (6), budget.maxTrials or " in warning


def test_without_a_limit_on_time_everything_fits() -> None:
    assert warnings(small_spec(), Estimate(95, 1000 * HOUR, 3, 1000 * HOUR)) == []


# --- examples -----------------------------------------------------------------------------------------------------

TWO_CORES = {
    1: Costs((Cost(0.42, 0.28), Cost(0.58, 0.38), Cost(0.75, 0.49)), Cost(0.19, 0.15)),
    5: Costs((Cost(0.60, 0.56), Cost(0.84, 0.75), Cost(1.07, 0.94)), Cost(0.19, 0.14)),
}
"""Costs by shots, as `measure` found them for images of 32x32x3 on a busy core of a shared x86-64 virtual machine."""


def examples_for_a_laptop() -> list[Any]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return [
        pytest.param(parse_search(yaml.safe_load(found[1])).spec, id="README"),
        pytest.param(load_search(ROOT / "examples" / "folder.yaml").spec, id="folder.yaml"),
    ]


@pytest.mark.parametrize("spec", examples_for_a_laptop())
def test_an_example_with_images_of_ones_own_ends_within_its_wall_time_on_two_cores(spec: MetaSearchSpec) -> None:
    costs = TWO_CORES[spec.task.shots]
    assert spec.space.max_blocks == len(costs.cells)
    assert sum(trials_by_blocks(spec)) == spec.budget.max_trials
    assert warnings(spec, estimate(spec, costs, workers=2)) == []


# --- measurement --------------------------------------------------------------------------------------------------


def test_costs_are_measured_by_training() -> None:
    costs = measure(tiny_spec(), channels=1, side=10, device=torch.device("cpu"))
    assert costs is not None
    assert costs.baseline is not None
    assert len(costs.cells) == 2
    assert min(cost for each in (*costs.cells, costs.baseline) for cost in (each.meta_iteration, each.task)) > 0


def test_a_clock_of_looks_gives_costs_in_looks() -> None:
    """A clock that ticks at every look makes the costs known: one tick for a part, scaled to the whole."""
    ticks = iter(range(1000))
    spec = tiny_spec(space={"maxBlocks": 1}, final={"baselines": []})
    costs = measure(spec, channels=1, side=10, device=torch.device("cpu"), clock=lambda: float(next(ticks)))
    assert costs is not None
    assert costs.cells[0].meta_iteration == 3 / 2  # inner steps: 2 of 3 were done
    # 25 tasks at once, 2 steps of 5 images where the search takes 5 steps; 15 forward passes classify 3 queries.
    assert costs.cells[0].task == pytest.approx(1 / 25 * (3 * 5 * 5 + 15) / (3 * 2 * 5 + 15))
    assert (costs.baseline, costs.final) == (None, None)


PROTOTYPES = {"metaLearner": "Prototypes", "prototypes": {"shots": 4, "queries": 3}}
"""Training with 16 merged tasks of 3 ways: 48 classes of 7 images."""


@pytest.mark.parametrize("learner", ["Prototypes", "FOMAML"])
def test_final_trainings_of_another_kind_are_measured_too(learner: str) -> None:
    final = PROTOTYPES if learner == "Prototypes" else {"metaLearner": learner}
    costs = measure(tiny_spec(final={"training": final}), channels=1, side=10, device=torch.device("cpu"))
    assert costs is not None
    assert costs.baseline is not None
    assert costs.final is not None
    assert min(costs.final.meta_iteration, costs.final.task, costs.baseline.meta_iteration) > 0


@pytest.mark.parametrize(
    ("final", "meta_iteration", "task"),
    [
        # Nothing is cut down where there is no inner loop.
        (PROTOTYPES, 1.0, 1 / 25),
        # A gradient for each of 9 steps and for the queries, where 2 steps were taken; each step has all 3 images.
        ({"metaLearner": "FOMAML", "fomaml": {"innerSteps": 9}}, 10 / 3, 1 / 25 * (3 * 9 * 3 + 15) / (3 * 2 * 3 + 15)),
        (
            {"metaLearner": "FOMAML", "fomaml": {"innerSteps": 2, "evaluationSteps": 4}},
            1.0,
            1 / 25 * (3 * 4 * 3 + 15) / (3 * 2 * 3 + 15),
        ),
    ],
)
def test_what_was_cut_down_is_scaled_back(final: dict[str, Any], meta_iteration: float, task: float) -> None:
    ticks = iter(range(1000))
    spec = tiny_spec(space={"maxBlocks": 1}, final={"training": final, "baselines": []})
    costs = measure(spec, channels=1, side=10, device=torch.device("cpu"), clock=lambda: float(next(ticks)))
    assert costs is not None
    assert costs.cells[0].meta_iteration == 3 / 2
    assert costs.final == Cost(meta_iteration=pytest.approx(meta_iteration), task=pytest.approx(task))


def test_what_cannot_be_trained_is_not_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("metasearch_trainer.metalearners.reptile.Reptile.outer_step", fail)
    assert measure(tiny_spec(), channels=1, side=10, device=torch.device("cpu")) is None


# --- commands -----------------------------------------------------------------------------------------------------


def test_validate_says_how_long_a_search_takes_and_what_does_not_fit(tmp_path: Path) -> None:
    final = {"top": 1, "seeds": 1, "metaIterations": 10_000_000}
    ended = metasearch("validate", write_resource(tmp_path, budget={"wallTime": "1h"}, final=final))
    assert ended.returncode == 0, ended.stderr
    valid, sentence, warning = ended.stdout.splitlines()
    assert "is a valid search: tiny" in valid
    assert re.fullmatch(
        r"about [0-9,]+ h on this machine with \d workers?: 14 search trials .*, 2 final trainings .*", sentence
    )
    assert "budget.wallTime leaves them" in warning
    assert "lower final.metaIterations (10,000,000)" in warning
