"""Alerts that are slightly wrong, which the cases must notice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from monitoring.alerts.model import INTERVAL_SECONDS, Alert
from monitoring.alerts.rules import Json, rule

COMPARED = re.compile(r"(?P<operator>>=|<=|>|<) (?P<number>[0-9.]+)")
"""A comparison with a number: the threshold, and those in guards."""

OTHER_OPERATOR = {">": ">=", ">=": ">", "<": "<=", "<=": "<"}


@dataclass(frozen=True)
class Mutant:
    """A rule that differs in one place from an alert's own."""

    alert: str
    change: str
    rule: Json


def mutants(alert: Alert) -> Iterator[Mutant]:
    """
    Yield an alert with each comparison the other way at equality, each number a tenth up and down, `for` an interval
    longer and shorter, and each guard left out. A tenth of zero is no change.
    """
    right = rule(alert)
    expression: str = right["expr"]
    for found in COMPARED.finditer(expression):
        for change in _changes(found["operator"], found["number"]):
            text = expression[: found.start()] + change + expression[found.end() :]
            yield Mutant(alert.name, f"{found[0]} becomes {change}", {**right, "expr": text})
    for seconds in (alert.for_seconds - INTERVAL_SECONDS, alert.for_seconds + INTERVAL_SECONDS):
        yield Mutant(alert.name, f"for {seconds} s", {**right, "for": f"{seconds}s"})
    for guard in alert.guards:
        text = expression.replace(f"\n{guard}", "")
        assert text != expression
        yield Mutant(alert.name, f"without {guard}", {**right, "expr": text})


def _changes(operator: str, number: str) -> Iterator[str]:
    yield f"{OTHER_OPERATOR[operator]} {number}"
    if float(number):
        yield from (f"{operator} {float(number) * factor:.12g}" for factor in (0.9, 1.1))
