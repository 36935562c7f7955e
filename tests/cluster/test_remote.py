"""The commands about a search on a cluster: the same output as for a folder, and a sentence where there is none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import STARTED
from cluster.access import Access
from cluster.binaries import ROOT
from cluster.resources import definitions_on, make_search, namespace_on
from local_search import command, metasearch, wait_until, write_resource
from object_store import ObjectServer, open_object_server
from remote_search import (
    READY,
    Json,
    RemoteSearch,
    environment_of,
    on_cluster,
    play_in,
    play_on,
    set_status,
    write_weights,
)
from sentences import sentence_of

from metasearch.cluster.api import Api
from metasearch.kubernetes import names
from metasearch.kubernetes.times import Time
from metasearch.storage_layout import search_folder, weights_path

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


@pytest.fixture(scope="module")
def town(client: Api) -> Iterator[str]:
    """A namespace for the searches of this file, which nobody changes."""
    with namespace_on(client) as name:
        yield name


@pytest.fixture(scope="module")
def search(defined: Access, client: Api, town: str) -> RemoteSearch:
    """One that is over."""
    return play_on(defined, client, town)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same on this machine."""
    return play_in(tmp_path_factory.mktemp("runs"))


def printed(ended: subprocess.CompletedProcess[str]) -> str:
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


# --- the same as for a folder -------------------------------------------------------------------------------------


def test_status_is_that_of_a_folder(search: RemoteSearch, folder: Path) -> None:
    assert printed(search.metasearch("status")) == printed(metasearch("status", folder))


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_trials_are_listed_as_those_of_a_folder(search: RemoteSearch, folder: Path, form: str) -> None:
    assert printed(search.metasearch("trials", "-o", form)) == printed(metasearch("trials", folder, "-o", form))


def test_the_report_is_written_where_one_is(
    search: RemoteSearch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert printed(search.metasearch("report")) == "test.html\n"
    assert "<html" in Path("test.html").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["test.html"]


def test_the_report_goes_where_it_is_asked_to(search: RemoteSearch, folder: Path, tmp_path: Path) -> None:
    there, here = tmp_path / "there.html", tmp_path / "here.html"
    assert printed(search.metasearch("report", "--output", there)) == f"{there}\n"
    assert printed(metasearch("report", folder, "--output", here)) == f"{here}\n"
    assert there.read_text(encoding="utf-8") == here.read_text(encoding="utf-8")


def test_a_context_is_enough(search: RemoteSearch) -> None:
    context = search.access.run("config", "current-context").strip()
    ended = on_cluster(search.access, "status", "nothing", "--context", context)
    assert f"the namespace {search.access.namespace!r} has no search 'nothing'" in sentence_of(ended, code=2)


# --- as a plugin of kubectl ---------------------------------------------------------------------------------------


@pytest.fixture
def kubectl(search: RemoteSearch, tmp_path: Path) -> list[str]:
    """The real one, which finds the plugin as it is installed."""
    entry = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    module, _, function = entry["kubectl-metasearch"].partition(":")
    plugin = tmp_path / "kubectl-metasearch"
    plugin.write_text(f"#!{sys.executable}\nfrom {module} import {function}\n{function}()\n", encoding="utf-8")
    plugin.chmod(0o755)
    given = [f"{key}={value}" for key, value in environment_of(search.access).items()]
    return ["env", f"PATH={tmp_path}:/usr/bin:/bin", *given, str(search.access.program), "metasearch"]


def run_plugin(kubectl: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*kubectl, *arguments], capture_output=True, text=True, timeout=300, check=False)


def test_kubectl_has_it_as_a_plugin(kubectl: list[str], search: RemoteSearch, folder: Path) -> None:
    there = ["-n", search.namespace]
    assert printed(run_plugin(kubectl, "status", "test", *there)) == printed(metasearch("status", folder))
    assert json.loads(printed(run_plugin(kubectl, "trials", "test", "-o", "json", *there)))


def test_the_plugin_takes_the_namespace_of_the_context(kubectl: list[str], search: RemoteSearch) -> None:
    told = sentence_of(run_plugin(kubectl, "status", "nothing"), code=2)
    assert told.startswith(f"the namespace {search.access.namespace!r} has no search 'nothing'; ")


