"""The page as a whole: it has what it must for every kind of search, and nothing that reaches outside the file."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from report_sections import SECTIONS

from metasearch.errors import MetaSearchError
from metasearch.loading import parse_search
from metasearch.outcome.results import SearchResult
from metasearch.search.budget import Limit
from metasearch.search.planner import Phase
from metasearch.search.trials import Reason, Stage, State, Trial, TrialResult
from metasearch_cli.report import write_report
from metasearch_cli.report.board import ROWS_SHOWN, board
from metasearch_cli.report.formats import NOTHING
from metasearch_cli.report.page import render

if TYPE_CHECKING:
    from conftest import Scene

MakeScene = Callable[..., "Scene"]

VOID = {"meta", "link", "img", "br", "hr", "input", "wbr"}
NO_SUCH_ADDRESS = re.compile(r"https?://(?!www\.w3\.org/)|(?<![a-z:])//[a-z]+\.")


class Page(HTMLParser):
    """A page taken apart; raises where its tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: dict[str, list[str]] = {}
        self.named_svgs = 0
        self.source = text
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag == "title" and self.open[-1] == "svg":
            self.named_svgs += 1
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> does not match"

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.text.setdefault(tag, []).append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.tags if "id" in attributes]

    def words(self, tag: str = "body") -> str:
        """Return everything a reader sees, with single spaces."""
        return " ".join("".join(self.text.get(tag, [])).split())


def page(scene: Scene) -> Page:
    return Page(render(*scene))


