"""Read the documentation of each value in values.yaml: comments of the form `# -- text` above it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z]+):")


def rows(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield path, default and meaning of each value, in order."""
    defaults = yaml.safe_load(text)
    for path, meaning in _meanings(text):
        yield ".".join(path), _default_text(_at(defaults, path)), meaning.replace("|", "\\|")


def _meanings(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    path: list[str] = []
    comment: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("# -- "):
            comment = [stripped.removeprefix("# -- ")]
        elif stripped.startswith("# ") and comment:
            comment.append(stripped.removeprefix("# "))
        elif match := KEY.match(line):
            path = [*path[: len(match["indent"]) // 2], match["key"]]
            if comment:
                yield tuple(path), " ".join(comment)
            comment = []
        else:
            comment = []


def _at(values: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    for key in path:
        values = values[key]
    return values


def _default_text(value: Any) -> str:
    return "" if value in ("", {}, []) else f"`{json.dumps(value)}`"
