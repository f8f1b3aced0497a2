"""Turns tags into closures `run(rt, write)`, and a whole template into its body, macros and blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from podium.expressions.calls import Filter, Function
from podium.expressions.emit.expressions import ExpressionEmitter, Run
from podium.expressions.emit.writers import TextWriter, Write
from podium.expressions.operators import truth, type_name
from podium.expressions.runtime import FAILURES, Fault, Missing, Runtime, Source
from podium.expressions.syntax.nodes import Block, FilterBlock, For, If, Macro, Node, Parsed, Print, Set, Text
from podium.expressions.text import Entry

_MACRO_FUEL = 5
Step = Callable[[Runtime, Write], None]


@dataclass(slots=True)
class Emitted:
    """A template ready to run. called: every function name in it."""

    body: list[Step]
    macros: Mapping[str, Callable[..., Any]]
    blocks: Mapping[str, Callable[..., Any]]
    called: frozenset[str]


def emit_template(
    source: Source, parsed: Parsed, dialect: str, filters: Mapping[str, Filter], functions: Mapping[str, Function]
) -> Emitted:
    """The closures of a parsed template."""
    emitter = _StatementEmitter(source, dialect, filters, functions)
    body = emitter.body(parsed.body)
    macros = {name: emitter.macro(macro) for name, macro in parsed.macros.items()}
    blocks = {name: emitter.block_text(block) for name, block in parsed.blocks.items()}
    return Emitted(body, macros, blocks, frozenset(emitter.called - parsed.macros.keys()))


def run_body(body: list[Step], rt: Runtime, write: Write) -> None:
    """Run steps in order."""
    for step in body:
        step(rt, write)


class _StatementEmitter(ExpressionEmitter):
    def __init__(self, source: Source, dialect: str, filters: Mapping[str, Filter], functions: Mapping[str, Function]) -> None:
        super().__init__(source, dialect, filters, functions)
        self._steps: dict[type[Node], Callable[[Any], Step]] = {
            Text: self._text,
            Print: self._print,
            If: self._if,
            For: self._for,
            Set: self._set,
            Block: self._block,
            FilterBlock: self._filter_block,
        }

    def body(self, nodes: list[Node]) -> list[Step]:
        """The steps of a list of nodes; empty texts are left out."""
        return [self._steps[type(node)](node) for node in nodes if not (isinstance(node, Text) and not node.text)]

    def _text(self, node: Text) -> Step:
        text = node.text
        return lambda rt, write: write(text)

    def _print(self, node: Print) -> Step:
        value, at, source = self.expression(node.value), node.at, self.source

        def step(rt: Runtime, write: Write) -> None:
            found = value(rt)
            if found is None:
                return
            try:
                write(found)
            except FAILURES as exc:
                source.fail(at, exc, "the value cannot be printed")

        return step

    def _if(self, node: If) -> Step:
        branches = [(self._condition(condition), self.body(body)) for condition, body in node.branches]
        otherwise = self.body(node.otherwise or [])

        def step(rt: Runtime, write: Write) -> None:
            for condition, body in branches:
                if condition(rt):
                    run_body(body, rt, write)
                    return
            run_body(otherwise, rt, write)

        return step

    def _condition(self, node: Node) -> Callable[[Runtime], bool]:
        value, at, source = self.expression(node), node.at, self.source

        def run(rt: Runtime) -> bool:
            try:
                found = value(rt)
            except Missing as exc:
                raise source.error(at, f"the condition failed: {exc.what}", exc.hint, name=exc.name) from exc
            try:
                return truth(found)
            except FAILURES as exc:
                source.fail(at, exc, "the condition failed")

        return run

    def _for(self, node: For) -> Step:
        variable, items, at, source = node.variable, self.expression(node.items), node.at, self.source
        body, otherwise = self.body(node.body), self.body(node.otherwise or [])

        def step(rt: Runtime, write: Write) -> None:
            found = items(rt)
            if found is None:
                return
            try:
                values = _values(rt, found)
            except FAILURES as exc:
                source.fail(at, exc, "the for tag failed")
            if not values:
                run_body(otherwise, rt, write)
                return
            scope: dict[str, Any] = {}
            rt.scopes.append(scope)
            length = len(values)
            try:
                for index, value in enumerate(values):
                    rt.meter.fuel -= 1
                    if rt.meter.fuel < 0:
                        rt.meter.spend(0)
                    scope["loop"] = {
                        "index": index,
                        "length": length,
                        "first": index == 0,
                        "last": index == length - 1,
                        "revindex": length - index - 1,
                    }
                    scope[variable] = value
                    for each in body:
                        each(rt, write)
            except Fault as exc:
                source.fail(at, exc, "the for tag failed")
            finally:
                rt.scopes.pop()

        return step

    def _set(self, node: Set) -> Step:
        name, value = node.name, self.expression(node.value)
        return lambda rt, write: rt.set(name, value(rt))

    def block_text(self, node: Block) -> Callable[[Runtime], str]:
        """The closure that gives a block's text."""
        body = self.body(node.body)

        def run(rt: Runtime) -> str:
            rt.meter.enter()
            writer = TextWriter(rt)
            run_body(body, rt, writer.write)
            rt.meter.leave()
            return writer.text()

        return run

    def _block(self, node: Block) -> Step:
        body = self.body(node.body)
        return lambda rt, write: run_body(body, rt, write)

    def _filter_block(self, node: FilterBlock) -> Step:
        body = self.body(node.body)
        at, source = node.at, self.source

        def text(rt: Runtime) -> str:
            writer = TextWriter(rt)
            run_body(body, rt, writer.write)
            return writer.text()

        value: Run = text
        for place, name, arguments in node.filters:
            value = self.apply_filter(place, name, arguments, value)

        def step(rt: Runtime, write: Write) -> None:
            found = value(rt)
            if found is None:
                return
            try:
                write(found)
            except FAILURES as exc:
                source.fail(at, exc, "the value cannot be printed")

        return step

    def macro(self, node: Macro) -> Callable[[Runtime, list[Any], dict[str, Any]], str]:
        """The closure that calls a macro: it sees its arguments only and gives text."""
        names = [name for name, _ in node.parameters]
        defaults = {name: self.expression(default) for name, default in node.parameters if default is not None}
        body = self.body(node.body)

        def call(rt: Runtime, positional: list[Any], named: dict[str, Any]) -> str:
            arguments = _macro_arguments(node.name, names, positional, named)
            frame = rt.macro_frame(arguments)
            for name in names:
                if name not in arguments:
                    arguments[name] = defaults[name](frame) if name in defaults else None
            rt.meter.spend(_MACRO_FUEL)
            rt.meter.enter()
            writer = TextWriter(frame)
            run_body(body, frame, writer.write)
            rt.meter.leave()
            return writer.text()

        return call


def _macro_arguments(macro: str, names: list[str], positional: list[Any], named: dict[str, Any]) -> dict[str, Any]:
    if len(positional) > len(names):
        raise Fault(f"it takes {len(names)} arguments, not {len(positional)}")
    for name in named:
        if name not in names:
            raise Fault(f"the macro {macro} has no argument '{name}'")
    return dict(zip(names, positional, strict=False)) | named


def _values(rt: Runtime, items: Any) -> list[Any]:
    """What a for tag goes through: the items of a list, the entries of a map."""
    if isinstance(items, Mapping):
        values: list[Any] = [Entry(key, value) for key, value in items.items()]
    elif isinstance(items, (list, tuple, set, frozenset)):
        values = list(items)
    else:
        raise Fault(f"{type_name(items)} cannot be looped over", hint="only lists and maps can")
    rt.meter.spend(len(values) >> 4)
    return values

