"""The report in a real browser: nothing is blocked, blank, cut off or wider than the page."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from report_sections import SECTIONS

from metasearch_cli.report import write_comparison, write_report

if TYPE_CHECKING:
    from conftest import Scene

CHROMIUM = shutil.which("chromium")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--allow-file-access-from-files",  # so that a page of ours may measure the report
    "--enable-logging=stderr",
    "--v=0",
)
DARK = "--blink-settings=preferredColorScheme=0"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")

Browse = Callable[..., "subprocess.CompletedProcess[str]"]

RULER = """\
<!DOCTYPE html>
<meta charset="utf-8">
<iframe src="{address}" width="{width}" height="900" style="border:0"></iframe>
<script>
addEventListener("load", () => {{
  const page = document.querySelector("iframe").contentDocument;
  const found = [];
  const say = (what, ...elements) =>
    found.push([what, ...elements.map((each) => each.textContent.trim().slice(0, 40))].join(" "));
  const wide = page.scrollingElement.scrollWidth;
  if (wide > {width}) say(`the page is ${{wide}} pixels wide`);
  for (const box of page.querySelectorAll(".tiles > div, .notice, h1, .lead"))
    if (box.scrollWidth > box.clientWidth + 1) say("too wide:", box);
  for (const svg of page.querySelectorAll("svg")) {{
    const edge = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll("text")].map((text) => [text, text.getBoundingClientRect()]);
    for (const [text, box] of texts) {{
      const sideways = box.left < edge.left - 1 || box.right > edge.right + 1;
      if (sideways || box.top < edge.top - 1 || box.bottom > edge.bottom + 1) say("cut off:", text);
      for (const [other, its] of texts) {{
        if (other === text) break;
        const beside = box.left >= its.right - 1 || its.left >= box.right - 1;
        if (!beside && box.top < its.bottom - 3 && its.top < box.bottom - 3) say("overlap:", text, other);
      }}
    }}
  }}
  const count = page.querySelectorAll("svg").length;
  document.body.innerHTML = `<pre id="found">${{count}} drawings; ${{found.join("; ")}}</pre>`;
}});
</script>
"""
"""A page that measures the report inside it, and says what it found wrong."""


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """Run the browser with a profile of its own."""

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        command = [str(CHROMIUM), *OPTIONS, f"--user-data-dir={tmp_path / 'profile'}", *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)

    return run


@pytest.fixture
def report(five_rounds: Scene, tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    write_report(path, *five_rounds)
    return path


def complaints(run: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in run.stderr.splitlines() if "CONSOLE" in line]


def test_the_browser_shows_every_section_and_has_nothing_to_complain_of(browse: Browse, report: Path) -> None:
    run = browse("--dump-dom", report.as_uri())
    assert complaints(run) == []
    for section in SECTIONS:
        assert f'<section id="{section}"' in run.stdout
    assert run.stdout.count("<svg") == 11


def test_the_browser_would_complain_of_what_the_policy_forbids(browse: Browse, report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    report.write_text(text.replace("</body>", "<script>1</script></body>"), encoding="utf-8")
    assert complaints(browse("--dump-dom", report.as_uri()))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_not_blank_in_either_colour_scheme(browse: Browse, report: Path, scheme: str) -> None:
    picture = report.with_name("page.png")
    dark = (DARK,) if scheme == "dark" else ()
    run = browse("--hide-scrollbars", "--window-size=1200,2400", f"--screenshot={picture}", *dark, report.as_uri())
    assert complaints(run) == []
    with Image.open(picture) as image:
        colours = image.convert("RGB").getcolors(maxcolors=2**24)
    assert colours is not None
    assert len(colours) > 200
    background = max(colours)[1]
    assert isinstance(background, tuple)
    assert (sum(background) < 150) == (scheme == "dark")


def measured(browse: Browse, report: Path, width: int) -> str:
    """Return what the measuring page finds in a report in a window of that width."""
    ruler = report.with_name("ruler.html")
    ruler.write_text(RULER.format(address=report.name, width=width), encoding="utf-8")
    found = re.search(r'<pre id="found">(.*?)</pre>', browse("--dump-dom", ruler.as_uri()).stdout, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_is_cut_off_or_written_over(browse: Browse, report: Path, width: int) -> None:
    assert measured(browse, report, width) == "11 drawings; "


@pytest.mark.parametrize("width", [360, 1200])
def test_a_comparison_of_many_searches_is_shown_whole(
    browse: Browse, make_scene: Callable[..., Scene], tmp_path: Path, width: int
) -> None:
    scenes = [make_scene((10, 4 * number), name=f"search-number-{number}") for number in range(1, 9)]
    path = tmp_path / "comparison.html"
    write_comparison(path, [(scene.result.search.name, *scene) for scene in scenes])
    assert complaints(browse("--dump-dom", path.as_uri())) == []
    assert measured(browse, path, width) == "2 drawings; "


def test_the_ruler_would_find_what_is_cut_off(browse: Browse, report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    report.write_text(
        text.replace(">previous cell<", f">{'previous cell ' * 9}<").replace("<h1>", "<h1 style='width:1300px'>")
    )
    found = measured(browse, report, 1200)
    assert "cut off: previous cell" in found
    assert "overlap: " in found
    assert "pixels wide" in found


SORTER = """\
<!DOCTYPE html>
<iframe src="{address}" width="1200" height="900"></iframe>
<script>
addEventListener("load", () => {{
  const page = document.querySelector("iframe").contentDocument;
  page.querySelector('#board label[for="by-{column}"]').click();
  const rows = [...page.querySelectorAll("#board tbody tr")];
  rows.sort((one, other) => one.getBoundingClientRect().top - other.getBoundingClientRect().top);
  const texts = rows.map((row) => row.children[{column} + 1].textContent.trim());
  document.body.innerHTML = `<pre id="found">${{texts.join("|")}}</pre>`;
}});
</script>
"""
"""A page that chooses a heading of the board, and says what stands in that column from the top down."""


def column_of(browse: Browse, report: Path, column: int) -> list[str]:
    sorter = report.with_name("sorter.html")
    sorter.write_text(SORTER.format(address=report.name, column=column), encoding="utf-8")
    found = re.search(r'<pre id="found">(.*?)</pre>', browse("--dump-dom", sorter.as_uri()).stdout, re.DOTALL)
    assert found is not None
    return found[1].split("|")


def test_the_board_is_sorted_by_the_heading_that_is_chosen(browse: Browse, report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    headings = re.findall(r'<label for="by-\d+">(.*?)</label>', text)
    sizes = [int(each.replace(",", "")) for each in column_of(browse, report, headings.index("Parameters"))]
    assert len(sizes) > 50
    assert sizes == sorted(sizes)
    scores = [float(each.split("&")[0]) for each in column_of(browse, report, headings.index("Score"))]
    assert scores == sorted(scores, reverse=True)
    stages = column_of(browse, report, headings.index("Stage"))
    assert [each.split()[0] for each in stages] == sorted(
        (each.split()[0] for each in stages), key=["Final", "Baseline", "Search"].index
    )
