"""Images for pods, made here: there is no registry to pull from."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Sequence
from pathlib import Path

PAUSE = "localhost/pause:dev"
"""What holds a pod's namespaces."""

BUSYBOX = "localhost/busybox:dev"
"""A shell, wget and the like for pods of tests; runs as nobody unless told otherwise."""

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


def write_busybox(path: Path, busybox: Path) -> Path:
    """Both images in one archive, as `docker save` writes it; they are one layer with a static busybox."""
    layer = layer_of(busybox)
    images = {PAUSE: ["sleep", "2147483647"], BUSYBOX: ["sh"]}
    with tarfile.open(path, "w") as archive:
        add(archive, "layer.tar", layer)
        listed = []
        for name, command in images.items():
            config = config_of(layer, command)
            config_name = f"{hashlib.sha256(config).hexdigest()}.json"
            add(archive, config_name, config)
            listed.append({"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]})
        add(archive, "manifest.json", json.dumps(listed).encode())
    return path


def layer_of(busybox: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as layer:
        add(layer, "bin/busybox", busybox.read_bytes(), mode=0o755)
        for command in COMMANDS:
            link = tarfile.TarInfo(f"bin/{command}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            layer.addfile(link)
    return packed.getvalue()


def config_of(layer: bytes, command: Sequence[str]) -> bytes:
    machine = platform.machine()
    config = {
        "architecture": ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": {"Cmd": command, "Env": ["PATH=/bin"], "User": "65534:65534"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    return json.dumps(config).encode()


def add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))
