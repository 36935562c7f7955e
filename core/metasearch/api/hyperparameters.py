"""
The hyperparameters that a search varies beside the cell, each with the distribution that it is drawn from.

Any field of `space` that shapes the network, `training.averaging`, and any setting of the meta-learner may be varied,
by its name in YAML; no two of them have one name. Meta-iterations are not among them: strategies choose the fidelity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, get_args

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from metasearch.api.base import Rule, SpecModel
from metasearch.api.names import HYPERPARAMETER_MAX_LENGTH, HYPERPARAMETER_PATTERN
from metasearch.api.space import Space
from metasearch.api.training import SETTINGS, MetaLearning, settings_class
from metasearch.quantities import PlainNumber, SettingText

MAX_HYPERPARAMETERS = 16
"""The most that a search may vary, and that a trial's record may hold; a status has a list of candidates with them."""

SPACE_NAMES = ("filters", "filterScale", "repeats", "reductions", "stemStride", "concat")
"""The fields of `space` that may be varied; the others say which cells there are, and how networks are shrunk."""

AVERAGING = "averaging"


class Distribution(StrEnum):
    """A way to draw a value."""

    FIXED = "Fixed"
    UNIFORM = "Uniform"
    LINEAR = "Linear"
    LOG_UNIFORM = "LogUniform"
    EXPONENTIAL = "Exponential"
    CHOICE = "Choice"


RANGES = (Distribution.UNIFORM, Distribution.LINEAR, Distribution.LOG_UNIFORM, Distribution.EXPONENTIAL)
"""The distributions that have a minimum and a maximum."""


def _only_where(field: str, *distributions: Distribution) -> Rule:
    """Return the rule that a field is given for some distributions and for no other."""
    listed = [str(each) for each in distributions]
    return Rule(
        # Python writes a list of texts just as CEL does.
        cel=f"has(self.{field}) == (self.distribution in {listed})",
        message=f"must have {field} where distribution is {' or '.join(listed)}, and only there",
        holds=lambda hyperparameter: (
            (getattr(hyperparameter, field) is not None) == (hyperparameter.distribution in distributions)
        ),
    )


