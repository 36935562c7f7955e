"""
A containerd store that holds the project's images, made once and given to every node.

Importing an image of 6 GB takes a minute or more, and twice its size, on each node. Here it is imported once into a
containerd root folder that no node uses. A node gets a copy of that folder made of hard links: containerd never
writes to a layer again, neither packed nor unpacked. Only its databases are written to, and those are copied.
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

from devcluster.image_builder import FOLDER, NEW_NAMESPACES, BuiltImage, ImageBuilder, build_lock
from devcluster.processes import ManagedProcesses, managed_processes

STORE_FOLDER = FOLDER / "containerd"
RECORD = FOLDER / "stored-images.json"
"""The record of the images that the store holds."""

BLOBS = STORE_FOLDER / "io.containerd.content.v1.content/blobs/sha256"
LAYOUT_FOLDER = FOLDER / "pushed"
NODE_FOLDERS = FOLDER / "nodes"
KUBELET_NAMESPACE = "k8s.io"
"""The containerd namespace in which a kubelet looks for images."""

CONTAINERD_CONFIG = """\
version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri"]

[plugins."io.containerd.internal.v1.opt"]
path = "{opt}"
"""


@dataclass(frozen=True)
class Layer:
    diff_id: str
    """The digest of the layer's uncompressed tar archive, by which builders know it."""
    digest: str
    """The digest of the compressed archive, by which containerd knows it."""
    size: int
    """The compressed size in bytes."""
    media_type: str


@dataclass(frozen=True)
class StoredImage:
    """An image that every node has from the start."""

    name: str
    image_id: str
    unpacked: str
    """The unpacked size with its unit."""
    layers: Sequence[Layer]
    """The layers, the lowest first."""

    @property
    def size(self) -> int:
        """The compressed size in bytes, which a node would download."""
        return sum(layer.size for layer in self.layers)


def prepare_images() -> dict[str, StoredImage]:
    """Build the images, and import those that have changed; takes seconds if none has."""
    with build_lock(), managed_processes() as processes:
        builder = ImageBuilder(processes)
        built = builder.build()
        loaded = read_record()
        held = {image.image_id for image in loaded.values()}
        changed = [image for image in built if image.image_id not in held]
        if changed:
            server = ImportServer(processes)
            for image in changed:
                loaded.pop(image.name, None)
                write_record(loaded)  # if the import fails, the record must not claim the image
                loaded[image.name] = import_image(builder, server, image, loaded.values())
                write_record(loaded)
        return loaded


def copy_for_node(processes: ManagedProcesses, node: str) -> Path:
    """Make a copy of the store for a node's containerd; it is removed with the processes."""
    copy = NODE_FOLDERS / f"{processes.folder.name}-{node}"
    processes.add_cleanup("rm", "-rf", copy)
    NODE_FOLDERS.mkdir(exist_ok=True)
    with build_lock():
        subprocess.run(["cp", "--archive", "--link", STORE_FOLDER, copy], check=True)  # noqa: S607
        for database in STORE_FOLDER.glob("*/*.db"):
            own = copy / database.relative_to(STORE_FOLDER)
            own.unlink()
            shutil.copy2(database, own)
    return copy


class ImportServer:
    """A containerd that only imports images and runs no container."""

    def __init__(self, processes: ManagedProcesses) -> None:
        self._address = processes.folder / "containerd.sock"
        config = processes.folder / "containerd.toml"
        config.write_text(CONTAINERD_CONFIG.format(opt=processes.folder / "opt"))
        own = [f"--config={config}", f"--root={STORE_FOLDER}", f"--state={processes.folder / 'state'}"]
        process = processes.start(
            "containerd",
            *[*NEW_NAMESPACES, "containerd", *own, f"--address={self._address}"],
            ready=lambda: subprocess.run(self._ctr("version"), capture_output=True, check=False).returncode == 0,
        )
        process.wait_until_ready()
        # A starting containerd collects garbage in the background, and could remove a leftover layer just after an
        # import has found it there. Deleting a lease with --sync waits for the end of that collection.
        self._run("leases", "delete", "--sync", self._run("leases", "create").strip())

    def import_from(self, layout: Path, name: str, manifest: Mapping[str, Any]) -> None:
        """
        Import an image from a folder in OCI layout.

        Args:
            layout: holds the layers that are new; containerd has the others.
            name: the image's name; an image that has it already is replaced.
            manifest: the image's manifest, with all its layers.
        """
        # Between removing the old image and completing the new one, layers that both share would belong to neither and
        # be collected; a second tag keeps them.
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
                pass  # ctr has given up, and its stderr says why
            complaint = importing.stderr.read().decode(errors="replace")
        assert importing.returncode == 0, complaint

    def _run(self, *arguments: str) -> str:
        return subprocess.run(self._ctr(*arguments), check=True, capture_output=True, text=True).stdout

    def _ctr(self, *arguments: str) -> list[str]:
        return ["ctr", f"--address={self._address}", f"--namespace={KUBELET_NAMESPACE}", *arguments]


