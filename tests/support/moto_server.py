"""A moto server, which stands in for an object store that speaks S3."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import fsspec
from devcluster.http_probes import responds
from devcluster.processes import managed_processes

BUCKET = "learners"
LOOPBACK = "127.0.0.1"
KEYS: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "somebody",
    "AWS_SECRET_ACCESS_KEY": "something",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True)
class MotoServer:
    """A bucket of a running moto server."""

    url: str
    bucket: str

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which a process reaches the server."""
        return {**KEYS, "AWS_ENDPOINT_URL": self.url, "NO_PROXY": LOOPBACK}

    def files(self) -> fsspec.AbstractFileSystem:
        """Return a file system that bypasses the caches of the code under test."""
        return fsspec.filesystem(
            "s3",
            key=KEYS["AWS_ACCESS_KEY_ID"],
            secret=KEYS["AWS_SECRET_ACCESS_KEY"],
            endpoint_url=self.url,
            skip_instance_cache=True,
            use_listings_cache=False,
        )

    def names(self) -> list[str]:
        """Return the names of all files in the bucket."""
        return sorted(name.removeprefix(f"{self.bucket}/") for name in self.files().find(self.bucket))

    def put(self, name: str, content: bytes) -> None:
        self.files().pipe_file(f"{self.bucket}/{name}", content)


@contextmanager
def open_moto_server(bucket: str = BUCKET, address: str = LOOPBACK) -> Iterator[MotoServer]:
    """Run a server with an empty bucket."""
    with managed_processes() as processes:
        port = processes.reserve_port(address)
        server = MotoServer(f"http://{address}:{port}", bucket)
        words = [sys.executable, "-m", "moto.server", "--host", address, "--port", str(port)]
        ready = f"{server.url}/moto-api/data.json"
        processes.start("moto", *words, ready=lambda: responds(ready)).wait_until_ready()
        server.files().mkdir(bucket)
        yield server
