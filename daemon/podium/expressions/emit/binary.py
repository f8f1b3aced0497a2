"""Closures of the operators with two sides.

`== !=` and arithmetic (and `< > <= >=` before 2.0) turn the missing name of an operand into an error that `??` does not catch;
all others let it through.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from podium.base.limits import RANGE_ITEMS_MAX
from podium.expressions import operators
from podium.expressions.runtime import FAILURES, Missing, Runtime, Source
from podium.expressions.syntax.nodes import Binary

Run = Callable[[Runtime], Any]
_Operation = Callable[[Runtime, Any, Any], Any]
_ORDER = frozenset({"<", ">", "<=", ">="})


def emit_binary(source: Source, node: Binary, left: Run, right: Run, dialect: str) -> Run:
    """The closure of `left operator right`."""
    operator = node.operator
    if operator in ("and", "or"):
        return _logic(source, node.at, left, right, stop=operator == "or")
    if operator == "??":
        return _coalesce(left, right)
    if operator == "???":
        return _undefined_coalesce(left, right)
    wraps = operator not in ("contains", "isIn", "..") and not (operator in _ORDER and dialect == "2.0")
    return _plain(source, node, left, right, _operation(operator, dialect), wraps=wraps)


def _operation(operator: str, dialect: str) -> _Operation:
    if operator in ("==", "equals"):
        return lambda rt, one, other: operators.equal(one, other)
    if operator == "!=":
        return lambda rt, one, other: not operators.equal(one, other)
    if operator in _ORDER:
        return lambda rt, one, other: operators.compare(operator, one, other, dialect)
    if operator == "..":
        return lambda rt, one, other: operators.value_range(rt, one, other, 1, RANGE_ITEMS_MAX)
    fixed: dict[str, _Operation] = {
        "+": operators.add,
        "-": operators.subtract,
        "contains": operators.contains,
        "isIn": operators.is_in,
    }
    return fixed.get(operator) or (lambda rt, one, other: operators.arithmetic(operator, one, other, dialect))


def _plain(source: Source, node: Binary, left: Run, right: Run, operation: _Operation, *, wraps: bool) -> Run:
    at, operator = node.at, node.operator

    def run(rt: Runtime) -> Any:
        try:
            one = left(rt)
            other = right(rt)
        except Missing as exc:
            if not wraps:
                raise
            raise source.error(at, f"`{operator}`: {exc.what}", exc.hint, name=exc.name) from exc
        try:
            return operation(rt, one, other)
        except FAILURES as exc:
            source.fail(at, exc, f"`{operator}` failed")

    return run


def _logic(source: Source, at: int, left: Run, right: Run, *, stop: bool) -> Run:
    """`or` stops at a true left side, `and` at a false one."""

    def run(rt: Runtime) -> bool:
        value = left(rt)
        try:
            if operators.truth(value) is stop:
                return stop
        except FAILURES as exc:
            source.fail(at, exc, "the condition failed")
        value = right(rt)
        try:
            return operators.truth(value)
        except FAILURES as exc:
            source.fail(at, exc, "the condition failed")

    return run


def _coalesce(left: Run, right: Run) -> Run:
    def run(rt: Runtime) -> Any:
        try:
            value = left(rt)
        except Missing:
            return right(rt)
        return right(rt) if value is None else value

    return run


def _undefined_coalesce(left: Run, right: Run) -> Run:
    def run(rt: Runtime) -> Any:
        try:
            return left(rt)
        except Missing:
            return right(rt)

    return run
