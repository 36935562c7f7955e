"""The project's code keeps the rules of CONTRIBUTING that a program can check: words, sizes and comments."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("core", "operator", "trainer-image", "cli")
CODE = (*PRODUCT, "devcluster", "monitoring", "tests", "benchmarks", "scripts")

FIRST_WORDS = (
    *("What", "How", "Of", "Where", "Whether", "That", "In which", "By way"),
    *("Whose", "Whom", "Who", "Why", "From", "Beside"),
)
"""A docstring that begins with one of these is a fragment rather than a statement."""

FRAGMENT = re.compile(rf"(?:{'|'.join(FIRST_WORDS)})\b")

MOST_FILE_LINES = 400
MOST_FUNCTION_LINES = 60
NOT_FOR_PEOPLE = re.compile(r"#\s*(noqa|type:|!|---)")

LEAST_COMMENTS = 0.02
"""The share of the product's lines that have a comment."""


def files(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert found, f"there is no Python in {folders}"
    return found


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and text of every string that stands alone: docstrings of modules, classes, functions, attributes."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text.strip()


def comment_lines(source: str) -> int:
    """Count the lines with a comment for people: neither for tools nor the title of a section."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return sum(token.type == tokenize.COMMENT and not NOT_FOR_PEOPLE.match(token.string) for token in tokens)


def fragments(source: str) -> list[tuple[int, str]]:
    """Return line and first words of every docstring that begins like a fragment."""
    found = sorted(docstrings(ast.parse(source)))
    return [(line, " ".join(text.split()[:6])) for line, text in found if FRAGMENT.match(text)]


@pytest.mark.parametrize("folder", CODE)
def test_a_docstring_is_a_statement(folder: str) -> None:
    wrong = [
        f"{name(path)}:{line}: {words}"
        for path in files(folder)
        for line, words in fragments(path.read_text(encoding="utf-8"))
    ]
    assert not wrong, "\n".join([f"{len(wrong)} docstrings begin like a question or with a preposition:", *wrong])


def test_no_file_of_the_product_is_too_long() -> None:
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in files(*PRODUCT)}
    assert not {path: length for path, length in lengths.items() if length > MOST_FILE_LINES}


def test_no_function_of_the_product_is_too_long() -> None:
    assert not [
        f"{name(path)}:{node.lineno}: {node.name} has {length} lines"
        for path in files(*PRODUCT)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > MOST_FUNCTION_LINES
    ]


def test_every_file_of_the_product_has_a_subject() -> None:
    assert not [name(path) for path in files(*PRODUCT) if path.stem in ("util", "utils", "helpers", "misc")]


def test_the_product_says_why() -> None:
    sources = [path.read_text(encoding="utf-8") for path in files(*PRODUCT)]
    comments = sum(map(comment_lines, sources))
    lines = sum(len(source.splitlines()) for source in sources)
    assert comments >= LEAST_COMMENTS * lines, f"{comments} comments in {lines} lines"


# --- the checks themselves ---


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ('"""What a search is."""', 1, "What a search is."),
        ('class A:\n    """Of a search."""', 2, "Of a search."),
        ('def f():\n    """\n    Whether it is there or not, of course.\n    """', 2, "Whether it is there or not,"),
        ('async def f():\n    """By way of an API."""', 2, "By way of an API."),
        ('X = 1\n"""Beside the others."""', 2, "Beside the others."),
        ('class A:\n    x: int = 0\n    """In which namespace it is."""', 3, "In which namespace it is."),
    ],
)
def test_a_fragment_is_found_wherever_it_stands(source: str, line: int, words: str) -> None:
    assert fragments(source) == [(line, words)]


@pytest.mark.parametrize("text", ["Return what is there.", "Whenever it ends.", "Offer it.", "In a store.", "By name."])
def test_a_statement_is_no_fragment(text: str) -> None:
    assert fragments(f'"""{text}"""') == []


def test_only_comments_for_people_count() -> None:
    assert comment_lines("x = 1  # why\n# noqa: S101\ny = f()  # type: ignore[x]\n# --- a section ---\n") == 1
