"""A comparison of searches puts them side by side, and claims no difference that is within its interval."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from builders import make_result, make_search, make_trial

from metasearch.errors import InvalidSpec
from metasearch.outcome.results import summarize
from metasearch.search.planner import Phase, Plan
from metasearch.search.trials import Accuracies, Accuracy, Attempt, Reason, Stage, State, Trial, TrialResult
from metasearch_cli.report import write_comparison
from metasearch_cli.report.comparison import (
    ACCURACY_FIELDS,
    MOST_SEARCHES,
    SCORE_FIELDS,
    Point,
    compared,
    differing,
    every_difference,
)
from metasearch_cli.report.comparison_sentences import notices, verdict
from metasearch_cli.report.comparison_tables import CellRow, best_cells, costs, delivered, differences

if TYPE_CHECKING:
    from conftest import Scene

T = 1_000.0
SPACE = "\N{NO-BREAK SPACE}"


def ran(
    name: str, start: float, end: float, result: TrialResult, worker: str = "p.0-1", created: float = T, **spec: Any
) -> Trial:
    """Make a trial with one attempt, which is over."""
    attempt = Attempt(1, worker, start, 0.5, end, str(result.reason or result.state))
    trial = make_trial(name, **spec)
    return replace(trial, state=result.state, epoch=1, attempts=(attempt,), result=result, created_at=created)


STOPPED = TrialResult(state=State.STOPPED, reason=Reason.EARLY_STOPPED, score=0.95)
TRIALS = (
    ran("a", T + 1, T + 10, make_result(0.5, score_error=0.01)),
    ran("b", T + 10, T + 30, make_result(0.4, score_error=0.01)),
    ran("c", T + 30, T + 40, STOPPED),
    # The next session of the driver, a day later.
    ran("d", T + 86_405, T + 86_415, make_result(0.7, score_error=0.03), "q.0-1", created=T + 86_400),
    ran("e", T + 86_415, T + 86_425, make_result(0.6, score_error=0.01), "q.0-1", created=T + 86_400),
)


def search(
    name: str, trials: tuple[Trial, ...] = (), phase: Phase = Phase.SUCCEEDED, now: float = T + 86_425, **spec: Any
) -> tuple[str, Any, tuple[Trial, ...]]:
    """Make a search as the user has named it: by a folder of its name."""
    described = replace(make_search(**spec), name=name)
    return f"runs/{name}", summarize(described, trials, Plan(phase), now), trials


def final(accuracy: float, interval: float, seed: int = 0, end: float = T + 90) -> Trial:
    """Make a final trial with a test accuracy of queries alone."""
    alone, other = Accuracy(accuracy, interval, 1_000), Accuracy(0.99, 0.001, 1_000)
    result = make_result(0.8, test=Accuracies(other, alone, other), weights="w")
    name = f"final-{seed}"
    return ran(name, T + 50, end, result, worker=f"p.{seed}-1", stage=Stage.FINAL, seed=seed)


def delivering(name: str, accuracy: float, interval: float, **spec: Any) -> tuple[str, Any, tuple[Trial, ...]]:
    return search(name, (TRIALS[0], final(accuracy, interval)), **spec)


# --- values -------------------------------------------------------------------------------------------------------


def test_progress_is_the_best_whole_training_so_far_and_its_time_without_pauses() -> None:
    (found,) = compared([search("one", TRIALS)])
    half_widths = [1.959964 * error for error in (0.01, 0.01, 0.01, 0.03, 0.03)]
    # The slots were there from 1 to 40 and from 86,405 to 86,425.
    expected = [(1, 9.0, 0.5), (2, 29.0, 0.5), (3, 39.0, 0.5), (4, 49.0, 0.7), (5, 59.0, 0.7)]
    assert [(each.trials, each.seconds, each.best) for each in found.progress] == expected
    assert [each.interval for each in found.progress] == pytest.approx(half_widths)
    assert found.best_since == found.progress[3]


def test_a_beginning_is_no_progress_and_an_empty_search_has_none() -> None:
    begun = ran("a", T + 1, T + 10, make_result(0.5), is_beginning=True)
    first, second = compared([search("one", (begun,)), search("two")])
    assert (first.progress, first.best_since, first.timeline is None) == ((), None, False)
    assert (second.progress, second.timeline) == ((), None)


def test_a_score_without_an_error_has_no_interval() -> None:
    (found,) = compared([search("one", (ran("a", T + 1, T + 10, make_result(0.5, score_error=None)),))])
    assert found.progress == (Point(1, 9.0, 0.5, 0.0),)


def test_searches_of_one_name_are_told_apart_by_where_they_were_found() -> None:
    one, two = search("same"), search("same")
    later = two[1].model_copy(update={"search": two[1].search.model_copy(update={"started_at": T + 5})})
    labels = [each.label for each in compared([one, ("other/same", later, ()), search("third")])]
    assert labels == ["same (runs/same)", "same (other/same)", "third"]


def test_the_same_search_twice_is_refused() -> None:
    with pytest.raises(InvalidSpec, match=r"the same search is given twice \(runs/a\); name each search once"):
        compared([search("a"), search("b"), search("a")])
    copy = ("copy", *search("a")[1:])
    with pytest.raises(InvalidSpec, match=r"given twice \(runs/a and copy\)"):
        compared([search("a"), copy])


def test_more_searches_than_there_are_colours_are_refused() -> None:
    assert len(compared([search(f"s{index}") for index in range(MOST_SEARCHES)])) == MOST_SEARCHES
    with pytest.raises(InvalidSpec, match="compares 8 searches at most, not 9; leave some out"):
        compared([search(f"s{index}") for index in range(MOST_SEARCHES + 1)])


def test_the_differences_of_specs_are_named_as_in_yaml() -> None:
    found = compared(
        [
            search("one", task={"ways": 5}, space={"operations": ["conv3x3", "identity"], "maxBlocks": 3}),
            search(
                "two", task={"ways": 3}, space={"operations": ["conv3x3"], "maxBlocks": 3}, budget={"wallTime": "2h"}
            ),
        ]
    )
    assert every_difference(found) == ["task.ways", "space.operations", "budget.wallTime"]
    rows = [(row.field, row.values) for row in differences(found)]
    assert rows == [
        ("task.ways", ("5", "3")),
        ("space.operations", ("conv3x3, identity", "conv3x3")),
        ("budget.wallTime", ("–", "2h")),
    ]


def test_every_field_that_makes_figures_comparable_is_one_of_a_spec() -> None:
    named, folder = compared(
        [search("one"), search("two", dataset={"folder": {"path": "images", "claim": "data", "split": "cut.json"}})]
    )
    assert set(SCORE_FIELDS) <= {*named.fields, *folder.fields}
    assert differing([named, folder], ACCURACY_FIELDS) == [
        "dataset.name",
        "dataset.folder.path",
        "dataset.folder.claim",
        "dataset.folder.split",
    ]


# --- what is said -------------------------------------------------------------------------------------------------


def said(*searches: tuple[str, Any, tuple[Trial, ...]]) -> str:
    return verdict(compared(searches)).replace(SPACE, " ")


def test_a_difference_beyond_its_interval_is_said_to_be_one() -> None:
    # hypot(3, 4) = 5 points.
    text = said(delivering("one", 0.70, 0.04), delivering("two", 0.76, 0.03))
    assert text.startswith("two delivered the most accurate network, 76.0 ± 3.0 % right")
    assert "Next is one with 70.0 ± 4.0 %" in text
    assert "the difference of 6.0 percentage points is larger than its 95 % interval of ± 5.0." in text
    assert text.endswith("With one seed, an interval says nothing of how much training itself varies.")


def test_a_difference_within_its_interval_is_not_settled() -> None:
    text = said(delivering("one", 0.715, 0.04), delivering("two", 0.76, 0.03), delivering("three", 0.2, 0.01))
    assert text.startswith("The network of two measured highest, 76.0 ± 3.0 % right")
    assert "but one is within the 95 % interval of the difference: which is more accurate is not settled." in text
    assert "three" not in text


def test_equal_networks_are_named_together() -> None:
    text = said(delivering("one", 0.7, 0.04), delivering("two", 0.7, 0.04))
    assert text.startswith("The networks of one and two measured highest, 70.0 ± 4.0 % right")
    assert "more accurate is not settled" in text


def test_with_several_seeds_nothing_is_said_of_one() -> None:
    two_seeds = (TRIALS[0], final(0.7, 0.04), final(0.7, 0.04, seed=1))
    assert "one seed" not in said(search("one", two_seeds), search("two", two_seeds))


def test_without_networks_there_is_nothing_to_rank() -> None:
    assert said(search("one", TRIALS), search("two")).startswith("None of the searches has delivered a network yet")
    assert said(search("one", TRIALS), delivering("two", 0.7, 0.1)).startswith("Only two has delivered a network: 70.0")


def test_accuracies_of_different_tasks_are_not_compared() -> None:
    text = said(delivering("one", 0.7, 0.01), delivering("two", 0.9, 0.01, task={"ways": 3, "shots": 5}))
    assert text == (
        "The delivered networks solve different tasks (task.ways and task.shots differ), so their accuracies are not "
        "compared."
    )


def headings(*searches: tuple[str, Any, tuple[Trial, ...]]) -> dict[str, str]:
    return {notice.heading: notice.text for notice in notices(compared(searches))}


def test_scores_of_different_kinds_and_searches_without_one_are_noticed() -> None:
    found = headings(search("one", TRIALS), search("two", phase=Phase.SEARCHING, training={"metaIterations": 7}))
    assert list(found) == [
        "The scores are of different kinds.",
        "No whole training has ended there.",
        "Under way.",
    ]
    assert found["The scores are of different kinds."].startswith("training.metaIterations differs.")
    assert found["No whole training has ended there."] == "two has no line in the charts."


def test_different_devices_are_noticed() -> None:
    on_gpu = (ran("a", T + 1, T + 10, make_result(0.5, device="cuda (NVIDIA H100)")),)
    assert list(headings(search("one", TRIALS), search("two", on_gpu))) == ["They ran on different devices."]
    assert headings(search("one", TRIALS), search("two", TRIALS)) == {}


# --- tables -------------------------------------------------------------------------------------------------------


def texts(rows: list[CellRow]) -> list[tuple[str, tuple[str, ...]]]:
    return [(row.search, tuple(text.replace(SPACE, " ") for text in row.figures)) for row in rows]


def test_the_delivered_networks_stand_beside_each_other() -> None:
    rows = delivered(compared([delivering("one", 0.7, 0.04), search("two", TRIALS)]))
    figures = ("1,000", "1", "80.0 %", "70.0 ± 4.0 %", "99.0 ± 0.1 %", "99.0 ± 0.1 %")
    assert texts(rows) == [("one", figures), ("two", ("–",) * 6)]
    assert delivered(compared([search("one"), search("two", TRIALS)])) == []


def test_the_best_cell_of_a_search_is_by_its_score() -> None:
    other = ran("x", T + 1, T + 2, make_result(0.3, 500, score_error=0.01), candidate="conv5x5(-1)+identity(-2)")
    rows = best_cells(compared([search("one", (TRIALS[0], other)), search("two")]))
    assert texts(rows) == [("one", ("1,000", "50.0 ± 2.0 %", "10", "1")), ("two", ("–",) * 4)]
    assert [row.cell for row in rows] == [("conv3x3(-1)+identity(-2)",), ()]
    assert best_cells(compared([search("one"), search("two")])) == []


def test_what_each_search_took_is_in_a_row() -> None:
    one, two = costs(compared([search("one", TRIALS), search("two")]))
    # 9 + 20 + 10 + 10 + 10 worker seconds, half a GPU each; the slots were there for as long.
    cells = tuple(text.replace(SPACE, " ") for text in one.cells)
    assert (cells[0], cells[1], cells[3], cells[4], cells[5], cells[6]) == (
        *("5", "5", "59 s", "100 %", "0.01"),
        "4 trials, 49 s",
    )
    assert two.cells[-1] == "–"


# --- the page -----------------------------------------------------------------------------------------------------

Make = Callable[..., "Scene"]


def page(path: Path, *searches: tuple[str, Any, Any]) -> str:
    write_comparison(path, searches)
    return path.read_text(encoding="utf-8")


def test_the_page_has_two_charts_on_one_scale_with_a_line_for_each_search(make_scene: Make, tmp_path: Path) -> None:
    one, two = make_scene(name="one"), make_scene((30,), name="two", search={"strategy": "Random"})
    html = page(tmp_path / "page.html", ("runs/one", *one), ("runs/two", *two))
    charts = re.findall(r"<svg class=\"chart\".*?</svg>", html, flags=re.DOTALL)
    assert len(charts) == 2
    # The heights and the texts of the scores' scale, whose numbers end at the axis.
    by_trials, by_seconds = (re.findall(r'text-anchor: end[^>]* y="([\d.]+)"[^>]*>([\d.]+)<', each) for each in charts)
    assert len(by_trials) > 3
    assert by_trials == by_seconds
    for chart in charts:
        assert "--chart-search-1" in chart
        assert "--chart-search-2" in chart
        assert "--chart-search-3" not in chart
    for section in ("progress", "networks", "cells", "cost", "specs"):
        assert f'<section id="{section}"' in html
    assert "search.strategy" in html


def test_the_same_searches_give_the_same_bytes(make_scene: Make, tmp_path: Path) -> None:
    one, two = make_scene(name="one"), make_scene(name="two")
    first = page(tmp_path / "a.html", ("one", *one), ("two", *two))
    again = page(tmp_path / "b.html", ("one", one.result, one.trials[::-1]), ("two", *two))
    assert first == again


def test_searches_without_any_whole_training_give_a_page_that_says_so(tmp_path: Path) -> None:
    html = page(tmp_path / "page.html", search("one"), search("two"))
    assert "<svg" not in html
    assert "No whole training has ended in any of the searches." in html
    assert "No search has delivered a network." in html
    assert "No cell has had a whole training in any of the searches." in html
    assert "Their specs are the same." in html


def test_the_key_of_a_search_is_the_same_in_the_legend_and_in_the_tables(make_scene: Make, tmp_path: Path) -> None:
    """The first has no line, so the legend begins with the second search, in its own colour."""
    html = page(tmp_path / "page.html", search("none"), ("runs/one", *make_scene(name="one")))
    legend = html.partition('<ul class="legend">')[2].partition("</ul>")[0]
    assert "--chart-search-2" in legend
    assert "--chart-search-1" not in legend
    assert legend.count("<li>") == 1
