"""`render` and `renderOnce`: templates inside values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podium.base.errors import ExpressionError
from podium.base.limits import RENDER_PASSES_MAX
from podium.expressions.calls import Args, Function, flag_arg, required
from podium.expressions.raw import restore_raw
from podium.expressions.runtime import Fault, Missing, Runtime

_RENDER_FUEL = 10


def render_nested(rt: Runtime, value: Any, *, recursive: bool) -> Any:
    """`value` with the templates in it rendered: a string, or the keys and leaves of lists and maps; anything else stays.

    recursive: results are rendered again until they are stable. Templates see what is visible where they are rendered.
    """
    rt.meter.enter()
    inner = Runtime(rt.visible(), rt.world, rt.dialect, rt.compiler, rt.meter)
    inner.recursive = rt.recursive
    inner.replaced, inner.owned = rt.replaced, rt.owned
    try:
        return _rendered(inner, value, recursive=recursive)
    except Missing as exc:  # a missing name inside is not for the `??` outside
        raise ExpressionError(exc.what, hint=exc.hint, **exc.facts) from exc
    finally:
        rt.meter.leave()


def _rendered(rt: Runtime, value: Any, *, recursive: bool) -> Any:
    rt.meter.spend(2)
    if isinstance(value, str):
        return _text(rt, value, recursive=recursive)
    if isinstance(value, Mapping):
        entries: dict[Any, Any] = {}
        for key, item in value.items():
            name = _text(rt, key, recursive=recursive) if isinstance(key, str) else key
            if name not in entries:
                entries[name] = _rendered(rt, item, recursive=recursive)
        return entries
    if isinstance(value, (list, tuple)):
        return [_rendered(rt, item, recursive=recursive) for item in value]
    return value


def _text(rt: Runtime, text: str, *, recursive: bool) -> str:
    raws: dict[str, str] = {}
    for _ in range(RENDER_PASSES_MAX if recursive else 1):
        rt.meter.spend(_RENDER_FUEL + (len(text) >> 3) if "{" in text else 2)
        rt.scopes = [{}]
        result = rt.compiler(text, rt.dialect).render_in(rt, raws)
        if not recursive or result == text:
            return restore_raw(result, raws)
        text = result
    raise Fault("Too many rendering attempts", hint=f"the text still changes after {RENDER_PASSES_MAX} passes", limit="RENDER_PASSES_MAX")


def _render(rt: Runtime, args: Args) -> Any:
    value = required(args, "toRender")
    recursive = flag_arg(args, "recursive", default=True)
    _allowed(rt, "render")
    return render_nested(rt, value, recursive=recursive)


def _render_once(rt: Runtime, args: Args) -> Any:
    _allowed(rt, "renderOnce")
    return render_nested(rt, required(args, "toRender"), recursive=False)


def _allowed(rt: Runtime, name: str) -> None:
    if rt.recursive:
        raise Fault(f"Function or Macro [{name}] does not exist.", hint="results are rendered again anyway: recursive rendering is on")


FUNCTIONS = (
    Function("render", _render, ("toRender", "recursive"), pure=False, fuel=3),
    Function("renderOnce", _render_once, ("toRender",), pure=False, fuel=3),
)