def test_the_plugin_runs_no_search(kubectl: list[str]) -> None:
    ended = run_plugin(kubectl, "run", "x.yaml")
    assert ended.returncode == 2
    assert "Usage: kubectl metasearch" in ended.stderr
    assert "No such command 'run'" in ended.stderr


# --- a search under way -------------------------------------------------------------------------------------------


def test_a_search_that_no_operator_has_seen(client: Api, defined: Access, room: str) -> None:
    make_search(client, room, "mine")
    told = printed(on_cluster(defined, "status", "mine", "-n", room))
    assert told.startswith("mine: Searching (no operator has taken it up yet)\n")


def test_a_search_that_does_not_get_on_says_why(client: Api, defined: Access, room: str) -> None:
    resource = make_search(client, room, "mine")
    stuck = {**READY, "status": "False", "reason": "InvalidSpec", "message": "there are too few classes"}
    set_status(client, resource, {"conditions": [stuck]})
    told = printed(on_cluster(defined, "status", "mine", "-n", room))
    assert told.startswith("mine: Searching (InvalidSpec: there are too few classes)\n")


def test_suspension_does_not_count(client: Api, defined: Access, room: str) -> None:
    resource = make_search(client, room, "mine")
    suspended = {**READY, "type": "Suspended", "lastTransitionTime": Time.at(STARTED + 50)}
    times = {"startTime": Time.at(STARTED), "suspendedTime": "20s"}
    set_status(client, resource, {**times, "conditions": [READY, suspended]})
    assert "spent: 30 s, " in printed(on_cluster(defined, "status", "mine", "-n", room))


# --- a resource that is to be tried -------------------------------------------------------------------------------


def test_a_resource_that_the_cluster_would_take(client: Api, defined: Access, room: str, tmp_path: Path) -> None:
    file = write_resource(tmp_path)
    told = printed(on_cluster(defined, "validate", file, "-n", room))
    assert told.startswith(f"{file} is a valid search: tiny, taken by the namespace {room}, ")
    assert "training classes" in told
    assert client.list_all(names.SEARCH.path(room))[0] == []


def test_data_on_the_cluster_is_not_looked_for_here(defined: Access, room: str, tmp_path: Path) -> None:
    file = write_resource(tmp_path, dataset={"name": None, "folder": {"path": "images", "claim": "data"}})
    assert "looked at there" in printed(on_cluster(defined, "validate", file, "-n", room))


def test_a_change_that_the_cluster_would_refuse(client: Api, defined: Access, room: str, tmp_path: Path) -> None:
    file = write_resource(tmp_path)
    make_search(client, room, "tiny", task={"ways": 4})
    told = sentence_of(on_cluster(defined, "validate", file, "-n", room), code=2)
    assert told.startswith(f"{file}: ")
    assert "task must not change once the search is there" in told


def test_a_namespace_that_is_not_there(defined: Access, tmp_path: Path) -> None:
    ended = on_cluster(defined, "validate", write_resource(tmp_path), "-n", "nowhere")
    assert sentence_of(ended, code=2) == "the cluster has no namespace 'nowhere'; give one with -n"


# --- what a user may get wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["status", "trials", "report", "export"])
def test_a_search_that_is_not_there(search: RemoteSearch, command: str) -> None:
    ended = on_cluster(search.access, command, "nothing", "-n", search.namespace)
    told = f"the namespace {search.namespace!r} has no search 'nothing'; there is test"
    assert sentence_of(ended, code=2) == told


@pytest.mark.parametrize(
    ("name", "hint"), [("tset", "did you mean test?"), ("runs/test", "did you mean test?"), ("", "there is test")]
)
def test_a_name_that_is_misspelt(search: RemoteSearch, name: str, hint: str) -> None:
    ended = on_cluster(search.access, "status", name, "-n", search.namespace)
    assert sentence_of(ended, code=2) == f"the namespace {search.namespace!r} has no search {name!r}; {hint}"


def test_a_namespace_without_searches(defined: Access, room: str) -> None:
    ended = on_cluster(defined, "status", "test", "-n", room)
    assert sentence_of(ended, code=2) == f"the namespace {room!r} has no search 'test'; there are none"


