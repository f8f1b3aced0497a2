"""Conditions of a list: a field, an operator and values, as requests write them (`filters[field][OP]=value`, flow-language 10).

Made by web from a query, handed through the orchestrator's port as data, and answered by the store (in SQL, or here for what few rows have). What
always holds: an operator is one of OPERATORS; a pattern runs within one budget for the whole list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from podium.base.errors import InputError
from podium.base.patterns import RegexBudget, search

EQUALITY = ("EQUALS", "NOT_EQUALS")
MEMBERSHIP = ("IN", "NOT_IN")
ORDER = ("GREATER_THAN", "GREATER_THAN_OR_EQUAL_TO", "LESS_THAN", "LESS_THAN_OR_EQUAL_TO")
TEXT = ("CONTAINS", "STARTS_WITH", "ENDS_WITH")
OPERATORS = (*EQUALITY, *MEMBERSHIP, *ORDER, *TEXT, "REGEX", "PREFIX")
NEGATIVE = frozenset({"NOT_EQUALS", "NOT_IN", "NOT_PREFIX"})
"""What holds for what has no value. NOT_PREFIX is only our own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """values: one, or those of IN and NOT_IN. key: of labels, which label. moment: of dates, the value."""

    field: str
    op: str
    values: tuple[str, ...]
    key: str | None = None
    moment: datetime | None = None

    @property
    def value(self) -> str:
        """The first value."""
        return self.values[0] if self.values else ""

    def holds(self, text: str | None, budget: RegexBudget) -> bool:
        """Whether it holds for a text; None is no value, of which only what is negative holds. Raises InputError for a bad pattern, LimitError."""
        if text is None:
            return self.op in NEGATIVE
        found = text in self.values
        if self.op in {"EQUALS", "IN"}:
            return found
        if self.op in {"NOT_EQUALS", "NOT_IN"}:
            return not found
        if self.op in {"PREFIX", "NOT_PREFIX"}:
            return (text == self.value or text.startswith(f"{self.value}.")) == (self.op == "PREFIX")
        if self.op == "REGEX":
            try:
                return search(self.value, text, budget) is not None
            except ValueError as error:
                what = f"'{self.value[:80]}' is no regular expression: {error}"
                raise InputError(what, hint="write one in Java's dialect", input=self.field) from error
        tests = {"CONTAINS": self.value in text, "STARTS_WITH": text.startswith(self.value), "ENDS_WITH": text.endswith(self.value)}
        ordered = {
            "GREATER_THAN": text > self.value, "GREATER_THAN_OR_EQUAL_TO": text >= self.value, "LESS_THAN": text < self.value,
            "LESS_THAN_OR_EQUAL_TO": text <= self.value,
        }
        return {**tests, **ordered}[self.op]


def all_hold(conditions: Iterable[Condition], row: Mapping[str, str | None], budget: RegexBudget) -> bool:
    """Whether all hold for a row of texts by field."""
    return all(each.holds(row.get(each.field), budget) for each in conditions)


def pick(conditions: Iterable[Condition], *fields: str) -> list[Condition]:
    """Those about these fields."""
    return [each for each in conditions if each.field in fields]
