"""Where a rendering's output goes: text, or a value that keeps its type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from podium.base.limits import STRING_CHARS_MAX
from podium.expressions.operators import is_number, type_name
from podium.expressions.runtime import Fault, Runtime
from podium.expressions.text import java_text, output_text

Write = Callable[[Any], None]


class TextWriter:
    """Collects output as text, up to STRING_CHARS_MAX characters."""

    __slots__ = ("pieces", "rt", "size")

    def __init__(self, rt: Runtime) -> None:
        self.rt = rt
        self.pieces: list[str] = []
        self.size = 0

    def write(self, value: Any) -> None:
        """Add a value as `{{ … }}` prints it."""
        text = value if type(value) is str else output_text(value, zone=self.rt.world.zone, dialect=self.rt.dialect, meter=self.rt.meter)
        self.size += len(text)
        if self.size > STRING_CHARS_MAX:
            raise Fault("the result is too long", hint=f"the limit is {STRING_CHARS_MAX} characters", limit="STRING_CHARS_MAX")
        if len(text) > 31:
            self.rt.meter.spend(len(text) >> 5)
        self.pieces.append(text)

    def text(self) -> str:
        """All of it."""
        return "".join(self.pieces)


class TypedWriter:
    """Keeps the value of a single output; joins several scalars as text; refuses to join a list, map or date with anything."""

    __slots__ = ("rt", "value")

    def __init__(self, rt: Runtime) -> None:
        self.rt = rt
        self.value: Any = None

    def write(self, value: Any) -> None:
        """Add a value."""
        if value is None:
            return
        if self.value is None:
            self.value = value
        elif _scalar(self.value) and _scalar(value):
            self.value = self.rt.meter.text(java_text(self.value) + java_text(value))
        elif self.rt.dialect == "2.0" and isinstance(self.value, list) and isinstance(value, list):
            self.value = [*self.value, *value]
        else:
            raise Fault(
                f"cannot concat {type_name(self.value)} with {type_name(value)}", hint="a list, map or date must be the only output"
            )


def _scalar(value: Any) -> bool:
    return isinstance(value, (str, bool)) or is_number(value)
