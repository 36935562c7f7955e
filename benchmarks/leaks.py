"""
Show whether memory grows: a warm worker over a thousand trials, and the operator over a hundred thousand events.

    python benchmarks/leaks.py                         ten minutes or so on two cores
    python benchmarks/leaks.py --parts worker --trials 300

The worker is that of `metasearch run`, whose slot trains small cells on real Omniglot one after another; a pod's slot
makes way for a fresh process after `worker.maxTrials`, and this one does not. The operator is a process beside a real
API server, in which trials of a search are changed without a pause. What is counted is memory that is a process's own
(USS), with that of its children. It may grow until everything has been done once, so it is judged from a fifth of the
way on.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT), str(ROOT / "tests/support")]

from devcluster.access import ClusterAccess  # noqa: E402
from devcluster.binaries import find_control_plane_binaries  # noqa: E402
from devcluster.control_plane import open_control_plane  # noqa: E402
from devcluster.operator_process import running_operator  # noqa: E402
from devcluster.resources import crds_installed, temporary_namespace  # noqa: E402
from devcluster.searches import SearchHandle, create_search  # noqa: E402
from local_search import start, trials_in, workers_of, write_resource  # noqa: E402

from metasearch.cluster.api import Api  # noqa: E402
from metasearch.kubernetes import names  # noqa: E402
from reporting import Claim, parser, publish  # noqa: E402 (all of these need the path)

PARTS = ("worker", "operator")
MARKS = 10
MOST_GROWTH_MIB = 16.0
WRITERS = 4

MANY_CELLS: dict[str, Any] = {
    "space": {
        "operations": ["conv3x3", "conv5x5", "identity", "max_pool3x3"],
        "maxBlocks": 4,
        "filters": 2,
        "filterScale": 1,
        "reductions": 1,
    },
    "search": {"strategy": "Random", "progressive": None, "surrogate": None, "confirmations": 0},
    "training": {"metaIterations": 2},
    "evaluation": {"tasks": 5, "curvePoints": 1},
    "final": {"seeds": 1, "baselines": [], "metaIterations": 2, "tasks": 5},
    "parallelism": 1,
}


def main() -> int:
    """Measure each part, and print its memory at ten marks."""
    arguments = _arguments()
    rows: list[dict[str, Any]] = []
    for part in arguments.parts:
        measured = _of_worker(arguments.trials) if part == "worker" else _of_operator(arguments.events)
        for done, mebibytes in measured:
            rows.append({"part": part, "done": done, "MiB": round(mebibytes, 1)})
            print(rows[-1], file=sys.stderr, flush=True)
    return publish("leaks", rows, [judged(part, rows) for part in arguments.parts], arguments.json)


def judged(part: str, rows: Sequence[dict[str, Any]]) -> Claim:
    """Return whether a part has grown from the second mark to the last."""
    mebibytes = [row["MiB"] for row in rows if row["part"] == part]
    done = [row["done"] for row in rows if row["part"] == part]
    growth = mebibytes[-1] - mebibytes[1]
    text = f"{part}: {growth:+.1f} MiB from {done[1]:,} to {done[-1]:,}, at most {MOST_GROWTH_MIB:g}"
    return Claim(text, growth <= MOST_GROWTH_MIB)


Mark = tuple[int, float]
"""A number of things done, and the memory in MiB at that moment."""


def _of_worker(trials: int) -> Iterator[Mark]:
    """Yield the memory of the one worker of a run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        budget = {"maxTrials": trials, "maxFailedTrials": trials}
        file = write_resource(folder, "leaks", budget=budget, **MANY_CELLS)
        output = folder / "run"
        driver = start(folder / "printed.txt", "run", file, "--output", output, "--workers", "1")

        def ended() -> int:
            assert driver.poll() is None, (folder / "printed.txt").read_text(encoding="utf-8")
            return sum(trial.state.is_over for trial in trials_in(output))

        try:
            yield from _marks(trials, ended, lambda: _mebibytes(workers_of(driver)))
        finally:
            driver.kill()
            driver.wait()


def _of_operator(events: int) -> Iterator[Mark]:
    """Yield the memory of an operator whose search's trials are changed without a pause."""
    with (
        open_control_plane(find_control_plane_binaries()) as control_plane,
        crds_installed(control_plane.access),
        tempfile.TemporaryDirectory() as folder,
    ):
        access = control_plane.access
        api = Api.of_kubeconfig(str(access.kubeconfig))
        with temporary_namespace(api) as namespace, running_operator(access, Path(folder), [namespace]) as operator:
            spec = {"search": {"strategy": "Random"}, "budget": {"maxTrials": 50}, "parallelism": 8}
            search = SearchHandle(api, create_search(api, namespace, "leaks", **spec))
            search.wait_for(search.trials)
            numbers = iter(range(events))
            written: list[int] = []
            ended = threading.Event()
            with ThreadPoolExecutor(WRITERS) as writers:
                writing = [writers.submit(_write, access, search, numbers, written, ended) for _ in range(WRITERS)]
                process = psutil.Process(operator.pid)

                def changed() -> int:
                    operator.require_running()
                    for each in writing:
                        if each.done():
                            each.result()  # it raises what has ended it
                    return len(written)

                try:
                    yield from _marks(events, changed, lambda: _mebibytes([process, *process.children(True)]))
                finally:
                    ended.set()


def _write(
    access: ClusterAccess, search: SearchHandle, numbers: Iterator[int], written: list[int], ended: threading.Event
) -> None:
    """Change the annotations of the trials in turn, once for each number, until told to end."""
    api = Api.of_kubeconfig(str(access.kubeconfig))
    paths = [names.TRIAL.path(search.namespace, trial.name) for trial in search.trials()]
    for number in numbers:
        if ended.is_set():
            return
        note = {"leaks.metasearch.dev/number": str(number)}
        api.patch(paths[number % len(paths)], [{"op": "add", "path": "/metadata/annotations", "value": note}])
        written.append(number)


def _marks(whole: int, done: Callable[[], int], mebibytes: Callable[[], float]) -> Iterator[Mark]:
    """Yield what is done and the memory at each of so many marks on the way."""
    for mark in range(1, MARKS + 1):
        while (now := done()) < mark * whole // MARKS:
            time.sleep(0.5)
        yield now, mebibytes()


def _mebibytes(processes: Sequence[psutil.Process]) -> float:
    return sum(process.memory_full_info().uss for process in processes) / 2**20


def _arguments() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="default: both")
    made.add_argument("--trials", type=int, default=1_000, help="of the worker; default: 1000")
    made.add_argument("--events", type=int, default=100_000, help="of the operator; default: 100000")
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
