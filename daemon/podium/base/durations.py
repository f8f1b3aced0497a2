"""ISO-8601 durations as the flow language writes them.

Accepted: `PT1H30M`, `P1DT2H`, `PT0.25S` (any case), a bare number of seconds (int, float or text). Weeks, months and
years are refused: their length is not fixed.  Source: flow-language 0.1.
"""

from __future__ import annotations

import re
from datetime import timedelta

_ISO = re.compile(
    r"(?P<sign>[-+])?P(?:(?P<d>[-+]?\d+)D)?(?:T(?:(?P<h>[-+]?\d+)H)?(?:(?P<m>[-+]?\d+)M)?(?:(?P<s>[-+]?\d+(?:[.,]\d{0,9})?)S)?)?",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def parse_duration(value: str | float | timedelta) -> timedelta:
    """The duration meant by `value`. Raises ValueError when it is none; a bare number means seconds."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, bool):
        raise ValueError(f"not a duration: {value!r} (write PT10S, PT1H30M or P1D)")
    if isinstance(value, (int, float)):
        return timedelta(seconds=value)
    text = value.strip()
    if _NUMBER.fullmatch(text):
        return timedelta(seconds=float(text))
    match = _ISO.fullmatch(text)
    if match is None or not any(match[part] for part in "dhms") or text.upper().endswith("T"):
        raise ValueError(f"not a duration: {value!r} (write PT10S, PT1H30M or P1D)")
    whole = timedelta(
        days=int(match["d"] or 0),
        hours=int(match["h"] or 0),
        minutes=int(match["m"] or 0),
        seconds=float((match["s"] or "0").replace(",", ".")),
    )
    return -whole if match["sign"] == "-" else whole


def format_duration(value: timedelta) -> str:
    """The duration as `PT1H2M3.5S`: hours, minutes and seconds, never days (the reference's text form)."""
    micros = round(value / timedelta(microseconds=1))
    if micros == 0:
        return "PT0S"
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    seconds, fraction = divmod(micros, 1_000_000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    text = "PT"
    if hour:
        text += f"{sign}{hour}H"
    if minute:
        text += f"{sign}{minute}M"
    if second or fraction:
        tail = f".{fraction:06d}".rstrip("0") if fraction else ""
        text += f"{sign}{second}{tail}S"
    return text
