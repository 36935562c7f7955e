"""What it takes to open images that somebody else made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from PIL import UnidentifiedImageError

from metasearch.errors import InvalidData
from metasearch_trainer.data import splits

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")  # no others: some of Pillow's readers start programs


@contextmanager
def decoding(what: str, rule: str) -> Iterator[None]:
    """Turn whatever a broken file leads to into InvalidData, a sentence that ends with what would be right."""
    try:
        yield
    except InvalidData:
        raise
    except Exception as error:  # on broken bytes, decoders raise nearly anything
        why = f"not one of {', '.join(FORMATS)}" if isinstance(error, UnidentifiedImageError) else splits.reason(error)
        raise InvalidData(f"{what} cannot be read ({why}); {rule}") from error
