"""What a rendering carries along: variables, scopes, fuel, and where in the template an error happened.

Compiled closures get a Runtime. `Source` turns an offset in the template into an ExpressionError with line and column. `Fault` is an
error that does not know its place yet: operators, filters and functions raise it, the call site gives it line and column. `Missing`
is the error of a name that is not there; only `??`, `???`, `default` and `is defined` catch it.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, cast

from podium.base.errors import ExpressionError, LimitError, PodiumError
from podium.base.limits import MACRO_DEPTH_MAX, STRING_CHARS_MAX, TEMPLATE_FUEL_MAX
from podium.base.patterns import RegexBudget
from podium.expressions.world import World

_SHOWN_CHARS_MAX = 300
FAILURES = (PodiumError, ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError)
"""What a step of an evaluation may raise; always turned into an ExpressionError."""


class Fault(ExpressionError):
    """A failure whose place in the template is not known here."""


class Missing(ExpressionError):
    """A variable or attribute that does not exist. name: the last one looked up."""

    def __init__(self, what: str, *, name: str = "", hint: str = "", **facts: object) -> None:
        super().__init__(what, hint=hint, name=name, **facts)
        self.name = name


class Source:
    """The text of a template, for messages."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def where(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 1."""
        before = self.text[:offset]
        return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1

    def shown(self) -> str:
        """The template as messages quote it, cut when long."""
        return self.text if len(self.text) <= _SHOWN_CHARS_MAX else self.text[:_SHOWN_CHARS_MAX] + "…"

    def error(self, offset: int, what: str, hint: str = "", **facts: object) -> ExpressionError:
        """An error at `offset`."""
        line, column = self.where(offset)
        return ExpressionError(
            f"{what} in the expression `{self.shown()}` at line {line}, column {column}",
            hint=hint,
            line=line,
            column=column,
            template=self.text,
            **facts,
        )

    def missing(self, offset: int, name: str) -> Missing:
        """The error of a name that is not there."""
        line, column = self.where(offset)
        return Missing(
            f"Unable to find `{name}` used in the expression `{self.shown()}` at line {line}",
            hint=f"use `?? 'default'` when `{name}` may be absent",
            name=name,
            line=line,
            column=column,
            template=self.text,
        )

    def fail(self, offset: int, exc: Exception, doing: str) -> NoReturn:
        """Raise `exc`, which came while `doing` something at `offset`, as an error that knows its place."""
        if isinstance(exc, ExpressionError) and not isinstance(exc, Fault):
            raise exc
        raise self._located(offset, exc, doing) from exc

    def _located(self, offset: int, exc: Exception, doing: str) -> ExpressionError:
        if isinstance(exc, Fault):
            facts = {key: value for key, value in exc.facts.items() if key not in ("line", "column", "template")}
            return self.error(offset, exc.what, exc.hint, **facts)
        if isinstance(exc, RecursionError):
            return self.error(offset, f"{doing}: nested too deeply", "a value or a chain of calls has too many levels")
        what = getattr(exc, "what", None) or str(exc) or type(exc).__name__
        limit = {"limit": exc.facts["limit"]} if isinstance(exc, LimitError) and "limit" in exc.facts else {}
        return self.error(offset, f"{doing}: {what}", getattr(exc, "hint", ""), **limit)


