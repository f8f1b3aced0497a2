"""Templates: text compiled once to closures, then rendered as often as needed. The door to this room.

`compile_template` gives a Template; `render_value` renders whole structures; `is_pure` tells whether rendering needs more of the
World than its zone. Compiled templates are kept (the most recently used ones). Every failure is an ExpressionError with line and
column of the template, rendering ends within the limits of base/limits whatever the template says, and a text it gives can be encoded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from podium.base.errors import ExpressionError
from podium.base.limits import TEMPLATE_CHARS_MAX
from podium.expressions.emit.statements import Emitted, emit_template, run_body
from podium.expressions.emit.writers import TextWriter, TypedWriter
from podium.expressions.filters.table import FILTERS
from podium.expressions.functions.rendering import render_nested
from podium.expressions.functions.table import FUNCTIONS
from podium.expressions.raw import hide_raw, restore_raw
from podium.expressions.runtime import FAILURES, Meter, Runtime, Source
from podium.expressions.syntax.statements import parse
from podium.expressions.text import encodable
from podium.expressions.world import World

_CACHED_TEMPLATES = 1000
_CACHED_CHARS_MAX = 16_384
_MARKS = re.compile(r"\{[{%#]")
_FALSE_TEXTS = frozenset({"", "0", "-0", "false"})


class Template:
    """A compiled template. functions: names of the functions it calls. pure: whether rendering needs nothing of the World but its zone."""

    __slots__ = ("_emitted", "_raws", "_source", "dialect", "functions", "pure", "text")

    def __init__(self, text: str, dialect: str) -> None:
        self.text = text
        self.dialect = dialect
        self.functions: frozenset[str] = frozenset()
        self.pure = True
        self._source = Source(text)
        self._raws: dict[str, str] = {}
        self._emitted: Emitted | None = None
        if _MARKS.search(text) is None:
            return
        if len(text) > TEMPLATE_CHARS_MAX:
            raise self._source.error(0, "The template is too long", f"the limit is {TEMPLATE_CHARS_MAX} characters")
        hidden, self._raws = hide_raw(text)
        functions = FUNCTIONS[dialect]
        try:
            parsed = parse(Source(hidden) if self._raws else self._source, dialect)
            self._emitted = emit_template(self._source, parsed, dialect, FILTERS[dialect], functions)
        except RecursionError as exc:
            self._source.fail(0, exc, "The template cannot be compiled")
        self.functions = self._emitted.called
        self.pure = all(name not in functions or functions[name].pure for name in self.functions)

    def render(self, variables: Mapping[str, Any], world: World, meter: Meter | None = None) -> str:
        """The text. `variables` may be a lazy Mapping and is never changed. meter: what it may use."""
        if self._emitted is None:
            return self.text
        return _text(self.render_in(Runtime(variables, world, self.dialect, _compile, meter)))

    def render_leaf(self, variables: Mapping[str, Any], world: World, meter: Meter | None = None) -> str | None:
        """The text, or None when every output is null: how dialect 2.0 renders a value inside a list or map."""
        if self._emitted is None:
            return self.text
        rt = Runtime(variables, world, self.dialect, _compile, meter)
        writer = TextWriter(rt)
        self._run(rt, writer)
        return _text(restore_raw(writer.text(), self._raws)) if writer.pieces else None

    def render_in(self, rt: Runtime, raws: dict[str, str] | None = None) -> str:
        """The text, in a prepared runtime. With `raws`, content of raw tags stays hidden and is added to it."""
        if self._emitted is None:
            return self.text
        writer = TextWriter(rt)
        self._run(rt, writer)
        text = writer.text()
        if raws is None:
            return restore_raw(text, self._raws)
        raws.update(self._raws)
        return text

    def evaluate(self, variables: Mapping[str, Any], world: World, meter: Meter | None = None) -> Any:
        """The value: a template of a single output keeps its type, several outputs are joined as text; text alone is a string."""
        if self._emitted is None:
            return self.text
        rt = Runtime(variables, world, self.dialect, _compile, meter)
        writer = TypedWriter(rt)
        self._run(rt, writer)
        return _text(restore_raw(writer.value, self._raws)) if isinstance(writer.value, str) else writer.value

    def _run(self, rt: Runtime, writer: TextWriter | TypedWriter) -> None:
        assert self._emitted is not None
        rt.macros, rt.blocks = self._emitted.macros, self._emitted.blocks
        try:
            run_body(self._emitted.body, rt, writer.write)
        except FAILURES as exc:
            self._source.fail(0, exc, "The expression failed")


def _text(text: str) -> str:
    return text if text.isascii() else str(encodable(text))


def compile_template(text: str, *, dialect: str = "1.x") -> Template:
    """The compiled template. Raises ExpressionError (facts: line, column, template) for a mistake in its syntax."""
    return _compile(text, dialect)


def _compile(text: str, dialect: str) -> Template:
    return _cached(text, dialect) if len(text) <= _CACHED_CHARS_MAX else Template(text, dialect)


@lru_cache(maxsize=_CACHED_TEMPLATES)
def _cached(text: str, dialect: str) -> Template:
    return Template(text, dialect)


def render_value(
    value: Any, variables: Mapping[str, Any], world: World, *, dialect: str = "1.x", typed: bool = False, recursive: bool = False,
    meter: Meter | None = None,
) -> Any:
    """`value` with every template in it rendered: strings, and the keys and leaves of maps and lists. Anything else stays.

    typed: templates keep the type of their single output.  recursive: render results again until they are stable.
    When two keys become equal, the first one wins. meter: what all templates together may use.
    """
    meter = meter or Meter()
    if recursive:
        return _recursively(value, Runtime(variables, world, dialect, _compile, meter))
    if isinstance(value, str):
        template = compile_template(value, dialect=dialect)
        return template.evaluate(variables, world, meter) if typed else template.render(variables, world, meter)
    try:
        return _Structure(variables, world, dialect, typed, meter).rendered(value)
    except RecursionError as exc:
        raise ExpressionError("the value is nested too deeply to render") from exc


@dataclass(frozen=True, slots=True)
class _Structure:
    """Maps and lists, rendered part by part."""

    variables: Mapping[str, Any]
    world: World
    dialect: str
    typed: bool
    meter: Meter

    def rendered(self, value: Any) -> Any:
        if isinstance(value, str):
            template = compile_template(value, dialect=self.dialect)
            if self.typed:
                return template.evaluate(self.variables, self.world, self.meter)
            render = template.render_leaf if self.dialect == "2.0" else template.render
            return render(self.variables, self.world, self.meter)
        if isinstance(value, Mapping):
            entries: dict[Any, Any] = {}
            for key, item in value.items():
                name = compile_template(key, dialect=self.dialect).render(self.variables, self.world, self.meter) if isinstance(key, str) else key
                if name not in entries:
                    entries[name] = self.rendered(item)
            return entries
        if isinstance(value, (list, tuple)):
            return [self.rendered(item) for item in value]
        return value


def _recursively(value: Any, rt: Runtime) -> Any:
    rt.recursive = True
    return render_nested(rt, value, recursive=True)


def is_pure(value: Any, *, dialect: str = "1.x") -> bool:
    """Whether every template inside `value` is pure. One with a syntax mistake counts as pure: it fails when rendered."""
    if isinstance(value, str):
        try:
            return compile_template(value, dialect=dialect).pure
        except ExpressionError:
            return True
    if isinstance(value, Mapping):
        return all(is_pure(key, dialect=dialect) and is_pure(item, dialect=dialect) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return all(is_pure(item, dialect=dialect) for item in value)
    return True


def truthy(text: str | None) -> bool:
    """Whether a rendered condition holds: not null, empty, `0`, `-0` or `false`."""
    return text is not None and text not in _FALSE_TEXTS
