"""What filters and functions are made of: their names, parameters and dialects, and helpers that read arguments.

A filter is `run(rt, value, args)`, a function `run(rt, args)`; `args` holds only the arguments that were written, by parameter name.
Both raise Fault (or any of runtime.FAILURES), and the call site adds the place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from podium.expressions.operators import is_number, type_name
from podium.expressions.runtime import Fault, Runtime

BOTH = ("1.x", "2.0")
Args = dict[str, Any]
VARIADIC = "*"
"""As the only parameter: any number of positional arguments, given as args["*"], a list."""


@dataclass(frozen=True, slots=True)
class Filter:
    """parameters: names in order; empty: extra positional arguments are ignored, as the reference does."""

    name: str
    run: Callable[[Runtime, Any, Args], Any]
    parameters: tuple[str, ...] = ()
    dialects: tuple[str, ...] = BOTH
    takes_missing: bool = False
    """Whether it is given None instead of failing when its input does not exist."""
    fuel: int = 1
    """What a call uses; about as many as it takes microseconds. Work that grows with its input is charged by `run` itself."""


@dataclass(frozen=True, slots=True)
class Function:
    """pure: nothing of the World is needed but its zone. fuel: as of Filter."""

    name: str
    run: Callable[[Runtime, Args], Any]
    parameters: tuple[str, ...] = ()
    dialects: tuple[str, ...] = BOTH
    pure: bool = True
    fuel: int = 1


Called = TypeVar("Called", Filter, Function)


def by_dialect(*groups: Iterable[Called]) -> Mapping[str, Mapping[str, Called]]:
    """Filters or functions of several modules, by dialect and name."""
    everything = [each for group in groups for each in group]
    return {dialect: {each.name: each for each in everything if dialect in each.dialects} for dialect in BOTH}


def required(args: Args, name: str) -> Any:
    """An argument that must be written."""
    if name not in args:
        raise Fault(f"the argument '{name}' is missing")
    return args[name]


def text(value: Any, what: str) -> str:
    """`value`, which must be a string."""
    if not isinstance(value, str):
        raise Fault(f"{what} must be a string, not {type_name(value)}")
    return value


def text_arg(args: Args, name: str) -> str:
    """An argument that must be written and be a string."""
    return text(required(args, name), f"the argument '{name}'")


def optional_text(args: Args, name: str, default: str | None = None) -> str | None:
    """A string argument, or `default` when it is absent or null."""
    value = args.get(name)
    return default if value is None else text(value, f"the argument '{name}'")


def whole(value: Any, what: str) -> int:
    """`value`, which must be a number, without its fraction."""
    if not is_number(value):
        raise Fault(f"{what} must be a number, not {type_name(value)}")
    if isinstance(value, Decimal) and value.adjusted() > 40:
        raise Fault(f"{what} is too large")
    return int(value)


def int_arg(args: Args, name: str, default: int | None = None) -> int:
    """A number argument without its fraction; must be written unless there is a default."""
    if default is not None and args.get(name) is None:
        return default
    return whole(required(args, name), f"the argument '{name}'")


def flag_arg(args: Args, name: str, *, default: bool) -> bool:
    """A boolean argument, or `default` when it is absent or null."""
    value = args.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise Fault(f"the argument '{name}' must be true or false, not {type_name(value)}")
    return value
