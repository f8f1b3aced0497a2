"""Turns expression nodes into closures `run(rt) -> value`.

Emitting happens once a template, running as often as it is rendered: whatever can be decided from the text alone (operator, filter,
argument names) is decided here. Unknown names of filters, functions and tests fail when they are reached, as in the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from podium.expressions.calls import VARIADIC, Filter, Function
from podium.expressions.emit.access import ABSENT, ContextHandle, attribute, method
from podium.expressions.emit.binary import emit_binary
from podium.expressions.emit.checks import CHECKS
from podium.expressions.java.hashing import literal_order
from podium.expressions.operators import map_key, negate, positive, truth
from podium.expressions.runtime import FAILURES, Missing, Runtime, Source
from podium.expressions.syntax.nodes import (
    Arguments,
    Attribute,
    Binary,
    Call,
    Concat,
    FilterCall,
    ListLiteral,
    Literal,
    MapLiteral,
    MethodCall,
    Name,
    Node,
    Ternary,
    TestCall,
    Unary,
)
from podium.expressions.text import java_text

Run = Callable[[Runtime], Any]
Bound = list[tuple[str, Run]]
_LONG_TEXT = 4096


class ExpressionEmitter:
    """Emits the expressions of one template. functions: every name that is called, for the caller to see what a template needs."""

    def __init__(self, source: Source, dialect: str, filters: Mapping[str, Filter], functions: Mapping[str, Function]) -> None:
        self.source = source
        self.dialect = dialect
        self.filters = filters
        self.functions = functions
        self.called: set[str] = set()
        self._emitters: dict[type[Node], Callable[[Any], Run]] = {
            Literal: self._literal,
            Name: self._name,
            Attribute: self._attribute,
            Call: self._call,
            MethodCall: self._method,
            FilterCall: self._filter,
            TestCall: self._test,
            Unary: self._unary,
            Binary: self._binary,
            Concat: self._concat,
            Ternary: self._ternary,
            ListLiteral: self._list,
            MapLiteral: self._map,
        }

    def expression(self, node: Node) -> Run:
        """The closure of an expression."""
        return self._emitters[type(node)](node)

    def _literal(self, node: Literal) -> Run:
        value = node.value
        return lambda rt: value

    def _name(self, node: Name) -> Run:
        name, at, source = node.name, node.at, self.source

        def run(rt: Runtime) -> Any:
            scopes = rt.scopes
            if len(scopes) > 1 or scopes[0]:
                for scope in reversed(scopes):
                    if name in scope:
                        return rt.seen(scope[name]) if rt.replaced else scope[name]
            try:
                value = rt.variables[name]
            except KeyError:
                if name == "_context":
                    return ContextHandle()
                raise source.missing(at, name) from None
            return rt.seen(value) if rt.replaced else value

        return run

    def _attribute(self, node: Attribute) -> Run:
        base, at, source = self.expression(node.base), node.at, self.source
        root = node.base.name if isinstance(node.base, Name) else None
        if isinstance(node.key, Literal) and isinstance(node.key.value, str):
            key = node.key.value

            def run_constant(rt: Runtime) -> Any:
                value = base(rt)
                found = value[key] if type(value) is dict and key in value else _look(source, at, value, key, root)
                return rt.seen(found) if rt.replaced else found

            return run_constant
        key_run = self.expression(node.key)

        def run(rt: Runtime) -> Any:
            value = base(rt)
            found = _look(source, at, value, key_run(rt), root)
            return rt.seen(found) if rt.replaced else found

        return run

    def _method(self, node: MethodCall) -> Run:
        base, at, name, source = self.expression(node.base), node.at, node.name, self.source
        arguments = [self.expression(argument) for argument in node.arguments.positional]

        def run(rt: Runtime) -> Any:
            value = base(rt)
            if value is None:
                raise source.missing(at, name)
            try:
                return method(value, name, [argument(rt) for argument in arguments])
            except FAILURES as exc:
                source.fail(at, exc, f"the method `{name}` failed")

        return run

    def _list(self, node: ListLiteral) -> Run:
        items = [self.expression(item) for item in node.items]
        return lambda rt: [item(rt) for item in items]

    def _map(self, node: MapLiteral) -> Run:
        entries = [(self.expression(key), self.expression(value)) for key, value in node.entries]
        at, source = node.at, self.source

        def run(rt: Runtime) -> Any:
            try:
                return literal_order([(map_key(key(rt)), value(rt)) for key, value in entries], len(entries))
            except TypeError as exc:
                raise source.error(at, "A list or map cannot be a key of a map") from exc

        return run

    def _concat(self, node: Concat) -> Run:
        parts = [self.expression(part) for part in node.parts]
        at, source = node.at, self.source

        def run(rt: Runtime) -> str:
            values = [part(rt) for part in parts]
            try:
                return rt.meter.join([v if type(v) is str else "" if v is None else java_text(v, rt.meter) for v in values])
            except FAILURES as exc:
                source.fail(at, exc, "the texts cannot be joined")

        return run

    def _ternary(self, node: Ternary) -> Run:
        condition, yes, no = self.expression(node.condition), self.expression(node.yes), self.expression(node.no)
        at, source = node.at, self.source

        def run(rt: Runtime) -> Any:
            value = condition(rt)
            if value is True:
                return yes(rt)
            if value is None or value is False:
                return no(rt)
            try:
                chosen = truth(value)
            except FAILURES as exc:
                source.fail(at, exc, "the condition failed")
            return yes(rt) if chosen else no(rt)

        return run

    def _unary(self, node: Unary) -> Run:
        operand, at, source = self.expression(node.operand), node.at, self.source
        operation: Callable[[Any], Any] = {"not": lambda value: not truth(value), "-": negate, "+": positive}[node.operator]

        def run(rt: Runtime) -> Any:
            value = operand(rt)
            try:
                return operation(value)
            except FAILURES as exc:
                source.fail(at, exc, f"`{node.operator}` failed")

        return run

    def _binary(self, node: Binary) -> Run:
        return emit_binary(self.source, node, self.expression(node.left), self.expression(node.right), self.dialect)

    def _test(self, node: TestCall) -> Run:
        base, at, name, source, negated = self.expression(node.base), node.at, node.name, self.source, node.negated
        check = CHECKS.get(name)
        if check is None:
            return self._failing(at, f"Test [{name}] does not exist", "tests are " + ", ".join(CHECKS))
        if name == "defined":

            def run_defined(rt: Runtime) -> bool:
                try:
                    return (base(rt) is not None) is not negated
                except Missing:
                    return negated

            return run_defined

        def run(rt: Runtime) -> bool:
            value = base(rt)
            try:
                return check(value) is not negated
            except FAILURES as exc:
                source.fail(at, exc, f"the test `{name}` failed")

        return run

    def _filter(self, node: FilterCall) -> Run:
        return self.apply_filter(node.at, node.name, node.arguments, self.expression(node.base))

    def apply_filter(self, at: int, name: str, arguments: Arguments, base: Run) -> Run:
        """The closure of `base | name(arguments)`."""
        source, found = self.source, self.filters.get(name)
        if found is None:
            return self._failing(at, f"Filter [{name}] does not exist")
        bound = self._bind(found.parameters, arguments, ignore_extra=not found.parameters)
        if isinstance(bound, str):
            return self._failing(at, f"the filter `{name}`: {bound}")
        apply, takes_missing, variadic, fuel = found.run, found.takes_missing, found.parameters == (VARIADIC,), found.fuel

        def run(rt: Runtime) -> Any:
            try:
                value = base(rt)
            except Missing:
                if not takes_missing:
                    raise
                value = None
            args = _arguments(rt, bound, variadic=variadic)
            try:
                rt.meter.spend(fuel + (len(value) >> 6) if isinstance(value, (str, list, tuple)) else fuel)
                result = apply(rt, value, args)
                return rt.meter.text(result) if type(result) is str and len(result) > _LONG_TEXT else result
            except FAILURES as exc:
                source.fail(at, exc, f"the filter `{name}` failed")

        return run

    def _call(self, node: Call) -> Run:
        at, name, source = node.at, node.name, self.source
        self.called.add(name)
        if name == "block":
            return self._block_call(node)
        found = self.functions.get(name)
        if found is None:
            return self._macro_call(node)
        bound = self._bind(found.parameters, node.arguments)
        if isinstance(bound, str):
            return self._failing(at, f"the function `{name}`: {bound}")
        execute, variadic, fuel = found.run, found.parameters == (VARIADIC,), found.fuel

        def run(rt: Runtime) -> Any:
            args = _arguments(rt, bound, variadic=variadic)
            try:
                rt.meter.spend(fuel)
                result = execute(rt, args)
                return rt.meter.text(result) if type(result) is str and len(result) > _LONG_TEXT else result
            except FAILURES as exc:
                source.fail(at, exc, f"the function `{name}` failed")

        return run

    def _block_call(self, node: Call) -> Run:
        bound = self._bind(("name",), node.arguments)
        if isinstance(bound, str) or not bound:
            return self._failing(node.at, "the function `block` needs the name of a block")
        name = bound[0][1]

        def run(rt: Runtime) -> Any:
            block = rt.blocks.get(java_text(name(rt)))
            return None if block is None else block(rt)

        return run

    def _macro_call(self, node: Call) -> Run:
        at, name, source = node.at, node.name, self.source
        positional = [self.expression(argument) for argument in node.arguments.positional]
        named = [(key, self.expression(argument)) for key, argument in node.arguments.named]

        def run(rt: Runtime) -> Any:
            macro = rt.macros.get(name)
            if macro is None:
                raise source.error(at, f"Function or Macro [{name}] does not exist.")
            values = [argument(rt) for argument in positional]
            by_name = {key: argument(rt) for key, argument in named}
            try:
                return macro(rt, values, by_name)
            except FAILURES as exc:
                source.fail(at, exc, f"the macro `{name}` failed")

        return run

    def _bind(self, parameters: tuple[str, ...], arguments: Arguments, *, ignore_extra: bool = False) -> Bound | str:
        """Arguments by parameter name, or what is wrong with them."""
        if parameters[:1] == (VARIADIC,):
            if arguments.named:
                return f"it takes no named arguments such as '{arguments.named[0][0]}'"
            return [(VARIADIC, self.expression(argument)) for argument in arguments.positional]
        if len(arguments.positional) > len(parameters) and not ignore_extra:
            return f"it takes {len(parameters)} arguments, not {len(arguments.positional)}"
        bound = [(name, self.expression(value)) for name, value in zip(parameters, arguments.positional, strict=False)]
        for name, value in arguments.named:
            if name not in parameters:
                return f"it has no argument '{name}'" + (f", only {', '.join(parameters)}" if parameters else "")
            bound.append((name, self.expression(value)))
        return bound

    def _failing(self, at: int, what: str, hint: str = "") -> Run:
        """A closure that fails when it is reached."""
        source = self.source

        def run(rt: Runtime) -> Any:
            raise source.error(at, what, hint)

        return run


def _arguments(rt: Runtime, bound: Bound, *, variadic: bool) -> dict[str, Any]:
    if variadic:
        return {VARIADIC: [argument(rt) for _, argument in bound]}
    return {key: argument(rt) for key, argument in bound}


def _look(source: Source, at: int, value: Any, key: Any, root: str | None) -> Any:
    """The attribute `key` of `value`; raises Missing when there is none. root: the variable's name when `value` is one."""
    if value is None:
        raise source.missing(at, root or java_text(key))
    try:
        found = attribute(value, key)
    except FAILURES as exc:
        source.fail(at, exc, f"the attribute `{java_text(key)}` cannot be read")
    if found is ABSENT:
        raise source.missing(at, java_text(key))
    return found