class Meter:
    """What a rendering may still use. Shared by nested renderings and all parts of a value, so that they do not multiply it."""

    __slots__ = ("depth", "fuel", "full", "regex")

    def __init__(self, fuel: int | None = None, regex_s: float | None = None) -> None:
        """fuel: by default the most there is. regex_s: how long patterns may run in all, in seconds."""
        self.full = self.fuel = TEMPLATE_FUEL_MAX if fuel is None else fuel
        self.depth = 0
        self.regex = RegexBudget() if regex_s is None else RegexBudget(regex_s)

    def spend(self, amount: int) -> None:
        """Use fuel: 1 for a step of a loop or a call, more for work on long texts and lists."""
        self.fuel -= amount
        if self.fuel < 0:
            raise Fault("the expression takes too many steps", hint=f"the limit is {self.full} steps", limit="TEMPLATE_FUEL_MAX")

    def enter(self) -> None:
        """Begin a macro call or a nested rendering; `leave` ends it."""
        self.depth += 1
        if self.depth > MACRO_DEPTH_MAX:
            raise Fault("macros or render() are nested too deeply", hint=f"the limit is {MACRO_DEPTH_MAX} levels", limit="MACRO_DEPTH_MAX")

    def leave(self) -> None:
        """End what `enter` began."""
        self.depth -= 1

    def size(self, chars: int) -> None:
        """Check the length of a text that is about to be made, and spend fuel for it."""
        if chars > STRING_CHARS_MAX:
            raise Fault("the text is too long", hint=f"the limit is {STRING_CHARS_MAX} characters", limit="STRING_CHARS_MAX")
        self.spend(chars >> 5)

    def text(self, text: str) -> str:
        """`text`, after a check of its length."""
        self.size(len(text))
        return text

    def join(self, parts: Sequence[str], separator: str = "") -> str:
        """The parts as one text; its length is checked before it is made."""
        self.size(sum(map(len, parts)) + len(separator) * len(parts))
        return separator.join(parts)

    def replace(self, text: str, old: str, new: str) -> str:
        """`text` with every `old` replaced; the length is checked before."""
        self.size(len(text) + max(0, text.count(old) * (len(new) - len(old))))
        return text.replace(old, new)


class Runtime:
    """One evaluation. scopes: what `set`, `for` and macros define, outermost first. variables: what the caller gave (never changed)."""

    __slots__ = ("blocks", "compiler", "dialect", "macros", "meter", "owned", "recursive", "replaced", "scopes", "variables", "world")

    def __init__(
        self,
        variables: Mapping[str, Any],
        world: World,
        dialect: str,
        compiler: Callable[[str, str], Any],
        meter: Meter | None = None,
    ) -> None:
        self.variables = variables
        self.world = world
        self.dialect = dialect
        self.compiler = compiler
        self.meter = meter or Meter()
        self.scopes: list[dict[str, Any]] = [{}]
        self.macros: Mapping[str, Callable[..., Any]] = {}
        self.blocks: Mapping[str, Callable[..., Any]] = {}
        self.replaced: dict[int, tuple[list[Any], list[Any]]] = {}
        self.owned: set[int] = set()
        self.recursive = False

    def macro_frame(self, arguments: dict[str, Any]) -> Runtime:
        """The evaluation of a macro's body: it sees its arguments and nothing else."""
        frame = Runtime({}, self.world, self.dialect, self.compiler, self.meter)
        frame.recursive = self.recursive
        frame.scopes = [arguments]
        frame.macros = self.macros
        frame.blocks = self.blocks
        frame.replaced = self.replaced
        frame.owned = self.owned
        return frame

    def set(self, name: str, value: Any) -> None:
        """Assign in the scope that has `name`, else in the innermost one. A name of the caller's counts as the outermost scope's."""
        for scope in reversed(self.scopes):
            if name in scope:
                scope[name] = value
                return
        self.scopes[0 if name in self.variables else -1][name] = value

    def visible(self) -> Mapping[str, Any]:
        """Every name that can be read here. The caller's variables are not copied: they may be lazy."""
        scopes = [scope for scope in reversed(self.scopes) if scope]
        if not scopes:
            return self.variables
        return ChainMap(*scopes, cast("dict[str, Any]", self.variables))

    def own(self, items: list[Any]) -> list[Any]:
        """A list that may be changed in place of `items`.

        The language sorts and extends lists in place, and the change is seen later in the template. The caller's lists must stay as
        they are, so the change happens to a copy, and every later look at `items` gives the copy (`seen`).
        """
        if id(items) in self.owned:
            return items
        self.meter.spend(len(items))
        copy = list(items)
        self.owned.add(id(copy))
        self.replaced[id(items)] = (items, copy)
        self.replaced.setdefault(id(copy), (copy, copy))
        return copy

    def seen(self, value: Any) -> Any:
        """`value`, or what it was changed to. Call it only when `replaced` holds something."""
        if type(value) is list and (pair := self.replaced.get(id(value))) is not None:
            return pair[1]
        return value
