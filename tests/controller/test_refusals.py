"""What only events tell."""

from __future__ import annotations

from builders import STARTED
from staff import RecordingApi, make_job, make_pod

from metasearch_operator.refusals import PATIENCE_SECONDS, refusal

LATER = STARTED + PATIENCE_SECONDS


def event(message: str, at: str | None) -> dict[str, object]:
    return {"message": message, "lastTimestamp": at, "metadata": {"creationTimestamp": "2026-01-31T12:00:00Z"}}


def test_the_newest_refusal_of_a_jobs_pods_is_told() -> None:
    api = RecordingApi(
        {
            "1": event("old", "2026-01-31T11:00:00Z"),
            "2": event("exceeded quota", None),
            "3": event("older", "2026-01-01"),
        }
    )
    found = refusal(api, "team-a", [make_job()], [], LATER)
    assert found is not None
    assert (found.reason, found.message) == ("PodsRefused", "the Job test-workers-0 gets no pods: exceeded quota")
    ((_, path, query),) = api.asked
    assert path == "/api/v1/namespaces/team-a/events"
    assert query == {"fieldSelector": "involvedObject.uid=job-uid,reason=FailedCreate"}


def test_nothing_is_asked_as_long_as_pods_may_still_come() -> None:
    api = RecordingApi()
    assert refusal(api, "team-a", [make_job()], [], LATER - 0.1) is None
    assert refusal(api, "team-a", [make_job()], [make_pod()], LATER) is None
    assert refusal(api, "team-a", [], [], LATER) is None
    assert not api.asked


def test_a_job_of_which_no_event_tells_is_waited_for() -> None:
    assert refusal(RecordingApi(), "team-a", [make_job()], [], LATER) is None
