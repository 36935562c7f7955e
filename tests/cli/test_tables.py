"""Commands print a search and its trials as text, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from builders import STARTED, make_accuracies, make_result, make_search, make_trial
from rich.console import Console

from metasearch.outcome.results import summarize
from metasearch.search.planner import current_status
from metasearch.search.trials import Reason, Stage, State, Trial, TrialResult
from metasearch_cli.outcome.tables import COLUMNS, print_status, print_trials, trials_as_csv, trials_as_json

CELL = "conv3x3(-1)+identity(-2) | " + " | ".join(["conv3x3(0)+identity(-1)"] * 4)
FAILED = TrialResult(state=State.FAILED, reason=Reason.OUT_OF_MEMORY, message='too large, "by far"\nby 3 GB')
TRIALS = [
    make_trial("test-1-good", make_result(0.512345, 1_234), predicted=0.4, candidate=CELL),
    make_trial("test-1-bad", FAILED),
    make_trial("test-1-new"),
]


def printed(trials: list[Trial], width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_trials(console, trials)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [40, 80, 1000])
def test_a_table_shows_every_trial_in_a_line_of_its_own_and_cuts_nothing(width: int) -> None:
    heading, good, bad, new = printed(TRIALS, width).splitlines()
    assert tuple(heading.split()) == COLUMNS
    known = ["test-1-good", "Search", "1", "5", "10", "-", "Succeeded", "-", "0.512", "0.400", "-", "1234"]
    assert good.split()[:12] == known
    assert CELL in good
    assert bad.split()[:9] == ["test-1-bad", "Search", "1", "1", "10", "-", "Failed", "OutOfMemory", "-"]
    assert new.split()[6:8] == ["Pending", "-"]


def test_a_table_marks_beginnings_and_what_was_drawn_at_random() -> None:
    trials = [make_trial("test-1-a", meta_iterations=3, is_beginning=True), make_trial("test-2-a", is_drawn=True)]
    heading, *rows = (line.split() for line in printed(trials).splitlines())
    columns = [heading.index(name) for name in ("metaIterations", "isBeginning", "isDrawn")]
    assert [[row[column] for column in columns] for row in rows] == [["3", "yes", "-"], ["10", "-", "yes"]]
    begun, _ = json.loads(trials_as_json(trials))
    assert (begun["isBeginning"], begun["isDrawn"]) == (True, False)


def test_no_trials_are_a_heading() -> None:
    assert tuple(printed([]).split()) == COLUMNS
    assert trials_as_csv([]).splitlines() == [",".join(COLUMNS)]
    assert json.loads(trials_as_json([])) == []


def test_csv_has_a_column_for_each_field() -> None:
    good, bad, new = csv.DictReader(io.StringIO(trials_as_csv(TRIALS)))
    assert tuple(good) == COLUMNS
    assert (good["name"], good["score"], good["parameterCount"], good["cell"]) == (
        "test-1-good",
        "0.512345",
        "1234",
        CELL,
    )
    assert (bad["state"], bad["reason"], bad["score"]) == ("Failed", "OutOfMemory", "")
    assert (new["state"], new["attempts"]) == ("Pending", "0")


def test_json_has_numbers_for_numbers_and_null_for_what_is_not_known() -> None:
    good, _, new = json.loads(trials_as_json(TRIALS))
    assert tuple(good) == COLUMNS
    assert (good["score"], good["round"], good["attempts"]) == (0.512345, 1, 1)
    assert (new["score"], new["reason"], new["parameterCount"]) == (None, None, None)


def status_of(trials: list[Trial], width: int = 80, is_terminal: bool = False, **spec: object) -> str:
    space = {"operations": ["conv3x3", "identity"], "maxBlocks": 5}
    search = make_search(**{"space": space, **spec})
    console = Console(file=io.StringIO(), width=width, force_terminal=is_terminal, no_color=True)
    print_status(console, summarize(search, trials, current_status(search, trials, STARTED + 60), STARTED + 60))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_status_says_how_far_a_search_is() -> None:
    text = status_of(TRIALS)
    assert "test: Searching" in text
    assert "1 succeeded, 0 stopped, 1 failed, 0 running, 1 pending" in text
    assert f"best cell: {CELL}\n" in text
    assert "search score 51.23 ± 0.00 after 10 meta-iterations with 1,234 parameters" in text
    assert "Only one cell had a whole training in the search" in text
    looks = [make_trial(f"seed-{seed}", make_result(score), seed=seed) for seed, score in enumerate((0.8, 0.6))]
    assert "search score 70.00 ± 0.00 (the mean of 2 seeds) after 10 meta-iterations" in status_of(looks)


@pytest.mark.parametrize(("is_terminal", "left_out"), [(True, {"kendall", "ceiling"}), (False, set())])
def test_no_figure_of_a_round_is_cut_on_a_narrow_terminal(is_terminal: bool, left_out: set[str]) -> None:
    text = re.sub(r"\x1b\[[0-9;]*m", "", status_of(TRIALS, width=60, is_terminal=is_terminal))
    assert "…" not in text
    assert {"spearman", "kendall", "ceiling", "recall"} - set(re.findall(r"[a-z]+", text)) == left_out


def test_a_status_tells_the_scores_of_beginnings_from_those_of_whole_trainings() -> None:
    begun = [
        make_trial(f"a{index}", make_result(0.02, validation=None), meta_iterations=3, is_beginning=True)
        for index in range(2)
    ]
    text = status_of(begun)
    heading, row = (line.split() for line in text.splitlines()[3:] if "stopped" in line or "1 block" in line)
    assert row[3:7] == ["0", "2", "0", "0"]
    assert heading[2:6] == ["whole", "begun", "stopped", "failed"]
    assert "no whole training yet; score of a beginning, by its training loss after 3 meta-iterations: 2.00" in text
    assert "standard errors" not in text
    assert "search score 51.23" in status_of([*begun, TRIALS[0]])


def test_the_table_of_rounds_fits_into_eighty_characters() -> None:
    scores = ((0.02, 0.3, 3), (0.03, 0.5, 3), (0.04, 0.4, 3), (0.5, None, 10))
    trials = [
        make_trial(
            f"a{place}",
            make_result(score, score_error=0.001),
            predicted=predicted,
            predicted_by="Ridge 100%",
            is_drawn=True,
            meta_iterations=steps,
            is_beginning=steps < 10,
        )
        for place, (score, predicted, steps) in enumerate(scores)
    ]
    text = status_of(trials)
    (row,) = (line for line in text.splitlines() if "1 block" in line)
    # The ranks 1, 2, 3 against 1, 3, 2: Spearman 1 - 6 * 2 / (3 * 8), ceiling sqrt(1 - 0.001² / 0.01²), Kendall 1/3.
    assert row.split() == ["1", "1", "block", "1", "3", "0", "0", "0.500", "0.500", "0.995", "0.333", "0.000"]
    assert "The surrogate cannot be judged yet: 3 trials drawn at random, and it takes 4." in text


def test_a_status_names_the_limit_and_the_reason_of_a_failure() -> None:
    text = status_of([make_trial("a", FAILED)], budget={"maxFailedTrials": 0})
    assert "test: Failed, ended early by budget.maxFailedTrials (1 trial failed, more than" in " ".join(text.split())


def test_a_status_of_a_search_that_is_over_shows_the_three_accuracies() -> None:
    final = make_result(0.5, 1_234, test=make_accuracies(0.625), weights="f")
    trials = [TRIALS[0], make_trial("f", final, stage=Stage.FINAL, candidate=CELL)]
    text = status_of(trials, final={"top": 1, "seeds": 1, "baselines": []})
    assert "cell 1 (delivered)" in text
    assert text.count("62.50 ± 1.00") == 3


def test_a_status_shows_every_baseline() -> None:
    def tested(name: str, parameters: int, stage: Stage, text: str) -> Trial:
        return make_trial(name, make_result(0.5, parameters, test=make_accuracies(0.7)), stage=stage, candidate=text)

    hand_made = [tested("b", 113_221, Stage.BASELINE, "Conv4"), tested("c", 1_223, Stage.BASELINE, "Conv4-6")]
    text = status_of([TRIALS[0], tested("f", 1_234, Stage.FINAL, CELL), *hand_made])
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "Conv4 113,221 70.00 ± 1.00 70.00 ± 1.00 70.00 ± 1.00" in lines
    assert "Conv4-6 1,223 70.00 ± 1.00 70.00 ± 1.00 70.00 ± 1.00" in lines
