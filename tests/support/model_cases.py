"""
Test values on the bounds of a model and just beyond them, for every field it has, however deep.

They are derived from the models alone, so a new field is covered by itself. `SAMPLES` says which fields must accompany
a field for it to be tested alone, where a rule wants more than the required fields.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from metasearch.api import (
    SETTINGS,
    STRATEGY_SETTINGS,
    Dataset,
    EvolutionSearchSettings,
    Hyperparameter,
    MetaLearning,
    MetaSearchSpec,
    PrototypesSettings,
    Rule,
    Search,
    Space,
    SpecModel,
    Toleration,
    Training,
    TruncatedSettings,
)
from metasearch.api.latency import Latency
from metasearch.kubernetes.times import Time
from metasearch.kubernetes.trial_resource import MetaTrialSpec, MetaTrialStatus
from metasearch.outcome.figures import FoundNetwork
from metasearch.quantities import (
    DECIMAL_PATTERN,
    Duration,
    Memory,
    NumberText,
    PatternText,
    PlainNumber,
    Quantity,
    SettingText,
)

OF_LEARNERS: Mapping[str, Mapping[str, Any]] = {
    **{to_camel(field): {"metaLearner": learner} for learner, field in SETTINGS.items()},
    "options": {"metaLearner": "OfAPackage"},
}

PART = {"part": "Stem", "channels": 1, "filters": 10, "side": 28, "stride": 1, "milliseconds": "0.1"}

MEASURED: Mapping[str, Any] = {"ways": 5, "shots": 1, "shifts": 0, "parts": [PART]}

SAMPLES: Mapping[type[SpecModel], Mapping[str, Mapping[str, Any]]] = {
    Dataset: {"": {"name": "omniglot"}, "name": {}, "folder": {}},
    Space: {"reductions": {"repeats": 1}},
    # Only of an installed package's learner may hyperparameters have any name.
    MetaSearchSpec: {"search": {"training": {"metaLearner": "OfAPackage"}}},
    Hyperparameter: {
        "": {"distribution": "Fixed", "value": "1"},
        "distribution": {"value": "1"},
        "value": {"distribution": "Fixed"},
        "values": {"distribution": "Choice"},
        "minimum": {"distribution": "Uniform", "maximum": "999999999999"},
        "maximum": {"distribution": "Uniform", "minimum": "0"},
        "steps": {"distribution": "Linear", "minimum": 0, "maximum": 1},
        "scale": {"distribution": "Exponential", "minimum": 0, "maximum": 1},
    },
    MetaLearning: OF_LEARNERS,
    Training: OF_LEARNERS,
    Search: {to_camel(field): {"strategy": strategy} for strategy, field in STRATEGY_SETTINGS.items()},
    Latency: {
        left_out: {name: MEASURED[name] for name in MEASURED if name != left_out} for left_out in ("", *MEASURED)
    },
    EvolutionSearchSettings: {"population": {"sample": 1}, "sample": {"population": 10_000}},
    PrototypesSettings: {"metaBatchSize": {"mergedTasks": 1}, "mergedTasks": {"metaBatchSize": 256}},
    TruncatedSettings: {"window": {"innerSteps": 1000}},
    Toleration: {
        "": {"key": "a"},
        "key": {"operator": "Exists"},
        "tolerationSeconds": {"key": "a", "effect": "NoExecute"},
    },
    MetaTrialSpec: {"": {"blocks": 1}},
    MetaTrialStatus: {"result": {"state": "Failed"}},
    FoundNetwork[NumberText]: {"": {"trials": ["a"]}, "trials": {}},
}
"""Per model and field, the values that accompany the field and the required ones; "" is for all other fields."""

OPEN = {
    *((MetaTrialStatus, "state"), (MetaTrialSpec, "stage"), (MetaTrialSpec, "blocks")),
    (Hyperparameter, "distribution"),
    *((Latency, field) for field in ("ways", "shots", "shifts")),
}
"""Fields whose values rules tie to others in more than one way."""

TEXTS: Mapping[type[PatternText], tuple[Sequence[str], Sequence[str]]] = {
    Duration: (
        ["0s", "24h", "1h30m", "90s", "999999h99999999m9999999999s"],
        ["", "5", "1d", "1.5h", "-1h", "30m1h", "1h\n", "1234567h"],
    ),
    Memory: (["0", "512Mi", "999999999999999Ti"], ["", "Gi", "4GB", "1.5Gi", "-1", "4 Gi", "4Gi\n", "1" * 16]),
    Quantity: (["0", "500m", "0.5", "999999999999999.999999999Pi"], ["", "-1", "4GB", "1e3", "1 ", "1" * 16]),
    PlainNumber: (["8", "0.05", "123456789012.123456789012"], ["", "-1", ".5", "5.", "1e3", "NaN", "8\n", "1" * 13]),
    SettingText: (
        ["8", "0.05", "Adam", "true", "a-b_c.d", "a" * 25],
        ["", "-1", "a b", "1a", "_a", "ä", "a\n", "a" * 26, "1" * 13],
    ),
    Time: (
        ["1970-01-01T00:00:00Z", "2026-01-31T12:00:00.123456Z"],
        ["", "2026-01-31", "2026-01-31T12:00:00+01:00", "1969-12-31T23:59:59Z", "2026-02-31T12:00:00Z"],
    ),
}
"""Per type of text, valid and invalid examples."""

ODD_TEXTS = ("", " ", "a b", "-a", "a-", "A.", "_", "ä", "a\n", "a:b", "/", "%", "a/b/c")

FINEST = Decimal("0.000000000001")
"""The smallest difference between two decimals."""


@dataclass(frozen=True)
class Case:
    """A value for a whole model, in which one field is on its bound or beyond it."""

    path: tuple[str | int, ...]
    """The path from the model to the field."""
    value: Any
    """The value for the model."""
    is_valid: bool | None
    """None if other rules decide."""
    what: str

    @property
    def field(self) -> str:
        """The field as messages name it, without its prefix."""
        return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)


MISSING = object()


def cases_of(model: type[SpecModel]) -> Iterator[Case]:
    """Yield values on the bounds of every field of the model, and beyond them."""
    for name, field in _fields(model).items():
        beside = sample(model, name)
        for case in (*_cases(field.annotation, field.metadata), *_left_out(field)):
            is_valid = None if (model, name) in OPEN and case.is_valid else case.is_valid
            value = beside if case.value is MISSING else {**beside, name: case.value}
            yield replace(case, path=(name, *case.path), value=value, is_valid=is_valid)
    if model.model_config.get("extra") == "forbid":
        for value in (1, None):
            yield Case(("unknown",), {**sample(model), "unknown": value}, False, "an unknown field")
    yield from _judged(["text", 5, []], is_valid=False)


def sample(model: type[SpecModel], without: str = "", number: int = 0) -> dict[str, Any]:
    """Return a small valid value; different numbers give different ones."""
    required = {
        name: _sample(field.annotation, field.metadata, number)
        for name, field in _fields(model).items()
        if field.is_required() and name != without
    }
    beside = SAMPLES.get(model, {})
    return required | dict(beside.get(without, beside.get("", {})))


def _fields(model: type[SpecModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _left_out(field: FieldInfo) -> Iterator[Case]:
    is_valid = False if field.is_required() else None
    yield Case((), MISSING, is_valid, "left out")
    yield Case((), None, is_valid, "null")


# --- by type ------------------------------------------------------------------------------------------------------


def _cases(annotation: Any, rules: Sequence[Any]) -> Iterator[Case]:
    annotation, rules = _plain(annotation, rules)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        yield from _choices(arguments)
    elif origin is tuple:
        yield from _lists(arguments[0], rules)
    elif origin is dict:
        yield from _maps(arguments[1], rules)
    elif issubclass(annotation, SpecModel):
        yield from cases_of(annotation)
    elif issubclass(annotation, Enum):
        yield from _choices([each.value for each in annotation])
    elif issubclass(annotation, PatternText):
        yield from _pattern_texts(annotation)
    elif issubclass(annotation, bool):
        yield from _judged([True, False], is_valid=True)
        yield from _judged(["true", 1, 0], is_valid=False)
    elif issubclass(annotation, int):
        yield from _integers(rules)
    elif issubclass(annotation, Decimal | float):
        yield from _numbers(annotation, rules)
    else:
        yield from _texts(rules)


def _plain(annotation: Any, rules: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
    """Return what `X | None` and `Annotated[X, …]` hold."""
    if NoneType in get_args(annotation):
        (inner,) = (each for each in get_args(annotation) if each is not NoneType)
        return _plain(inner, rules)
    if get_origin(annotation) is Annotated:
        field = FieldInfo.from_annotation(annotation)
        return _plain(field.annotation, [*field.metadata, *rules])
    return annotation, rules


def _judged(values: Sequence[Any], is_valid: bool) -> Iterator[Case]:
    for value in values:
        yield Case((), value, is_valid, f"{value!r:.40}")


def _choices(values: Sequence[Any]) -> Iterator[Case]:
    yield from _judged(values, is_valid=True)
    if isinstance(values[0], int):
        yield from _judged([max(values) + 1, min(values) - 1, str(values[0]), True], is_valid=False)
    else:
        yield from _judged([f"{values[0]}x", str(values[0]).swapcase(), "", 1], is_valid=False)


def _integers(rules: Sequence[Any]) -> Iterator[Case]:
    lowest = max(each.ge for each in rules if hasattr(each, "ge"))
    highest = [each.le for each in rules if hasattr(each, "le")]
    yield from _judged([lowest, *highest], is_valid=True)
    yield from _judged([lowest - 1, *(each + 1 for each in highest)], is_valid=False)
    yield from _judged([lowest + 1 for each in rules if hasattr(each, "multiple_of")], is_valid=False)
    yield from _judged([str(lowest), lowest + 0.5, True, [lowest]], is_valid=False)


def _numbers(kind: type, rules: Sequence[Any]) -> Iterator[Case]:
    """Yield cases of decimals and floats, which are written as text."""
    right, wrong = [Decimal("0.5")], []
    for each in rules:
        for name, inside, beyond in (("ge", 0, -1), ("gt", 1, 0), ("le", 0, 1), ("lt", -1, 0)):
            if hasattr(each, name):
                right.append(getattr(each, name) + inside * FINEST)
                wrong.append(getattr(each, name) + beyond * FINEST)
    yield from _judged([f"{each:f}" for each in right], is_valid=True)
    yield from _judged([f"{each:f}" for each in wrong], is_valid=False)
    yield from _judged(["", ".5", "5.", "NaN", "Infinity", "1,5", "0.5\n", 0.5, 1, True], is_valid=False)
    if kind is not float:
        odd = ["-1", "+1", "1e3", "1" * 13, f"0.{'1' * 13}"]
        yield from _judged([each for each in odd if not re.fullmatch(DECIMAL_PATTERN, each)], is_valid=False)


def _pattern_texts(kind: type[PatternText]) -> Iterator[Case]:
    right, wrong = TEXTS[kind]
    yield from _judged(right, is_valid=True)
    yield from _judged([*wrong, 1.5, True, []], is_valid=False)
    yield from _judged([3], is_valid=kind.takes_whole_numbers)
    yield from _judged([-1], is_valid=False)


def _texts(rules: Sequence[Any]) -> Iterator[Case]:
    lowest, highest, pattern = _lengths(rules)
    yield from _judged([*_spelled(pattern, max(1, lowest)), *_spelled(pattern, highest)], is_valid=True)
    yield from _judged(_spelled(pattern, highest + 1), is_valid=False)
    yield from _judged([each for each in ODD_TEXTS if not re.fullmatch(pattern, each)], is_valid=False)
    yield from _judged([""] if lowest else [], is_valid=False)
    yield from _judged([5, True, [], {}], is_valid=False)


def _lists(item: Any, rules: Sequence[Any]) -> Iterator[Case]:
    lowest, highest, _ = _lengths(rules)
    for length, is_valid in ((lowest, True), (highest, True), (highest + 1, False)):
        yield Case((), [_sample(item, (), number) for number in range(length)], is_valid, f"{length} entries")
    if lowest:
        yield Case((), [], False, "no entries")
    yield from _judged(["text", {}], is_valid=False)
    for case in _cases(item, ()):
        yield replace(case, path=(0, *case.path), value=[case.value])


def _maps(item: Any, rules: Sequence[Any]) -> Iterator[Case]:
    _, highest, _ = _lengths(rules)
    for length, is_valid in ((highest, True), (highest + 1, False)):
        yield Case((), {f"k{n}": _sample(item, (), n) for n in range(length)}, is_valid, f"{length} entries")
    yield Case(("k",), {"k": None}, None, "null")
    yield from _judged(["text", []], is_valid=False)
    for case in _cases(item, ()):
        yield replace(case, path=("k", *case.path), value={"k": case.value})


# --- samples ------------------------------------------------------------------------------------------------------


def _sample(annotation: Any, rules: Sequence[Any], number: int) -> Any:
    annotation, rules = _plain(annotation, rules)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return arguments[0]
    if issubclass(annotation, SpecModel):
        return sample(annotation, number=number)
    if issubclass(annotation, Enum):
        values = [each.value for each in annotation]
        return values[number % len(values)]
    if issubclass(annotation, PatternText):
        return str(number + 1) if annotation.takes_whole_numbers else TEXTS[annotation][0][0]
    if issubclass(annotation, int):
        lowest = max(each.ge for each in rules if hasattr(each, "ge"))
        highest = min((each.le for each in rules if hasattr(each, "le")), default=2**31)
        return lowest + number % (highest - lowest + 1)
    if issubclass(annotation, Decimal | float):
        return "0.5"
    return _spelled(_lengths(rules)[2], 4, number)[0]


def _spelled(pattern: str, length: int, number: int = 0) -> list[str]:
    """Return a text of this length that the pattern accepts, if there is one; different numbers give different ones."""
    anyhow = re.sub(r"\{1,[0-9]+\}", "+", pattern)  # what is too long is to be wrong for that alone
    mark = string.ascii_lowercase[number // 26] + string.ascii_lowercase[number % 26]
    for head, filling, tail in (("", "a", mark), ("/", "a", mark), ("a/", "a", mark), ("", "a", ""), ("", "9", "%")):
        text = head + filling * (length - len(head) - len(tail)) + tail
        if len(text) == length and re.fullmatch(anyhow, text):
            return [text]
    return []


def _lengths(rules: Sequence[Any]) -> tuple[int, int, str]:
    lowest = next((each.min_length for each in rules if hasattr(each, "min_length")), 0)
    highest = next(each.max_length for each in rules if hasattr(each, "max_length"))
    return lowest, highest, next((each.pattern for each in rules if getattr(each, "pattern", None)), r"(?s).*")


def rules_of(model: type[SpecModel]) -> Iterator[tuple[type[SpecModel], Rule]]:
    """Yield every rule of the model and of the models in it, each with its model."""
    for rule in model.rules:
        yield model, rule
    for field in model.model_fields.values():
        for inner in _models_in(field.annotation):
            yield from rules_of(inner)


def _models_in(annotation: Any) -> Iterator[type[SpecModel]]:
    if isinstance(annotation, type) and issubclass(annotation, SpecModel):
        yield annotation
    for each in get_args(annotation):
        yield from _models_in(each)
