"""Schedule and ScheduleOnDates: one execution for each date, none skipped and none twice. Made by board, rung by the bell.

What always holds: the date fired last and the next one are stored in the transaction of the start, and every date has a key of its
own, so that a crash or a clock that is set back fires no date again; without `allowConcurrent` a date waits until the execution of
the one before is over; dates that passed meanwhile follow `recoverMissedSchedules`.  Sources: flow-language 7.1, 7.2; design 8.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from podium.base.errors import ConflictError, PodiumError
from podium.base.moments import from_text, to_text
from podium.base.system.ids import new_id
from podium.base.system.log import get_logger
from podium.flows.model import Condition
from podium.flows.models import conditions
from podium.flows.triggers import Schedule, ScheduleOnDates
from podium.triggers.firing import Armed, Event
from podium.triggers.kinds.dates import Dates, dates_of, next_holding, nth_before, previous_holding, shown
from podium.triggers.runner import Runner, Tools
from podium.triggers.state import Backfill

log = get_logger(__name__)
T = TypeVar("T")
MISSED_AFTER_S = 60.0
"""A date that is later than this was missed: the machine slept, or the one before it took that long."""
_ROUNDS_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillRequest:
    """Run the dates from start to end, both included. Dates are aware."""

    start: datetime
    end: datetime
    inputs: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


class ScheduleRunner(Runner):
    """One schedule."""

    def __init__(self, armed: Armed, tools: Tools) -> None:
        super().__init__(armed, tools)
        self._dates: Dates | None = None
        self._live_since = tools.clock.now()
        self._searches = False
        self._by_day = False
        """Whether dates are searched by their conditions; whether those depend on the day alone."""

    @property
    def _trigger(self) -> Schedule | ScheduleOnDates:
        trigger = self.armed.trigger
        assert isinstance(trigger, (Schedule, ScheduleOnDates))
        return trigger

    # ---- beginning

    async def begin(self, *, changed: bool) -> None:
        """See Runner."""
        now = self._live_since = self.tools.clock.now()
        trigger = self._trigger
        listed: list[Any] = []
        if isinstance(trigger, ScheduleOnDates):
            value = await self.tools.firing.value(self.armed, trigger.dates, {}, typed=True)
            listed = value if isinstance(value, list) else [value]
        self._dates = dates_of(trigger, self.tools.firing.zone, listed=listed)
        written = [*trigger.conditions, *getattr(trigger, "schedule_conditions", [])]
        self._searches = bool(written or trigger.when is not None) and self.tools.firing.is_pure(self.armed)
        self._by_day = trigger.when is None and all(map(_is_about_day, written))
        backfill = self._active_backfill()
        if changed or self.state.removed:
            comes = await self._found(now)
        elif self.state.next is None and backfill is None:
            comes = await self._found(await self._newest_date() or min(self.armed.revision.deployed_at, now))
        else:
            return
        if backfill is not None and backfill.current is not None:
            backfill.previous_next, backfill.current = comes, self._next_of(backfill, backfill.current - timedelta(microseconds=1))
            comes = backfill.current
        self.state.next, self.state.removed = comes, False
        await self.remember()

    async def _newest_date(self) -> datetime | None:
        """The date of the newest execution that this trigger started, when its own state is lost (a rebuilt machine)."""
        if self.state.removed or self.state.date is not None:
            return self.state.date
        views, _ = await self.tools.orchestrator.executions(
            namespace=self.armed.revision.namespace, flow_id=self.armed.revision.flow_id, size=100,
        )
        for view in views:
            trigger = view.get("trigger") or {}
            date = (trigger.get("variables") or {}).get("date") or view.get("scheduleDate")
            if trigger.get("id") == self.armed.trigger.id and isinstance(date, str):
                try:
                    return from_text(date)
                except ValueError:
                    continue
        return None

    # ---- what is due

    async def work(self) -> None:
        """See Runner."""
        for _ in range(_ROUNDS_MAX):
            now = self.tools.clock.now()
            if self.stopped:
                return
            backfill = self._active_backfill()
            if self.state.execution_id is not None and (backfill is not None or not self._trigger.allow_concurrent):
                return
            await self._heed_clock(now)
            due = backfill.current if backfill is not None else self.state.next
            if due is None and backfill is not None:
                await self._finish_backfill()
                continue
            if due is None or due > now:
                if due is not None:
                    self.tools.bell.ring_at(self.armed.name, due, self.ring)
                return
            if backfill is not None:
                await self._fire_backfill(backfill, due)
                self.ring_soon()  # the next date, after whoever waits to pause the backfill, to end it, or to switch the trigger off
                return
            await self._fire(due, now)

    def is_due(self, now: datetime) -> bool:
        """See Runner."""
        backfill = self._active_backfill()
        due = backfill.current if backfill is not None else self.state.next
        return (due is not None and due <= now) or (backfill is not None and due is None) or self._is_ahead(now)

    async def unlocked(self) -> None:
        """See Runner: dates that passed while the execution ran were missed."""
        await super().unlocked()
        self._live_since = self.tools.clock.now()

    async def _heed_clock(self, now: datetime) -> None:
        """The clock had been wrong and was set back: the next date is looked for again; keys keep dates from firing twice."""
        fired, comes = self.state.date, self.state.next
        if fired is None or comes is None or self._active_backfill() is not None or not self._is_ahead(now):
            return
        earlier = await self._found(now)
        if earlier is not None and earlier < comes:
            log.warning("clock_set_back", trigger=self.armed.name, now=to_text(now), fired=to_text(fired))
            self.state.next = earlier

    def _is_ahead(self, now: datetime) -> bool:
        """Whether the date fired last is still to come."""
        return self.state.date is not None and self.state.date > now + timedelta(seconds=MISSED_AFTER_S)

    async def _fire(self, date: datetime, now: datetime) -> None:
        """Start the execution of a date, or pass over it."""
        passed_to = await self._evaluated(lambda: self._skip_missed(date, now))
        if passed_to != date:
            self.state.next = passed_to
            if passed_to is None or passed_to > now:
                await self.remember()
                return
            date = passed_to
        fired, comes = self.state.date, self.state.next
        self.state.date, self.state.next = date, await self._found(date)
        try:
            await self._start(await self._event(date, key=f"schedule:{self.armed.name}:{to_text(date)}"))
        except PodiumError:
            self.state.date, self.state.next = fired, comes
            raise

    async def _start(self, event: Event) -> None:
        view = await self.tools.firing.start_if(self.armed, event)
        if view is None:
            await self.remember()
        elif self._active_backfill() is not None or not self._trigger.allow_concurrent:
            await self.lock(view)

    def _skip_missed(self, date: datetime, now: datetime) -> datetime | None:
        """The date to fire instead of `date`, by lateMaximumDelay, recoverMissedSchedules and the catch-up limit."""
        assert self._dates is not None
        trigger = self._trigger
        delay = trigger.late_maximum_delay if isinstance(trigger, Schedule) else None
        if delay is not None and date < now - delay:
            in_time = self._dates.next(now - delay - timedelta(microseconds=1))
            if in_time is None or in_time > now:
                return in_time
            date = in_time
        if date >= self._live_since and now - date <= timedelta(seconds=MISSED_AFTER_S):
            return date
        rule = trigger.recover_missed_schedules or self.tools.recover_missed
        if rule == "NONE":
            return self._after(now)
        if rule == "LAST":
            last, exact = self._before(now + timedelta(microseconds=1))
            return max(date, last) if last is not None and exact else date
        oldest = nth_before(self._dates, now, self.tools.catch_up_max)
        if oldest is not None and oldest > date:
            log.warning(
                "schedule_catch_up_limited", trigger=self.armed.name, since=to_text(date), runs_from=to_text(oldest), limit="CATCH_UP_DATES_MAX",
            )
            return oldest
        return date

    async def _event(
        self, date: datetime, *, key: str, inputs: dict[str, Any] | None = None, labels: dict[str, str] | None = None
    ) -> Event:
        variables, seen = await self._evaluated(lambda: self._variables(date))
        return Event(
            variables=variables, seen=seen, key=key, cursor=self.state.as_cursor(self.tools.clock.now()), schedule_date=date,
            inputs=inputs or {}, labels=labels or {},
        )

    # ---- dates and conditions

    def _variables(self, date: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
        """`trigger.*` as text, and as conditions see it: a `when` of dialect 2.0 compares moments."""
        assert self._dates is not None
        if isinstance(self._trigger, ScheduleOnDates):
            return {}, {"date": shown(date, self._dates.zone)}
        zone = self._dates.zone
        texts = {"date": shown(date, zone)}
        for name, (moment, exact) in (("next", self._next(date)), ("previous", self._before(date))):
            if moment is not None and exact:
                texts[name] = shown(moment, zone)
        return texts, self._seen(texts, date)

    def _seen(self, texts: dict[str, Any], date: datetime) -> dict[str, Any]:
        assert self._dates is not None
        if self.armed.flow.dialect != "2.0":
            return texts
        local = date.astimezone(self._dates.zone)
        return {**texts, "date": local, "timestamp": int(date.timestamp())}

    def _holds(self, date: datetime) -> bool:
        """Whether the conditions, being pure, hold for a date. One that cannot be evaluated counts as held: it fails when it is due."""
        assert self._dates is not None
        try:
            return self.tools.firing.holds_now(self.armed, self._seen({"date": shown(date, self._dates.zone)}, date))
        except PodiumError:
            return True

    async def _found(self, after: datetime) -> datetime | None:
        """The date to look at next after a moment, found without blocking."""
        return await self._evaluated(lambda: self._after(after))

    def _after(self, moment: datetime) -> datetime | None:
        return self._next(moment)[0]

    def _next(self, moment: datetime) -> tuple[datetime | None, bool]:
        """The next date for which the conditions hold; with impure conditions simply the next one, as they are asked when it is due."""
        assert self._dates is not None
        if self._searches:
            return next_holding(self._dates, moment, self._holds, by_day=self._by_day)
        return self._dates.next(moment), True

    def _before(self, moment: datetime) -> tuple[datetime | None, bool]:
        assert self._dates is not None
        if self._searches:
            return previous_holding(self._dates, moment, self._holds, by_day=self._by_day)
        return self._dates.previous(moment), True

    async def _evaluated(self, find: Callable[[], T]) -> T:
        return await asyncio.to_thread(find) if self._searches else find()

    # ---- backfill

    def _active_backfill(self) -> Backfill | None:
        backfill = self.state.backfill
        return backfill if backfill is not None and not backfill.paused else None

    async def _fire_backfill(self, backfill: Backfill, date: datetime) -> None:
        backfill.current = self._next_of(backfill, date)
        shown_next, self.state.next = self.state.next, backfill.current
        key = f"backfill:{self.armed.name}:{backfill.id}:{to_text(date)}"
        try:
            await self._start(await self._event(date, key=key, inputs=backfill.inputs, labels=backfill.labels))
        except PodiumError:
            backfill.current, self.state.next = date, shown_next
            raise

    def _next_of(self, backfill: Backfill, after: datetime) -> datetime | None:
        assert self._dates is not None
        comes = self._dates.next(after)
        return comes if comes is not None and comes <= backfill.end else None

    async def _finish_backfill(self) -> None:
        backfill = self.state.backfill
        assert backfill is not None
        log.info("backfill_done", trigger=self.armed.name, start=to_text(backfill.start), end=to_text(backfill.end))
        self.state.backfill, self.state.next = None, backfill.previous_next
        self._live_since = self.tools.clock.now()
        await self.remember()

    async def backfill(self, request: BackfillRequest) -> None:
        """Run past dates, one at a time, before the schedule goes on. Raises ConflictError: one is under way, or start is after end."""
        await self._change_backfill(lambda: self._create(request))

    async def pause_backfill(self, *, paused: bool) -> None:
        """Hold a backfill and let the schedule go on meanwhile, or take it up again. Raises ConflictError when there is none."""
        await self._change_backfill(lambda: self._pause(paused))

    async def delete_backfill(self) -> None:
        """Give up a backfill. Raises ConflictError when there is none."""
        await self._change_backfill(self._delete)

    async def _change_backfill(self, change: Callable[[], None]) -> None:
        async with self.busy:
            if self._dates is None:
                raise ConflictError(f"trigger '{self.armed.trigger.id}' does not work: {self.state.error}", hint="mend the flow first")
            change()
            await self.remember()
        self.ring_soon()

    def _create(self, request: BackfillRequest) -> None:
        start, end = request.start.astimezone(UTC), request.end.astimezone(UTC)
        if start > end:
            raise ConflictError("the backfill ends before it starts", hint="swap start and end")
        if self.state.disabled:
            raise ConflictError(f"trigger '{self.armed.trigger.id}' is disabled", hint="enable it first")
        if self.state.backfill is not None:
            raise ConflictError(f"a backfill of trigger '{self.armed.trigger.id}' is under way", hint="delete it first, or wait")
        backfill = Backfill(
            id=new_id(), start=start, end=end, current=None, inputs=request.inputs, labels=request.labels, previous_next=self.state.next,
        )
        backfill.current = self._next_of(backfill, start - timedelta(microseconds=1))
        self.state.backfill, self.state.next = backfill, backfill.current

    def _pause(self, paused: bool) -> None:
        backfill = self._existing()
        if backfill.paused == paused:
            return
        if paused:
            self.state.next = backfill.previous_next
        else:
            backfill.previous_next, self.state.next = self.state.next, backfill.current
        backfill.paused = paused
        self._live_since = self.tools.clock.now()

    def _delete(self) -> None:
        backfill = self._existing()
        if not backfill.paused:
            self.state.next = backfill.previous_next
        self.state.backfill = None
        self._live_since = self.tools.clock.now()

    def _existing(self) -> Backfill:
        if self.state.backfill is None:
            raise ConflictError(f"trigger '{self.armed.trigger.id}' has no backfill", hint="begin one with: podium triggers backfill")
        return self.state.backfill


def _is_about_day(condition: Condition) -> bool:
    """Whether a condition gives the same answer for all dates of one day."""
    match condition:
        case conditions.Not() | conditions.Or():
            return all(map(_is_about_day, condition.conditions))
        case conditions.Weekend() | conditions.DayWeek() | conditions.DayWeekInMonth() | conditions.PublicHoliday():
            return bool(condition.date == type(condition).model_fields["date"].default)
    return False
