"""Date patterns of Java's DateTimeFormatter, taken apart: `yyyy-MM-dd'T'HH:mm[:ss]XXX` as a list of items.

Both directions use it: `printing` writes a moment by the items, `reading` reads text by them. The named formats of the
`date` filter are item lists too.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from podium.base.limits import PATTERN_CHARS_MAX
from podium.expressions.runtime import Fault

LITERAL, OPEN, CLOSE, FRACTION, OFFSET_ID, ZONE_ID, PAD = "literal", "[", "]", "fraction", "offset", "zone", "pad"
_TEXT_COUNTS = {"G": 5, "a": 1, "E": 5, "B": 5, "z": 4, "v": 4, "Z": 5, "X": 5, "x": 5, "O": 4, "V": 2}
_NUMBER_COUNTS = {
    "u": 19, "y": 19, "Y": 19, "D": 3, "d": 2, "M": 5, "L": 5, "Q": 5, "q": 5, "w": 2, "W": 1, "e": 5, "c": 5, "F": 2, "g": 19,
    "h": 2, "K": 2, "k": 2, "H": 2, "m": 2, "s": 2, "S": 9, "A": 19, "n": 19, "N": 19,
}  # fmt: skip
_COUNTS_MAX = _TEXT_COUNTS | _NUMBER_COUNTS
_ONLY = {"O": (1, 4), "V": (2,), "v": (1, 4), "B": (1, 4, 5), "c": (1, 3, 4, 5)}


class Item(NamedTuple):
    """letter: a pattern letter or one of the names above. times: how often it is repeated. text: a literal's text."""

    letter: str
    times: int = 0
    text: str = ""


@lru_cache(maxsize=256)
def parse_pattern(pattern: str) -> tuple[Item, ...]:
    """The items of a pattern. Raises Fault for an unknown letter, a wrong count or an unclosed quote."""
    if len(pattern) > PATTERN_CHARS_MAX:
        raise Fault("the date pattern is too long", hint=f"the limit is {PATTERN_CHARS_MAX} characters", limit="PATTERN_CHARS_MAX")
    items: list[Item] = []
    at = depth = 0
    while at < len(pattern):
        char = pattern[at]
        if char.isascii() and char.isalpha():
            end = at
            while end < len(pattern) and pattern[end] == char:
                end += 1
            items.append(_field(char, end - at, pattern[end : end + 1]))
            at = end
        elif char == "'":
            text, at = _quoted(pattern, at)
            items.append(Item(LITERAL, text=text))
        elif char == "[":
            depth += 1
            items.append(Item(OPEN))
            at += 1
        elif char == "]":
            depth -= 1
            if depth < 0:
                raise Fault("the date pattern has a ] without its [")
            items.append(Item(CLOSE))
            at += 1
        elif char in "{}#":
            raise Fault(f"the date pattern has the reserved character {char}")
        else:
            items.append(Item(LITERAL, text=char))
            at += 1
    items.extend([Item(CLOSE)] * depth)
    return tuple(items)


def _field(letter: str, count: int, following: str) -> Item:
    if letter == "p":
        if not (following.isascii() and following.isalpha()):
            raise Fault("the pad letter p of a date pattern must stand before another letter")
        return Item(PAD, count)
    if letter not in _COUNTS_MAX:
        raise Fault(f"Unknown pattern letter: {letter}", hint="put text of a date pattern in quotes: 'T'")
    if count > _COUNTS_MAX[letter] or (letter in _ONLY and count not in _ONLY[letter]):
        raise Fault(f"Too many pattern letters: {letter}" if count > 1 else f"Pattern letter count must be another: {letter}")
    return Item(letter, count)


def _quoted(pattern: str, at: int) -> tuple[str, int]:
    """The text in quotes that begins at `at`, and where the pattern goes on. Two quotes are one."""
    text, end = "", at + 1
    while end < len(pattern):
        if pattern[end] == "'":
            if pattern[end + 1 : end + 2] != "'":
                return text or "'", end + 1
            end += 1
        text += pattern[end]
        end += 1
    raise Fault("the date pattern ends inside a quoted text")


def _items(*parts: str | Item) -> tuple[Item, ...]:
    """Items of pattern texts and single items."""
    return tuple(item for part in parts for item in (parse_pattern(part) if isinstance(part, str) else (part,)))


_TIME = ("HH:mm", Item(OPEN), ":ss", Item(OPEN), Item(FRACTION), Item(CLOSE), Item(CLOSE))
_DATE = "uuuu-MM-dd"
_OFFSET = Item(OFFSET_ID)
_OPTIONAL_OFFSET = (Item(OPEN), _OFFSET, Item(CLOSE))
_REGION = (Item(OPEN), Item(LITERAL, text="["), Item(ZONE_ID), Item(LITERAL, text="]"), Item(CLOSE))

NAMED: dict[str, tuple[Item, ...]] = {
    "iso": _items("yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"),
    "iso_sec": _items("yyyy-MM-dd'T'HH:mm:ssXXX"),
    "iso_milli": _items("yyyy-MM-dd'T'HH:mm:ss.SSSXXX"),
    "sql": _items("yyyy-MM-dd HH:mm:ss.SSSSSS"),
    "sql_sec": _items("yyyy-MM-dd HH:mm:ss"),
    "iso_date_time": _items(_DATE, "'T'", *_TIME, Item(OPEN), _OFFSET, *_REGION, Item(CLOSE)),
    "iso_zoned_date_time": _items(_DATE, "'T'", *_TIME, _OFFSET, *_REGION),
    "iso_date": _items(_DATE, *_OPTIONAL_OFFSET),
    "iso_time": _items(*_TIME, *_OPTIONAL_OFFSET),
    "iso_local_date": _items(_DATE),
    "iso_local_time": _items(*_TIME),
    "iso_local_date_time": _items(_DATE, "'T'", *_TIME),
    "iso_offset_time": _items(*_TIME, _OFFSET),
    "iso_instant": _items(_DATE, "'T'", *_TIME, _OFFSET),
    "iso_ordinal_date": _items("uuuu-DDD", *_OPTIONAL_OFFSET),
    "iso_week_date": _items(Item("isoweekyear", 4), "'-W'", Item("isoweek", 2), "-", Item("isoday", 1), *_OPTIONAL_OFFSET),
    "rfc_1123_date_time": _items(Item(OPEN), "EEE, ", Item(CLOSE), "d MMM uuuu HH:mm", Item(OPEN), ":ss", Item(CLOSE), " ", Item("rfcoffset")),
}
"""Formats that the `date` filter knows by name. All but the first five read text strictly: February 30 is refused."""

def without_region(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """The items without the region in brackets: how the named formats print a moment whose zone is only an offset."""
    at = next((index for index in range(len(items)) if items[index : index + len(_REGION)] == _REGION), None)
    return items if at is None else items[:at] + items[at + len(_REGION) :]


LENIENT_NAMES = frozenset({"iso", "iso_sec", "iso_milli", "sql", "sql_sec"})
STYLES = frozenset({"full", "long", "medium", "short"})
