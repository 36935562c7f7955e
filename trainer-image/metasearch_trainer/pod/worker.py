"""The program of a worker pod's first process: it starts the slots, and watches over them."""

from __future__ import annotations

import contextlib
import os
import random
import time
from argparse import Namespace
from pathlib import Path

from metasearch.cluster.api import NotFound
from metasearch.errors import MetaSearchError
from metasearch.exit_codes import EXIT_RESTART
from metasearch.kubernetes.names import METRICS_PORT
from metasearch.retry import Retry
from metasearch_trainer.fork_server import open_launcher
from metasearch_trainer.pod.control_group import ControlGroup
from metasearch_trainer.pod.heartbeat import Heartbeat
from metasearch_trainer.pod.metrics import exposed
from metasearch_trainer.pod.oom_kills import OomKills
from metasearch_trainer.pod.release_claims import ClaimReleaser
from metasearch_trainer.pod.search import open_store, read_search
from metasearch_trainer.pod.settings import Pod, Settings, argument_parser, open_api
from metasearch_trainer.pod.spec_changes import SpecChanges
from metasearch_trainer.pod.supervisor import SLOT_MODULE, PodFailure, Supervisor, open_pool
from metasearch_trainer.process_output import log
from metasearch_trainer.shutdown import ShutdownSignal, WorkerShutdown


def main() -> int:
    """Run a search's trials until told to shut down; return the exit code."""
    parser = argument_parser("Run trials of a search on a cluster.")
    parser.add_argument(
        "--termination-log", type=Path, default=Path("/dev/termination-log"), help="for the last sentence"
    )
    parser.add_argument("--metrics-port", type=int, default=METRICS_PORT, help="port of /metrics; 0 takes any free one")
    arguments = parser.parse_args()
    try:
        return _supervise(arguments)
    except WorkerShutdown:
        return EXIT_RESTART
    except (MetaSearchError, PodFailure) as error:
        log(error)
        with contextlib.suppress(OSError):  # outside of a container there is none
            arguments.termination_log.write_text(str(error), encoding="utf-8")
        return error.exit_code


def _supervise(arguments: Namespace) -> int:
    shutdown = ShutdownSignal(os.getppid())
    settings, pod, api = Settings.from_arguments(arguments), Pod.from_environment(os.environ), open_api()

    def sleep(seconds: float) -> None:
        if shutdown.wait(seconds):
            raise WorkerShutdown

    # First of all, so that PyTorch is being imported while the API server answers.
    with contextlib.closing(open_launcher([SLOT_MODULE])) as launcher:
        try:
            search = read_search(api, pod, settings.search, Retry(time.monotonic, sleep, random.random, log))
        except NotFound:
            return 0  # deleted; nobody needs this pod any more, nor the next of its Job
        settings.make_scratch()
        pool = open_pool(settings, pod, launcher)
        releaser = ClaimReleaser(open_store(api, pod, search), api.clock.now)
        oom = OomKills(ControlGroup().oom_kills)
        heartbeat = Heartbeat(api, pod, search, SpecChanges(settings.spec_changes))
        supervisor = Supervisor(settings, pool, releaser, heartbeat, shutdown, oom)
        with exposed(settings, pod, arguments.metrics_port):
            return supervisor.run()
