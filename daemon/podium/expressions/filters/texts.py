"""Filters on texts that come with the template language."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus, unquote_to_bytes

from podium.expressions.calls import Args, Filter, int_arg, text
from podium.expressions.java import units
from podium.expressions.runtime import Fault, Runtime
from podium.expressions.text import java_text

_BASE64 = re.compile(r"([A-Za-z0-9+/]*)(={0,2})")
_BAD_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_BLANKS = "".join(map(chr, range(0x21)))


def _abbreviate(rt: Runtime, value: Any, args: Args) -> Any:
    if value is None:
        return None
    text(value, "the input")
    wanted = int_arg(args, "length")
    if wanted < 0:
        raise Fault("the length must not be negative")
    size = units.length(value)
    if size < wanted or size <= 3:
        return value
    return units.part(value, 0, wanted) if wanted <= 3 else units.part(value, 0, wanted - 3) + "..."


def _base64encode(rt: Runtime, value: Any, args: Args) -> Any:
    return None if value is None else base64.b64encode(java_text(value, rt.meter).encode("utf-8", "replace")).decode()


def _base64decode(rt: Runtime, value: Any, args: Args) -> Any:
    if value is None:
        return None
    match = _BASE64.fullmatch(text(value, "the input"))
    if match is None or len(match[1]) % 4 == 1 or (match[2] and (len(match[1]) + len(match[2])) % 4):
        raise Fault("the input is not base64")
    return base64.b64decode(match[1] + "=" * (-len(match[1]) % 4)).decode("utf-8", "replace")


def _capitalize(rt: Runtime, value: Any, args: Args) -> Any:
    if value is None:
        return None
    for index, char in enumerate(text(value, "the input")):
        if char not in units.WHITE:
            return value[:index] + units.title_case(char) + value[index + 1 :]
    return value


def _title(rt: Runtime, value: Any, args: Args) -> Any:
    if value is None:
        return None
    begins = True
    chars: list[str] = []
    for char in text(value, "the input"):
        chars.append(units.title_case(char) if begins else char)
        begins = char in units.WHITE
    return "".join(chars)


def _lower(rt: Runtime, value: Any, args: Args) -> Any:
    return None if value is None else java_text(value, rt.meter).lower()


def _upper(rt: Runtime, value: Any, args: Args) -> Any:
    return None if value is None else java_text(value, rt.meter).upper()


def _trim(rt: Runtime, value: Any, args: Args) -> Any:
    return None if value is None else text(value, "the input").strip(_BLANKS)


def _urlencode(rt: Runtime, value: Any, args: Args) -> Any:
    return None if value is None else quote_plus(text(value, "the input"), safe="*", errors="replace").replace("~", "%7E")


def _urldecode(rt: Runtime, value: Any, args: Args) -> Any:
    if value is None:
        return None
    if _BAD_PERCENT.search(text(value, "the input")):
        raise Fault("a % must be followed by two hexadecimal digits")
    return unquote_to_bytes(value.replace("+", " ")).decode("utf-8", "replace")


def _nl2br(rt: Runtime, value: Any, args: Args) -> Any:
    return None if value is None else _LINE_BREAK.sub("<br />", java_text(value, rt.meter))


def _digest(algorithm: str) -> Callable[[Runtime, Any, Args], Any]:
    """A filter that gives the digest in lower-case hexadecimal. md5 and sha1 are there for comparing with other systems."""

    def run(rt: Runtime, value: Any, args: Args) -> Any:
        if value is None:
            return None
        data = text(value, "the input").encode("utf-8", "replace")
        return hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()

    return run


FILTERS = (
    Filter("abbreviate", _abbreviate, ("length",)),
    Filter("base64encode", _base64encode),
    Filter("base64decode", _base64decode),
    Filter("capitalize", _capitalize),
    Filter("title", _title, fuel=3),
    Filter("lower", _lower),
    Filter("upper", _upper),
    Filter("trim", _trim),
    Filter("urlencode", _urlencode, fuel=3),
    Filter("urldecode", _urldecode, fuel=3),
    Filter("nl2br", _nl2br),
    Filter("md5", _digest("md5"), fuel=3),
    Filter("sha1", _digest("sha1"), fuel=3),
    Filter("sha256", _digest("sha256"), fuel=3),
    Filter("sha512", _digest("sha512"), fuel=3),
)
