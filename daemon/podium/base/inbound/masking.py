"""What of a request must not be kept or shown: values that prove who sent it. Called by store/deliveries before it writes, by web before it shows.

What always holds: a name is judged without regard to case; what is masked cannot be read back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlencode

from podium.base.redact import MASK, Redactor

_TELLING = re.compile(
    r"auth(?!or(?!i[sz]))|token|secret|signature|passw|pwd|api[-_]?key|access[-_]?key|private[-_]?key|cookie|credential|hmac|session|^key$|^sig$",
    re.IGNORECASE,
)
_DEPTH_MAX = 40


def is_secret_name(name: str) -> bool:
    """Whether a header, parameter or field of this name likely holds a secret or a signature."""
    return _TELLING.search(name) is not None


def mask_pairs(pairs: Sequence[tuple[str, str]], hidden: Collection[str] = ()) -> list[tuple[str, str]]:
    """Headers or parameters with the values of telling ones masked. hidden: further names, in lower case."""
    return [(name, MASK if value and (name.lower() in hidden or is_secret_name(name)) else value) for name, value in pairs]


def mask_values(body: bytes, secrets: Sequence[str]) -> bytes:
    """`body` with each of these secrets masked; byte for byte the same when it holds none."""
    if not body or not secrets:
        return body
    text = body.decode("utf-8", "surrogateescape")
    masked = _redactor(tuple(secrets)).text(text)
    return body if masked == text else masked.encode("utf-8", "surrogateescape")


@lru_cache(maxsize=64)
def _redactor(secrets: tuple[str, ...]) -> Redactor:
    return Redactor(secrets)


def shown_body(body: bytes, content_type: str) -> str:
    """A body as a person may read it: fields with telling names masked, JSON with an indent, other bytes as text."""
    text = body.decode("utf-8", "replace")
    if content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        return urlencode(mask_pairs(parse_qsl(text, keep_blank_values=True)), safe="*")
    if text.lstrip()[:1] in ("{", "["):
        try:
            return json.dumps(_masked(json.loads(text), 0), ensure_ascii=False, indent=2)
        except (ValueError, RecursionError):
            pass
    return _FIELD.sub(lambda found: f"{found['head']}{MASK}", text)


_FIELD = re.compile(
    r"""(?<![\w-])(?P<head>(?=[\w-]{0,100}?(?:token|secret|signature|passw|pwd|api[-_]?key|access[-_]?key|private[-_]?key|authoriz|credential))"""
    r"""[\w-]{1,200}+["']?[ \t]{0,8}[:=][ \t]{0,8})(?:"[^"\n]*+"?|'[^'\n]*+'?|[^\s,;&}\]]++)""",
    re.IGNORECASE,
)
"""A telling name and its value in text that is no JSON, such as a body that was cut."""


def _masked(value: Any, depth: int) -> Any:
    if depth > _DEPTH_MAX:
        return MASK
    if isinstance(value, dict):
        return {
            key: MASK if is_secret_name(key) and isinstance(item, (str, int, float)) and item != "" else _masked(item, depth + 1)
            for key, item in value.items()
        }
    return [_masked(item, depth + 1) for item in value] if isinstance(value, list) else value