def import_image(
    builder: ImageBuilder, server: ImportServer, image: BuiltImage, loaded: Collection[StoredImage]
) -> StoredImage:
    """Import the new layers of an image, and return its record."""
    held = {layer.diff_id: layer for other in loaded for layer in other.layers}
    shutil.rmtree(LAYOUT_FOLDER, ignore_errors=True)
    # buildah skips a layer whose file exists, whatever is in it; compressing one takes up to a minute.
    for content in held:
        blob_path(LAYOUT_FOLDER, content).parent.mkdir(parents=True, exist_ok=True)
        blob_path(LAYOUT_FOLDER, content).touch()
    builder.push(image, LAYOUT_FOLDER)
    manifest = json.loads(blob_path(LAYOUT_FOLDER, pushed_manifest(LAYOUT_FOLDER)).read_text())
    contents = json.loads(blob_path(LAYOUT_FOLDER, manifest["config"]["digest"]).read_text())["rootfs"]["diff_ids"]
    layers = [
        held[content] if content in held else Layer(content, each["digest"], each["size"], each["mediaType"])
        for content, each in zip(contents, manifest["layers"], strict=True)
    ]
    described = [{"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size} for layer in layers]
    server.import_from(LAYOUT_FOLDER, image.name, manifest | {"layers": described})
    shutil.rmtree(LAYOUT_FOLDER)
    return StoredImage(image.name, image.image_id, image.unpacked, layers)


def blob_path(layout: Path, digest: str) -> Path:
    return layout / blob_name(digest)


def blob_name(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def pushed_manifest(layout: Path) -> str:
    """Return the digest of the only manifest in a folder in OCI layout."""
    (image,) = json.loads((layout / "index.json").read_text())["manifests"]
    digest: str = image["digest"]
    return digest


def write_archive(to: IO[bytes], layout: Path, name: str, manifest: Mapping[str, Any]) -> None:
    """Write an OCI archive; layers that the folder lacks are left out, because containerd has them."""
    content = json.dumps(manifest).encode()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    image = {
        "mediaType": manifest["mediaType"],
        "digest": digest,
        "size": len(content),
        "annotations": {"io.containerd.image.name": name},
    }
    with tarfile.open(fileobj=to, mode="w|") as archive:
        add_file(archive, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        add_file(archive, "index.json", json.dumps({"schemaVersion": 2, "manifests": [image]}).encode())
        add_file(archive, blob_name(digest), content)
        for part in [manifest["config"], *manifest["layers"]]:
            if blob_path(layout, part["digest"]).exists():
                archive.add(blob_path(layout, part["digest"]), blob_name(part["digest"]))


def add_file(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def read_record() -> dict[str, StoredImage]:
    if not RECORD.exists() or not STORE_FOLDER.exists():
        return {}
    return {
        name: StoredImage(name, image["image_id"], image["unpacked"], [Layer(**layer) for layer in image["layers"]])
        for name, image in json.loads(RECORD.read_text()).items()
    }


def write_record(loaded: Mapping[str, StoredImage]) -> None:
    new = RECORD.with_suffix(".new")
    new.write_text(json.dumps({name: asdict(image) for name, image in loaded.items()}, indent=2))
    new.rename(RECORD)
