"""Durations, memory and decimals are texts that know their value and are written back unchanged."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from metasearch.quantities import DecimalText, Duration, Memory, Quantity

DURATION, MEMORY, DECIMAL = TypeAdapter(Duration), TypeAdapter(Memory), TypeAdapter(DecimalText)
Adapter = TypeAdapter[Duration] | TypeAdapter[Memory] | TypeAdapter[Decimal]

PARTS = st.one_of(st.none(), st.integers(0, 99_999))


@given(hours=PARTS, minutes=PARTS, seconds=st.integers(0, 99_999))
def test_a_duration_is_the_sum_of_its_parts(hours: int | None, minutes: int | None, seconds: int) -> None:
    text = "".join(
        f"{number}{unit}" for number, unit in ((hours, "h"), (minutes, "m"), (seconds, "s")) if number is not None
    )
    read = DURATION.validate_python(text)
    assert read.seconds == 3600 * (hours or 0) + 60 * (minutes or 0) + seconds
    assert DURATION.dump_json(read).decode() == f'"{text}"'


@given(number=st.integers(0, 10**15 - 1), unit=st.sampled_from(["", "Ki", "Mi", "Gi", "Ti"]))
def test_memory_is_counted_in_powers_of_1024(number: int, unit: str) -> None:
    read = MEMORY.validate_python(f"{number}{unit}")
    assert read.bytes == number * 1024 ** ["", "Ki", "Mi", "Gi", "Ti"].index(unit)
    assert MEMORY.dump_json(read).decode() == f'"{number}{unit}"'


@given(text=st.from_regex(r"[0-9]{1,12}(\.[0-9]{1,12})?", fullmatch=True).filter(str.isascii))
def test_a_decimal_keeps_every_digit(text: str) -> None:
    read = DECIMAL.validate_json(f'"{text}"')
    assert read == Decimal(text)
    assert DECIMAL.validate_json(DECIMAL.dump_json(read)) == read


def test_trailing_zeros_stay() -> None:
    assert DECIMAL.dump_json(DECIMAL.validate_python("0.50")).decode() == '"0.50"'


@pytest.mark.parametrize(("text", "seconds"), [("24h", 86_400), ("1h30m", 5_400), ("90s", 90), ("1h1s", 3_601)])
def test_durations_as_people_write_them(text: str, seconds: int) -> None:
    assert DURATION.validate_python(text).seconds == seconds


@pytest.mark.parametrize(
    ("adapter", "text"),
    [
        *((DURATION, text) for text in ("", "5", "h", "1d", "1.5h", "-1h", "30m1h", "1h ", "1h\n", "1234567h", "١h")),
        *((MEMORY, text) for text in ("", "Gi", "4GB", "4G", "1.5Gi", "-1", "4 Gi", "4Gi\n", "1" * 16)),
        *((DECIMAL, text) for text in ("", ".5", "5.", "-1", "+1", "1e3", "NaN", "1,5", "0.5\n", "1" * 13, 0.5, 1)),
    ],
)
def test_other_texts_are_refused(adapter: Adapter, text: object) -> None:
    with pytest.raises(ValidationError, match="must be a"):
        adapter.validate_python(text)


@pytest.mark.parametrize(
    ("text", "amount"),
    [("4", 4.0), ("500m", 0.5), ("1.5", 1.5), ("2k", 2e3), ("1M", 1e6), ("16Gi", 2.0**34), ("1Pi", 2.0**50)],
)
def test_a_quantity_knows_its_amount(text: str, amount: float) -> None:
    assert TypeAdapter(Quantity).validate_python(text).amount == amount
