"""
The hyperparameters of candidates: what they make of a spec's `space` and `training`, and their values in a search.

A candidate's hyperparameters are by the names in YAML of the fields that they replace (see `api.hyperparameters`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

from pydantic import ValidationError

from metasearch import api
from metasearch.errors import InvalidSpec
from metasearch.search.candidates import Value, value_text
from metasearch.search.distributions import Distribution, distribution_of
from metasearch.validation_messages import describe

L = TypeVar("L", bound=api.MetaLearning)
M = TypeVar("M", bound=api.SpecModel)

Values = tuple[Value, ...]
"""One value of each hyperparameter of a search, in the order in which its spec lists them."""

DRAWS = 1000
"""Draws in a row that are forbidden together before a spec is taken to forbid all."""


def varied_space(space: api.Space, hyperparameters: Mapping[str, Value]) -> api.Space:
    """
    Return the network's settings with those of a candidate.

    Raises:
        InvalidSpec: a value is out of its bounds, or they are forbidden together.
    """
    return _replaced(space, {name: value for name, value in hyperparameters.items() if name in api.SPACE_NAMES})


def varied_training(training: L, hyperparameters: Mapping[str, Value]) -> L:
    """
    Return the training with the settings of a candidate.

    Args:
        hyperparameters: those of the space are left aside. What no setting of ours is goes into the options of a
            learner that an installed package adds.

    Raises:
        InvalidSpec: a name is none of the learner's settings, a value is out of its bounds, or they are forbidden
            together.
    """
    own = {name: value for name, value in hyperparameters.items() if name not in (*api.SPACE_NAMES, api.AVERAGING)}
    if api.AVERAGING in hyperparameters:
        averaging = _replaced(api.MetaLearning(), {api.AVERAGING: hyperparameters[api.AVERAGING]}).averaging
        training = training.model_copy(update={"averaging": averaging})
    if not own:
        return training
    field = api.SETTINGS.get(training.meta_learner)
    if field is None:
        options = {name: value_text(value) for name, value in own.items()}
        return training.model_copy(update={"options": {**training.options, **options}})
    settings = training.settings
    assert settings is not None
    return training.model_copy(update={field: _replaced(settings, own)})


def _replaced(model: M, values: Mapping[str, Value]) -> M:
    if not values:
        return model
    kind = type(model)
    fields = {field.alias: field for field in kind.model_fields.values()}
    # Of a name that is no field's, the value does not matter: the model refuses the name.
    given = {
        name: api.as_given(fields[name], value_text(value)) if name in fields else value
        for name, value in values.items()
    }
    try:
        # Not model_copy, which would take any value without a check.
        return kind.model_validate({**model.model_dump(by_alias=True), **given})
    except ValidationError as error:
        raise InvalidSpec(f"the candidate's hyperparameters: {describe(error, kind)}") from error


def largest_training(spec: api.MetaSearchSpec) -> api.Training:
    """Return the training with every number that a search varies at its greatest, whether allowed together or not."""
    training = spec.training
    for each in spec.search.hyperparameters:
        numbers = [text for _, text in each.bounds if text[0].isdecimal()]
        field, settings = api.field_of(each.name, training), training.settings
        if (
            numbers
            and field is not None
            and settings is not None
            and each.name not in (*api.SPACE_NAMES, api.AVERAGING)
        ):
            (attribute,) = (name for name, known in type(settings).model_fields.items() if known.alias == each.name)
            greatest = api.as_given(field, max(numbers, key=float))
            changed = settings.model_copy(update={attribute: greatest})
            training = training.model_copy(update={api.SETTINGS[training.meta_learner]: changed})
    return training


def typical_spec(spec: api.MetaSearchSpec) -> api.MetaSearchSpec:
    """Return the spec with each varied hyperparameter in the middle of its distribution, where that is allowed."""
    varied = VariedHyperparameters(spec)
    values = tuple(each.at(0.5) for each in varied.distributions)
    if not varied.are_allowed(values):
        return spec
    return spec.model_copy(update={"space": varied.space(values), "training": varied.training(values)})


class VariedHyperparameters:
    """The hyperparameters that a search varies: their values together, and the settings that these give."""

    def __init__(self, spec: api.MetaSearchSpec) -> None:
        self.names = tuple(each.name for each in spec.search.hyperparameters)
        self.distributions: tuple[Distribution, ...] = tuple(
            distribution_of(each, spec.training) for each in spec.search.hyperparameters
        )
        self._of_space = tuple(index for index, name in enumerate(self.names) if name in api.SPACE_NAMES)
        settings = spec.training.settings
        # Most learners' settings have no rules between them, and each value alone was checked with the spec.
        self._is_free = settings is None or not settings.rules
        # A search meets the same few values in the networks of many thousands of cells.
        self._space: Callable[[Values], api.Space | None] = lru_cache(4096)(self._space_of)
        self.training: Callable[[Values], api.Training] = lru_cache(4096)(self._training_of)
        """Returns the training of candidates with such values; raises InvalidSpec where they are not allowed."""
        self.text: Callable[[Values], str] = lru_cache(4096)(self._text_of)
        """Returns the values as text, equal for equal values only."""
        self._spec = spec

    @property
    def continuous(self) -> Sequence[str]:
        """The names of those that are drawn from ranges of numbers with fractions."""
        return [name for name, each in zip(self.names, self.distributions, strict=True) if each.is_continuous]

    @property
    def columns(self) -> int:
        """The number of coordinates of all values together."""
        return sum(each.columns for each in self.distributions)

    def named(self, values: Values) -> dict[str, Value]:
        """Return the values by name."""
        return dict(zip(self.names, values, strict=True))

    def space(self, values: Values) -> api.Space:
        """Return the settings of the networks of candidates with such values, which must be allowed."""
        space = self._space(self._part(values))
        assert space is not None
        return space

    def are_allowed(self, values: Values) -> bool:
        """Tell whether the spec allows the values together."""
        if self._space(self._part(values)) is None:
            return False
        if self._is_free:
            return True
        try:
            self.training(values)
        except InvalidSpec:
            return False
        return True

    def at(self, places: Callable[[], Sequence[float]]) -> Values:
        """
        Return values that are allowed together.

        Args:
            places: returns the place of each value in its distribution, others at every call.

        Raises:
            InvalidSpec: values that are allowed together are too rare.
        """
        for _ in range(DRAWS):
            drawn = zip(self.distributions, places(), strict=True)
            values = tuple(each.at(place) for each, place in drawn)
            if self.are_allowed(values):
                return values
        raise InvalidSpec(
            f"spec.search.hyperparameters draws no values that are allowed together in {DRAWS} draws; the rules of "
            "spec.space and spec.training must allow more of them"
        )

    def replaced(self, values: Values, index: int, value: Value) -> Values:
        """Return the values with one of them replaced."""
        return (*values[:index], value, *values[index + 1 :])

    def neighbours(self, values: Values) -> Sequence[Values]:
        """List the allowed values in which one is a neighbour of what it was."""
        changed = [
            self.replaced(values, index, other)
            for index, each in enumerate(self.distributions)
            for other in each.neighbours(values[index])
        ]
        return [each for each in changed if self.are_allowed(each)]

    def everything(self) -> Iterator[Values]:
        """Yield all values that are allowed together; of a `continuous` one, those `distributions.STEP` apart. Lazy."""
        return filter(self.are_allowed, _together([each.listed for each in self.distributions]))

    def coordinates(self, values: Values) -> tuple[float, ...]:
        """Return the coordinates of all values."""
        return tuple(
            number for each, value in zip(self.distributions, values, strict=True) for number in each.coordinates(value)
        )

    def read(self, recorded: Mapping[str, Value]) -> Values:
        """
        Pick the values from those of a recorded candidate.

        Raises:
            InvalidSpec: one is missing, or cannot be drawn.
        """
        for name, each in zip(self.names, self.distributions, strict=True):
            if name not in recorded or not each.has(recorded[name]):
                value = value_text(recorded[name]) if name in recorded else "missing"
                raise InvalidSpec(f"{name} is {value}; it must be one that spec.search.hyperparameters can draw")
        values = tuple(recorded[name] for name in self.names)
        if not self.are_allowed(values):
            raise InvalidSpec(
                "the candidate's hyperparameters must be allowed together by spec.space and spec.training"
            )
        return values

    def _part(self, values: Values) -> Values:
        return tuple(values[index] for index in self._of_space)

    def _text_of(self, values: Values) -> str:
        return ", ".join(f"{name}={value_text(value)}" for name, value in self.named(values).items())

    def _training_of(self, values: Values) -> api.Training:
        return varied_training(self._spec.training, self.named(values))

    def _space_of(self, part: Values) -> api.Space | None:
        names = [self.names[index] for index in self._of_space]
        try:
            return varied_space(self._spec.space, dict(zip(names, part, strict=True)))
        except InvalidSpec:
            return None


def _together(choices: Sequence[Sequence[Value]]) -> Iterator[Values]:
    """Yield every combination of one value of each."""
    # Not itertools.product, which copies its arguments: a whole number may be any up to a billion.
    if not choices:
        yield ()
        return
    for value in choices[0]:
        for others in _together(choices[1:]):
            yield (value, *others)
