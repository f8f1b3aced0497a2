"""Schedules: every date once, none skipped, none twice, whatever happens to the daemon and its clock."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from podium.base.errors import ConflictError, FlowNotFound, LimitError, StoreError
from trigger_house import House, flow_with

HOURLY = "type: io.kestra.plugin.core.trigger.Schedule\ncron: '0 * * * *'\n"
MINUTELY = "type: io.kestra.plugin.core.trigger.Schedule\ncron: '* * * * *'\n"


def utc(day: int, hour: int, minute: int = 0) -> str:
    return f"2026-01-{day:02d}T{hour:02d}:{minute:02d}:00Z"


# The clock begins at 2026-01-05 08:00 UTC, a Monday.


async def test_the_first_date_is_the_next_after_the_trigger_is_there(house: House) -> None:
    await house.install(flow_with(HOURLY))
    assert house.started == []
    assert house.state()["nextExecutionDate"] == "2026-01-05T09:00:00.000Z"
    await house.advance(3600)
    assert house.dates() == [utc(5, 9)]
    request = house.started[0]
    assert request.trigger is not None
    assert request.trigger["variables"] == {"date": utc(5, 9), "next": utc(5, 10), "previous": utc(5, 8)}
    assert request.schedule_date == datetime(2026, 1, 5, 9, tzinfo=UTC)
    assert request.fail_on_bad_inputs
    assert house.state()["date"] == "2026-01-05T09:00:00.000Z"
    assert house.state()["nextExecutionDate"] == "2026-01-05T10:00:00.000Z"


async def test_dates_are_shown_in_the_zone_of_the_trigger(house: House) -> None:
    await house.install(flow_with(HOURLY + "timezone: Europe/Paris\n"))
    await house.advance(3600)
    assert house.dates() == ["2026-01-05T10:00:00+01:00"]


async def test_without_a_zone_that_of_the_server_counts(tmp_path: Path, clock: Any) -> None:
    house = House(tmp_path, clock, zone=ZoneInfo("America/New_York"))
    await house.open()
    await house.install(flow_with("type: io.kestra.plugin.core.trigger.Schedule\ncron: '0 9 * * *'\n"))
    assert house.state()["nextExecutionDate"] == "2026-01-05T14:00:00.000Z"
    await house.close()


async def test_with_seconds(house: House) -> None:
    await house.install(flow_with("type: io.kestra.plugin.core.trigger.Schedule\ncron: '*/20 * * * * *'\nwithSeconds: true\n"))
    for _ in range(3):
        await house.advance(20)
        await house.finish()
    assert len(house.started) == 3


async def test_a_date_waits_until_the_execution_before_is_over(house: House) -> None:
    await house.install(flow_with(MINUTELY))
    await house.advance(60)
    await house.advance(60)
    await house.advance(60)
    assert house.dates() == [utc(5, 8, 1)]
    assert house.state()["executionId"]
    await house.finish()
    assert house.dates() == [utc(5, 8, 1), utc(5, 8, 2)]
    await house.finish()
    await house.finish()
    assert house.dates() == [utc(5, 8, 1), utc(5, 8, 2), utc(5, 8, 3)]
    assert "executionId" not in house.state()


async def test_allow_concurrent_does_not_wait(house: House) -> None:
    await house.install(flow_with(MINUTELY + "allowConcurrent: true\n"))
    for _ in range(3):
        await house.advance(60)
    assert len(house.started) == 3


async def test_what_passed_while_the_execution_ran_follows_the_rule(house: House) -> None:
    await house.install(flow_with(MINUTELY + "recoverMissedSchedules: LAST\n"))
    await house.advance(60)
    await house.advance(600)
    await house.finish()
    assert house.dates() == [utc(5, 8, 1), utc(5, 8, 11)]


async def test_dates_that_passed_seconds_ago_follow_the_rule_too(house: House) -> None:
    seconds = "type: io.kestra.plugin.core.trigger.Schedule\ncron: '*/10 * * * * *'\nwithSeconds: true\n"
    await house.install(flow_with(seconds + "recoverMissedSchedules: NONE\n"))
    await house.advance(10)
    await house.advance(35)
    await house.finish()
    assert house.dates() == ["2026-01-05T08:00:10Z"]
    await house.advance(5)
    assert house.dates() == ["2026-01-05T08:00:10Z", "2026-01-05T08:00:50Z"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("ALL", [utc(5, 9), utc(5, 10), utc(5, 11)]), ("LAST", [utc(5, 11)]), ("NONE", [])],
)
async def test_missed_dates_after_a_restart(house: House, rule: str, expected: list[str]) -> None:
    await house.install(flow_with(HOURLY + f"recoverMissedSchedules: {rule}\n"))
    await house.close()
    house.clock.advance(3 * 3600 + 600)
    await house.open()
    for _ in range(4):
        if house.started and "executionId" in house.state():
            await house.finish()
    assert house.dates() == expected
    assert house.state()["nextExecutionDate"] == "2026-01-05T12:00:00.000Z"
    await house.advance(3000)
    assert house.dates() == [*expected, utc(5, 12)]


async def test_without_a_rule_all_missed_dates_are_made_up_for_unless_the_daemon_says_otherwise(house: House) -> None:
    await house.install(flow_with(HOURLY))
    await house.close()
    house.clock.advance(2 * 3600)
    await house.open(recover_missed="NONE")
    assert house.dates() == []


async def test_making_up_is_limited(house: House) -> None:
    await house.install(flow_with(MINUTELY + "allowConcurrent: true\n"))
    await house.close()
    house.clock.advance(24 * 3600)
    await house.open(catch_up_max=5)
    assert house.dates() == [utc(6, 7, 56), utc(6, 7, 57), utc(6, 7, 58), utc(6, 7, 59), utc(6, 8, 0)]


async def test_the_same_dates_after_a_crash_at_any_moment(house: House) -> None:
    await house.install(flow_with(HOURLY))
    await house.close()
    # The start was durable, and the daemon died before it noted anything else.
    house.clock.advance(3600)
    before = dict(house.state())
    await house.open()
    assert len(house.started) == 1
    await house.close()
    house.orchestrator.states[("team", "f", "t")] = {**before, "date": None}
    await house.open()
    assert len(house.started) == 1


async def test_an_execution_that_runs_on_over_a_crash_still_holds_the_next_date_back(house: House) -> None:
    await house.install(flow_with(HOURLY))
    await house.advance(3600)
    house.orchestrator.states[("team", "f", "t")].pop("executionId")
    await house.restart()
    await house.advance(3600)
    assert len(house.started) == 1
    await house.finish()
    assert len(house.started) == 2


async def test_an_execution_that_ended_while_the_daemon_was_away_holds_nothing_back(house: House) -> None:
    await house.install(flow_with(HOURLY))
    await house.advance(3600)
    await house.close()
    house.orchestrator.finish(next(iter(house.orchestrator.views)))
    await house.open()
    await house.advance(3600)
    assert len(house.started) == 2


async def test_an_end_that_nobody_told_is_noticed(house: House) -> None:
    await house.install(flow_with(HOURLY))
    await house.advance(3600)
    view = next(iter(house.orchestrator.views.values()))
    view["state"]["current"] = "SUCCESS"
    await house.board.check()
    await house.settle()
    assert "executionId" not in house.state()


async def test_a_lost_bell_is_made_up_for(house: House) -> None:
    await house.install(flow_with(HOURLY))
    await house.advance(3605, sweep=True)
    assert house.dates() == [utc(5, 9)]


async def test_a_machine_that_slept_follows_the_rule(house: House) -> None:
    await house.install(flow_with(HOURLY + "recoverMissedSchedules: NONE\n"))
    await house.advance(5 * 3600 + 1800, sweep=True)
    assert house.dates() == []
    assert house.state()["nextExecutionDate"] == "2026-01-05T14:00:00.000Z"


async def test_a_clock_set_back_fires_nothing_twice_and_skips_nothing(house: House) -> None:
    await house.install(flow_with(HOURLY + "allowConcurrent: true\n"))
    await house.advance(3600)
    house.clock.advance(-1800)
    await house.ring()
    assert house.dates() == [utc(5, 9)]
    await house.advance(1800)
    assert house.dates() == [utc(5, 9)]
    await house.advance(3600)
    assert house.dates() == [utc(5, 9), utc(5, 10)]


async def test_a_clock_that_was_a_day_ahead_for_a_while_skips_no_date(house: House) -> None:
    await house.install(flow_with(HOURLY + "recoverMissedSchedules: LAST\nallowConcurrent: true\n"))
    await house.advance(24 * 3600)
    assert house.dates() == [utc(6, 8)]
    house.clock.advance(-24 * 3600 + 60)
    await house.ring(sweep=True)
    await house.advance(3600, sweep=True)
    assert house.dates() == [utc(6, 8), utc(5, 9)]
    for _ in range(24):
        await house.advance(3600, sweep=True)
    assert house.dates().count(utc(6, 8)) == 1
    assert len(house.dates()) == len(set(house.dates())) == 25


async def test_a_start_that_is_refused_is_tried_again(house: House) -> None:
    await house.install(flow_with(HOURLY))
    house.orchestrator.refuse = LimitError("queue full")
    await house.advance(3600)
    assert house.started == []
    assert "queue full" in house.state()["error"]
    house.orchestrator.refuse = StoreError("disk full")
    await house.advance(6)
    house.orchestrator.refuse = None
    await house.advance(6)
    assert house.dates() == [utc(5, 9)]
    assert "error" not in house.state()


async def test_very_late_dates_are_passed_over(house: House) -> None:
    await house.install(flow_with(HOURLY + "lateMaximumDelay: PT30M\nallowConcurrent: true\n"))
    await house.close()
    house.clock.advance(3 * 3600 + 60)
    await house.open()
    assert house.dates() == [utc(5, 11)]


async def test_the_rule_holds_for_dates_that_are_not_too_late(house: House) -> None:
    await house.install(flow_with(MINUTELY + "lateMaximumDelay: PT30M\nrecoverMissedSchedules: LAST\n"))
    await house.close()
    house.clock.advance(3 * 3600)
    await house.open()
    assert house.dates() == [utc(5, 11)]


async def test_inputs_and_labels_are_rendered_with_the_date(house: House) -> None:
    extra = "inputs:\n  - id: day\n    type: STRING\nvariables:\n  v: x\n"
    trigger = HOURLY + "inputs:\n  day: \"{{ trigger.date | date('yyyy-MM-dd') }}-{{ vars.v }}\"\nlabels:\n  hour: \"{{ trigger.date | date('HH') }}\"\n  bad: \"{{ nope.nope }}\"\n"
    await house.install(flow_with(trigger, extra=extra))
    await house.advance(3600)
    assert house.started[0].inputs == {"day": "2026-01-05-x"}
    assert house.started[0].labels == {"hour": "09"}


async def test_inputs_that_cannot_be_rendered_make_a_failed_execution(house: House) -> None:
    await house.install(flow_with(HOURLY + "inputs:\n  day: \"{{ nope.nope }}\"\n", extra="inputs:\n  - id: day\n    type: STRING\n"))
    await house.advance(3600)
    assert "nope" in (house.started[0].failed_because or "")
    await house.advance(3600)
    assert len(house.started) == 2


class TestConditions:
    """Dates for which the conditions hold."""

    WEEKEND = "conditions:\n  - type: io.kestra.plugin.core.condition.Weekend\n"

    async def test_next_and_previous_are_dates_that_hold(self, house: House) -> None:
        await house.install(flow_with("type: io.kestra.plugin.core.trigger.Schedule\ncron: '0 12 * * *'\n" + self.WEEKEND))
        assert house.state()["nextExecutionDate"] == "2026-01-10T12:00:00.000Z"
        await house.advance(5 * 86400 + 4 * 3600)
        assert house.started[0].trigger is not None
        assert house.started[0].trigger["variables"] == {"date": utc(10, 12), "next": utc(11, 12), "previous": utc(4, 12)}

    async def test_days_are_skipped_at_once_with_a_cron_of_seconds(self, house: House) -> None:
        trigger = "type: io.kestra.plugin.core.trigger.Schedule\ncron: '* * * * * *'\nwithSeconds: true\n"
        holiday = "conditions:\n  - type: io.kestra.plugin.core.condition.PublicHoliday\n    country: FR\n"
        await house.install(flow_with(trigger + holiday))
        assert house.state()["nextExecutionDate"] == "2026-04-06T00:00:00.000Z"

    async def test_a_condition_that_never_holds_is_no_endless_search(self, house: House) -> None:
        await house.install(flow_with(MINUTELY + "conditions:\n  - type: io.kestra.plugin.core.condition.Expression\n    expression: \"{{ trigger.date == 'x' }}\"\n"))
        assert "nextExecutionDate" in house.state()
        await house.advance(3 * 86400)
        assert house.started == []
        assert house.state()["nextExecutionDate"] > "2026-01-08"

    async def test_a_condition_about_the_world_is_asked_when_the_date_is_due(self, house: House) -> None:
        house.reads.values["go"] = "no"
        await house.install(flow_with(HOURLY + "conditions:\n  - type: io.kestra.plugin.core.condition.Expression\n    expression: \"{{ kv('go') == 'yes' }}\"\n"))
        await house.advance(3600)
        assert house.started == []
        house.reads.values["go"] = "yes"
        await house.advance(3600)
        assert house.dates() == [utc(5, 10)]

    async def test_a_condition_that_cannot_be_evaluated_makes_a_failed_execution(self, house: House) -> None:
        await house.install(flow_with(HOURLY + "conditions:\n  - type: io.kestra.plugin.core.condition.Expression\n    expression: \"{{ nope.nope }}\"\n"))
        await house.advance(3600)
        assert "conditions" in (house.started[0].failed_because or "")

    async def test_when_of_dialect_2_compares_moments(self, house: House) -> None:
        await house.install(flow_with(HOURLY + "when: \"{{ trigger.date | date('HH') == '10' }}\"\n"))
        assert house.state()["nextExecutionDate"] == "2026-01-05T10:00:00.000Z"


class TestSwitching:
    """Disabling, enabling, changing, removing."""

    async def test_a_disabled_trigger_fires_nothing_and_goes_on_by_its_rule(self, house: House) -> None:
        await house.install(flow_with(HOURLY + "recoverMissedSchedules: LAST\n"))
        state = await house.board.set_disabled("team", "f", "t", disabled=True)
        assert state["disabled"]
        await house.advance(2 * 3600)
        assert house.started == []
        await house.restart()
        await house.advance(3600)
        assert house.started == []
        await house.board.set_disabled("team", "f", "t", disabled=False)
        await house.settle()
        assert house.dates() == [utc(5, 11)]

    async def test_a_switch_made_by_a_task_counts(self, house: House) -> None:
        await house.install(flow_with(HOURLY))
        await house.orchestrator.remember_trigger("team", "f", "t", {"disabled": True})
        await house.settle()
        await house.advance(3600)
        assert house.started == []
        await house.orchestrator.remember_trigger("team", "f", "t", {"disabled": None})
        await house.settle()
        assert house.dates() == [utc(5, 9)]

    async def test_unknown_triggers_are_named(self, house: House) -> None:
        await house.install(flow_with(HOURLY))
        with pytest.raises(FlowNotFound):
            await house.board.set_disabled("team", "f", "other", disabled=True)
        with pytest.raises(FlowNotFound):
            await house.board.unlock("team", "none", "t")

    async def test_stop_after_disables_the_trigger(self, house: House) -> None:
        await house.install(flow_with(HOURLY + "stopAfter: [FAILED]\n"))
        await house.advance(3600)
        await house.finish("SUCCESS")
        await house.advance(3600)
        await house.finish("FAILED")
        assert house.state()["disabled"]
        await house.advance(3600)
        assert len(house.started) == 2

    async def test_stop_after_also_counts_when_nobody_listened(self, house: House) -> None:
        await house.install(flow_with(HOURLY + "stopAfter: [FAILED]\n"))
        await house.advance(3600)
        await house.close()
        house.orchestrator.finish(next(iter(house.orchestrator.views)), "FAILED")
        await house.open()
        await house.advance(3600)
        assert len(house.started) == 1
        await house.board.set_disabled("team", "f", "t", disabled=False)
        await house.restart()
        await house.advance(3600)
        assert len(house.started) == 2

    async def test_a_new_revision_with_the_same_trigger_changes_nothing(self, house: House) -> None:
        await house.install(flow_with(HOURLY))
        await house.install(flow_with(HOURLY, extra="description: new\n"))
        await house.advance(3600)
        assert house.dates() == [utc(5, 9)]

    async def test_a_changed_cron_is_looked_for_from_now(self, house: House) -> None:
        await house.install(flow_with(HOURLY))
        await house.advance(1800)
        await house.install(flow_with(MINUTELY))
        assert house.state()["nextExecutionDate"] == "2026-01-05T08:31:00.000Z"

    async def test_a_cron_changed_while_the_daemon_was_away_makes_up_for_nothing(self, house: House) -> None:
        await house.install(flow_with(HOURLY))
        await house.close()
        house.clock.advance(5 * 3600)
        house.orchestrator.install(house.flow(flow_with(MINUTELY)))
        await house.open()
        assert house.started == []

    async def test_a_trigger_taken_out_and_put_back_begins_anew(self, house: House) -> None:
        await house.install(flow_with(HOURLY))
        await house.advance(3600)
        await house.finish()
        await house.install(flow_with(HOURLY).partition("triggers:")[0])
        assert house.state() == {"removed": True, "updatedDate": house.state()["updatedDate"]}
        await house.advance(5 * 3600)
        await house.install(flow_with(HOURLY))
        assert len(house.started) == 1
        assert house.state()["nextExecutionDate"] == "2026-01-05T15:00:00.000Z"

    async def test_a_removed_flow_fires_no_more(self, house: House) -> None:
        await house.install(flow_with(HOURLY))
        house.orchestrator.remove("team", "f")
        await house.settle()
        await house.advance(3600)
        assert house.started == []

    @pytest.mark.parametrize("extra", ["disabled: true\n", "draft: true\n"])
    async def test_flows_that_may_not_run_do_not(self, house: House, extra: str) -> None:
        await house.install(flow_with(HOURLY, extra=extra))
        await house.advance(3600)
        assert house.started == []

    async def test_unlock_lets_the_next_date_go(self, house: House) -> None:
        await house.install(flow_with(HOURLY))
        await house.advance(3600)
        await house.advance(3600)
        assert len(house.started) == 1
        await house.board.unlock("team", "f", "t")
        await house.settle()
        assert len(house.started) == 2

    async def test_one_trigger_in_trouble_does_not_stop_another(self, house: House) -> None:
        await house.install(
            flow_with("type: io.kestra.plugin.core.trigger.ScheduleOnDates\ndates: \"{{ nope.nope }}\"\n", flow_id="bad"), flow_with(HOURLY)
        )
        await house.advance(3600)
        assert house.dates() == [utc(5, 9)]
        assert "nope" in house.state(flow="bad")["error"]

    async def test_a_lost_state_is_found_again_from_the_newest_execution(self, house: House) -> None:
        at = datetime(2026, 1, 1, tzinfo=UTC)
        await house.install(flow_with(HOURLY + "allowConcurrent: true\n"), at=at)
        count = len(house.started)
        assert count == 104
        await house.close()
        house.orchestrator.states.clear()
        house.clock.advance(3600)
        await house.open()
        assert house.dates()[count:] == [utc(5, 9)]

    async def test_the_list_of_triggers_names_their_state(self, house: House) -> None:
        await house.install(flow_with(HOURLY))
        (state,) = await house.board.states()
        assert state["triggerId"] == "t"
        assert state["nextExecutionDate"] == "2026-01-05T09:00:00.000Z"
        assert state["disabled"] is False


class TestBackfill:
    """Running the past."""

    @staticmethod
    def day(number: int, hour: int = 0) -> datetime:
        return datetime(2026, 1, number, hour, tzinfo=UTC)

    async def test_dates_run_one_at_a_time_and_the_schedule_goes_on_after(self, house: House) -> None:
        await house.install(flow_with(HOURLY + "inputs:\n  a: own\n", extra="inputs:\n  - id: a\n    type: STRING\n"))
        state = await house.board.backfill("team", "f", "t", start=self.day(1), end=self.day(1, 2), inputs={"a": "given"}, labels={"x": "y"})
        assert state["backfill"]["start"] == "2026-01-01T00:00:00.000Z"
        await house.settle()
        assert house.dates() == [utc(1, 0)]
        assert house.started[0].inputs == {"a": "given"}
        assert house.started[0].labels == {"x": "y"}
        await house.advance(3600)
        assert len(house.started) == 1
        for _ in range(4):
            await house.finish()
        assert house.dates() == [utc(1, 0), utc(1, 1), utc(1, 2), utc(5, 9)]
        assert "backfill" not in house.state()

    async def test_a_restart_goes_on_where_it_was(self, house: House) -> None:
        await house.install(flow_with(HOURLY))
        await house.board.backfill("team", "f", "t", start=self.day(1), end=self.day(1, 3))
        await house.settle()
        await house.finish()
        await house.restart()
        assert house.dates() == [utc(1, 0), utc(1, 1)]
        await house.finish()
        assert house.dates() == [utc(1, 0), utc(1, 1), utc(1, 2)]

    async def test_one_whose_executions_end_at_once_can_be_paused_all_the_same(self, house: House) -> None:
        """It had the trigger to itself until its last date: pausing, ending and switching off came too late."""
        house.orchestrator.end_at_once = "SUCCESS"
        await house.install(flow_with(HOURLY))
        await house.board.backfill("team", "f", "t", start=self.day(1), end=self.day(4))
        while not house.dates():
            await asyncio.sleep(0)
        state = await house.board.pause_backfill("team", "f", "t", paused=True)
        assert state["backfill"]["paused"]
        await house.settle()
        assert 0 < len(house.dates()) < 20

    async def test_pausing_lets_the_schedule_run(self, house: House) -> None:
        await house.install(flow_with(HOURLY))
        await house.board.backfill("team", "f", "t", start=self.day(1), end=self.day(1, 2))
        await house.settle()
        state = await house.board.pause_backfill("team", "f", "t", paused=True)
        assert state["backfill"]["paused"]
        await house.finish()
        assert len(house.started) == 1
        await house.advance(3600)
        assert house.dates() == [utc(1, 0), utc(5, 9)]
        await house.finish()
        await house.board.pause_backfill("team", "f", "t", paused=False)
        await house.settle()
        assert house.dates() == [utc(1, 0), utc(5, 9), utc(1, 1)]
        for _ in range(3):
            await house.finish()
        assert house.dates() == [utc(1, 0), utc(5, 9), utc(1, 1), utc(1, 2)]
        assert house.state()["nextExecutionDate"] == "2026-01-05T10:00:00.000Z"

    async def test_a_command_right_after_the_start_waits_until_the_trigger_is_there(self, house: House) -> None:
        await house.install(flow_with(HOURLY))
        await house.board.backfill("team", "f", "t", start=self.day(1), end=self.day(1, 2))
        await house.settle()
        await house.close()
        board = house.board = house._board()
        running = asyncio.create_task(board.run())
        state = await board.pause_backfill("team", "f", "t", paused=True)
        assert state["backfill"]["paused"]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    async def test_deleting_gives_up_the_rest(self, house: House) -> None:
        await house.install(flow_with(HOURLY))
        await house.board.backfill("team", "f", "t", start=self.day(1), end=self.day(2))
        await house.settle()
        await house.board.delete_backfill("team", "f", "t")
        await house.finish()
        assert len(house.started) == 1
        assert house.state()["nextExecutionDate"] == "2026-01-05T09:00:00.000Z"

    async def test_the_same_dates_may_be_run_again(self, house: House) -> None:
        await house.install(flow_with(HOURLY))
        for _ in range(2):
            await house.board.backfill("team", "f", "t", start=self.day(1), end=self.day(1))
            await house.settle()
            await house.finish()
        assert house.dates() == [utc(1, 0), utc(1, 0)]

    async def test_what_is_not_possible_is_a_conflict(self, house: House) -> None:
        await house.install(flow_with(HOURLY), flow_with("type: io.kestra.plugin.core.trigger.Webhook\nkey: abc\n", flow_id="hook"))
        with pytest.raises(ConflictError):
            await house.board.pause_backfill("team", "f", "t", paused=True)
        with pytest.raises(ConflictError):
            await house.board.backfill("team", "f", "t", start=self.day(3), end=self.day(1))
        with pytest.raises(ConflictError):
            await house.board.backfill("team", "hook", "t", start=self.day(1))
        await house.board.backfill("team", "f", "t", start=self.day(1))
        with pytest.raises(ConflictError):
            await house.board.backfill("team", "f", "t", start=self.day(1))


class TestOnDates:
    """ScheduleOnDates."""

    async def test_each_date_once(self, house: House) -> None:
        dates = "dates:\n  - 2026-01-01T00:00:00Z\n  - 2026-01-05T10:00:00+01:00\n  - 2026-01-05T10:00:00\n"
        await house.install(flow_with("type: io.kestra.plugin.core.trigger.ScheduleOnDates\ntimezone: Europe/London\n" + dates))
        for _ in range(4):
            await house.advance(3600)
            if "executionId" in house.state():
                await house.finish()
        assert [request.schedule_date for request in house.started] == [datetime(2026, 1, 5, hour, tzinfo=UTC) for hour in (9, 10)]
        assert house.started[0].trigger is not None
        assert house.started[0].trigger["variables"] == {}
        assert "nextExecutionDate" not in house.state()

    async def test_dates_may_be_an_expression(self, house: House) -> None:
        await house.install(flow_with(
            "type: io.kestra.plugin.core.trigger.ScheduleOnDates\ndates: \"{{ ['2026-01-05T09:00:00Z'] }}\"\n"
        ))
        await house.advance(3600)
        assert len(house.started) == 1


async def test_the_hour_that_comes_twice_fires_once(tmp_path: Path, clock: Any) -> None:
    clock.set(datetime(2026, 10, 24, 12, tzinfo=UTC))
    house = House(tmp_path, clock)
    await house.open()
    await house.install(
        flow_with("type: io.kestra.plugin.core.trigger.Schedule\ncron: '30 2 * * *'\ntimezone: Europe/Paris\nallowConcurrent: true\n")
    )
    for _ in range(48):
        await house.advance(1800)
    assert house.dates() == ["2026-10-25T02:30:00+02:00"]
    await house.close()
