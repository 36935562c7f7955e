"""A search's Job on a real API server: made, resized, replaced and removed, whatever has happened meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from builders import STARTED, make_spec
from cluster.resources import make_search
from local_search import wait_until
from staff import make_settings

from metasearch.cluster.api import Api
from metasearch.kubernetes import names
from metasearch.kubernetes.worker_job import worker_job
from metasearch_operator import copies
from metasearch_operator.copies import WorkerJob
from metasearch_operator.workforce import RETRY_SECONDS, dismiss, employ

Json = dict[str, Any]


class Firm:
    """A search with its Jobs."""

    def __init__(self, api: Api, room: str) -> None:
        self.api, self.room = api, room
        self.search = make_search(api, room, "test")

    def wanted(self, pods: int, **settings: Any) -> Json:
        return worker_job(self.search, make_spec(), make_settings(**settings), pods)

    def jobs(self) -> list[WorkerJob]:
        found, _ = self.api.list_all(names.JOB.path(self.room))
        return [copies.worker_job(job) for job in found]

    def employ(self, wanted: Json, jobs: list[WorkerJob] | None = None, now: float = STARTED) -> None:
        employ(self.api, wanted, self.jobs() if jobs is None else jobs, now)


@pytest.fixture
def firm(client: Api, room: str) -> Firm:
    return Firm(client, room)


def test_a_job_is_made_once_and_resized(firm: Firm) -> None:
    firm.employ(firm.wanted(2))
    (made,) = firm.jobs()
    assert (made.parallelism, made.owner) == (2, firm.search["metadata"]["uid"])
    firm.employ(firm.wanted(2), jobs=[])  # by a copy that does not know it yet
    firm.employ(firm.wanted(3))
    firm.employ(firm.wanted(0))
    (resized,) = firm.jobs()
    assert (resized.uid, resized.parallelism) == (made.uid, 0)


def test_another_template_replaces_the_job(firm: Firm) -> None:
    firm.employ(firm.wanted(1))
    firm.employ(firm.wanted(1, image="newer:2"))
    wait_until(lambda: {job.name for job in firm.jobs()} == {firm.wanted(1, image="newer:2")["metadata"]["name"]}, 60)


def test_a_job_that_was_given_up_is_made_anew_after_a_while(firm: Firm) -> None:
    wanted = firm.wanted(1)
    wanted["spec"]["activeDeadlineSeconds"] = 1
    firm.employ(wanted)
    (failed,) = wait_until(lambda: [job for job in firm.jobs() if job.failed_at is not None], 60)
    assert "deadline" in failed.failure
    assert failed.failed_at is not None
    firm.employ(firm.wanted(1), now=failed.failed_at + RETRY_SECONDS - 1)
    assert [job.uid for job in firm.jobs()] == [failed.uid]

    def have_another() -> bool:
        firm.employ(firm.wanted(1), now=failed.failed_at + RETRY_SECONDS + 1)
        return [job.uid for job in firm.jobs() if not job.is_leaving] not in ([], [failed.uid])

    wait_until(have_another, 60)


def test_a_job_is_not_taken_for_another_of_its_name(firm: Firm) -> None:
    """The copy knows one that is gone; what has taken its place stays."""
    firm.employ(firm.wanted(1))
    (gone,) = firm.jobs()
    dismiss(firm.api, firm.room, [gone])
    wait_until(lambda: not firm.jobs(), 60)
    firm.employ(firm.wanted(1))
    (there,) = firm.jobs()
    dismiss(firm.api, firm.room, [gone])
    firm.employ(firm.wanted(5), jobs=[gone])
    assert firm.jobs() == [there]


def test_dismissing_twice_is_harmless(firm: Firm) -> None:
    firm.employ(firm.wanted(1))
    jobs = firm.jobs()
    dismiss(firm.api, firm.room, jobs)
    dismiss(firm.api, firm.room, jobs)
    wait_until(lambda: not firm.jobs(), 60)
