"""
Build the project's images from the Dockerfile with buildah, on a base image that is made here.

Everything is kept in `.cache/images`, apart from the storage of others who use buildah on this machine. Layers that
neither image needs any more are removed after each build, so that the folder does not grow.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devcluster.binaries import ROOT, MissingProgram, find_folder_with
from devcluster.processes import ManagedProcesses

FOLDER = ROOT / ".cache/images"

OPERATOR = "localhost/metasearch-operator:dev"
TRAINER = "localhost/metasearch-trainer:dev"
DOCKERFILE = ROOT / "Dockerfile"
TARGETS = {TRAINER: "trainer", OPERATOR: "operator"}

BASE = "localhost/metasearch-base:dev"
DEBIAN_RELEASE = "bookworm"
BASE_PACKAGES = ("python3", "python3-venv", "ca-certificates")

FORWARDED_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
"""Environment variables that are passed to programs that download."""

PACKAGE_INDEX_VARIABLES = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX")
"""Environment variables that are passed to the Dockerfile as build arguments."""

CERTIFICATES = Path("/etc/ssl/certs")
SHARED_CACHE = Path("/var/cache/uv")
"""The path inside a build of this machine's cache of packages, so that nothing is downloaded twice."""

NEW_NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
"""
A command that runs another in namespaces of its own: its mounts vanish with it, and its children are killed with it.
"""

HIDE_BUILDAH_CACHE = 'mkdir -p /var/lib/containers && mount -t tmpfs tmpfs /var/lib/containers && exec "$0" "$@"'
"""A script that runs a command while /var/lib/containers is empty; buildah writes there whatever its storage is."""

SHORT_ID_LENGTH = 11
IMAGE_ID_LINE = re.compile(rf"^--> ([0-9a-f]{{{SHORT_ID_LENGTH}}})$", re.MULTILINE)
"""The line with which buildah names an image that a build has made or reused, final or intermediate."""


class BuildFailed(Exception):
    """A build failed; the message holds the end of the program's output."""


@dataclass(frozen=True)
class BuiltImage:
    """An image in buildah's storage."""

    name: str
    image_id: str
    """The SHA-256 digest of the image's configuration in hexadecimal; it changes whenever the content does."""
    unpacked: str
    """The unpacked size with its unit, such as `1.2 GB`."""


def require_build_tools() -> None:
    """Raise MissingProgram unless this machine can build images."""
    if os.geteuid() != 0:
        raise MissingProgram("images are built by root only: be root")
    for program in ("buildah", "debootstrap", "tar", "unshare"):
        try:
            find_folder_with(program)
        except MissingProgram:
            raise MissingProgram(f"{program} is missing: run scripts/setup.sh cluster (on Debian, as root)") from None
    if subprocess.run([*NEW_NAMESPACES, "true"], capture_output=True, check=False).returncode != 0:
        raise MissingProgram("a container's root may not build images: give it more (--privileged)")


