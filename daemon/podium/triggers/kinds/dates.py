"""The dates of a schedule: from a cron expression or a list, as moments in UTC. Called by schedule, the board and `podium plan`. Pure.

Why UTC inside: two moments of one time zone are compared by their clocks, which lie in the hour that comes twice. The zone is for
reading the cron expression and for the dates that flows see.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol

from podium.base.errors import FlowError
from podium.base.limits import SCHEDULE_STEPS_MAX
from podium.flows.cron import SEARCH_YEARS, Cron, parse_zone
from podium.flows.triggers import Schedule, ScheduleOnDates

Holds = Callable[[datetime], bool]


class Dates(Protocol):
    """When a schedule fires."""

    @property
    def zone(self) -> tzinfo:
        """The zone in which flows see the dates."""
        ...

    def next(self, after: datetime) -> datetime | None:
        """The first date later than `after`, in UTC."""
        ...

    def previous(self, before: datetime) -> datetime | None:
        """The last date earlier than `before`, in UTC."""
        ...


@dataclass(frozen=True, slots=True)
class CronDates:
    """The dates of a cron expression in a zone."""

    cron: Cron
    zone: tzinfo

    def next(self, after: datetime) -> datetime | None:
        """See Dates."""
        found = self.cron.next(after, self.zone)
        return found.astimezone(UTC) if found else None

    def previous(self, before: datetime) -> datetime | None:
        """See Dates."""
        found = self.cron.previous(before, self.zone)
        return found.astimezone(UTC) if found else None


@dataclass(frozen=True, slots=True)
class ListedDates:
    """Dates that were written down, sorted, in UTC."""

    dates: tuple[datetime, ...]
    zone: tzinfo

    def next(self, after: datetime) -> datetime | None:
        """See Dates."""
        index = bisect_right(self.dates, after)
        return self.dates[index] if index < len(self.dates) else None

    def previous(self, before: datetime) -> datetime | None:
        """See Dates."""
        index = bisect_left(self.dates, before)
        return self.dates[index - 1] if index else None


def dates_of(trigger: Schedule | ScheduleOnDates, zone: tzinfo, *, listed: Iterable[object] = ()) -> Dates:
    """The dates of a trigger. zone: the server's, for a trigger that names none. listed: the rendered dates of a ScheduleOnDates.

    Raises FlowError for an invalid expression, zone or date.
    """
    try:
        own = parse_zone(trigger.timezone) if trigger.timezone else zone
        if isinstance(trigger, Schedule):
            return CronDates(Cron.parse(trigger.cron, trigger.with_seconds), own)
        return ListedDates(tuple(sorted({_moment(each, own) for each in listed})), own)
    except ValueError as error:
        raise FlowError(f"trigger '{trigger.id}': {error}", hint="mend it in the flow; it does not fire until then") from error


def _moment(value: object, zone: tzinfo) -> datetime:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
    except ValueError:
        raise ValueError(f"'{value}' is no date (write 2026-01-31T09:00:00+01:00)") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def next_holding(dates: Dates, after: datetime, holds: Holds, *, by_day: bool = False) -> tuple[datetime | None, bool]:
    """The first date later than `after` for which `holds`, and True; where the search ended, and False, after SCHEDULE_STEPS_MAX steps.

    by_day: `holds` depends on the day alone, so that a day is tried once. The date is None when there is none within SEARCH_YEARS.
    """

    def end_of_day(moment: datetime) -> datetime:
        local = moment.astimezone(dates.zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None) + timedelta(days=1)
        return max(moment, midnight.replace(tzinfo=dates.zone).astimezone(UTC) - timedelta(microseconds=1))

    return _search(dates.next, after, holds, end_of_day if by_day else None)


def previous_holding(dates: Dates, before: datetime, holds: Holds, *, by_day: bool = False) -> tuple[datetime | None, bool]:
    """The last date earlier than `before` for which `holds`; otherwise as next_holding."""

    def start_of_day(moment: datetime) -> datetime:
        local = moment.astimezone(dates.zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        return min(moment, midnight.replace(tzinfo=dates.zone).astimezone(UTC))

    return _search(dates.previous, before, holds, start_of_day if by_day else None)


def _search(
    step: Callable[[datetime], datetime | None], start: datetime, holds: Holds, skip: Callable[[datetime], datetime] | None
) -> tuple[datetime | None, bool]:
    found: datetime | None = None
    at = start
    for _ in range(SCHEDULE_STEPS_MAX):
        found = step(at)
        if found is None or abs(found - start) > timedelta(days=366 * SEARCH_YEARS):
            return None, True
        if holds(found):
            return found, True
        at = skip(found) if skip is not None else found
    return found, False


def nth_before(dates: Dates, moment: datetime, count: int) -> datetime | None:
    """The date that has `count` - 1 dates between itself and `moment` (count 1: the last one up to `moment`), or the first there is."""
    found: datetime | None = None
    at = moment + timedelta(microseconds=1)
    for _ in range(count):
        earlier = dates.previous(at)
        if earlier is None:
            break
        found = at = earlier
    return found


def shown(moment: datetime, zone: tzinfo) -> str:
    """A moment as flows see it: ISO-8601 with the offset of `zone`, `Z` for none."""
    text = moment.astimezone(zone).isoformat()
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text
