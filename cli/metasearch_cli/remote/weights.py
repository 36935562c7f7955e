"""Download a network's weights from where a search on a cluster keeps them: an object store or a claim."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metasearch.api import MetaSearchSpec
from metasearch.errors import MetaSearchError, SearchFailed, StoreUnavailable
from metasearch.outcome.figures import FoundNetwork
from metasearch.storage_layout import address_of, file_name, search_folder, weights_path
from metasearch_cli.extras import Extra, needing
from metasearch_cli.outcome.export import weights_are_gone
from metasearch_cli.remote.pvc import PvcReader
from metasearch_cli.remote.target import ClusterTarget


@dataclass(frozen=True)
class WeightsDownload:
    """Download the weights of a search's networks into a temporary folder; a `snapshot.Weights`."""

    target: ClusterTarget
    search: Mapping[str, Any]
    """The MetaSearch, as read from the cluster."""
    spec: MetaSearchSpec
    image: str | None
    """The image of the pod that reads a claim; None for that of the workers."""

    @contextmanager
    def __call__(self, network: FoundNetwork[float]) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="metasearch-") as folder:
            self._fetch(network, Path(folder, file_name(network.trials[0])))
            yield Path(folder)

    def _fetch(self, network: FoundNetwork[float], output: Path) -> None:
        storage, path = self.spec.storage, weights_path(search_folder(self.search), network.trials[0])
        if storage is None or network.weights is None:
            raise SearchFailed(
                f"the search {self.search['metadata']['name']!r} kept no weights, for it had no spec.storage when its "
                "final trials ended; give it a claim or a url there and search again"
            )
        if storage.url is not None:
            fetch(address_of(storage.url, path), output)
        else:
            assert storage.claim is not None  # exactly one of them is set
            PvcReader(self.target, self.search, self.spec, storage.claim, self.image).fetch(path, output)


def fetch(address: str, output: Path) -> None:
    """
    Copy a file from an object store with the credentials of the environment.

    Args:
        address: of the file, such as s3://models/weights/a.safetensors.

    Raises:
        MetaSearchError: no installed package can read such an address.
        FolderConflict: the file is gone.
        StoreUnavailable: the store refuses to give it, or it was cut short on its way.
    """
    with needing(Extra.STORAGE, address):
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]

    try:
        store, path = url_to_fs(address)
    except (ImportError, ValueError) as error:  # fsspec raises these for kinds of addresses that it does not know
        raise MetaSearchError(
            f"{address} cannot be read here ({error}); pip install 'metasearch-operator[storage]', or what it names"
        ) from error
    try:
        size = store.info(path)["size"]
        store.get_file(path, str(output))
    except FileNotFoundError as error:
        raise weights_are_gone(address) from error
    except Exception as error:  # every store has errors of its own, and most are no OSError
        said = " ".join(str(error).split()) or type(error).__name__
        raise StoreUnavailable(
            f"{address} cannot be read from here ({said}); give this machine the right to"
        ) from error
    # Some stores end a broken transfer without an error.
    if output.stat().st_size != size:
        raise StoreUnavailable(f"{address} was cut short on its way here; try again")
