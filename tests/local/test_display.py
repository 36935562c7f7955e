"""The progress of a local search, as people see it."""

from __future__ import annotations

import io
from collections.abc import Sequence

from builders import STARTED, make_result, make_search, make_trial
from rich.console import Console

from metasearch.reconcile import Step
from metasearch.search.planner import Phase, Plan
from metasearch.search.trials import Stage, Trial
from metasearch_cli.local.display import BarDisplay, LineDisplay

BEGUN = make_trial("begun", make_result(0.02, 1_234), meta_iterations=3, is_beginning=True)
BETTER = make_trial(
    "better", make_result(0.9, 1_234), candidate="identity(-1)+identity(-2)", meta_iterations=3, is_beginning=True
)
WHOLE = make_trial("whole", make_result(0.4, 1_234))
TEN = {"training": {"metaIterations": 10}}


def shown(display: type[LineDisplay | BarDisplay], trials: Sequence[Trial]) -> str:
    console = Console(file=io.StringIO(), width=160, force_terminal=display is BarDisplay)
    with display(console) as opened:
        for seen in ([], trials):
            opened.show(make_search(**TEN), Step(seen, Plan(Phase.SEARCHING)), STARTED + 60)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_line_says_that_a_trial_is_a_beginning_and_how_long_it_was() -> None:
    _, begun, whole = shown(LineDisplay, [BEGUN, WHOLE]).splitlines()
    assert "begun 0.020 by the training loss of a beginning (3 of 10 meta-iterations) with 1,234 parameters" in begun
    assert "whole 0.400 with 1,234 parameters in 1.0 s [2/2]" in whole


def test_a_line_says_that_a_training_is_a_second_look() -> None:
    again = make_trial("again", make_result(0.4, 1_234), seed=1)
    final = make_trial("final", make_result(0.4, 1_234), seed=1, stage=Stage.FINAL)
    _, looked, _, trained = shown(LineDisplay, [again, final]).splitlines()
    assert "again 0.400 in a second look (another seed) with 1,234 parameters" in looked
    assert "final 0.400 with 1,234 parameters" in trained


def test_the_best_of_a_round_is_that_of_its_whole_trainings() -> None:
    assert "3/3 trials, best 0.400" in shown(BarDisplay, [BETTER, WHOLE, BEGUN])


def test_where_there_are_only_beginnings_the_best_is_said_to_be_one() -> None:
    assert "2/2 trials, best beginning 0.900" in shown(BarDisplay, [BETTER, BEGUN])


def test_trials_that_wait_are_not_said_to_be_spent() -> None:
    waiting = Trial(spec=make_trial("waits").spec)
    assert "1 of 30 trials, 2 proposed, 1:00" in shown(BarDisplay, [WHOLE, waiting])
    assert "1 of 30 trials, 1:00" in shown(BarDisplay, [WHOLE])


def test_lines_of_an_earlier_run_are_not_printed_again() -> None:
    console = Console(file=io.StringIO(), width=160)
    with LineDisplay(console) as opened:
        for trials in ([BEGUN], [BEGUN, WHOLE]):
            opened.show(make_search(**TEN), Step(trials, Plan(Phase.SEARCHING)), STARTED + 60)
    assert isinstance(console.file, io.StringIO)
    first, second = console.file.getvalue().splitlines()
    assert first == "going on after 1 trial of before"
    assert "whole 0.400" in second
    assert "[2/2]" in second
