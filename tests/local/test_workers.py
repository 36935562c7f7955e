"""A driver learns why its worker processes cannot work."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from local_search import wait_until

from metasearch.errors import StoreUnavailable
from metasearch_cli.local.workers import Device, as_error, open_pool
from metasearch_trainer.process_pool import PoolFailure
from metasearch_trainer.processes import SpawnLauncher


def test_a_worker_that_cannot_use_the_store_ends_the_run_with_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "worker-0.log").write_text("words of an earlier worker\n", encoding="utf-8")
    store = tmp_path / "missing" / "trials.db"
    pool = open_pool(store, tmp_path, [Device("cpu", 0.0)], "session", SpawnLauncher(), time.monotonic)
    with pytest.raises(PoolFailure) as raised:
        wait_until(lambda: list(pool.fill()))
    error = as_error(raised.value, store, tmp_path)
    assert isinstance(error, StoreUnavailable)
    assert str(error) == (
        f"{store} cannot be used now (unable to open database file); "
        "free the disk or mend the folder, then go on with --resume"
    )


def test_a_worker_whose_log_is_on_the_full_disk_still_says_so_by_its_code(tmp_path: Path) -> None:
    arguments = ["--store", str(tmp_path / "missing" / "trials.db"), "--name", "w", "--parent", str(os.getpid())]
    with Path("/dev/full").open("w") as log:
        ended = subprocess.run(
            [sys.executable, "-m", "metasearch_trainer.local_worker", *arguments], stderr=log, timeout=300, check=False
        )
    assert ended.returncode == StoreUnavailable.exit_code
