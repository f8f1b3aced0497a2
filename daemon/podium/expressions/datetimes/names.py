"""Names of months, days and the like in a language, and where its weeks begin. English is built in, others come from CLDR (babel)."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Any

from podium.expressions.runtime import Fault
from podium.expressions.text import zone_id

ABBREVIATED, WIDE, NARROW = "abbreviated", "wide", "narrow"
_LOCALE = re.compile(r"[A-Za-z]{2,3}(?:[_-][A-Za-z]{4})?(?:[_-](?:[A-Za-z]{2}|[0-9]{3}))?(?:[_-][A-Za-z0-9]+)*|_[A-Z]{2}|")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_QUARTERS = ("1st quarter", "2nd quarter", "3rd quarter", "4th quarter")
_ERAS = {ABBREVIATED: ("BC", "AD"), WIDE: ("Before Christ", "Anno Domini"), NARROW: ("B", "A")}
_ENGLISH = frozenset({"", "en", "en_US"})


class Names:
    """English as in the United States; weeks begin on Sunday and the first one holds January 1."""

    first_day = 7
    """The day that begins a week, 1 = Monday."""
    minimal_days = 1
    """How many days of the new year its first week must have."""

    def month(self, number: int, width: str, *, standalone: bool = False) -> str:
        """The name of a month, 1 = January."""
        return _cut(_MONTHS[number - 1], width)

    def day(self, number: int, width: str, *, standalone: bool = False) -> str:
        """The name of a day, 1 = Monday."""
        return _cut(_DAYS[number - 1], width)

    def quarter(self, number: int, width: str, *, standalone: bool = False) -> str:
        """The name of a quarter."""
        return {ABBREVIATED: f"Q{number}", NARROW: str(number)}.get(width, _QUARTERS[number - 1])

    def period(self, hour: int, width: str) -> str:
        """AM or PM."""
        name = "AM" if hour < 12 else "PM"
        return name[0].lower() if width == NARROW else name

    def day_period(self, moment: datetime, times: int) -> str:
        """The time of day in words: in the afternoon. times: how long, as letters of a pattern."""
        return _day_period(moment, times, "en_US")

    def era(self, width: str) -> str:
        """The name of our era."""
        return _ERAS[width][1]

    def zone(self, moment: datetime, width: str) -> str:
        """The name of the moment's time zone."""
        return _zone_name(moment, width, "en_US")

    def styled(self, moment: datetime, style: str) -> str:
        """The moment in one of the language's own styles: full, long, medium, short."""
        return _styled(moment, style, "en_US")


class _LocaleNames(Names):
    def __init__(self, locale: Any) -> None:
        self.locale = locale
        self.first_day = locale.first_week_day + 1
        self.minimal_days = locale.min_week_days

    def month(self, number: int, width: str, *, standalone: bool = False) -> str:
        return str(self.locale.months["stand-alone" if standalone else "format"][width][number])

    def day(self, number: int, width: str, *, standalone: bool = False) -> str:
        return str(self.locale.days["stand-alone" if standalone else "format"][width][number - 1])

    def quarter(self, number: int, width: str, *, standalone: bool = False) -> str:
        return str(self.locale.quarters["stand-alone" if standalone else "format"][width][number])

    def period(self, hour: int, width: str) -> str:
        periods = self.locale.day_periods["format"]
        return str(periods.get(width, periods[ABBREVIATED])["am" if hour < 12 else "pm"])

    def day_period(self, moment: datetime, times: int) -> str:
        return _day_period(moment, times, self.locale)

    def era(self, width: str) -> str:
        return str(self.locale.eras[width][1])

    def zone(self, moment: datetime, width: str) -> str:
        return _zone_name(moment, width, self.locale)

    def styled(self, moment: datetime, style: str) -> str:
        return _styled(moment, style, self.locale)


@lru_cache(maxsize=64)
def names_of(locale: str | None) -> Names:
    """The names of a language (`fr`, `de_DE`); an unknown one has root names. Raises Fault for text that is no locale."""
    if locale is None or locale in _ENGLISH:
        return Names()
    if _LOCALE.fullmatch(locale) is None:
        raise Fault(f"'{locale[:40]}' is not a locale", hint="write a language such as fr, or with a country: de_DE")
    from babel import Locale, UnknownLocaleError

    try:
        return _LocaleNames(Locale.parse(locale.replace("-", "_")))
    except (UnknownLocaleError, ValueError):
        return _LocaleNames(Locale.parse("root"))


def _cut(name: str, width: str) -> str:
    return name if width == WIDE else name[:1] if width == NARROW else name[:3]


def _zone_name(moment: datetime, width: str, locale: Any) -> str:
    region = zone_id(moment)
    if region is None:
        return moment.tzname() or "UTC"
    short = moment.tzname() or region
    if width == ABBREVIATED:
        return short if short[0].isalpha() else region
    from babel.dates import get_timezone_name

    return str(get_timezone_name(moment, "long", locale=locale)) if region != "UTC" else "Coordinated Universal Time"


def _day_period(moment: datetime, times: int, locale: Any) -> str:
    from babel.dates import format_datetime

    return str(format_datetime(moment, "B" * times, locale=locale))


def _styled(moment: datetime, style: str, locale: Any) -> str:
    from babel.dates import format_datetime

    return str(format_datetime(moment, style, locale=locale))
