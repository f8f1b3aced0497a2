"""Numbers as 22 base-62 characters, the form of all our ids: digits, capitals, small letters, so that they sort as the numbers do."""

from __future__ import annotations

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LENGTH = 22
TAIL_BITS = 80
"""An id in time's order is 48 bits of milliseconds since 1970, then this many bits that tell ids of one millisecond apart."""


def encode(number: int) -> str:
    """The text of a number below 62**22."""
    pairs = []
    for _ in range(LENGTH // 2):
        number, rest = divmod(number, _BASE_OF_PAIRS)
        pairs.append(_TEXTS[rest])
    pairs.reverse()
    return "".join(pairs)


def decode(text: str) -> int:
    """The number of a text. Raises ValueError for what is none of ours."""
    if len(text) != LENGTH:
        raise ValueError(f"not an id: {text!r}")
    number = 0
    try:
        for place in range(0, LENGTH, 2):
            number = number * _BASE_OF_PAIRS + _PAIRS[text[place : place + 2]]
    except KeyError as error:
        raise ValueError(f"not an id: {text!r}") from error
    return number


_BASE_OF_PAIRS = len(ALPHABET) ** 2
_PAIRS = {first + second: high * len(ALPHABET) + low for high, first in enumerate(ALPHABET) for low, second in enumerate(ALPHABET)}
"""Two digits at a time: a rebuild reads two ids of every record."""
_TEXTS = tuple(_PAIRS)