def test_somebody_without_rights(search: RemoteSearch) -> None:
    there = f"--namespace={search.namespace}"
    search.access.run("create", "serviceaccount", "nobody", there)
    nobody = search.access.with_token(search.access.run("create", "token", "nobody", there))
    told = sentence_of(on_cluster(nobody, "status", "test", "-n", search.namespace), code=5)
    assert told.startswith('the cluster refuses that (metasearches.metasearch.dev "test" is forbidden: User ')
    assert told.endswith("); ask whoever runs it for the right to")


def test_somebody_whom_the_cluster_does_not_know(search: RemoteSearch) -> None:
    ended = on_cluster(search.access.with_token("made-up"), "status", "test", "-n", search.namespace)
    told = "the cluster refuses that (Unauthorized); ask whoever runs it for the right to"
    assert sentence_of(ended, code=5) == told


# --- exports ------------------------------------------------------------------------------------------------------


def delivered(search: RemoteSearch) -> str:
    """The trial whose weights are handed over."""
    trials = json.loads(printed(search.metasearch("trials", "-o", "json")))
    final = [trial for trial in trials if trial["stage"] == "Final"]
    return str(min(final, key=lambda trial: (-trial["score"], trial["parameterCount"], trial["name"]))["name"])


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def local_export(tmp_path: Path, weights: dict[str, bytes]) -> dict[str, bytes]:
    """What the same search on this machine hands over."""
    (tmp_path / "run" / "weights").mkdir(parents=True)
    folder = play_in(tmp_path / "run")
    for name, content in weights.items():
        (folder / "weights" / name).write_bytes(content)
    printed(metasearch("export", folder, "--output", tmp_path / "here"))
    return contents(tmp_path / "here")


def test_weights_that_were_not_kept(search: RemoteSearch, tmp_path: Path) -> None:
    told = sentence_of(search.metasearch("export", "--output", tmp_path / "best"), code=6)
    assert told == (
        "the search 'test' kept no weights, for it had no spec.storage when its final trials ended; "
        "give it a claim or a url there and search again"
    )
    assert not (tmp_path / "best").exists()


@pytest.fixture(scope="module")
def bucket() -> Iterator[ObjectServer]:
    """An object store that speaks S3."""
    with open_object_server("models") as store:
        yield store


def test_an_export_from_an_object_store(
    defined: Access, client: Api, room: str, bucket: ObjectServer, tmp_path: Path
) -> None:
    search = play_on(defined, client, room, storage={"url": "s3://models/nets/"})
    trial = delivered(search)
    weights = write_weights(tmp_path / "weights", [trial])
    where = f"nets/{weights_path(search_folder(search.resource), trial)}"
    export = ("export", "--output", tmp_path / "best")

    told = sentence_of(search.metasearch(*export, **bucket.environment), code=4)
    assert told == f"s3://models/{where} is missing; a final trial wrote it, so put it back or run the search again"

    bucket.put(where, weights[f"{trial}.safetensors"])
    assert printed(search.metasearch(*export, **bucket.environment)) == f"{tmp_path / 'best'}\n"
    assert contents(tmp_path / "best") == local_export(tmp_path, weights)


def test_an_object_store_that_cannot_be_reached(defined: Access, client: Api, room: str, tmp_path: Path) -> None:
    search = play_on(defined, client, room, storage={"url": "s3://models"})
    closed = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    told = sentence_of(search.metasearch("export", "--output", tmp_path / "best", **closed), code=5)
    assert told.startswith("s3://models/")
    assert "cannot be read from here (" in told


def pods(client: Api, namespace: str) -> list[Json]:
    return client.list_all(names.POD.path(namespace))[0]


def test_where_no_operator_said_what_image_it_is_one_must_be_given(
    defined: Access, client: Api, room: str, tmp_path: Path
) -> None:
    search = play_on(defined, client, room, storage={"claim": "models"})
    told = sentence_of(search.metasearch("export", "--output", tmp_path / "best"), code=2)
    assert told == (
        "the search 'test' does not say what image its workers have; give --image, theirs or any with a shell"
    )
    assert pods(client, room) == []


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_no_pod_stays_of_an_export_that_is_interrupted(
    defined: Access, client: Api, room: str, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    search = play_on(defined, client, room, storage={"claim": "models"})
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}, "storageClassName": ""}
    client.create(f"/api/v1/namespaces/{room}/persistentvolumeclaims", {"metadata": {"name": "models"}, "spec": claim})
    wait_until(lambda: defined.kubectl("get", "serviceaccount", "default", f"--namespace={room}").returncode == 0)
    words = command("export", "test", "-n", room, "--image", "localhost/none:dev", "--output", tmp_path / "best")
    with subprocess.Popen(words, env={**os.environ, **environment_of(defined)}) as export:
        (pod,) = wait_until(lambda: pods(client, room))
        export.send_signal(sent)
        assert export.wait(60) == code
    assert pods(client, room) == []
    assert search.name == pod["metadata"]["labels"][names.LABEL_SEARCH]


