"""What the language says of schedules, property by property, tried on the board. Source: flow-language 7.0–7.2, 7.7; flow-language-2 5."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from trigger_house import House, flow_with

SCHEDULE = "type: io.kestra.plugin.core.trigger.Schedule\n"
HOURLY = SCHEDULE + "cron: '0 * * * *'\n"
DAILY = SCHEDULE + "cron: '0 12 * * *'\n"
CONDITION = "io.kestra.plugin.core.condition."
OLD = "io.kestra.core.models.conditions.types."


def moment(text: str) -> str:
    """As states show it."""
    return f"{text}:00.000Z"


# The clock begins at 2026-01-05 08:00 UTC, a Monday.


@pytest.mark.parametrize(("cron", "comes"), [
    ("@hourly", "2026-01-05T09:00"), ("@daily", "2026-01-06T00:00"), ("@midnight", "2026-01-06T00:00"), ("@weekly", "2026-01-11T00:00"),
    ("@monthly", "2026-02-01T00:00"), ("@yearly", "2027-01-01T00:00"), ("@annually", "2027-01-01T00:00"), ("0 9 * * 0", "2026-01-11T09:00"),
    ("0 9 * * 7", "2026-01-11T09:00"), ("0 9 * * SUN", "2026-01-11T09:00"), ("0 9 * * mon", "2026-01-05T09:00"), ("0 0 6 * 3", "2026-01-06T00:00"),
    ("0 0 9 * WED", "2026-01-07T00:00"), ("*/15 8-9 * * *", "2026-01-05T08:15"), ("0 0 1 JAN *", "2027-01-01T00:00"),
    ("5,35 * * * 1-5", "2026-01-05T08:05"), ("0 8/4 * * *", "2026-01-05T12:00"),
])
async def test_cron_expressions(house: House, cron: str, comes: str) -> None:
    await house.install(flow_with(SCHEDULE + f"cron: '{cron}'\n"))
    assert house.state()["nextExecutionDate"] == moment(comes)


@pytest.mark.parametrize(("condition", "comes"), [
    ("{type: DateTimeBetween, after: '2026-01-07T12:00:00Z'}", "2026-01-08T12:00"),
    ("{type: DateTimeBetween, after: '2026-01-07T11:59:59Z', before: '2026-01-09T00:00:00Z'}", "2026-01-07T12:00"),
    ("{type: DayWeek, dayOfWeek: THURSDAY}", "2026-01-08T12:00"),
    ("{type: DayWeekInMonth, dayOfWeek: MONDAY, dayInMonth: LAST}", "2026-01-26T12:00"),
    ("{type: DayWeekInMonth, dayOfWeek: TUESDAY, dayInMonth: SECOND}", "2026-01-13T12:00"),
    ("{type: TimeBetween, after: '11:00:00Z', before: '13:00:00Z'}", "2026-01-05T12:00"),
    ("{type: TimeBetween, after: '13:30:00+02:00', before: '14:30:00+02:00'}", "2026-01-05T12:00"),
    ("{type: Weekend}", "2026-01-10T12:00"),
    ("{type: Weekend, date: '{{ trigger.date }}'}", "2026-01-10T12:00"),
    ("{type: PublicHoliday, country: DE}", "2026-04-03T12:00"),
    ("{type: PublicHoliday, country: DE, subDivision: BY}", "2026-01-06T12:00"),
    ("{type: Expression, expression: \"{{ trigger.date | date('d') == '17' }}\"}", "2026-01-17T12:00"),
    ("{type: Not, conditions: [{type: condition.DayWeek, dayOfWeek: MONDAY}]}", "2026-01-06T12:00"),
    ("{type: Not, conditions: [{type: condition.Weekend}, {type: condition.DayWeek, dayOfWeek: MONDAY}]}", "2026-01-06T12:00"),
    ("{type: Or, conditions: [{type: condition.DayWeek, dayOfWeek: FRIDAY}, {type: condition.DayWeek, dayOfWeek: SATURDAY}]}", "2026-01-09T12:00"),
    ("{type: FlowCondition, namespace: team, flowId: f}", "2026-01-05T12:00"),
    ("{type: FlowNamespaceCondition, namespace: te, prefix: true}", "2026-01-05T12:00"),
])
async def test_every_condition_that_a_schedule_may_have(house: House, condition: str, comes: str) -> None:
    written = condition.replace("type: ", f"type: {CONDITION}", 1).replace("type: condition.", f"type: {CONDITION}")
    for key in ("conditions", "scheduleConditions"):
        await house.install(flow_with(DAILY + f"{key}:\n  - {written}\n"))
        assert house.state()["nextExecutionDate"] == moment(comes)
        await house.install(flow_with(DAILY).partition("triggers:")[0])


@pytest.mark.parametrize("name", [OLD + "DayWeekCondition", CONDITION + "DayWeekCondition", CONDITION + "DayWeek"])
async def test_older_names_of_conditions_and_triggers(house: House, name: str) -> None:
    trigger = DAILY.replace("io.kestra.plugin.core.trigger.", "io.kestra.core.models.triggers.types.")
    await house.install(flow_with(trigger + f"conditions:\n  - {{type: {name}, dayOfWeek: THURSDAY}}\n"))
    assert house.state()["nextExecutionDate"] == moment("2026-01-08T12:00")


@pytest.mark.parametrize(("when", "comes"), [
    ("{{ isWeekend(trigger.date) }}", "2026-01-10T12:00"), ("{{ dayOfWeek(trigger.date) == 'THURSDAY' }}", "2026-01-08T12:00"),
    ("{{ isDayWeekInMonth(trigger.date, 'MONDAY', 'LAST') }}", "2026-01-26T12:00"), ("{{ isPublicHoliday(trigger.date, 'DE', 'BY') }}", "2026-01-06T12:00"),
    ("{{ dayOfMonth(trigger.date) == 17 }}", "2026-01-17T12:00"), ("{{ hourOfDay(trigger.date) == 12 }}", "2026-01-05T12:00"),
    ("{{ isDateBetween(trigger.date, '2026-01-08T00:00:00Z', '2026-01-09T00:00:00Z') }}", "2026-01-08T12:00"),
    ("{{ trigger.timestamp > 1767960000 }}", "2026-01-10T12:00"), ("true", "2026-01-05T12:00"),
])
async def test_when_of_dialect_2_is_asked_for_each_date(house: House, when: str, comes: str) -> None:
    await house.install(flow_with(DAILY + f"when: \"{when}\"\n"))
    assert house.state()["nextExecutionDate"] == moment(comes)


async def test_a_when_that_cannot_be_evaluated_is_a_failed_execution_each_time(house: House) -> None:
    await house.install(flow_with(HOURLY + "when: \"{{ trigger.date > 'x' }}\"\n"))
    for _ in range(2):
        await house.advance(3600)
        await house.finish("FAILED")
    assert ["conditions" in (each.failed_because or "") for each in house.started] == [True, True]


@pytest.mark.parametrize(("rule", "hours"), [("ALL", [9, 10, 11]), ("LAST", [11]), ("NONE", [])])
async def test_the_rule_for_missed_dates_holds_when_a_trigger_is_switched_on_again(house: House, rule: str, hours: list[int]) -> None:
    await house.install(flow_with(HOURLY + f"recoverMissedSchedules: {rule}\n"))
    await house.board.set_disabled("team", "f", "t", disabled=True)
    await house.advance(3 * 3600 + 600)
    await house.board.set_disabled("team", "f", "t", disabled=False)
    await house.settle()
    for _ in range(4):
        if "executionId" in house.state():
            await house.finish()
    assert house.dates() == [f"2026-01-05T{hour:02d}:00:00Z" for hour in hours]
    assert house.state()["nextExecutionDate"] == moment("2026-01-05T12:00")


async def test_very_late_dates_count_in_a_backfill(house: House) -> None:
    await house.install(flow_with(HOURLY + "lateMaximumDelay: PT30M\n"))
    await house.board.backfill("team", "f", "t", start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2026, 1, 1, 1, tzinfo=UTC))
    await house.settle()
    await house.finish()
    assert house.dates() == ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"]


async def test_a_backfill_runs_the_dates_that_hold_one_at_a_time_and_shows_how_far_it_is(house: House) -> None:
    await house.install(flow_with(
        HOURLY + "allowConcurrent: true\nlabels: {a: own, b: own}\ninputs: {x: own, y: own}\n"
        f"conditions: [{{type: {CONDITION}Expression, expression: \"{{{{ ['01', '03'] contains (trigger.date | date('HH')) }}}}\"}}]\n",
        extra="inputs: [{id: x, type: STRING}, {id: y, type: STRING}]\n",
    ))
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 5, tzinfo=UTC)
    await house.board.backfill("team", "f", "t", start=start, end=end, inputs={"x": "given"}, labels={"a": "given"})
    await house.settle()
    assert house.dates() == ["2026-01-01T01:00:00Z"]
    backfill = house.state()["backfill"]
    assert (backfill["currentDate"], backfill["end"], backfill["paused"]) == (moment("2026-01-01T02:00"), moment("2026-01-01T05:00"), False)
    assert backfill["previousNextExecutionDate"] == moment("2026-01-06T01:00")
    for _ in range(2):
        await house.finish()
    assert house.dates() == ["2026-01-01T01:00:00Z", "2026-01-01T03:00:00Z"]
    assert (house.started[1].inputs, house.started[1].labels) == ({"x": "given", "y": "own"}, {"a": "given", "b": "own"})
    assert "backfill" not in house.state()
    assert house.state()["nextExecutionDate"] == moment("2026-01-06T01:00")


async def test_a_time_that_spring_skips_fires_after_the_gap_and_hours_do_not_stop(tmp_path: Path, clock: Any) -> None:
    clock.set(datetime(2026, 3, 28, 12, tzinfo=UTC))
    house = House(tmp_path, clock)
    await house.open()
    zone = "timezone: Europe/Paris\nallowConcurrent: true\n"
    await house.install(flow_with(SCHEDULE + "cron: '30 2 * * *'\n" + zone))
    for _ in range(72):
        await house.advance(1800)
    assert house.dates() == ["2026-03-29T03:00:00+02:00"]
    await house.close()


@pytest.mark.parametrize(("rule", "hours"), [("ALL", [9, 10, 11]), ("LAST", [11]), ("NONE", [])])
async def test_dates_that_were_written_down_follow_the_rule_too(house: House, rule: str, hours: list[int]) -> None:
    listed = "".join(f"  - 2026-01-05T{hour:02d}:00:00Z\n" for hour in (7, 9, 10, 11))
    await house.install(flow_with(
        f"type: io.kestra.plugin.core.trigger.ScheduleOnDates\nrecoverMissedSchedules: {rule}\ndates:\n{listed}inputs: {{x: 1}}\nlabels: {{l: v}}\n",
        extra="inputs: [{id: x, type: INT}]\n",
    ))
    await house.close()
    house.clock.advance(4 * 3600)
    await house.open()
    for _ in range(4):
        if "executionId" in house.state():
            await house.finish()
    assert [each.schedule_date for each in house.started] == [datetime(2026, 1, 5, hour, tzinfo=UTC) for hour in hours]
    assert all((each.inputs, each.labels, (each.trigger or {})["variables"]) == ({"x": 1}, {"l": "v"}, {}) for each in house.started)


async def test_dates_that_were_written_down_may_have_conditions(house: House) -> None:
    await house.install(flow_with(
        "type: io.kestra.plugin.core.trigger.ScheduleOnDates\ndates: ['2026-01-05T09:00:00Z', '2026-01-10T09:00:00Z']\n"
        f"conditions: [{{type: {CONDITION}Weekend}}]\n"
    ))
    assert house.state()["nextExecutionDate"] == moment("2026-01-10T09:00")
    await house.advance(5 * 86400 + 3600)
    assert len(house.started) == 1
