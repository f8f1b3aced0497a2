"""Filters on dates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from podium.expressions import dates
from podium.expressions.calls import Args, Filter, optional_text, required, text, text_arg, whole
from podium.expressions.datetimes.printing import Moment
from podium.expressions.java.numbers import real_number, whole_number
from podium.expressions.runtime import Fault, Runtime

_FORMATTING = ("format", "timeZone", "existingFormat", "locale")
_STAMP = ("timeZone", "existingFormat")


def format_date(rt: Runtime, value: Any, args: Args) -> str:
    """A date as text by the arguments format, timeZone, existingFormat and locale."""
    moment = _moment(rt, value, args)
    return _formatted(moment, args)


def _moment(rt: Runtime, value: Any, args: Args) -> Moment:
    zone = dates.zone_named(optional_text(args, "timeZone"), rt.world.zone)
    return dates.to_moment(value, zone, optional_text(args, "existingFormat"))


def _formatted(moment: Moment, args: Args) -> str:
    form = text(args.get("format", "iso"), "the argument 'format'")
    return dates.format_moment(moment, form, optional_text(args, "locale"))


def _date(rt: Runtime, value: Any, args: Args) -> Any:
    return None if value is None else format_date(rt, value, args)


def _date_add(rt: Runtime, value: Any, args: Args) -> Any:
    if value is None:
        return None
    amount, unit = _amount(required(args, "amount")), text_arg(args, "unit")
    return _formatted(dates.add(_moment(rt, value, args), amount, unit), args)


def _amount(value: Any) -> int:
    """A number or the text of one, without its fraction."""
    if isinstance(value, str):
        try:
            return int(real_number(value)) if "." in value else whole_number(value.lstrip("0") or "0")
        except OverflowError as exc:
            raise Fault("the argument 'amount' is too large") from exc
    return whole(value, "the argument 'amount'")


def _timestamp(rt: Runtime, value: Any, args: Args) -> Any:
    return None if value is None else dates.epoch_nanos(_moment(rt, value, args)) // 1_000_000_000


def _stamp_text(divisor: int) -> Callable[[Runtime, Any, Args], Any]:
    """A filter that gives the time since 1970 in a small unit, as text."""

    def run(rt: Runtime, value: Any, args: Args) -> Any:
        return None if value is None else str(dates.epoch_nanos(_moment(rt, value, args)) // divisor)

    return run


FILTERS = (
    Filter("date", _date, _FORMATTING, fuel=50),
    Filter("dateAdd", _date_add, ("amount", "unit", *_FORMATTING), fuel=50),
    Filter("timestamp", _timestamp, _STAMP, fuel=50),
    Filter("timestampMilli", _stamp_text(1_000_000), _STAMP, fuel=50),
    Filter("timestampMicro", _stamp_text(1_000), _STAMP, fuel=50),
    Filter("timestampNano", _stamp_text(1), _STAMP, fuel=50),
)
