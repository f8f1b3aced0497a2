"""jq's bindings: variables, functions and labels, and patterns that take values apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from podium.expressions.jq import values
from podium.expressions.jq.syntax import Node
from podium.expressions.jq.values import JqError
from podium.expressions.runtime import Meter


@dataclass(frozen=True, slots=True)
class Env:
    """One binding on top of others: a variable (`$x`), a label, or a function under (name, number of parameters)."""

    key: Any
    bound: Any
    parent: Env | None


@dataclass(frozen=True, slots=True)
class Closure:
    """An argument of a function: an expression with the bindings of its caller."""

    node: Node
    env: Env | None


def bind(env: Env | None, key: Any, bound: Any) -> Env:
    """The bindings with one more."""
    return Env(key, bound, env)


def lookup(env: Env | None, key: Any, meter: Meter) -> Env | None:
    """The binding of a name. A long search costs fuel."""
    hops = 0
    while env is not None and env.key != key:
        env = env.parent
        hops += 1
    meter.spend(hops >> 2)
    return env


class Runner(Protocol):
    """The machine, as patterns need it: keys of a pattern are expressions."""

    meter: Meter

    def run(self, node: Node, env: Env | None, value: Any, path: Any = None) -> Iterator[tuple[Any, Any]]:
        """The results of a node, with their paths."""
        ...


def destructured(machine: Runner, patterns: list[Node], found: Any, env: Env | None) -> Iterator[Env | None]:
    """The bindings with the variables of the first pattern that fits."""
    for number, pattern in enumerate(patterns):
        base = env
        for name in sorted(_names(patterns)) if len(patterns) > 1 else ():
            base = bind(base, name, None)
        try:
            bindings = list(_matched(machine, pattern, found, base))
        except JqError:
            if number == len(patterns) - 1:
                raise
            continue
        yield from bindings
        return


def _matched(machine: Runner, pattern: Node, found: Any, env: Env | None) -> Iterator[Env | None]:
    if pattern.kind == "bind":
        yield bind(env, pattern.value, found)
    elif pattern.kind == "bind list":
        if found is not None and not isinstance(found, list):
            raise JqError(f"Cannot index {values.kind(found)} with number")
        yield from _matched_items(machine, pattern.parts, 0, found, env)
    else:
        yield from _matched_entries(machine, pattern.parts, 0, found, env)


def _matched_items(machine: Runner, items: Any, at: int, found: Any, env: Env | None) -> Iterator[Env | None]:
    if at == len(items):
        yield env
        return
    for inner in _matched(machine, items[at], values.index(found, at, machine.meter), env):
        yield from _matched_items(machine, items, at + 1, found, inner)


def _matched_entries(machine: Runner, entries: Any, at: int, found: Any, env: Env | None) -> Iterator[Env | None]:
    if at == len(entries):
        yield env
        return
    variable, key_node, pattern = entries[at]
    for key, _ in machine.run(key_node, env, found):
        item = values.index(found, key, machine.meter)
        base = bind(env, variable.value, item) if variable is not None else env
        for inner in _matched(machine, pattern, item, base) if pattern is not None else (base,):
            yield from _matched_entries(machine, entries, at + 1, found, inner)


def _names(patterns: list[Node]) -> set[str]:
    """Every variable that patterns bind."""
    names: set[str] = set()
    for pattern in patterns:
        if pattern.kind == "bind":
            names.add(pattern.value)
        elif pattern.kind == "bind list":
            names |= _names(list(pattern.parts))
        else:
            for variable, _, inner in pattern.parts:
                names |= _names([each for each in (variable, inner) if each is not None])
    return names
