"""Time zones by the ids that Java takes: regions, `Z`, `+05:30`, `GMT+2`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

_OFFSET = re.compile(r"([+-])(\d{1,2})(?::?(\d\d)(?::?(\d\d))?)?")
_PREFIXED = re.compile(r"(GMT|UTC|UT)([+-].+)")
_REGION = re.compile(r"[A-Za-z][A-Za-z0-9~/._+-]+")
_OFFSET_MAX = timedelta(hours=18)


class PrefixedZone(tzinfo):
    """An offset with a name before it: `GMT+02:00`. Printed in brackets like a region."""

    def __init__(self, name: str, offset: timedelta) -> None:
        self.name = name
        self.offset = offset

    def __str__(self) -> str:
        return self.name

    def utcoffset(self, moment: datetime | None) -> timedelta:
        """The offset."""
        return self.offset

    def dst(self, moment: datetime | None) -> timedelta:
        """None ever."""
        return timedelta()

    def tzname(self, moment: datetime | None) -> str:
        """The id."""
        return self.name


@lru_cache(maxsize=512)
def parse_zone(text: str) -> tzinfo | None:
    """The zone an id means, or None."""
    if text == "Z":
        return timezone(timedelta(), "Z")
    if match := _OFFSET.fullmatch(text):
        offset = _offset(match)
        return None if offset is None else timezone(offset) if offset else timezone(offset, "Z")
    if match := _PREFIXED.fullmatch(text):
        inner = _OFFSET.fullmatch(match[2])
        offset = _offset(inner) if inner else None
        if offset is None:
            return None
        return PrefixedZone(match[1] + _offset_name(offset), offset)
    if _REGION.fullmatch(text) is None:
        return None
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        return None


def _offset(match: re.Match[str]) -> timedelta | None:
    minutes, seconds = int(match[3] or 0), int(match[4] or 0)
    offset = timedelta(hours=int(match[2]), minutes=minutes, seconds=seconds)
    if minutes > 59 or seconds > 59 or offset > _OFFSET_MAX:
        return None
    return -offset if match[1] == "-" else offset


def _offset_name(offset: timedelta) -> str:
    if not offset:
        return ""
    minutes = round(abs(offset).total_seconds()) // 60
    return f"{'-' if offset < timedelta() else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
