"""The commands about a search on a cluster: the same output as for a folder, and one sentence if there is none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import STARTED
from command_errors import error_sentence
from devcluster.access import ClusterAccess
from devcluster.binaries import ROOT
from devcluster.resources import temporary_namespace
from devcluster.searches import create_search
from exports import contents, delivered, local_export, pods, printed
from finished_search import (
    READY,
    FinishedSearch,
    finish_in_folder,
    finish_on_cluster,
    kubeconfig_environment,
    run_on_cluster,
    set_status,
    write_weights,
)
from local_search import command, metasearch, wait_until, write_resource
from moto_server import MotoServer, open_moto_server

from metasearch.cluster.api import Api
from metasearch.kubernetes import names
from metasearch.kubernetes.times import Time
from metasearch.storage_layout import search_folder, weights_path


@pytest.fixture(scope="module")
def shared_namespace(client: Api) -> Iterator[str]:
    """Yield a namespace for the searches of this file that no test changes."""
    with temporary_namespace(client) as name:
        yield name


@pytest.fixture(scope="module")
def search(cluster_with_crds: ClusterAccess, client: Api, shared_namespace: str) -> FinishedSearch:
    """Return a finished search."""
    return finish_on_cluster(cluster_with_crds, client, shared_namespace)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the same search run on this machine."""
    return finish_in_folder(tmp_path_factory.mktemp("runs"))


# --- the same as for a folder -------------------------------------------------------------------------------------


def status_in(folder: Path) -> str:
    """Return what is printed of a folder, but for the sentence that no driver is at work on it, as an operator is."""
    lines = printed(metasearch("status", folder)).splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("no driver has been at work"))


def test_status_is_that_of_a_folder(search: FinishedSearch, folder: Path) -> None:
    assert printed(search.metasearch("status")) == status_in(folder)


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_trials_are_listed_as_those_of_a_folder(search: FinishedSearch, folder: Path, form: str) -> None:
    assert printed(search.metasearch("trials", "-o", form)) == printed(metasearch("trials", folder, "-o", form))


def test_the_board_is_that_of_a_folder(search: FinishedSearch, folder: Path) -> None:
    asked = ("board", "--sort", "parameterCount", "-o", "csv")
    there, here = printed(search.metasearch(*asked)), printed(metasearch("board", folder, *asked[1:]))
    assert there == here
    assert len(there.splitlines()) > 20


def test_a_search_is_logged_as_that_of_a_folder(search: FinishedSearch, folder: Path, tmp_path: Path) -> None:
    there, here = f"tensorboard:{tmp_path / 'there'}", f"tensorboard:{tmp_path / 'here'}"
    logged = printed(search.metasearch("log", there)), printed(metasearch("log", folder, here))
    assert logged[0].replace("there", "here") == logged[1]
    names = [sorted(place.name for place in (tmp_path / side / "test").iterdir()) for side in ("there", "here")]
    assert names[0] == names[1]
    assert len(names[0]) > 20


