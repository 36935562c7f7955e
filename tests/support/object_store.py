"""An object store that speaks S3, on a port of this machine."""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from cluster.household import open_household

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "somebody",
    "AWS_SECRET_ACCESS_KEY": "something",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True)
class ObjectStore:
    """One bucket of it."""

    url: str
    bucket: str

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process needs to know of it."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.url, "NO_PROXY": "127.0.0.1"}

    def put(self, key: str, content: bytes) -> None:
        self._request("PUT", f"/{self.bucket}/{key}", content)

    def _request(self, method: str, path: str, content: bytes | None = None) -> None:
        request = urllib.request.Request(f"{self.url}{path}", content, method=method)  # noqa: S310
        request.add_header("Content-Type", "application/octet-stream")
        # moto looks for the region in here, and does not check who asks.
        request.add_header("Authorization", "AWS4-HMAC-SHA256 Credential=somebody/20260101/us-east-1/s3/aws4_request")
        with _direct.open(request, timeout=30) as response:
            response.read()

    def answers(self) -> bool:
        try:
            self._request("PUT", f"/{self.bucket}")
        except OSError:
            return False
        return True


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def open_object_store(bucket: str) -> Iterator[ObjectStore]:
    """A server of one's own, with an empty bucket."""
    with open_household() as household:
        port = household.free_port()
        store = ObjectStore(f"http://127.0.0.1:{port}", bucket)
        words = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
        household.start("moto", *words, ready=store.answers).wait_until_ready()
        yield store
