"""Container images of busybox, made here because there is no registry to pull from."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Sequence
from pathlib import Path

PAUSE = "localhost/pause:dev"
"""The image of the container that holds a pod's namespaces."""

BUSYBOX = "localhost/busybox:dev"
"""A shell, wget and the like for pods of tests; its user is nobody unless the pod says otherwise."""

COMMANDS = (
    "cat",
    "dd",
    "false",
    "echo",
    "hostname",
    "id",
    "ls",
    "nc",
    "sh",
    "sha256sum",
    "sleep",
    "tail",
    "true",
    "wget",
)
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write_busybox_archive(path: Path, busybox: Path) -> Path:
    """Write both images to one archive in the format of `docker save`; they share one layer with a static busybox."""
    layer = busybox_layer(busybox)
    images = {PAUSE: ["sleep", "2147483647"], BUSYBOX: ["sh"]}
    with tarfile.open(path, "w") as archive:
        add_file(archive, "layer.tar", layer)
        listed = []
        for name, command in images.items():
            config = image_config(layer, command)
            config_name = f"{hashlib.sha256(config).hexdigest()}.json"
            add_file(archive, config_name, config)
            listed.append({"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]})
        add_file(archive, "manifest.json", json.dumps(listed).encode())
    return path


def busybox_layer(busybox: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as layer:
        add_file(layer, "bin/busybox", busybox.read_bytes(), mode=0o755)
        for command in COMMANDS:
            link = tarfile.TarInfo(f"bin/{command}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            layer.addfile(link)
    return packed.getvalue()


def image_config(layer: bytes, command: Sequence[str]) -> bytes:
    machine = platform.machine()
    config = {
        "architecture": ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": {"Cmd": command, "Env": ["PATH=/bin"], "User": "65534:65534"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    return json.dumps(config).encode()


def add_file(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))