def test_the_report_is_written_where_one_is(
    search: FinishedSearch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert printed(search.metasearch("report")) == "test.html\n"
    assert "<html" in Path("test.html").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["test.html"]


def test_the_report_goes_where_it_is_asked_to(search: FinishedSearch, folder: Path, tmp_path: Path) -> None:
    there, here = tmp_path / "there.html", tmp_path / "here.html"
    assert printed(search.metasearch("report", "--output", there)) == f"{there}\n"
    assert printed(metasearch("report", folder, "--output", here)) == f"{here}\n"
    assert there.read_text(encoding="utf-8") == here.read_text(encoding="utf-8")


def test_searches_of_a_cluster_and_of_folders_are_compared(search: FinishedSearch, tmp_path: Path) -> None:
    other, target = finish_in_folder(tmp_path / "other", "other"), tmp_path / "page.html"
    assert printed(search.metasearch("report", other, "--output", target)) == f"{target}\n"
    assert "<h1>test and other</h1>" in target.read_text(encoding="utf-8")
    ended = search.metasearch("report", search.name, "--output", target)
    assert "the same search is given twice (test)" in error_sentence(ended, code=2)


def test_the_trace_of_a_search_says_what_that_of_a_folder_does(
    search: FinishedSearch, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = printed(search.metasearch("trace")).splitlines()
    assert lines[-1] == "trace: test-trace.json"
    there = json.loads(Path("test-trace.json").read_text(encoding="utf-8"))["traceEvents"]
    assert printed(metasearch("trace", folder)).splitlines()[0] == lines[0]
    here = json.loads((folder / "trace.json").read_text(encoding="utf-8"))["traceEvents"]
    attempts = [[each["name"] for each in events if each.get("cat") == "attempt"] for events in (there, here)]
    assert len(attempts[0]) > 20
    assert sorted(attempts[0]) == sorted(attempts[1])


def test_a_context_is_enough(search: FinishedSearch) -> None:
    context = search.access.run("config", "current-context").strip()
    ended = run_on_cluster(search.access, "status", "nothing", "--context", context)
    assert f"the namespace {search.access.namespace!r} has no search 'nothing'" in error_sentence(ended, code=2)


# --- as a plugin of kubectl ---------------------------------------------------------------------------------------


@pytest.fixture
def kubectl(search: FinishedSearch, tmp_path: Path) -> list[str]:
    """Return the command line of a real kubectl that finds the plugin as it is installed."""
    entry = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    module, _, function = entry["kubectl-metasearch"].partition(":")
    plugin = tmp_path / "kubectl-metasearch"
    plugin.write_text(f"#!{sys.executable}\nfrom {module} import {function}\n{function}()\n", encoding="utf-8")
    plugin.chmod(0o755)
    given = [f"{key}={value}" for key, value in kubeconfig_environment(search.access).items()]
    return ["env", f"PATH={tmp_path}:/usr/bin:/bin", *given, str(search.access.program), "metasearch"]


def run_plugin(kubectl: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*kubectl, *arguments], capture_output=True, text=True, timeout=300, check=False)


def test_kubectl_has_it_as_a_plugin(kubectl: list[str], search: FinishedSearch, folder: Path) -> None:
    there = ["-n", search.namespace]
    assert printed(run_plugin(kubectl, "status", "test", *there)) == status_in(folder)
    assert json.loads(printed(run_plugin(kubectl, "trials", "test", "-o", "json", *there)))


def test_the_plugin_takes_the_namespace_of_the_context(kubectl: list[str], search: FinishedSearch) -> None:
    sentence = error_sentence(run_plugin(kubectl, "status", "nothing"), code=2)
    assert sentence.startswith(f"the namespace {search.access.namespace!r} has no search 'nothing'; ")


def test_the_plugin_runs_no_search(kubectl: list[str]) -> None:
    ended = run_plugin(kubectl, "run", "x.yaml")
    assert ended.returncode == 2
    assert "Usage: kubectl metasearch" in ended.stderr
    assert "No such command 'run'" in ended.stderr


# --- a search under way -------------------------------------------------------------------------------------------


def test_a_search_that_no_operator_has_seen(client: Api, cluster_with_crds: ClusterAccess, namespace: str) -> None:
    create_search(client, namespace, "mine")
    text = printed(run_on_cluster(cluster_with_crds, "status", "mine", "-n", namespace))
    assert text.startswith("mine: Searching (no operator has taken it up yet)\n")


def test_a_search_that_does_not_get_on_says_why(client: Api, cluster_with_crds: ClusterAccess, namespace: str) -> None:
    resource = create_search(client, namespace, "mine")
    stuck = {**READY, "status": "False", "reason": "InvalidSpec", "message": "there are too few classes"}
    set_status(client, resource, {"conditions": [stuck]})
    text = printed(run_on_cluster(cluster_with_crds, "status", "mine", "-n", namespace))
    assert text.startswith("mine: Searching (InvalidSpec: there are too few classes)\n")


def test_suspension_does_not_count(client: Api, cluster_with_crds: ClusterAccess, namespace: str) -> None:
    resource = create_search(client, namespace, "mine")
    suspended = {**READY, "type": "Suspended", "lastTransitionTime": Time.at(STARTED + 50)}
    times = {"startTime": Time.at(STARTED), "suspendedTime": "20s"}
    set_status(client, resource, {**times, "conditions": [READY, suspended]})
    assert "spent: 30 s, " in printed(run_on_cluster(cluster_with_crds, "status", "mine", "-n", namespace))


# --- a resource that is to be tried -------------------------------------------------------------------------------


def test_a_resource_that_the_cluster_would_take(
    client: Api, cluster_with_crds: ClusterAccess, namespace: str, tmp_path: Path
) -> None:
    file = write_resource(tmp_path)
    text = printed(run_on_cluster(cluster_with_crds, "validate", file, "-n", namespace))
    assert text.startswith(f"{file} is a valid search: tiny, taken by the namespace {namespace}, ")
    assert "training classes" in text
    assert client.list_all(names.SEARCH.path(namespace))[0] == []


def test_data_on_the_cluster_is_not_looked_for_here(
    cluster_with_crds: ClusterAccess, namespace: str, tmp_path: Path
) -> None:
    file = write_resource(tmp_path, dataset={"name": None, "folder": {"path": "images", "claim": "data"}})
    assert "looked at there" in printed(run_on_cluster(cluster_with_crds, "validate", file, "-n", namespace))


def test_a_change_that_the_cluster_would_refuse(
    client: Api, cluster_with_crds: ClusterAccess, namespace: str, tmp_path: Path
) -> None:
    file = write_resource(tmp_path)
    create_search(client, namespace, "tiny", task={"ways": 4})
    sentence = error_sentence(run_on_cluster(cluster_with_crds, "validate", file, "-n", namespace), code=2)
    assert sentence.startswith(f"{file}: ")
    assert "task must not change once the search is there" in sentence


def test_a_namespace_that_is_not_there(cluster_with_crds: ClusterAccess, tmp_path: Path) -> None:
    ended = run_on_cluster(cluster_with_crds, "validate", write_resource(tmp_path), "-n", "nowhere")
    assert error_sentence(ended, code=2) == "the cluster has no namespace 'nowhere'; give one with -n"


# --- what a user may get wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["status", "trials", "report", "export"])
def test_a_search_that_is_not_there(search: FinishedSearch, command: str) -> None:
    ended = run_on_cluster(search.access, command, "nothing", "-n", search.namespace)
    sentence = f"the namespace {search.namespace!r} has no search 'nothing'; there is test"
    assert error_sentence(ended, code=2) == sentence


@pytest.mark.parametrize(
    ("name", "hint"), [("tset", "did you mean test?"), ("runs/test", "did you mean test?"), ("", "there is test")]
)
def test_a_name_that_is_misspelt(search: FinishedSearch, name: str, hint: str) -> None:
    ended = run_on_cluster(search.access, "status", name, "-n", search.namespace)
    assert error_sentence(ended, code=2) == f"the namespace {search.namespace!r} has no search {name!r}; {hint}"


def test_a_namespace_without_searches(cluster_with_crds: ClusterAccess, namespace: str) -> None:
    ended = run_on_cluster(cluster_with_crds, "status", "test", "-n", namespace)
    assert error_sentence(ended, code=2) == f"the namespace {namespace!r} has no search 'test'; there are none"


def test_somebody_without_rights(search: FinishedSearch) -> None:
    there = f"--namespace={search.namespace}"
    search.access.run("create", "serviceaccount", "nobody", there)
    nobody = search.access.with_token(search.access.run("create", "token", "nobody", there))
    sentence = error_sentence(run_on_cluster(nobody, "status", "test", "-n", search.namespace), code=5)
    assert sentence.startswith('the cluster refuses that (metasearches.metasearch.dev "test" is forbidden: User ')
    assert sentence.endswith("); ask whoever runs it for the right to")


def test_somebody_whom_the_cluster_does_not_know(search: FinishedSearch) -> None:
    ended = run_on_cluster(search.access.with_token("made-up"), "status", "test", "-n", search.namespace)
    sentence = "the cluster refuses that (Unauthorized); ask whoever runs it for the right to"
    assert error_sentence(ended, code=5) == sentence


# --- exports ------------------------------------------------------------------------------------------------------


def test_weights_that_were_not_kept(search: FinishedSearch, tmp_path: Path) -> None:
    sentence = error_sentence(search.metasearch("export", "--output", tmp_path / "best"), code=6)
    assert sentence == (
        "the search 'test' kept no weights, for it had no spec.storage when its final trials ended; "
        "give it a claim or a url there and search again"
    )
    assert not (tmp_path / "best").exists()


@pytest.fixture(scope="module")
def bucket() -> Iterator[MotoServer]:
    """Run an object store that speaks S3."""
    with open_moto_server("models") as store:
        yield store


def test_an_export_from_an_object_store(
    cluster_with_crds: ClusterAccess, client: Api, namespace: str, bucket: MotoServer, tmp_path: Path
) -> None:
    search = finish_on_cluster(cluster_with_crds, client, namespace, storage={"url": "s3://models/nets/"})
    trial = delivered(search)
    weights = write_weights(tmp_path / "weights", [trial])
    where = f"nets/{weights_path(search_folder(search.resource), trial)}"
    export = ("export", "--output", tmp_path / "best")

    sentence = error_sentence(search.metasearch(*export, **bucket.environment), code=4)
    assert sentence == f"s3://models/{where} is missing; a final trial wrote it, so put it back or run the search again"

    bucket.put(where, weights[f"{trial}.safetensors"])
    assert printed(search.metasearch(*export, **bucket.environment)) == f"{tmp_path / 'best'}\n"
    assert contents(tmp_path / "best") == local_export(tmp_path, weights)


def test_an_export_of_a_front_from_an_object_store(
    cluster_with_crds: ClusterAccess, client: Api, namespace: str, bucket: MotoServer, tmp_path: Path
) -> None:
    final = {"deliver": "Front", "top": 6, "seeds": 1, "metaIterations": 10, "baselines": []}
    search = finish_on_cluster(cluster_with_crds, client, namespace, storage={"url": "s3://models/nets/"}, final=final)
    (tmp_path / "run").mkdir()
    folder = finish_in_folder(tmp_path / "run", final=final)
    listed = json.loads(printed(metasearch("trials", folder, "-o", "json")))
    weights = write_weights(folder / "weights", [trial["name"] for trial in listed if trial["stage"] == "Final"])
    for name, content in weights.items():
        trial = name.removesuffix(".safetensors")
        bucket.put(f"nets/{weights_path(search_folder(search.resource), trial)}", content)

    there, here = tmp_path / "there", folder / "front"
    exported = printed(search.metasearch("export", "--front", "--output", there, **bucket.environment)).splitlines()
    assert len(printed(metasearch("export", folder, "--front")).splitlines()) == len(exported) > 1
    assert exported == [str(there / str(number)) for number in range(1, len(exported) + 1)]
    for number in range(1, len(exported) + 1):
        assert contents(there / str(number)) == contents(here / str(number))


def test_an_object_store_that_cannot_be_reached(
    cluster_with_crds: ClusterAccess, client: Api, namespace: str, tmp_path: Path
) -> None:
    search = finish_on_cluster(cluster_with_crds, client, namespace, storage={"url": "s3://models"})
    closed = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    sentence = error_sentence(search.metasearch("export", "--output", tmp_path / "best", **closed), code=5)
    assert sentence.startswith("s3://models/")
    assert "cannot be read from here (" in sentence


def test_where_no_operator_said_what_image_it_is_one_must_be_given(
    cluster_with_crds: ClusterAccess, client: Api, namespace: str, tmp_path: Path
) -> None:
    search = finish_on_cluster(cluster_with_crds, client, namespace, storage={"claim": "models"})
    sentence = error_sentence(search.metasearch("export", "--output", tmp_path / "best"), code=2)
    assert sentence == (
        "the search 'test' does not say what image its workers have; give --image, theirs or any with a shell"
    )
    assert pods(client, namespace) == []


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_no_pod_stays_of_an_export_that_is_interrupted(
    cluster_with_crds: ClusterAccess, client: Api, namespace: str, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    search = finish_on_cluster(cluster_with_crds, client, namespace, storage={"claim": "models"})
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}, "storageClassName": ""}
    client.create(
        f"/api/v1/namespaces/{namespace}/persistentvolumeclaims", {"metadata": {"name": "models"}, "spec": claim}
    )
    wait_until(
        lambda: (
            cluster_with_crds.kubectl("get", "serviceaccount", "default", f"--namespace={namespace}").returncode == 0
        )
    )
    words = command("export", "test", "-n", namespace, "--image", "localhost/none:dev", "--output", tmp_path / "best")
    with subprocess.Popen(words, env={**os.environ, **kubeconfig_environment(cluster_with_crds)}) as export:
        (pod,) = wait_until(lambda: pods(client, namespace))
        export.send_signal(sent)
        assert export.wait(60) == code
    assert pods(client, namespace) == []
    assert search.name == pod["metadata"]["labels"][names.LABEL_SEARCH]


def test_a_claim_that_is_not_there(
    cluster_with_crds: ClusterAccess, client: Api, namespace: str, tmp_path: Path
) -> None:
    search = finish_on_cluster(cluster_with_crds, client, namespace, storage={"claim": "models"})
    ended = search.metasearch("export", "--image", "localhost/none:dev", "--output", tmp_path / "best")
    sentence = "the claim 'models' is missing; a final trial wrote it, so put it back or run the search again"
    assert error_sentence(ended, code=4) == sentence
    assert pods(client, namespace) == []