@contextmanager
def build_lock() -> Iterator[None]:
    """Hold a lock on the storage, so that only one process builds or imports at a time."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class ImageBuilder:
    """Builds images while its processes are managed; the caller must hold `build_lock`."""

    def __init__(self, processes: ManagedProcesses) -> None:
        self._managed = processes
        self._used: set[str] = set()
        storage = [f"--root={FOLDER / 'storage'}", f"--runroot={processes.folder / 'run'}"]
        self._buildah = ["buildah", *storage, "--storage-driver=overlay"]
        handed_down = {name: os.environ[name] for name in FORWARDED_VARIABLES if name in os.environ}
        self.arguments = {"BASE": BASE, **build_arguments()}
        self._environment = {**processes.environment, **handed_down, "TMPDIR": str(processes.folder)}

    def build(self) -> list[BuiltImage]:
        """Build both images; layers that exist already are reused."""
        self.buildah("rm", "--all")  # containers that an interrupted build has left
        self._build_base()
        built = {
            name: self.build_from(DOCKERFILE, ROOT, name, f"--target={target}") for name, target in TARGETS.items()
        }
        sizes = {
            image["id"][:SHORT_ID_LENGTH]: image["size"]
            for image in json.loads(self.buildah("images", "--all", "--json"))
        }
        if unused := sizes.keys() - self._used:
            self.buildah("rmi", "--force", *unused)
        return [BuiltImage(name, image_id, sizes[image_id[:SHORT_ID_LENGTH]]) for name, image_id in built.items()]

    def build_from(self, file: Path, folder: Path, name: str, *options: str) -> str:
        """Build a Dockerfile in a folder, and return the image's id."""
        ended = self.run(
            *[
                *self._buildah,
                "build",
                "--layers",
                "--isolation=chroot",
                "--network=host",
            ],  # needs no rights that a container's root lacks
            *(f"--volume={source}:{target}:{mode}" for source, target, mode in volumes()),
            *(f"--build-arg={key}={value}" for key, value in self.arguments.items()),
            *options,
            *[f"--file={file}", f"--tag={name}", str(folder)],
        )
        self._used.update(IMAGE_ID_LINE.findall(ended.stdout + ended.stderr))
        return ended.stdout.split()[-1]

    def push(self, image: BuiltImage, layout: Path) -> None:
        """Write an image to a folder in OCI layout, with the compression that is quickest."""
        self.buildah("push", "--quiet", "--compression-format=zstd", image.name, f"oci:{layout}")

    def copy_from_image(self, image: str, path: str, to: Path) -> None:
        """Copy a folder out of an image."""
        buildah = shlex.join(self._buildah)
        script = f'cp -r "$({buildah} mount "$({buildah} from "$1")")$2/." "$3"'
        self.run("sh", "-c", script, "sh", image, path, to)
        self.buildah("rm", "--all")

    def buildah(self, *arguments: str | Path) -> str:
        """Return the output of a buildah command."""
        return self.run(*self._buildah, *arguments).stdout

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; raise BuildFailed unless it succeeds."""
        ended = subprocess.run(
            [*NEW_NAMESPACES, "sh", "-c", HIDE_BUILDAH_CACHE, *command],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            start_new_session=True,  # the terminal's Ctrl-C reaches only the owner, whose janitor ends this
        )
        if ended.returncode:
            end = "\n".join([*ended.stdout.splitlines()[-20:], *ended.stderr.splitlines()[-20:]])
            raise BuildFailed(f"{' '.join(map(str, command))} ended with {ended.returncode}:\n{end}")
        return ended

    def _build_base(self) -> None:
        """
        Build a stand-in for the public base image, which may be out of reach here: Debian with Python and nothing else.
        """
        archive = FOLDER / "base.tar"
        if not archive.exists():
            self._bootstrap(archive)
        file, rules = self._managed.folder / "base.Dockerfile", self._managed.folder / "base.ignore"
        file.write_text(f"FROM scratch\nADD {archive.name} /\n")
        rules.write_text(f"*\n!{archive.name}\n")
        self.build_from(file, FOLDER, BASE, f"--ignorefile={rules}")

    def _bootstrap(self, archive: Path) -> None:
        system, new = self._managed.folder / "base", archive.with_suffix(".new")
        self.run("debootstrap", "--variant=minbase", f"--include={','.join(BASE_PACKAGES)}", DEBIAN_RELEASE, system)
        unneeded = ["--exclude=./var/cache/apt/archives/*.deb", "--exclude=./var/lib/apt/lists/*"]
        self.run("tar", "--create", f"--file={new}", "--numeric-owner", f"--directory={system}", *unneeded, ".")
        new.rename(archive)
        shutil.rmtree(system)


def volumes() -> Iterator[tuple[Path, Path, str]]:
    """Yield the files of this machine that a build sees: source, target and mode."""
    for path in (CERTIFICATES, Path("/etc/resolv.conf"), Path("/etc/hosts")):
        yield path, path, "ro"
    cache = Path(os.environ.get("UV_CACHE_DIR") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "uv"))
    cache.expanduser().mkdir(parents=True, exist_ok=True)
    yield cache.expanduser().resolve(), SHARED_CACHE, "rw"


def build_arguments() -> dict[str, str]:
    """Return the build arguments with which packages are found from this machine."""
    return {
        "UV_CACHE_DIR": str(SHARED_CACHE),
        "UV_SYSTEM_CERTS": "1",
        "PIP_CERT": str(CERTIFICATES / "ca-certificates.crt"),
        **{name: os.environ[name] for name in PACKAGE_INDEX_VARIABLES if name in os.environ},
    }