class Hyperparameter(SpecModel):
    """A field of space or training that differs from candidate to candidate."""

    name: str = Field(
        max_length=HYPERPARAMETER_MAX_LENGTH,
        pattern=HYPERPARAMETER_PATTERN,
        description=f"name is that of the field to vary: one of space ({', '.join(SPACE_NAMES)}), {AVERAGING}, or a "
        "setting of training.metaLearner, such as innerLearningRate.",
    )
    distribution: Distribution = Field(
        description="distribution is Fixed (always value), Uniform (every number from minimum to maximum is as "
        "likely), Linear (the same, of minimum, maximum and what divides the way between them into equal steps), "
        "LogUniform (every factor is as likely), Exponential (the less likely the further above minimum, by scale, and "
        "cut off at maximum) or Choice (one of values). Whole numbers stay whole; others have three digits.",
    )
    minimum: PlainNumber | None = Field(
        default=None, description='minimum is the lowest number, such as 4 or "0.001". Default: none.'
    )
    maximum: PlainNumber | None = Field(
        default=None, description='maximum is the highest number, such as 64 or "0.1". Default: none.'
    )
    steps: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="steps is the number of equal steps from minimum to maximum in Linear: 2 draws from three numbers. "
        "Default: none.",
    )
    scale: PlainNumber | None = Field(
        default=None,
        description="scale is how far above minimum an Exponential number would be on average if there were no "
        'maximum, such as 8 or "0.02". Default: none.',
    )
    value: SettingText | None = Field(default=None, description="value is the one of Fixed. Default: none.")
    values: tuple[SettingText, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=32,
        description='values are those of Choice: numbers or names, such as [Adam, SGD] or ["0.9", "0.99"]; true and '
        "false are text here. Default: none.",
    )

    rules = (
        _only_where("minimum", *RANGES),
        _only_where("maximum", *RANGES),
        _only_where("steps", Distribution.LINEAR),
        _only_where("scale", Distribution.EXPONENTIAL),
        _only_where("value", Distribution.FIXED),
        _only_where("values", Distribution.CHOICE),
        Rule(
            cel="!has(self.minimum) || !has(self.maximum) || double(self.minimum) < double(self.maximum)",
            message="must have a minimum below maximum",
            holds=lambda one: not one.minimum or not one.maximum or one.minimum.decimal < one.maximum.decimal,
        ),
        Rule(
            cel="self.distribution != 'LogUniform' || !has(self.minimum) || double(self.minimum) > 0.0",
            message="must have a minimum above 0 where distribution is LogUniform",
            holds=lambda one: (
                one.distribution is not Distribution.LOG_UNIFORM or not one.minimum or one.minimum.decimal > 0
            ),
        ),
        Rule(
            cel="!has(self.scale) || double(self.scale) > 0.0",
            message="must have a scale above 0",
            holds=lambda one: not one.scale or one.scale.decimal > 0,
        ),
        Rule(
            cel="!has(self.values) || self.values.all(x, self.values.exists_one(y, string(y) == string(x)))",
            message="must not have a value twice in values",
            holds=lambda one: not one.values or len(set(one.values)) == len(one.values),
        ),
    )

    @property
    def bounds(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield the values that all others lie between, each with its place below the hyperparameter."""
        for place in ("minimum", "maximum", "value"):
            if (text := getattr(self, place)) is not None:
                yield (place,), text
        for index, text in enumerate(self.values or ()):
            yield ("values", index), text


# --- the fields that may be varied ----------------------------------------------------------------------------------


def variable_fields(training: MetaLearning) -> dict[str, FieldInfo] | None:
    """
    Return the fields that a search with such a training may vary, by their names in YAML.

    Returns:
        None where the meta-learner is an installed package's: any other name is then one of its options.
    """
    if training.meta_learner not in SETTINGS:
        return None
    learner = settings_class(SETTINGS[training.meta_learner])
    space, averaging = _by_alias(Space), MetaLearning.model_fields[AVERAGING]
    return {**{name: space[name] for name in SPACE_NAMES}, AVERAGING: averaging, **_by_alias(learner)}


def field_of(name: str, training: MetaLearning) -> FieldInfo | None:
    """Return the field of a name; None where there is none, or it is an option of an installed package's learner."""
    known = variable_fields(training) or variable_fields(MetaLearning())
    assert known is not None
    is_ours = training.meta_learner in SETTINGS or name in (*SPACE_NAMES, AVERAGING)
    return known.get(name) if is_ours else None


def is_whole(field: FieldInfo) -> bool:
    """Tell whether a field holds whole numbers."""
    kinds = {_kind(each) for each in get_args(field.annotation) or (field.annotation,)}
    return int in kinds


def _kind(annotation: Any) -> Any:
    return type(annotation) if isinstance(annotation, int) else annotation


def as_given(field: FieldInfo, text: str) -> Any:
    """Return a value as a spec has it in a field: whole numbers and truth values are there without quotes."""
    if is_whole(field) and text.isdecimal():
        return int(text)
    return {"true": True, "false": False}.get(text, text) if field.annotation is bool else text


def names_rule() -> str:
    """Return the condition in CEL that a spec varies only fields that there are; where a package's learner, any."""
    shared = [*SPACE_NAMES, AVERAGING]
    learners = {learner: list(_by_alias(settings_class(field))) for learner, field in SETTINGS.items()}
    learner = "(has(self.training) && has(self.training.metaLearner) ? self.training.metaLearner : 'Reptile')"
    return (
        "!has(self.search) || !has(self.search.hyperparameters) || self.search.hyperparameters.all(x, "
        f"x.name in {shared} || !({learner} in {list(learners)}) || x.name in {learners}[{learner}])"
    )


def _by_alias(model: type[SpecModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


# --- what is wrong ---------------------------------------------------------------------------------------------------


def refuse_undrawable(hyperparameters: Sequence[Hyperparameter], training: MetaLearning) -> None:
    """
    Refuse hyperparameters that no field has, or with values that their fields refuse.

    Raises:
        ValidationError: at the places of a spec.
    """
    problems = [
        InitErrorDetails(type=problem, loc=("search", "hyperparameters", index, *place), input=value, ctx=dict(context))
        for index, each in enumerate(hyperparameters)
        for problem, place, value, context in _problems(each, training)
    ]
    if problems:
        raise ValidationError.from_exception_data("MetaSearchSpec", problems)


_Problem = tuple[str | PydanticCustomError, tuple[str | int, ...], Any, Mapping[str, Any]]


def _problems(hyperparameter: Hyperparameter, training: MetaLearning) -> Iterator[_Problem]:
    """Yield the type of each error, its place below the hyperparameter, the value and the error's context."""
    field = field_of(hyperparameter.name, training)
    if field is None:
        if (known := variable_fields(training)) is not None:
            message = f"must be one of {', '.join(known)}"
            yield PydanticCustomError("rule", "{message}", {"message": message}), ("name",), hyperparameter.name, {}
        return
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    for place, text in hyperparameter.bounds:
        try:
            adapter.validate_python(as_given(field, text))
        except ValidationError as error:
            first = error.errors()[0]
            # A custom error is passed on as it is, and others by the name of their type.
            yield _passed_on(first), place, str(text), first.get("ctx", {})
    yield from _uneven_steps(hyperparameter, field)


def _passed_on(error: Any) -> str | PydanticCustomError:
    kind: str = error["type"]
    if kind in ("quantity", "rule"):
        return PydanticCustomError("rule", "{message}", {"message": error["msg"]})
    return kind


def _uneven_steps(hyperparameter: Hyperparameter, field: FieldInfo) -> Iterator[_Problem]:
    """Yield the error of steps that would lead from whole number to whole number by fractions."""
    low, high, steps = hyperparameter.minimum, hyperparameter.maximum, hyperparameter.steps
    if steps is None or low is None or high is None or not is_whole(field):
        return
    span = (high.decimal - low.decimal) / unit_of(field)
    if span % steps:
        message = f"must divide the way from {low} to {high} into whole numbers"
        yield PydanticCustomError("rule", "{message}", {"message": message}), ("steps",), steps, {}


def unit_of(field: FieldInfo) -> int:
    """Return the number of which all values of a field of whole numbers are multiples."""
    return next((each.multiple_of for each in field.metadata if hasattr(each, "multiple_of")), 1)
