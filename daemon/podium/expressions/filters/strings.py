"""Filters on texts that the workflow language adds: replacing, cutting, indenting, patterns."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from podium.base import patterns
from podium.expressions.calls import VARIADIC, Args, Filter, flag_arg, int_arg, required, text, text_arg, whole
from podium.expressions.java.hashing import in_hash_order
from podium.expressions.java.string_format import string_format
from podium.expressions.operators import type_name
from podium.expressions.runtime import Fault, Runtime
from podium.expressions.text import java_text

_SLUG_DROPPED = re.compile(r"[^a-zA-Z0-9_-]")
_SLUG_DASHES = re.compile(r"[-_]+")
_LEAF_FUEL = 4
_ESCAPES = {"single": ("'", "\\'"), "double": ('"', '\\"'), "shell": ("'", "'\\''")}


def _each_text(rt: Runtime, value: Any, change: Callable[[str], str]) -> Any:
    """`value` with every leaf of its lists and maps turned into text and changed; nulls stay."""
    rt.meter.spend(_LEAF_FUEL)
    if value is None:
        return None
    if isinstance(value, Mapping):
        return in_hash_order((key, _each_text(rt, item, change)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return [_each_text(rt, item, change) for item in value]
    return change(java_text(value, rt.meter))


def _replace(rt: Runtime, value: Any, args: Args) -> Any:
    if value is None:
        return None
    pairs = required(args, "replace_pairs")
    if not isinstance(pairs, Mapping):
        raise Fault(f"the argument 'replace_pairs' must be a map, not {type_name(pairs)}")
    texts = [(java_text(old, rt.meter), java_text(new, rt.meter)) for old, new in pairs.items()]
    by_pattern = flag_arg(args, "regexp", default=False)

    def change(found: str) -> str:
        for old, new in texts:
            rt.meter.spend(1)
            found = patterns.replace(old, found, new, rt.meter.regex) if by_pattern else rt.meter.replace(found, old, new)
        return found

    return _each_text(rt, value, change)


def _escape_char(rt: Runtime, value: Any, args: Args) -> Any:
    if value is None:
        return None
    kind = text_arg(args, "type").lower()
    if kind not in _ESCAPES:
        raise Fault(f"the argument 'type' must be single, double or shell, not '{kind}'")
    old, new = _ESCAPES[kind]
    return _each_text(rt, value, lambda found: rt.meter.replace(found, old, new))


def _split(rt: Runtime, value: Any, args: Args) -> Any:
    if value is None:
        return None
    delimiter = text_arg(args, "delimiter")
    parts = patterns.split(delimiter, text(value, "the input"), int_arg(args, "limit", 0), rt.meter.regex)
    rt.meter.spend(len(parts))
    return tuple(parts)


def _starts_with(rt: Runtime, value: Any, args: Args) -> bool:
    return _edge(rt, value, args, str.startswith)


def _ends_with(rt: Runtime, value: Any, args: Args) -> bool:
    return _edge(rt, value, args, str.endswith)


def _edge(rt: Runtime, value: Any, args: Args, holds: Callable[[str, str], bool]) -> bool:
    wanted = required(args, "value")
    if wanted is None:
        raise Fault("the argument 'value' must not be null")
    if value is None:
        if rt.dialect == "2.0":
            return False
        raise Fault("the input must not be null")
    return holds(java_text(value, rt.meter), java_text(wanted, rt.meter))


def _indented(rt: Runtime, value: Any, args: Args, *, new_line: bool) -> Any:
    if value is None:
        return None
    found = java_text(value, rt.meter)
    if not found:
        return found
    amount = int_arg(args, "amount")
    if amount < 0:
        raise Fault("the argument 'amount' must not be negative")
    prefix = text(args.get("prefix", " "), "the argument 'prefix'")
    line_break = next((each for each in ("\r\n", "\n\r", "\n", "\r") if each in found), "\n")
    rt.meter.size(amount * len(prefix))
    return rt.meter.replace(line_break + found if new_line else found, line_break, line_break + prefix * amount)


def _indent(rt: Runtime, value: Any, args: Args) -> Any:
    return _indented(rt, value, args, new_line=False)


def _nindent(rt: Runtime, value: Any, args: Args) -> Any:
    return _indented(rt, value, args, new_line=True)


def _slugify(rt: Runtime, value: Any, args: Args) -> Any:
    return None if value is None else slugify(java_text(value, rt.meter))


def slugify(value: str) -> str:
    """A text as lower-case ASCII words joined by dashes."""
    plain = _SLUG_DROPPED.sub("", unicodedata.normalize("NFD", re.sub(r"\s", "-", value, flags=re.ASCII)))
    return _SLUG_DASHES.sub("-", plain).strip("-").lower()


def _substring(*, before: bool, last: bool) -> Callable[[Runtime, Any, Args], Any]:
    """A filter that gives what stands before or after the first or last separator."""

    def run(rt: Runtime, value: Any, args: Args) -> Any:
        separator = java_text(required(args, "separator"), rt.meter)
        if value is None:
            return None
        found = java_text(value, rt.meter)
        if not separator:
            return found if before is last else ""
        at = found.rfind(separator) if last else found.find(separator)
        if at < 0:
            return found if before else ""
        return found[:at] if before else found[at + len(separator) :]

    return run


def _string(rt: Runtime, value: Any, args: Args) -> Any:
    return None if value is None else java_text(value, rt.meter)


def _format(rt: Runtime, value: Any, args: Args) -> Any:
    return None if value is None else string_format(text(value, "the input"), args.get(VARIADIC, []), rt.meter)


def _regex_match(rt: Runtime, value: Any, args: Args) -> bool:
    pattern = text_arg(args, "regex")
    return value is not None and patterns.search(pattern, java_text(value, rt.meter), rt.meter.regex) is not None


def _regex_extract(rt: Runtime, value: Any, args: Args) -> Any:
    pattern = text_arg(args, "regex")
    if value is None:
        return None
    match = patterns.search(pattern, java_text(value, rt.meter), rt.meter.regex)
    if match is None:
        return None
    group = args.get("group", 0)
    return match.group(group if isinstance(group, str) else whole(group, "the argument 'group'"))


def _regex_replace(rt: Runtime, value: Any, args: Args) -> Any:
    pattern, replacement = text_arg(args, "regex"), text_arg(args, "replacement")
    return None if value is None else patterns.replace(pattern, java_text(value, rt.meter), replacement, rt.meter.regex)


NEW = ("2.0",)
FILTERS = (
    Filter("replace", _replace, ("replace_pairs", "regexp"), fuel=3),
    Filter("escapeChar", _escape_char, ("type",), fuel=3),
    Filter("split", _split, ("delimiter", "limit"), fuel=3),
    Filter("startsWith", _starts_with, ("value",)),
    Filter("endsWith", _ends_with, ("value",)),
    Filter("indent", _indent, ("amount", "prefix")),
    Filter("nindent", _nindent, ("amount", "prefix")),
    Filter("slugify", _slugify, fuel=15),
    Filter("substringBefore", _substring(before=True, last=False), ("separator",)),
    Filter("substringAfter", _substring(before=False, last=False), ("separator",)),
    Filter("substringBeforeLast", _substring(before=True, last=True), ("separator",)),
    Filter("substringAfterLast", _substring(before=False, last=True), ("separator",)),
    Filter("string", _string),
    Filter("format", _format, (VARIADIC,), NEW, fuel=15),
    Filter("regexMatch", _regex_match, ("regex",), NEW, fuel=10),
    Filter("regexExtract", _regex_extract, ("regex", "group"), NEW, fuel=10),
    Filter("regexReplace", _regex_replace, ("regex", "replacement"), NEW, fuel=10),
)
