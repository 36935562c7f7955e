"""A search's Job on a real API server: made, resized, replaced and removed, whatever has happened meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from builders import STARTED, make_spec
from devcluster.searches import create_search
from local_search import wait_until
from operator_builders import make_settings

from metasearch.cluster.api import Api
from metasearch.kubernetes import names
from metasearch.kubernetes.worker_job import worker_job
from metasearch_operator import cache
from metasearch_operator.cache import WorkerJob
from metasearch_operator.jobs import RECREATE_SECONDS, delete_jobs, ensure_job

Json = dict[str, Any]


class JobOwner:
    """A search with its Jobs."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api, self.namespace = api, namespace
        self.search = create_search(api, namespace, "test")

    def wanted(self, pods: int, **settings: Any) -> Json:
        return worker_job(self.search, make_spec(), make_settings(**settings), pods)

    def jobs(self) -> list[WorkerJob]:
        found, _ = self.api.list_all(names.JOB.path(self.namespace))
        return [cache.worker_job(job) for job in found]

    def ensure(self, wanted: Json, jobs: list[WorkerJob] | None = None, now: float = STARTED) -> None:
        ensure_job(self.api, wanted, self.jobs() if jobs is None else jobs, now)


@pytest.fixture
def owner(client: Api, namespace: str) -> JobOwner:
    return JobOwner(client, namespace)


def test_a_job_is_made_once_and_resized(owner: JobOwner) -> None:
    owner.ensure(owner.wanted(2))
    (made,) = owner.jobs()
    assert (made.parallelism, made.owner) == (2, owner.search["metadata"]["uid"])
    owner.ensure(owner.wanted(2), jobs=[])  # by a cache that does not know it yet
    owner.ensure(owner.wanted(3))
    owner.ensure(owner.wanted(0))
    (resized,) = owner.jobs()
    assert (resized.uid, resized.parallelism) == (made.uid, 0)


def test_another_template_replaces_the_job(owner: JobOwner) -> None:
    owner.ensure(owner.wanted(1))
    owner.ensure(owner.wanted(1, image="newer:2"))
    wait_until(lambda: {job.name for job in owner.jobs()} == {owner.wanted(1, image="newer:2")["metadata"]["name"]}, 60)


def test_a_job_that_was_given_up_is_made_anew_after_a_while(owner: JobOwner) -> None:
    wanted = owner.wanted(1)
    wanted["spec"]["activeDeadlineSeconds"] = 1
    owner.ensure(wanted)
    (failed,) = wait_until(lambda: [job for job in owner.jobs() if job.failed_at is not None], 60)
    assert "deadline" in failed.failure
    assert failed.failed_at is not None
    owner.ensure(owner.wanted(1), now=failed.failed_at + RECREATE_SECONDS - 1)
    assert [job.uid for job in owner.jobs()] == [failed.uid]

    def have_another() -> bool:
        owner.ensure(owner.wanted(1), now=failed.failed_at + RECREATE_SECONDS + 1)
        return [job.uid for job in owner.jobs() if not job.is_terminating] not in ([], [failed.uid])

    wait_until(have_another, 60)


def test_a_job_is_not_taken_for_another_of_its_name(owner: JobOwner) -> None:
    """The cache has one that is gone; what has taken its place stays."""
    owner.ensure(owner.wanted(1))
    (gone,) = owner.jobs()
    delete_jobs(owner.api, owner.namespace, [gone])
    wait_until(lambda: not owner.jobs(), 60)
    owner.ensure(owner.wanted(1))
    (there,) = owner.jobs()
    delete_jobs(owner.api, owner.namespace, [gone])
    owner.ensure(owner.wanted(5), jobs=[gone])
    assert owner.jobs() == [there]


def test_deleting_twice_is_harmless(owner: JobOwner) -> None:
    owner.ensure(owner.wanted(1))
    jobs = owner.jobs()
    delete_jobs(owner.api, owner.namespace, jobs)
    delete_jobs(owner.api, owner.namespace, jobs)
    wait_until(lambda: not owner.jobs(), 60)
