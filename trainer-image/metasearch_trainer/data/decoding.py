"""Errors of decoders, turned into sentences: images come from anywhere, and some are broken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from PIL import UnidentifiedImageError

from metasearch.errors import InvalidData
from metasearch_trainer.data import splits

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")  # no others: some of Pillow's readers start programs


@contextmanager
def decoding(what: str, rule: str) -> Iterator[None]:
    """
    Turn any error of a decoder into InvalidData.

    Args:
        what: the file or array, which begins the sentence.
        rule: what would be right, which ends it.
    """
    try:
        yield
    except InvalidData:
        raise
    except Exception as error:  # on broken bytes, decoders raise nearly anything
        why = f"not one of {', '.join(FORMATS)}" if isinstance(error, UnidentifiedImageError) else splits.reason(error)
        raise InvalidData(f"{what} cannot be read ({why}); {rule}") from error
