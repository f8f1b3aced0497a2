"""Which Python values the types of PostgreSQL become, and how values are sent. Called by `session` for each connection.

What always holds: a value that Python cannot hold (dates before year 1, infinity, 24:00) comes as the text that the server wrote, and a
type that nobody knows too; no row fails because of its type.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Loader
from psycopg.pq import Format
from psycopg.types import TypeInfo
from psycopg.types.hstore import register_hstore
from psycopg.types.json import JsonbDumper
from psycopg.types.string import TextLoader

_MAY_NOT_FIT = ("date", "time", "timetz", "timestamp", "timestamptz")
_AS_TEXT = (
    "uuid", "inet", "cidr", "record", "int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange", "int4multirange",
    "int8multirange", "nummultirange", "datemultirange", "tsmultirange", "tstzmultirange",
)
_INTERVAL_PART = re.compile(r"([+-]?\d+) (year|mon|day)s?")
_INTERVAL_TIME = re.compile(r"([+-]?)(\d+):(\d\d):(\d\d)(\.\d+)?$")
_INTERVAL = re.compile(r"(?:[+-]?\d+ (?:years?|mons?|days?) ?)*(?:[+-]?\d+:\d\d:\d\d(?:\.\d+)?)?")
_CUSTOM = """
select t.typname, t.oid, t.typarray from pg_catalog.pg_type t
where t.typtype = 'e' or t.typname in ('hstore', 'citext')
limit 10000
"""


def register(connection: psycopg.Connection[Any]) -> None:
    """Have the connection read and write values as this room wants them."""
    adapters = connection.adapters
    types = psycopg.adapters.types
    for name in _MAY_NOT_FIT:
        adapters.register_loader(types[name].oid, _lenient(types[name].oid))
    for name in _AS_TEXT:
        adapters.register_loader(types[name].oid, TextLoader)
    adapters.register_loader(types["interval"].oid, _IntervalLoader)
    adapters.register_dumper(dict, JsonbDumper)
    _register_custom(connection, adapters)


def interval_text(text: str) -> str:
    """An interval as the server writes it (`1 year 2 mons -3 days 04:05:06.7`) as an ISO duration (`P1Y2M-3DT4H5M6.7S`)."""
    if not text or not _INTERVAL.fullmatch(text):
        return text
    parts = {unit: number for number, unit in _INTERVAL_PART.findall(text)}
    date_part = "".join(f"{parts[unit].lstrip('+')}{letter}" for unit, letter in (("year", "Y"), ("mon", "M"), ("day", "D")) if unit in parts)
    time_part = ""
    if match := _INTERVAL_TIME.search(text):
        sign = "-" if match[1] == "-" else ""
        fraction = (match[5] or "").rstrip("0").rstrip(".")
        seconds = f"{int(match[4])}{fraction}"
        numbers = ((str(int(match[2])), "H"), (str(int(match[3])), "M"), (seconds, "S"))
        time_part = "".join(f"{sign}{number}{letter}" for number, letter in numbers if number != "0")
    return f"P{date_part}" + (f"T{time_part}" if time_part else "") if date_part or time_part else "PT0S"


class _IntervalLoader(Loader):
    def load(self, data: Buffer) -> str:
        return interval_text(bytes(data).decode())


@cache
def _lenient(oid: int) -> type[Loader]:
    """The library's loader for a type, with the server's text for what it cannot load."""
    found = psycopg.adapters.get_loader(oid, Format.TEXT)
    assert found is not None
    inner = found

    class Lenient(Loader):
        def __init__(self, own_oid: int, context: Any = None) -> None:
            super().__init__(own_oid, context)
            self._inner = inner(own_oid, context)

        def load(self, data: Buffer) -> Any:
            try:
                return self._inner.load(data)
            except (psycopg.Error, ValueError, OverflowError):
                return bytes(data).decode()

    return Lenient


def _register_custom(connection: psycopg.Connection[Any], adapters: AdaptersMap) -> None:
    """Types that extensions and users made: hstore as a map, and lists of enums and citext as lists."""
    try:
        found = connection.execute(_CUSTOM).fetchall()
    except psycopg.Error:  # something that speaks the protocol and has no such catalogue
        return
    for name, oid, array_oid in found:
        info = TypeInfo(name, oid, array_oid)
        if name == "hstore":
            register_hstore(info, connection)
        else:
            info.register(connection)
            adapters.register_loader(oid, TextLoader)
