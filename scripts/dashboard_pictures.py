"""
Draw the dashboards with the metrics of simulated searches, for docs/images/.

    python scripts/dashboard_pictures.py

Six hours of metrics are written into a Prometheus of this machine, every panel's queries are asked of it, and Chromium
draws the page that is made of the answers. The same code gives the same pictures.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path += [str(ROOT), str(ROOT / "tests/support")]

from devcluster.processes import managed_processes  # noqa: E402
from devcluster.prometheus import PrometheusServer, start_prometheus  # noqa: E402
from monitoring.dashboards.catalogue import DASHBOARDS  # noqa: E402
from monitoring.dashboards.drawing.page import page, page_width  # noqa: E402
from monitoring.dashboards.model import Dashboard  # noqa: E402
from monitoring.dashboards.recording import ask  # noqa: E402
from monitoring.dashboards.substitution import ALL, View  # noqa: E402
from PIL import Image  # noqa: E402 (all of these need the path)
from recorded_searches import write_history  # noqa: E402
from scraped_searches import moved  # noqa: E402
from watched_searches import WatchedCluster, WatchedSearch, failing, finishing, waiting  # noqa: E402

PICTURES = ROOT / "docs" / "images"

END = datetime(2026, 6, 1, 15, 0, tzinfo=UTC).timestamp()
HOURS = 6
HOURS_SHOWN = {"metasearch-search": 2}
"""Hours that a dashboard shows, where it is not all of them."""

SCRAPE_SECONDS = 30.0
STEP_SECONDS = 60.0

CHOSEN: Mapping[str, Sequence[str]] = {"namespace": ["team-a"], "search": ["omniglot"]}


WIDE = {"progressive": {"beamWidth": 24, "openRoundsEarly": True}}


def searches() -> list[WatchedSearch]:
    """Return the searches of the pictures: one under way, one that has ended well, one that has not, one that waits."""
    large = finishing("omniglot", "team-a", END, workers=2, budget={"maxTrials": 250, "gpuHours": "6"}, search=WIDE)
    begun = END - large.moments[int(0.75 * len(large.moments))].at
    small = finishing("mini-nightly", "team-b", END - 5 * 3_600, budget={"maxTrials": 120})
    failed = failing("too-large", "team-a", END - 2.5 * 3_600, workers=1)
    return [moved(large, begun), small, failed, waiting("waits", "team-b", END - 3_000)]


def draw(server: PrometheusServer, dashboard: Dashboard, folder: Path) -> Path:
    """Ask for everything that a dashboard shows, and draw it."""
    chosen = {each.name: ALL if each.is_multiple else CHOSEN[each.name] for each in dashboard.variables}
    view = View(chosen, SCRAPE_SECONDS, STEP_SECONDS, HOURS_SHOWN.get(dashboard.uid, HOURS) * 3_600)
    answers = {number: ask(server, dashboard, panel, view, END) for number, panel in enumerate(dashboard.panels)}
    words = ", ".join(f"{name} {'all' if tuple(values) == ALL else values[0]}" for name, values in chosen.items())
    text, height = page(dashboard, answers, view, END, words)
    file = folder / f"{dashboard.uid}.html"
    file.write_text(text, encoding="utf-8")
    name = dashboard.uid.replace("metasearch-", "dashboard-")
    picture = PICTURES / f"{name}.png"
    screenshot(file, picture, page_width(), height)
    return picture


def screenshot(file: Path, picture: Path, width: int, height: int) -> None:
    """Have Chromium draw a page of that size in pixels."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "Chromium is missing: run scripts/setup.sh browser (on Debian), or install it"
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
    command += [f"--user-data-dir={file.parent / 'profile'}", f"--window-size={width},{height}"]
    subprocess.run([*command, f"--screenshot={picture}", file.as_uri()], capture_output=True, timeout=120, check=True)
    with Image.open(picture) as drawn:
        drawn.convert("RGB").save(picture, optimize=True)


def main() -> None:
    """Draw all dashboards."""
    cluster = WatchedCluster(searches(), invalid=[("team-b", "unreadable")], has_faults=True)
    with managed_processes() as processes, tempfile.TemporaryDirectory() as folder:
        write_history(cluster, END - HOURS * 3_600, END, SCRAPE_SECONDS, processes.folder / "prometheus")
        server = start_prometheus(processes, {"global": {}})
        for dashboard in DASHBOARDS:
            sys.stdout.write(f"{draw(server, dashboard, Path(folder)).relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
