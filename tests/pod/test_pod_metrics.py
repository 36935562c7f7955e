"""A worker's metrics agree with what is on record of its trials."""

from __future__ import annotations

import socket

from builders import make_trial_spec
from scrapes import free_port, scrape
from worker_pod_process import MakePod

SHORT = 12
"""Meta-iterations of a trial."""


def test_what_a_pod_has_done_is_exposed(pod_of: MakePod) -> None:
    pod, port = pod_of(), free_port()
    candidate = "conv3x3(-1)+max_pool3x3(-2)"
    pod.store.propose(
        make_trial_spec(f"tiny-1-{index:010}", candidate=candidate, meta_iterations=SHORT, priority=index)
        for index in range(5)
    )
    found = pod.start(slots=2, max_trials=2, metrics_port=port).wait_until_over()
    done = sum(each.result.meta_iterations or 0 for each in found.values() if each.result)
    held = sum((each.attempts[0].ended_at or 0) - each.attempts[0].started_at for each in found.values())

    samples = {
        sample.name: sample.value
        for sample in scrape(port)
        if sample.labels == {"namespace": pod.namespace, "search": pod.search}
    }
    # Slots were replaced after two trials: what their first processes had counted is in the sums.
    assert done == 5 * SHORT
    assert samples["metasearch_worker_meta_iterations_total"] == done
    ways, settings = pod.store.search["spec"]["task"]["ways"], pod.store.search["spec"]["training"]["reptile"]
    assert samples["metasearch_worker_tasks_total"] == done * settings["metaBatchSize"]
    assert samples["metasearch_worker_images_total"] == done * settings["metaBatchSize"] * ways * settings["shots"]
    # A claim lasts from a moment before the training to a moment after it.
    assert 0 < samples["metasearch_worker_slot_busy_seconds_total"] <= held
    assert samples["metasearch_worker_results_spooled"] == 0
    assert samples["metasearch_worker_gpu_seconds_total"] == 0


def test_a_port_in_use_costs_a_worker_its_metrics_alone(pod_of: MakePod) -> None:
    pod = pod_of()
    pod.store.propose([make_trial_spec("tiny-1-0000000000", meta_iterations=2)])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        pod.start(metrics_port=port).wait_until_over()
    assert f"metrics cannot be served on port {port} (Address already in use)" in pod.printed