def without_front(trials: list[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.spec.stage is Stage.SEARCH and trial.state is not State.SUCCEEDED]


KINDS: dict[str, dict[str, Any]] = {
    "an ordinary search": {},
    "one round": {"sizes": (12,), "space": {"maxBlocks": 1}},
    "eight blocks": {"sizes": (4, 4, 4, 4, 4, 4, 4, 4), "space": {"maxBlocks": 8, "concat": "Unused"}},
    "random": {"sizes": (12,), "blocks": 5, "search": {"strategy": "Random"}},
    "no baseline": {"baselines": {}, "final": {"baselines": []}},
    "no final trials": {"top": 0, "baselines": {}, "phase": Phase.FINAL},
    "one seed": {"seeds": 1},
    "one trial": {"sizes": (1,), "top": 0, "baselines": {}, "phase": Phase.SEARCHING},
    "no trials": {"change": lambda _: [], "phase": Phase.SEARCHING},
    "first results": {"change": lambda trials: under_way(trials), "phase": Phase.SEARCHING},
    "failed": {"change": without_front, "phase": Phase.FAILED, "message": "no search trial succeeded"},
    "cut short": {"limit": Limit.WALL_TIME, "budget": {"wallTime": "6m"}},
    "out of GPU-hours": {"limit": Limit.GPU_HOURS, "budget": {"gpuHours": "1.5"}, "gpus": 1.0},
    "only a baseline": {"top": 0, "phase": Phase.FAILED, "message": "no final trial succeeded"},
    "three baselines": {"baselines": {"Conv4": 0.8, "Conv4-9": 0.7, "Conv4Pooled": 0.75}},
    "screened": {"change": lambda trials: screened(trials)},
    "only beginnings": {
        "top": 0,
        "baselines": {},
        "phase": Phase.SEARCHING,
        "change": lambda trials: [as_beginning(trial) for trial in trials],
    },
    "user's images": {"dataset": {"folder": {"path": "/images/<leaves>"}}},
}


def under_way(trials: list[Trial]) -> list[Trial]:
    """Return twelve trials: three done, two running, seven waiting."""
    started = replace(trials[3].attempts[0], ended_at=None, outcome=None)
    running = [replace(trial, state=State.RUNNING, result=None, attempts=(started,)) for trial in trials[3:5]]
    waiting = [replace(trial, state=State.PENDING, result=None, attempts=(), epoch=0) for trial in trials[5:12]]
    return trials[:3] + running + waiting


def screened(trials: list[Trial]) -> list[Trial]:
    """Return the trials with the first and the second of each three search trials as beginnings, the first drawn."""
    searching = [trial for trial in trials if trial.spec.stage is Stage.SEARCH]
    begun = [
        as_beginning(trial, is_drawn=place % 3 == 0) if place % 3 < 2 else trial
        for place, trial in enumerate(searching)
    ]
    return [*begun, *trials[len(searching) :]]


def as_beginning(trial: Trial, *, is_drawn: bool = False) -> Trial:
    """Return the trial as the first 250 of 1,000 meta-iterations, which are not evaluated."""
    spec = replace(trial.spec, is_beginning=True, meta_iterations=250, is_drawn=is_drawn, predicted_by="Ridge 100%")
    result = trial.result and replace(trial.result, validation=None)
    return replace(trial, spec=spec, result=result)


@pytest.fixture(scope="module", params=KINDS)
def any_page(request: pytest.FixtureRequest, make_scene: MakeScene) -> Page:
    return page(make_scene(**KINDS[request.param]))


# --- the board ----------------------------------------------------------------------------------------------------


def test_every_row_of_the_board_has_a_place_in_the_order_of_every_column(five_rounds: Scene) -> None:
    shown = board(five_rounds.result, five_rounds.trials)
    assert len(shown.rows) == ROWS_SHOWN < shown.total
    for index, heading in enumerate(shown.headings):
        by_place = sorted(shown.rows, key=lambda row, index=index: row.places[index])  # type: ignore[misc]
        assert [row.places[index] for row in by_place] == list(range(1, ROWS_SHOWN + 1))
        if heading == "Parameters":
            sizes = [int(row.texts[index].replace(",", "")) for row in by_place]
            assert sizes == sorted(sizes)
        if heading == "Test accuracy":  # search trials have none, and come last
            known = [row.texts[index] != NOTHING for row in by_place]
            assert known == sorted(known, reverse=True)
            assert not all(known)


# --- every page ---------------------------------------------------------------------------------------------------


def test_every_page_has_every_section_with_a_heading(any_page: Page) -> None:
    assert [each["id"] for each in any_page.all("section")] == list(SECTIONS)
    assert len(any_page.all("h1")) == 1
    assert len(any_page.all("h2")) == len(SECTIONS) - 1  # the tiles are named by aria-label
    assert [each["href"] for each in any_page.all("a")] == [f"#{name}" for name in SECTIONS[1:]]


def test_every_page_stands_by_itself(any_page: Page) -> None:
    assert not any_page.all("script")
    assert not any_page.all("link")
    assert not NO_SUCH_ADDRESS.search(any_page.source)
    assert not [name for _, attributes in any_page.tags for name in attributes if name.startswith("on")]
    assert not re.search(r"url\((?!#)", any_page.source)
    (policy,) = (each["content"] for each in any_page.all("meta") if "http-equiv" in each)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_every_drawing_has_a_name(any_page: Page) -> None:
    drawings = any_page.all("svg")
    assert all(drawing["role"] == "img" for drawing in drawings)
    assert sum("aria-label" in drawing for drawing in drawings) + any_page.named_svgs == len(drawings)


def test_every_table_has_a_caption_and_every_heading_a_scope(any_page: Page) -> None:
    assert len(any_page.all("caption")) == len(any_page.all("table"))
    assert all(heading["scope"] in ("col", "row", "colgroup") for heading in any_page.all("th"))


def test_no_id_is_used_twice_and_every_reference_is_met(any_page: Page) -> None:
    assert len(set(any_page.ids)) == len(any_page.ids)
    used = [attributes["xlink:href"].removeprefix("#") for attributes in any_page.all("use")]
    clipped = re.findall(r"url\(#([^)]+)\)", any_page.source)
    assert set(used) | set(clipped) <= set(any_page.ids)


def test_no_page_shows_what_only_a_program_reads(any_page: Page) -> None:
    assert not re.search(
        r"\b(None|nan|inf|Undefined|datetime|Decimal)\b", any_page.words("main").split("apiVersion")[0]
    )


# --- what is shown ------------------------------------------------------------------------------------------------


def test_the_head_says_what_came_out(make_scene: MakeScene) -> None:
    text = page(make_scene(seeds=1)).words("header")
    assert "succeeded test 5-way 1-shot on Omniglot, progressive search with the surrogate Stacked" in text
    assert re.search(
        r"Found a network with [0-9,]+ parameters that learns 5 new characters from one image of each", text
    )
    assert re.search(r"Conv4 with 113,221 parameters gets [0-9.]+ ± 0\.4 % right", text)
    assert "Is the found network at least as accurate as Conv4, with at most a quarter of its parameters?" in text


def test_every_baseline_is_shown(make_scene: MakeScene) -> None:
    shown = page(make_scene(seeds=1, **KINDS["three baselines"]))
    table = shown.words("table")
    # 27 f² + 41 f + 5 parameters with f filters; a pooled head has 5 · 64 · 3 fewer.
    for name, size in (("Conv4", "113,221"), ("Conv4-9", "2,561"), ("Conv4Pooled", "112,261")):
        assert re.search(rf"{name} baseline ?{size}.*?[0-9.]+ ± 0\.4 %[0-9.]+ ± 0\.4 %", table), name
    legend = shown.words("ul")
    assert "Conv4, Conv4Pooled, Conv4-9, trained in full" in legend
    assert "Conv4, Conv4-9, Conv4Pooled" in legend
    for name in ("Conv4", "Conv4-9", "Conv4Pooled"):
        assert shown.text["text"].count(name) == 2, name  # on the chart of the front and on that of the curves


def test_a_full_search_is_shown_whole(five_rounds: Scene) -> None:
    shown = page(five_rounds)
    assert len(shown.all("svg")) == 1 + 4 + 1 + 3 + 2  # progress, predictions, front, cells, curves
    text = shown.words("main")
    assert "Rounds 5 the last: 5 blocks" in text
    assert "5 blocks, 98 candidates" in text
    assert text.count("Spearman") == 1 + 4  # what its ceiling is, and a figure for each
    assert text.count("ceiling none") == 4  # the invented scores have no standard errors
    assert "of 24 h" in text
    assert "NVIDIA H100" in text


def test_a_screened_search_tells_beginnings_from_whole_trainings(make_scene: MakeScene) -> None:
    shown = page(make_scene(change=screened))
    text = shown.words("main")
    assert "beginning of a training, scored by its loss: compare beginnings only" in text
    assert "best whole training so far" in text
    assert "The surrogate predicts the scores of beginnings, so it is compared with these only." in text
    assert "drawn at random: the diamonds" in text
    assert "Predicted by: Ridge 100%." in text
    assert "Search trials are scored after 1,000 meta-iterations." in text


def test_a_search_with_nothing_but_beginnings_says_so(make_scene: MakeScene) -> None:
    shown = page(make_scene(**KINDS["only beginnings"]))
    assert "No cell has had a whole training of" in shown.words("header")
    text = shown.words("main")
    assert "no whole training yet" in text
    assert "beginnings are scored by their training loss after 250 meta-iterations." in text
    assert "score by the training loss of 250 meta-iterations" in text
    assert "best beginning so far" in shown.words("li")
    assert "best so far" not in shown.words("li")


def test_a_search_under_way_says_so_and_shows_what_there_is(make_scene: MakeScene) -> None:
    shown = page(make_scene(change=under_way, phase=Phase.SEARCHING))
    assert "Under way. Cells are being searched; 2 trials running, 7 waiting." in shown.words("header")
    assert "No network has been trained in full yet." in shown.words()
    assert "Best so far" in shown.words("h3")
    assert "under way" in shown.words("ul")


def test_a_search_without_trials_shows_that_there_is_nothing(make_scene: MakeScene) -> None:
    shown = page(make_scene(change=lambda _: [], phase=Phase.SEARCHING))
    assert "The search has begun; it has no trials yet." in shown.words("header")
    assert not shown.all("svg")


def test_a_failed_search_says_why(make_scene: MakeScene) -> None:
    shown = page(make_scene(sizes=(45,), change=without_front, phase=Phase.FAILED, message="no search trial succeeded"))
    assert "The search failed. No search trial succeeded. Trials failed for these reasons: Diverged 1." in shown.words(
        "header"
    )
    assert "the loss was not finite at meta-iteration 12" in shown.words("table")


def test_random_search_has_one_round_and_predicts_nothing(make_scene: MakeScene) -> None:
    text = page(make_scene(**KINDS["random"])).words()
    assert "Random search predicted nothing." in text
    assert "Rounds 1 of 29 the last: random cells" in text
    assert not re.search(r"[Rr]ound [0-9]", text)


def test_at_most_twenty_failures_are_listed(make_scene: MakeScene) -> None:
    def all_failed(trials: list[Trial]) -> list[Trial]:
        result = TrialResult(state=State.FAILED, reason=Reason.OUT_OF_MEMORY, message="it held 5 GiB")
        return [replace(trial, state=State.FAILED, result=result) for trial in trials]

    shown = page(
        make_scene(
            (25,), top=0, baselines={}, change=all_failed, phase=Phase.FAILED, message="no search trial succeeded"
        )
    )
    assert "Failed trials, the first 20 of 25" in shown.words("caption")
    assert shown.words("td").count("OutOfMemory") == 20


def test_the_three_accuracies_are_never_compared(make_scene: MakeScene) -> None:
    text = page(make_scene()).words("section")
    assert "queries alone" in text
    assert "alone, support statistics" in text
    assert "together (transductive)" in text
    assert "Never compare a figure of one accuracy column with one of another." in text
    assert "copies moved" not in text
    assert "a mean over an image and copies moved by 1" in page(make_scene(evaluation={"shifts": 1})).words("section")


def test_the_spec_in_the_report_is_the_spec_of_the_search(make_scene: MakeScene) -> None:
    scene = make_scene(name="again", budget={"wallTime": "6m"})
    resource = parse_search(yaml.safe_load("".join(page(scene).text["details"]).partition("filled in")[2]))
    assert resource.metadata.name == "again"
    assert resource.spec == scene.result.search.spec


# --- safety and sameness ------------------------------------------------------------------------------------------

HOSTILE = '</td></style><script>alert("1")</script><img src=x onerror=alert(1)>&amp;{{ 7 * 7 }}'


def test_strings_from_outside_are_shown_as_they_are(make_scene: MakeScene) -> None:
    def hostile(trials: list[Trial]) -> list[Trial]:
        failed = TrialResult(state=State.FAILED, reason=Reason.ERROR, message=HOSTILE)
        return [
            replace(trials[0], state=State.FAILED, result=failed, spec=replace(trials[0].spec, name=HOSTILE)),
            *trials[1:],
        ]

    scene = make_scene(change=hostile, message=HOSTILE, phase=Phase.FAILED, dataset={"folder": {"path": HOSTILE}})
    search = scene.result.search.model_copy(update={"name": HOSTILE, "version": HOSTILE, "devices": (HOSTILE,)})
    shown = Page(render(scene.result.model_copy(update={"search": search}), scene.trials))
    assert not shown.all("script")
    assert not shown.all("img")
    assert shown.words("h1") == HOSTILE
    for tag in ("code", "td", "dd", "header", "title", "details"):
        assert HOSTILE in shown.words(tag), tag


def test_the_same_search_gives_the_same_bytes(make_scene: MakeScene, tmp_path: Path) -> None:
    first, second = make_scene(), make_scene()
    write_report(tmp_path / "one.html", first.result, first.trials)
    write_report(tmp_path / "two.html", second.result, second.trials[::-1])
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_nothing_outside_the_call_is_changed(make_scene: MakeScene) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    render(*make_scene())
    assert dict(matplotlib.rcParams) == before


def test_the_result_in_json_gives_the_same_report(make_scene: MakeScene) -> None:
    scene = make_scene()
    read_back = SearchResult.model_validate_json(scene.result.model_dump_json(by_alias=True))
    assert render(read_back, scene.trials) == render(*scene)


def test_drawing_is_imported_only_to_draw() -> None:
    code = "import sys, metasearch_cli.report; print({'matplotlib', 'jinja2'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_a_machine_that_cannot_draw_is_told_what_to_install(
    make_scene: MakeScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("page", "template_files"):
        monkeypatch.delitem(sys.modules, f"metasearch_cli.report.{module}")
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MetaSearchError, match=r"needs jinja2, .* pip install 'metasearch-operator\[report\]'"):
        write_report(tmp_path / "report.html", *make_scene())
