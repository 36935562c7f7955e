"""`python -m metasearch_trainer.pod`: a worker pod's first process."""

from __future__ import annotations

import contextlib
import os
import random
import sys
import time
from argparse import Namespace
from pathlib import Path

from metasearch.cluster.api import NotFound
from metasearch.errors import MetaSearchError
from metasearch_trainer.backoff import Patience
from metasearch_trainer.endings import RECYCLED, say
from metasearch_trainer.leaving import Leaving
from metasearch_trainer.pod.claims import Claims
from metasearch_trainer.pod.heartbeat import Heartbeat
from metasearch_trainer.pod.kernel import OomKills
from metasearch_trainer.pod.search import open_store, read_search
from metasearch_trainer.pod.settings import Pod, open_api, parser, settings_of
from metasearch_trainer.pod.slots import Slot
from metasearch_trainer.pod.supervisor import PodEnds, Supervisor


def main() -> int:
    """Run a search's trials until told to leave; returns the exit code."""
    made = parser("Run trials of a search on a cluster.")
    made.add_argument(
        "--termination-log", type=Path, default=Path("/dev/termination-log"), help="for the last sentence"
    )
    arguments = made.parse_args()
    try:
        return _supervise(arguments)
    except _Told:
        return RECYCLED
    except (MetaSearchError, PodEnds) as error:
        say(error)
        with contextlib.suppress(OSError):
            arguments.termination_log.write_text(str(error), encoding="utf-8")
        return error.code if isinstance(error, PodEnds) else error.exit_code


class _Told(BaseException):
    """The pod is to leave before it has begun."""


def _supervise(arguments: Namespace) -> int:
    leaving = Leaving(os.getppid())
    settings, pod, api = settings_of(arguments), Pod.of(os.environ), open_api()

    def wait(seconds: float) -> None:
        if leaving.wait(seconds):
            raise _Told

    try:
        search = read_search(api, pod, settings.search, Patience(time.monotonic, wait, random.random))
    except NotFound:
        return RECYCLED  # deleted; nobody needs this pod any more
    settings.make_scratch()
    slots = [Slot(index, settings, pod) for index in range(settings.slots)]
    supervisor = Supervisor(
        settings, slots, Claims(open_store(api, pod, search)), Heartbeat(api, pod, search), leaving, OomKills()
    )
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main())
