"""What a node's containerd keeps, with the project's images in it already: made once, given to every node.

To import an image of 6 GB takes a minute or more and twice its size, on each node. Here it is imported once, into a
root folder of containerd's that no node runs on. A node gets a copy made of hard links, for neither a layer as it was
downloaded nor as it was unpacked is ever written to. Only containerd's databases are, and those are truly copied.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from cluster.builds import APART, FOLDER, Builder, Image, alone
from cluster.household import Household, open_household

STORE = FOLDER / "containerd"
RECORD = FOLDER / "images.json"
"""What was loaded into it."""

BLOBS = STORE / "io.containerd.content.v1.content/blobs/sha256"
PUSHED = FOLDER / "pushed"
COPIES = FOLDER / "nodes"
NAMESPACE = "k8s.io"
"""Where a kubelet looks for images."""

CONFIG = """\
version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri"]

[plugins."io.containerd.internal.v1.opt"]
path = "{opt}"
"""


@dataclass(frozen=True)
class Layer:
    content: str
    """The digest of its files, packed and not compressed: what builders know it by."""
    digest: str
    """Of the same compressed: what containerd knows it by."""
    size: int
    """In bytes, compressed."""
    media_type: str


@dataclass(frozen=True)
class Loaded:
    """An image that every node has from the start."""

    name: str
    identity: str
    unpacked: str
    """Its size on a disk, with the unit."""
    layers: Sequence[Layer]
    """The lowest first."""

    @property
    def size(self) -> int:
        """In bytes, compressed: what a node downloads."""
        return sum(layer.size for layer in self.layers)


def prepare() -> dict[str, Loaded]:
    """Build the images, and bring what nodes are given up to date; seconds where nothing has changed."""
    with alone(), open_household() as household:
        builder = Builder(household)
        built = builder.build()
        loaded = read_record()
        held = {image.identity for image in loaded.values()}
        changed = [image for image in built if image.identity not in held]
        if changed:
            server = Server(household)
            for image in changed:
                loaded.pop(image.name, None)
                write_record(loaded)  # whatever happens now, nothing is on record that may not be there
                loaded[image.name] = load(builder, server, image, loaded.values())
                write_record(loaded)
        return loaded


def give(household: Household, node: str) -> Path:
    """A root folder for the containerd of a node, gone when the household is."""
    copy = COPIES / f"{household.folder.name}-{node}"
    household.undo_at_the_end("rm", "-rf", copy)
    COPIES.mkdir(exist_ok=True)
    with alone():
        subprocess.run(["cp", "--archive", "--link", STORE, copy], check=True)  # noqa: S607
        for database in STORE.glob("*/*.db"):
            own = copy / database.relative_to(STORE)
            own.unlink()
            shutil.copy2(database, own)
    return copy


class Server:
    """A containerd that images are imported into, and nothing runs on."""

    def __init__(self, household: Household) -> None:
        self._address = household.folder / "containerd.sock"
        config = household.folder / "containerd.toml"
        config.write_text(CONFIG.format(opt=household.folder / "opt"))
        own = [f"--config={config}", f"--root={STORE}", f"--state={household.folder / 'state'}"]
        process = household.start(
            "containerd",
            *[*APART, "containerd", *own, f"--address={self._address}"],
            ready=lambda: subprocess.run(self._ctr("version"), capture_output=True, check=False).returncode == 0,
        )
        process.wait_until_ready()
        # It begins by collecting garbage in the background, which must not be what is imported again a moment later.
        self._run("leases", "delete", "--sync", self._run("leases", "create").strip())

    def import_from(self, layout: Path, name: str, manifest: Mapping[str, Any]) -> None:
        """An image of which new layers are in a folder, and the others were imported before."""
        # What the new one has in common with the one before is not to be collected while it belongs to neither.
        before = f"{name}-before"
        had_one = name in self._run("images", "list", "--quiet").split()
        if had_one:
            self._run("images", "tag", "--force", name, before)
        self._import(layout, name, manifest)
        if had_one:
            self._run("images", "delete", "--sync", before)

    def _import(self, layout: Path, name: str, manifest: Mapping[str, Any]) -> None:
        importing = subprocess.Popen(
            self._ctr("images", "import", "-"),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert importing.stdin is not None
        assert importing.stderr is not None
        with importing:
            try:
                write_archive(importing.stdin, layout, name, manifest)
                importing.stdin.close()
            except BrokenPipeError:
                pass  # it says why
            complaint = importing.stderr.read().decode(errors="replace")
        assert importing.returncode == 0, complaint

    def _run(self, *arguments: str) -> str:
        return subprocess.run(self._ctr(*arguments), check=True, capture_output=True, text=True).stdout

    def _ctr(self, *arguments: str) -> list[str]:
        return ["ctr", f"--address={self._address}", f"--namespace={NAMESPACE}", *arguments]


def load(builder: Builder, server: Server, image: Image, loaded: Collection[Loaded]) -> Loaded:
    """Import what is new of an image."""
    held = {layer.content: layer for other in loaded for layer in other.layers}
    shutil.rmtree(PUSHED, ignore_errors=True)
    for content in held:  # buildah looks no further than whether a layer is there, and compressing it takes a minute
        at(PUSHED, content).parent.mkdir(parents=True, exist_ok=True)
        at(PUSHED, content).touch()
    builder.push(image, PUSHED)
    manifest = json.loads(at(PUSHED, pushed_manifest(PUSHED)).read_text())
    contents = json.loads(at(PUSHED, manifest["config"]["digest"]).read_text())["rootfs"]["diff_ids"]
    layers = [
        held[content] if content in held else Layer(content, each["digest"], each["size"], each["mediaType"])
        for content, each in zip(contents, manifest["layers"], strict=True)
    ]
    described = [{"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size} for layer in layers]
    server.import_from(PUSHED, image.name, manifest | {"layers": described})
    shutil.rmtree(PUSHED)
    return Loaded(image.name, image.identity, image.unpacked, layers)


def at(layout: Path, digest: str) -> Path:
    return layout / blob(digest)


def blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def pushed_manifest(layout: Path) -> str:
    """The digest of the one that is laid out there."""
    (image,) = json.loads((layout / "index.json").read_text())["manifests"]
    digest: str = image["digest"]
    return digest


def write_archive(to: IO[bytes], layout: Path, name: str, manifest: Mapping[str, Any]) -> None:
    """As OCI has it. Layers that are not laid out are left out: containerd has them."""
    content = json.dumps(manifest).encode()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    image = {
        "mediaType": manifest["mediaType"],
        "digest": digest,
        "size": len(content),
        "annotations": {"io.containerd.image.name": name},
    }
    with tarfile.open(fileobj=to, mode="w|") as archive:
        add(archive, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        add(archive, "index.json", json.dumps({"schemaVersion": 2, "manifests": [image]}).encode())
        add(archive, blob(digest), content)
        for part in [manifest["config"], *manifest["layers"]]:
            if at(layout, part["digest"]).exists():
                archive.add(at(layout, part["digest"]), blob(part["digest"]))


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def read_record() -> dict[str, Loaded]:
    if not RECORD.exists() or not STORE.exists():
        return {}
    return {
        name: Loaded(name, image["identity"], image["unpacked"], [Layer(**layer) for layer in image["layers"]])
        for name, image in json.loads(RECORD.read_text()).items()
    }


def write_record(loaded: Mapping[str, Loaded]) -> None:
    new = RECORD.with_suffix(".new")
    new.write_text(json.dumps({name: asdict(image) for name, image in loaded.items()}, indent=2))
    new.rename(RECORD)
