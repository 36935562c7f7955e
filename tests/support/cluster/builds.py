"""The project's own images, really built from the Dockerfile, with buildah on a base image that is made here.

All of it is kept in `.cache/images`, away from the storage of whoever uses buildah on this machine. What neither image
needs any more is removed after each build, so that it does not grow.
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

from cluster.binaries import ROOT, Missing, find
from cluster.household import Household

FOLDER = ROOT / ".cache/images"

OPERATOR = "localhost/metasearch-operator:dev"
TRAINER = "localhost/metasearch-trainer:dev"
DOCKERFILE = ROOT / "Dockerfile"
TARGETS = {TRAINER: "trainer", OPERATOR: "operator"}

BASE = "localhost/metasearch-base:dev"
RELEASE = "bookworm"
PACKAGES = ("python3", "python3-venv", "ca-certificates")

HANDED_DOWN = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
"""Of our environment, to programs that download."""

SETTINGS = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX")
"""Of our environment, to the Dockerfile as arguments."""

CERTIFICATES = Path("/etc/ssl/certs")
SHARED_CACHE = Path("/var/cache/uv")
"""Where a build finds the packages that this machine has downloaded before."""

APART = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
"""What is mounted vanishes with who mounted it."""

HIDE_CACHE = 'mkdir -p /var/lib/containers && mount -t tmpfs tmpfs /var/lib/containers && exec "$0" "$@"'
"""Whatever the storage is, buildah also writes there."""

SHORT = 11
STEP = re.compile(rf"^--> ([0-9a-f]{{{SHORT}}})$", re.MULTILINE)
"""How buildah tells of an image that a build has made or used, a final one or one on the way."""


class BuildFailed(Exception):
    """The end of what the program said is part of the message."""


@dataclass(frozen=True)
class Image:
    """One that was built."""

    name: str
    identity: str
    """The digest of its configuration, in hexadecimal digits, and so of its content."""
    unpacked: str
    """Its size on a disk, with the unit."""


def find_builders() -> None:
    """Whether images can be built here."""
    if os.geteuid() != 0:
        raise Missing("images are built by root only: be root")
    for program in ("buildah", "debootstrap", "tar", "unshare"):
        try:
            find(program)
        except Missing:
            raise Missing(f"{program} is missing: run scripts/setup.sh cluster (on Debian, as root)") from None
    if subprocess.run([*APART, "true"], capture_output=True, check=False).returncode != 0:
        raise Missing("a container's root may not build images: give it more (--privileged)")


@contextmanager
def alone() -> Iterator[None]:
    """Nobody else builds or loads meanwhile."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Builder:
    """Builds images, as long as the household lasts; only while `alone`."""

    def __init__(self, household: Household) -> None:
        self._household = household
        self._used: set[str] = set()
        storage = [f"--root={FOLDER / 'storage'}", f"--runroot={household.folder / 'run'}"]
        self._buildah = ["buildah", *storage, "--storage-driver=overlay"]
        handed_down = {name: os.environ[name] for name in HANDED_DOWN if name in os.environ}
        self.arguments = {"BASE": BASE, **arguments_here()}
        self._environment = {**household.environment, **handed_down, "TMPDIR": str(household.folder)}

    def build(self) -> list[Image]:
        """Both images. What is there already, as a whole or in part, is not made again."""
        self.buildah("rm", "--all")  # left by a build that was interrupted
        self._build_base()
        built = {
            name: self.build_from(DOCKERFILE, ROOT, name, f"--target={target}") for name, target in TARGETS.items()
        }
        sizes = {image["id"][:SHORT]: image["size"] for image in json.loads(self.buildah("images", "--all", "--json"))}
        if unused := sizes.keys() - self._used:
            self.buildah("rmi", "--force", *unused)
        return [Image(name, identity, sizes[identity[:SHORT]]) for name, identity in built.items()]

    def build_from(self, file: Path, folder: Path, name: str, *options: str) -> str:
        """Build a Dockerfile in a folder, and give the image's identity."""
        ended = self.run(
            *[*self._buildah, "build", "--layers", "--isolation=chroot", "--network=host"],
            *(f"--volume={source}:{target}:{mode}" for source, target, mode in volumes()),
            *(f"--build-arg={key}={value}" for key, value in self.arguments.items()),
            *options,
            *[f"--file={file}", f"--tag={name}", str(folder)],
        )
        self._used.update(STEP.findall(ended.stdout + ended.stderr))
        return ended.stdout.split()[-1]

    def push(self, image: Image, layout: Path) -> None:
        """Write an image to a folder as OCI lays it out, compressed in the way that is quickest."""
        self.buildah("push", "--quiet", "--compression-format=zstd", image.name, f"oci:{layout}")

    def copy_out(self, image: str, path: str, to: Path) -> None:
        """What an image has in a folder."""
        buildah = shlex.join(self._buildah)
        script = f'cp -r "$({buildah} mount "$({buildah} from "$1")")$2/." "$3"'
        self.run("sh", "-c", script, "sh", image, path, to)
        self.buildah("rm", "--all")

    def buildah(self, *arguments: str | Path) -> str:
        """What it prints."""
        return self.run(*self._buildah, *arguments).stdout

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, which is to go well."""
        ended = subprocess.run(
            [*APART, "sh", "-c", HIDE_CACHE, *command],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            start_new_session=True,  # a terminal's Ctrl-C is for us, and ends it by way of the household
        )
        if ended.returncode:
            end = "\n".join([*ended.stdout.splitlines()[-20:], *ended.stderr.splitlines()[-20:]])
            raise BuildFailed(f"{' '.join(map(str, command))} ended with {ended.returncode}:\n{end}")
        return ended

    def _build_base(self) -> None:
        """What the public base image is elsewhere: Debian with Python, and no more."""
        archive = FOLDER / "base.tar"
        if not archive.exists():
            self._bootstrap(archive)
        file, rules = self._household.folder / "base.Dockerfile", self._household.folder / "base.ignore"
        file.write_text(f"FROM scratch\nADD {archive.name} /\n")
        rules.write_text(f"*\n!{archive.name}\n")
        self.build_from(file, FOLDER, BASE, f"--ignorefile={rules}")

    def _bootstrap(self, archive: Path) -> None:
        system, new = self._household.folder / "base", archive.with_suffix(".new")
        self.run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", RELEASE, system)
        unneeded = ["--exclude=./var/cache/apt/archives/*.deb", "--exclude=./var/lib/apt/lists/*"]
        self.run("tar", "--create", f"--file={new}", "--numeric-owner", f"--directory={system}", *unneeded, ".")
        new.rename(archive)
        shutil.rmtree(system)


def volumes() -> Iterator[tuple[Path, Path, str]]:
    """What a build sees of this machine beside the network."""
    for path in (CERTIFICATES, Path("/etc/resolv.conf"), Path("/etc/hosts")):
        yield path, path, "ro"
    cache = Path(os.environ.get("UV_CACHE_DIR") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "uv"))
    cache.expanduser().mkdir(parents=True, exist_ok=True)
    yield cache.expanduser().resolve(), SHARED_CACHE, "rw"


def arguments_here() -> dict[str, str]:
    """How packages are found from this machine."""
    return {
        "UV_CACHE_DIR": str(SHARED_CACHE),
        "UV_SYSTEM_CERTS": "1",
        "PIP_CERT": str(CERTIFICATES / "ca-certificates.crt"),
        **{name: os.environ[name] for name in SETTINGS if name in os.environ},
    }
