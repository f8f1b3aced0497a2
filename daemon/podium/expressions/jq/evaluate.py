"""Runs jq programs: every node gives a stream of results, each with its path when paths are asked for.

`Machine.run(node, env, value, path)` yields `(result, path)`. path is None when nobody asks; INVALID for results that are no part of
the input. Every step spends fuel of the rendering, so no program runs on for ever.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from podium.expressions.jq import values
from podium.expressions.jq.bindings import Closure, Env, bind, destructured, lookup
from podium.expressions.jq.syntax import Node
from podium.expressions.jq.values import JqError, true
from podium.expressions.runtime import Fault, Meter

Path = tuple[Any, ...] | None
Results = Iterator[tuple[Any, Any]]
INVALID = object()
_CONSTANTS: Mapping[str, Any] = {"$ENV": {}, "$__prog_args": {}, "$__loc__": {"file": "<top-level>", "line": 1}}
_UPDATES = {"+=": "+", "-=": "-", "*=": "*", "/=": "/", "%=": "%"}
_ARITHMETIC: Mapping[str, Callable[[Any, Any, Meter], Any]] = {
    "+": values.add,
    "-": values.subtract,
    "*": values.multiply,
    "/": values.divide,
    "%": values.remainder,
}


class Break(Exception):
    """Leaves the label it holds."""

    def __init__(self, label: object) -> None:
        super().__init__()
        self.label = label


class Machine:
    """natives: functions in Python by (name, arity), called with the machine, closures, env, value and path.

    definitions: functions written in jq by (name, arity).
    """

    def __init__(
        self, meter: Meter, natives: Mapping[tuple[str, int], Callable[..., Results]], definitions: Mapping[tuple[str, int], Node]
    ) -> None:
        self.meter = meter
        self.natives = natives
        self.definitions = definitions
        self._runners: Mapping[str, Callable[[Node, Env | None, Any, Any], Results]] = {
            "identity": self._identity,
            "literal": self._literal,
            "variable": self._variable,
            "index": self._index,
            "slice": self._slice,
            "iterate": self._iterate,
            "binary": self._binary,
            "negate": self._negate,
            "array": self._array,
            "object": self._object,
            "text": self._text,
            "format": self._format,
            "call": self._call,
            "def": self._def,
            "as": self._as,
            "if": self._if,
            "try": self._try,
            "reduce": self._reduce,
            "foreach": self._foreach,
            "label": self._label,
            "break": self._break,
        }

    def run(self, node: Node, env: Env | None, value: Any, path: Any = None) -> Results:
        """The results of a node for one input."""
        self.meter.spend(1)
        return self._runners[node.kind](node, env, value, path)

    def results(self, closure: Closure, value: Any) -> Iterator[Any]:
        """The results of an argument, without paths."""
        for result, _ in self.run(closure.node, closure.env, value):
            yield result

    def paths(self, closure: Closure, value: Any) -> Iterator[tuple[Any, ...]]:
        """The paths that an argument names in `value`."""
        for result, path in self.run(closure.node, closure.env, value, ()):
            if path is INVALID:
                raise JqError(f"Invalid path expression with result {values.shown(result)}")
            yield path

    def _identity(self, node: Node, env: Env | None, value: Any, path: Any) -> Results:
        yield value, path

    def _literal(self, node: Node, env: Env | None, value: Any, path: Any) -> Results:
        yield node.value, no_path(path)

    def _variable(self, node: Node, env: Env | None, value: Any, path: Any) -> Results:
        found = lookup(env, node.value, self.meter)
        if found is None:
            if node.value not in _CONSTANTS:
                raise Fault(f"jq: {node.value} is not defined")
            yield _CONSTANTS[node.value], no_path(path)
            return
        yield found.bound, no_path(path)

    def _index(self, node: Node, env: Env | None, value: Any, path: Any) -> Results:
        base, key_node = node.parts
        for found, at in self.run(base, env, value, path):
            for key, _ in self.run(key_node, env, value):
                yield values.index(found, key, self.meter), extended(at, key, found)

    def _slice(self, node: Node, env: Env | None, value: Any, path: Any) -> Results:
        base, start_node, end_node = node.parts
        for found, at in self.run(base, env, value, path):
            for end in self._bound(end_node, env, value):
                for start in self._bound(start_node, env, value):
                    key = {"start": start, "end": end}
                    yield values.slice_of(found, start, end, self.meter), extended(at, key, found)

    def _bound(self, node: Node | None, env: Env | None, value: Any) -> Iterator[Any]:
        if node is None:
            yield None
            return
        for bound, _ in self.run(node, env, value):
            yield bound

    def _iterate(self, node: Node, env: Env | None, value: Any, path: Any) -> Results:
        for found, at in self.run(node.parts[0], env, value, path):
            for key, item in values.iterate(found):
                self.meter.spend(1)
                yield item, extended(at, key, found)

    def _binary(self, node: Node, env: Env | None, value: Any, path: Any) -> Results:
        operator = node.value
        left, right = node.parts
        if operator == "|":
            for found, at in self.run(left, env, value, path):
                yield from self.run(right, env, found, at)
        elif operator == ",":
            yield from self.run(left, env, value, path)
            yield from self.run(right, env, value, path)
        elif operator == "//":
            yield from self._alternative(node, env, value, path)
        elif operator in ("and", "or"):
            for found in self._logic(node, env, value):
                yield found, no_path(path)
        elif operator in ("=", "|=", "//=") or operator in _UPDATES:
            for found in self._assign(operator, left, right, env, value):
                yield found, no_path(path)
        else:
            for other, _ in self.run(right, env, value):
                for one, _ in self.run(left, env, value):
                    yield self._calculate(operator, one, other), no_path(path)

    def _calculate(self, operator: str, one: Any, other: Any) -> Any:
        arithmetic = _ARITHMETIC.get(operator)
        if arithmetic is not None:
            return arithmetic(one, other, self.meter)
        if operator in ("==", "!="):
            return values.equal(one, other, self.meter) is (operator == "==")
        left, right = values.rank(one, self.meter), values.rank(other, self.meter)
        if operator == "<":
            return left < right
        if operator == ">":
            return left > right
        return left <= right if operator == "<=" else left >= right

    def _alternative(self, node: Node, env: Env | None, value: Any, path: Any) -> Results:
        """The true results of the left side; without any, those of the right side."""
        found = False
        try:
            for result, at in self.run(node.parts[0], env, value, path):
                if true(result):
                    found = True
                    yield result, at
        except JqError:
            pass
        if not found:
            yield from self.run(node.parts[1], env, value, path)

    def _logic(self, node: Node, env: Env | None, value: Any) -> Iterator[bool]:
        stop = node.value == "or"
        for one, _ in self.run(node.parts[0], env, value):
            if true(one) is stop:
                yield stop
                continue
            for other, _ in self.run(node.parts[1], env, value):
                yield true(other)

    def _assign(self, operator: str, left: Node, right: Node, env: Env | None, value: Any) -> Iterator[Any]:
        target = Closure(left, env)
        if operator == "|=":
            yield self.update(target, value, lambda old: next((new for new, _ in self.run(right, env, old)), INVALID))
            return
        for new, _ in self.run(right, env, value):
            yield self.update(target, value, self._changer(operator, new))

    def _changer(self, operator: str, new: Any) -> Callable[[Any], Any]:
        """What an assignment of `new` makes of the old value."""
        if operator == "=":
            return lambda old: new
        if operator == "//=":
            return lambda old: old if true(old) else new
        return lambda old: self._calculate(_UPDATES[operator], old, new)

    def update(self, target: Closure, value: Any, change: Callable[[Any], Any]) -> Any:
        """The value with everything at the target's paths changed; INVALID as the new value deletes it."""
        unwanted: list[list[Any]] = []
        for path in list(self.paths(target, value)):
            new = change(values.get_path(value, list(path), self.meter))
            if new is INVALID:
                unwanted.append(list(path))
            else:
                value = values.set_path(value, path, new, self.meter)
        return values.delete_paths(value, unwanted, self.meter) if unwanted else value

    def _negate(self, node: Node, env: Env | None, value: Any, path: Any) -> Results:
        for found, _ in self.run(node.parts[0], env, value):
            if values.kind(found) != "number":
                raise JqError(f"{values.shown(found)} cannot be negated")
            yield -found, no_path(path)

    def _array(self, node: Node, env: Env | None, value: Any, path: Any) -> Results:
        body = node.parts[0]
        yield [] if body is None else [found for found, _ in self.run(body, env, value)], no_path(path)

    def _object(self, node: Node, env: Env | None, value: Any, path: Any) -> Results:
        for found in self._entries(node.parts, 0, {}, env, value):
            yield found, no_path(path)

    def _entries(self, entries: Any, at: int, so_far: dict[str, Any], env: Env | None, value: Any) -> Iterator[Any]:
        if at == len(entries):
            yield so_far
            return
        key_node, value_node = entries[at]
        for key, _ in self.run(key_node, env, value):
            if not isinstance(key, str):
                raise JqError(f"Object keys must be strings, not {values.shown(key)}")
            for item, _ in self.run(value_node, env, value):
                yield from self._entries(entries, at + 1, {**so_far, key: item}, env, value)

    def _text(self, node: Node, env: Env | None, value: Any, path: Any) -> Results:
        for found in self._pieces(node, 0, "", env, value):
            yield found, no_path(path)

    def _pieces(self, node: Node, at: int, so_far: str, env: Env | None, value: Any) -> Iterator[str]:
        if at == len(node.parts):
            yield so_far
            return
        piece = node.parts[at]
        if isinstance(piece, str):
            yield from self._pieces(node, at + 1, so_far + piece, env, value)
            return
        for found, _ in self.run(piece, env, value):
            text = self.formatted(node.value or "@text", found)
            self.meter.size(len(so_far) + len(text))
            yield from self._pieces(node, at + 1, so_far + text, env, value)

    def _format(self, node: Node, env: Env | None, value: Any, path: Any) -> Results:
        yield self.formatted(node.value, value), no_path(path)

    def formatted(self, form: str, value: Any) -> str:
        """A value by `@base64` and its like."""
        for result, _ in self.natives["format", 1](self, (Closure(Node("literal", form[1:]), None),), None, value, None):
            return str(result)
        return ""

    def _call(self, node: Node, env: Env | None, value: Any, path: Any) -> Results:
        key = (node.value, len(node.parts))
        found = lookup(env, key, self.meter)
        if found is not None and isinstance(found.bound, Closure):
            yield from self.run(found.bound.node, found.bound.env, value, path)
            return
        closures = tuple(Closure(part, env) for part in node.parts)
        if found is None and key in self.natives:
            yield from self.natives[key](self, closures, env, value, path)
            return
        definition = found.bound if found is not None else self.definitions.get(key)
        if definition is None:
            raise Fault(f"jq: the function {node.value}/{len(node.parts)} is not defined")
        yield from self._function(definition, found, closures, value, path)

    def _function(self, definition: Node, inside: Env | None, closures: tuple[Closure, ...], value: Any, path: Any) -> Results:
        params, body = definition.parts
        for inner in self._parameters(params, closures, 0, inside, value):
            yield from self.run(body, inner, value, path)

    def _parameters(
        self, params: tuple[str, ...], closures: tuple[Closure, ...], at: int, env: Env | None, value: Any
    ) -> Iterator[Env | None]:
        """The bindings of a function's body: one for each combination of the results of its `$` parameters."""
        if at == len(params):
            yield env
            return
        name = params[at]
        if not name.startswith("$"):
            yield from self._parameters(params, closures, at + 1, bind(env, (name, 0), closures[at]), value)
            return
        for found in self.results(closures[at], value):
            inner = bind(bind(env, name, found), (name[1:], 0), Closure(Node("literal", found), None))
            yield from self._parameters(params, closures, at + 1, inner, value)

    def _def(self, node: Node, env: Env | None, value: Any, path: Any) -> Results:
        definition = node.value
        yield from self.run(node.parts[0], bind(env, (definition.value, len(definition.parts[0])), definition), value, path)

    def _as(self, node: Node, env: Env | None, value: Any, path: Any) -> Results:
        source, body = node.parts
        for found, _ in self.run(source, env, value):
            for inner in destructured(self, node.value, found, env):
                yield from self.run(body, inner, value, path)

    def _if(self, node: Node, env: Env | None, value: Any, path: Any) -> Results:
        condition, yes, no = node.parts
        for found, _ in self.run(condition, env, value):
            yield from self.run(yes if true(found) else no, env, value, path)

    def _try(self, node: Node, env: Env | None, value: Any, path: Any) -> Results:
        body, handler = node.parts
        try:
            yield from self.run(body, env, value, path)
        except JqError as exc:
            if handler is not None:
                for found, _ in self.run(handler, env, exc.value):
                    yield found, no_path(path)

    def _reduce(self, node: Node, env: Env | None, value: Any, path: Any) -> Results:
        source, start, step = node.parts
        for initial, at in self.run(start, env, value, path):
            state: Any = (initial, at)
            for found, _ in self.run(source, env, value):
                for inner in destructured(self, node.value, found, env):
                    results = deque(self.run(step, inner, state[0], state[1]), maxlen=1)
                    state = results[0] if results else (None, no_path(path))
            yield state

    def _foreach(self, node: Node, env: Env | None, value: Any, path: Any) -> Results:
        source, start, step = node.parts[:3]
        extract = node.parts[3] if len(node.parts) > 3 else None
        for initial in self.run(start, env, value, path):
            state = initial
            for found, _ in self.run(source, env, value):
                for inner in destructured(self, node.value, found, env):
                    for following in self.run(step, inner, state[0], state[1]):
                        state = following
                        if extract is None:
                            yield state
                        else:
                            yield from self.run(extract, inner, state[0], state[1])

    def _label(self, node: Node, env: Env | None, value: Any, path: Any) -> Results:
        label = object()
        try:
            yield from self.run(node.parts[0], bind(env, "label " + node.value, label), value, path)
        except Break as exc:
            if exc.label is not label:
                raise

    def _break(self, node: Node, env: Env | None, value: Any, path: Any) -> Results:
        found = lookup(env, "label " + node.value, self.meter)
        if found is None:
            raise Fault(f"jq: the label {node.value} is not defined")
        raise Break(found.bound)
        yield  # a generator like all others


def no_path(path: Any) -> Any:
    """The path of a result that is no part of the input."""
    return None if path is None else INVALID


def extended(path: Any, key: Any, found: Any) -> Any:
    if path is None:
        return None
    if path is INVALID:
        raise JqError(f"Invalid path expression: try to access element {values.dump(key)[:40]} of {values.shown(found)}")
    return (*path, key)
