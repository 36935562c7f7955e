"""Pictures of dashboards: values as Grafana writes them, the right shapes, and nothing cut off or written over."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from monitoring.dashboards import all_searches
from monitoring.dashboards.catalogue import DASHBOARDS
from monitoring.dashboards.drawing.charts import Frame, heatmap, state_timeline, time_series
from monitoring.dashboards.drawing.formats import formatted, formatted_alike
from monitoring.dashboards.drawing.page import page, page_width
from monitoring.dashboards.drawing.scales import ticks
from monitoring.dashboards.drawing.tables import rows
from monitoring.dashboards.model import (
    Colour,
    Column,
    Dashboard,
    DisplayUnit,
    Panel,
    PanelKind,
    Query,
    SearchState,
    Text,
)
from monitoring.dashboards.recording import Series, ask
from monitoring.dashboards.substitution import ALL
from scraped_searches import NAMESPACE, SEARCH, Scraped

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

# --- values -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "value", "decimals", "text"),
    # What getValueFormat of @grafana/data 13.2.3 returns, in Node.
    [
        ("s", 0, None, "0 s"),
        ("s", 0.0000042, None, "4.20 µs"),
        ("s", 0.0123, None, "12.3 ms"),
        ("s", 45, None, "45 s"),
        ("s", 59.96, None, "60.0 s"),
        ("s", 90, None, "1.50 mins"),
        ("s", 5_400, None, "1.50 hours"),
        ("s", 90_000, None, "1.04 days"),
        ("s", 172_800, None, "2 days"),
        ("s", 700_000, None, "1.16 weeks"),
        ("s", 4e7, None, "1.27 years"),
        ("percentunit", 0, None, "0%"),
        ("percentunit", 0.1234, None, "12.3%"),
        ("percentunit", 0.5, 0, "50%"),
        ("bytes", 512, None, "512 B"),
        ("bytes", 123_456_789, None, "118 MiB"),
        ("bytes", 2e9, None, "1.86 GiB"),
        ("short", 999, None, "999"),
        ("short", 12_345, None, "12.3 K"),
        ("short", 1_234_567, None, "1.23 Mil"),
        ("suffix:it/s", 12.34, None, "12.3 it/s"),
        ("suffix:GPUs", 2, None, "2 GPUs"),
        ("none", 12.345, None, "12.3"),
        ("none", 0.81234, 3, "0.812"),
        ("reqps", 0.05, None, "0.0500 req/s"),
        ("none", 1_234_567, None, "1234567"),
    ],
)
def test_a_value_is_written_as_grafana_writes_it(unit: str, value: float, decimals: int | None, text: str) -> None:
    assert formatted(value, DisplayUnit(unit), decimals) == text


@pytest.mark.parametrize(
    ("low", "high", "unit", "texts"),
    [
        (0, 1, DisplayUnit.SHARE, ["0%", "20%", "40%", "60%", "80%", "100%"]),
        (0.52, 0.9, DisplayUnit.NUMBER, ["0.5", "0.6", "0.7", "0.8", "0.9"]),
        (0, 13.9 * 3_600, DisplayUnit.SECONDS, ["0 s", "4 hours", "8 hours", "12 hours", "16 hours"]),
        (0, 3 * 2**30, DisplayUnit.BYTES, ["0 B", "1 GiB", "2 GiB", "3 GiB"]),
        (0, 2, DisplayUnit.COUNT, ["0", "1", "2"]),
        (3, 3, DisplayUnit.NUMBER, ["3", "4"]),
    ],
)
def test_ticks_are_round_and_as_short_as_can_be(low: float, high: float, unit: DisplayUnit, texts: list[str]) -> None:
    assert formatted_alike(ticks(low, high, unit), unit) == texts


# --- shapes -------------------------------------------------------------------------------------------------------


def panel(kind: PanelKind, **fields: object) -> Panel:
    return Panel("Title", "It says so.", kind, DisplayUnit.NUMBER, (), "none", 8, 8, **fields)  # type: ignore[arg-type]


FRAME = Frame(width=476, height=130, start=0, end=100)
"""Time is drawn from 66 to 466, four pixels a second, and values from 8 to 108."""


def test_a_line_is_broken_where_there_is_no_data() -> None:
    line = Series("a", {}, [(0, 0), (10, 1), (50, 1), (60, 0)])
    drawn = time_series(panel(PanelKind.TIME_SERIES, minimum=0, maximum=1), [line], FRAME, step=10)
    found = re.findall(r'<polyline points="([^"]*)"', drawn)
    assert found == ["66.0,108.0 106.0,8.0", "266.0,8.0 306.0,108.0"]


def test_areas_stand_on_each_other() -> None:
    both = [Series("a", {}, [(0, 1), (10, 1)]), Series("b", {}, [(10, 3)])]
    drawn = time_series(panel(PanelKind.TIME_SERIES, minimum=0, is_stacked=True), both, FRAME, step=10)
    found = re.findall(r'<polygon points="([^"]*)"', drawn)
    # 1 of 4 is 25 of 100 pixels above the ground, and b stands on it.
    assert found == ["66.0,83.0 106.0,83.0 106.0,108.0 66.0,108.0", "106.0,8.0 106.0,83.0"]


def test_a_heatmap_shows_what_lies_between_two_bounds() -> None:
    counts = [Series("+Inf", {}, [(10, 6)]), Series("1.0", {}, [(10, 2)]), Series("5.0", {}, [(10, 2)])]
    drawn = heatmap(panel(PanelKind.HEATMAP), counts, FRAME, step=10)
    found = re.findall(r'<rect x="([^"]*)" y="([^"]*)".*?opacity="([^"]*)"', drawn)
    # Two up to 1, none up to 5, four above: the darkest. A third of 100 pixels each, from below.
    assert found == [("66.0", "74.7", "0.57"), ("66.0", "8.0", "1.00")]


def test_a_state_is_a_bar_for_as_long_as_it_stays() -> None:
    texts = (Text("0", "False", Colour.GREY), Text("2", "True", Colour.BLUE))
    states = [Series("Ready", {}, [(0, 0), (10, 0), (20, 2), (30, 2), (90, 2)])]
    drawn = state_timeline(panel(PanelKind.STATE_TIMELINE, texts=texts), states, FRAME, step=10)
    found = re.findall(r'<rect x="([^"]*)".*?width="([^"]*)"', drawn)
    # From 120 to 466, 3.46 pixels a second: 0 to 20, 20 to 40, and 90 to the end.
    assert found == [("120.0", "69.2"), ("189.2", "69.2"), ("431.4", "34.6")]
    assert re.findall(r'class="on"[^>]*>(\w+)<', drawn) == ["False", "True"]


def test_answers_are_joined_by_the_labels_that_they_share() -> None:
    phase, score = Query("phase"), Query("score")
    table = panel(
        PanelKind.TABLE,
        columns=(Column("Search", label="search"), Column("Phase", phase, label="phase"), Column("Score", score)),
        sort_column="Search",
    )
    answers = {
        phase: [Series("", {"search": each, "phase": "Final"}, [(0, 1)]) for each in ("10", "9")],
        score: [Series("", {"search": "9"}, [(0, 0.5)])],
    }
    assert rows(table, answers) == [{"Search": "9", "Phase": "Final", "Score": 0.5}, {"Search": "10", "Phase": "Final"}]


# --- pages --------------------------------------------------------------------------------------------------------

RULER = """
<script>
addEventListener("load", () => {
  const found = [];
  const say = (what, ...elements) => found.push([what, ...elements.map((each) => each.textContent)].join(" "));
  for (const box of document.querySelectorAll("section, .legend, .bar span, .middle"))
    if (box.scrollWidth > box.clientWidth + 1) say("too wide:", box);
  for (const box of document.querySelectorAll(".middle, svg, .legend")) {
    const edge = box.closest("section").getBoundingClientRect();
    if (box.getBoundingClientRect().bottom > edge.bottom) say("too high:", box);
  }
  for (const svg of document.querySelectorAll("svg")) {
    const edge = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll("text")].map((text) => [text, text.getBoundingClientRect()]);
    for (const [text, box] of texts) {
      if (box.left < edge.left || box.right > edge.right || box.top < edge.top) say("cut off:", text);
      if (box.bottom > edge.bottom) say("cut off:", text);
      for (const [other, its] of texts) {
        if (other === text) break;
        const beside = box.left >= its.right || its.left >= box.right;
        if (!beside && box.top < its.bottom - 3 && its.top < box.bottom - 3) say("overlap:", text, other);
      }
    }
  }
  const count = document.querySelectorAll("section").length;
  document.body.innerHTML = `<pre id="found">${count} panels; ${found.join("; ")}</pre>`;
});
</script>
"""
"""It measures the page, and leaves what it found wrong in place of it."""


def drawn_page(given: Scraped, dashboard: Dashboard) -> tuple[str, int]:
    """Return the page of what a Prometheus answers, and its height."""
    chosen: Mapping[str, Sequence[str]] = {"namespace": [NAMESPACE], "search": [SEARCH]}
    view = given.view(**{each.name: ALL if each.is_multiple else chosen[each.name] for each in dashboard.variables})
    answers = {
        number: ask(given.server, dashboard, each, view, given.ended_at) for number, each in enumerate(dashboard.panels)
    }
    return page(dashboard, answers, view, given.ended_at, "all")


def measured(text: str, height: int, folder: Path) -> str:
    """Return what the browser finds wrong with a page."""
    file = folder / "page.html"
    file.write_text(text + RULER, encoding="utf-8")
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--dump-dom"]
    command += [f"--user-data-dir={folder / 'profile'}", f"--window-size={page_width()},{height}", file.as_uri()]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    (found,) = re.findall(r'<pre id="found">(.*?)</pre>', ended.stdout, re.DOTALL)
    return str(found)


needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")


@needs_chromium
@pytest.mark.parametrize("state", SearchState, ids=lambda state: state.name)
@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_nothing_is_cut_off_or_written_over(
    scraped: Mapping[SearchState, Scraped], dashboard: Dashboard, state: SearchState, tmp_path: Path
) -> None:
    text, height = drawn_page(scraped[state], dashboard)
    assert measured(text, height, tmp_path) == f"{len(list(dashboard.panels))} panels; "


@needs_chromium
def test_the_ruler_would_find_what_is_cut_off(scraped: Mapping[SearchState, Scraped], tmp_path: Path) -> None:
    text, height = drawn_page(scraped[SearchState.RUNNING], all_searches.DASHBOARD)
    broken = text.replace("font-size: 10.5px", "font-size: 40px").replace(">omniglot<", f">{'omniglot' * 30}<")
    found = measured(broken, height, tmp_path)
    assert "cut off: " in found
    assert "overlap: " in found
    assert "too wide: " in found


def test_an_empty_panel_says_so(scraped: Mapping[SearchState, Scraped]) -> None:
    text, _ = drawn_page(scraped[SearchState.NO_SEARCH], all_searches.DASHBOARD)
    assert text.count('<div class="middle none">') == len(list(all_searches.DASHBOARD.panels))
    assert "nothing is in any search's way" in text.replace("&#x27;", "'")