def test_a_claim_that_is_not_there(defined: Access, client: Api, room: str, tmp_path: Path) -> None:
    search = play_on(defined, client, room, storage={"claim": "models"})
    ended = search.metasearch("export", "--image", "localhost/none:dev", "--output", tmp_path / "best")
    told = "the claim 'models' is missing; a final trial wrote it, so put it back or run the search again"
    assert sentence_of(ended, code=4) == told
    assert pods(client, room) == []


# --- exports from a claim, on a cluster where pods run ------------------------------------------------------------


@pytest.fixture
def claim(cluster: Access, existing: Access | None, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A namespace that enforces the restricted standard, with a claim `models` on a folder here."""
    if existing is not None:
        pytest.skip("the volumes of a cluster that is there already are no folders of this machine")
    name = f"test-{uuid.uuid4().hex[:8]}"
    folder = tmp_path / "volume"
    folder.mkdir(mode=0o755)
    volume = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "",
        "hostPath": {"path": str(folder)},
        "claimRef": {"namespace": name, "name": "models"},
    }
    claim = {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "",
        "volumeName": name,
        "resources": {"requests": {"storage": "1Gi"}},
    }
    cluster.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}},
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": volume},
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "models", "namespace": name},
            "spec": claim,
        },
    )
    wait_until(lambda: cluster.kubectl("get", "serviceaccount", "default", f"--namespace={name}").returncode == 0)
    with definitions_on(cluster):
        yield name, folder
        cluster.run("delete", "namespace", name, "--wait=true")
    cluster.run("delete", "persistentvolume", name, "--wait=false")


ENOUGH: list[Json] = [
    {"apiGroups": [names.GROUP], "resources": ["metasearches", "metatrials"], "verbs": ["get", "list"]},
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "get", "delete"]},
    {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]},
]
"""What docs/cli.md says an export takes."""


def somebody(cluster: Access, namespace: str, rights: list[Json]) -> Access:
    """A user who may do this and nothing else."""
    there = f"--namespace={namespace}"
    cluster.run("create", "serviceaccount", "somebody", there)
    cluster.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "somebody", "namespace": namespace},
            "rules": rights,
        }
    )
    cluster.run("create", "rolebinding", "somebody", "--role=somebody", f"--serviceaccount={namespace}:somebody", there)
    user = cluster.with_token(cluster.run("create", "token", "somebody", there))
    wait_until(lambda: user.kubectl("auth", "can-i", "create", "pods", there).returncode == 0)
    return user


def test_an_export_from_a_claim(cluster: Access, claim: tuple[str, Path], image: str, tmp_path: Path) -> None:
    namespace, volume = claim
    api = Api.of_kubeconfig(str(cluster.kubeconfig))
    played = play_on(cluster, api, namespace, storage={"claim": "models"})
    search = RemoteSearch(somebody(cluster, namespace, ENOUGH), played.resource)
    trial = delivered(search)
    where = weights_path(search_folder(search.resource), trial)
    export = ("export", "--image", image, "--output", tmp_path / "best")

    missing = sentence_of(search.metasearch(*export), code=4)
    assert missing.startswith(f"{where} on the claim 'models' is missing; ")
    assert not (tmp_path / "best").exists()

    weights = write_weights((volume / where).parent, [trial])
    assert printed(search.metasearch(*export)) == f"{tmp_path / 'best'}\n"
    assert contents(tmp_path / "best") == local_export(tmp_path, weights)

    nowhere = search.metasearch("export", "--image", "localhost/none:dev", "--output", tmp_path / "no")
    assert "does not start (ImagePullBackOff: " in sentence_of(nowhere, code=5)
    assert pods(api, namespace) == []
