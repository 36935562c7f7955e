"""A real server that speaks S3, on a port of this machine, for as long as a test takes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import fsspec
from cluster.endpoints import answers
from cluster.household import open_household

BUCKET = "learners"
LOOPBACK = "127.0.0.1"
KEYS: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "somebody",
    "AWS_SECRET_ACCESS_KEY": "something",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True)
class ObjectServer:
    """One bucket of it."""

    url: str
    bucket: str

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to know of it."""
        return {**KEYS, "AWS_ENDPOINT_URL": self.url, "NO_PROXY": LOOPBACK}

    def files(self) -> fsspec.AbstractFileSystem:
        """A way in of the test's own."""
        return fsspec.filesystem(
            "s3",
            key=KEYS["AWS_ACCESS_KEY_ID"],
            secret=KEYS["AWS_SECRET_ACCESS_KEY"],
            endpoint_url=self.url,
            skip_instance_cache=True,
            use_listings_cache=False,
        )

    def names(self) -> list[str]:
        """Of all files in the bucket."""
        return sorted(name.removeprefix(f"{self.bucket}/") for name in self.files().find(self.bucket))

    def put(self, name: str, content: bytes) -> None:
        self.files().pipe_file(f"{self.bucket}/{name}", content)


@contextmanager
def open_object_server(bucket: str = BUCKET, address: str = LOOPBACK) -> Iterator[ObjectServer]:
    """A server of one's own, with an empty bucket."""
    with open_household() as household:
        port = household.free_port(address)
        server = ObjectServer(f"http://{address}:{port}", bucket)
        words = [sys.executable, "-m", "moto.server", "--host", address, "--port", str(port)]
        ready = f"{server.url}/moto-api/data.json"
        household.start("moto", *words, ready=lambda: answers(ready)).wait_until_ready()
        server.files().mkdir(bucket)
        yield server
