"""The SQL triggers on a board: polls in child processes that a real server answers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fake_orchestrator import Log
from podium.base.system.clock import SystemClock
from podium.flows.types import Types
from podium.plugins import sql
from podium.triggers.board import TriggerBoard
from podium.workers.polls import Polls
from postgres_house import PASSWORD, USER, Postgres
from trigger_house import House, flow_with, until


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path, SystemClock(), secrets={"WORD": "abracadabra"}, types=Types.build(tasks=[Log], triggers=sql.TRIGGERS))
    board = TriggerBoard(
        orchestrator=made.orchestrator, renderer=made.renderer, types=made.types, clock=made.clock, zone=made.zone, home=tmp_path,
        polls=Polls(os.environ, made.clock),
    )
    running = asyncio.create_task(board.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def trigger(postgres: Postgres, database: str, query: str, extra: str = "") -> str:
    return flow_with(
        f"type: io.kestra.plugin.jdbc.postgresql.Trigger\nurl: {postgres.url(database)}\nusername: {USER}\npassword: {PASSWORD}\n"
        f"interval: PT1S\nsql: \"{query}\"\n{extra}"
    )


def variables(house: House) -> dict[str, Any]:
    return dict((house.started[-1].trigger or {})["variables"])


async def test_rows_start_the_flow_and_are_marked_in_the_same_transaction(house: House, postgres: Postgres) -> None:
    database = postgres.database()
    with postgres.connect(database) as connection:
        connection.execute("create table inbox (id int, at timestamptz default '2026-01-05 08:00+00', done bool default false)")
        query = "select id, at from inbox where not done and '{{ flow.id }}' = 'f' order by id"
        house.orchestrator.install(house.flow(trigger(postgres, database, query, 'afterSQL: "update inbox set done = true"')))
        await until(lambda: house.orchestrator.states, "a first poll")
        assert house.started == []
        connection.execute("insert into inbox values (1), (2)")
        await until(lambda: house.started, "the execution")
        assert variables(house) == {"rows": [{"id": 1, "at": "2026-01-05T08:00:00Z"}, {"id": 2, "at": "2026-01-05T08:00:00Z"}], "size": 2}
        assert connection.execute("select count(*) from inbox where done").fetchone() == (2,)


async def test_one_row_or_a_stored_file_may_start_the_flow(house: House, postgres: Postgres) -> None:
    one = trigger(postgres, "postgres", "select 1 as a union all select 2", "fetchType: FETCH_ONE")
    stored = trigger(postgres, "postgres", "select 1 as a union all select 2", "fetchType: STORE").replace("id: f\n", "id: g\n")
    house.orchestrator.install(house.flow(one), house.flow(stored))
    await until(lambda: {each.flow_id for each in house.started} == {"f", "g"}, "an execution of each")
    found = {request.flow_id: dict((request.trigger or {})["variables"]) for request in house.started}
    assert found["f"] == {"row": {"a": 1}, "size": 1}
    assert found["g"]["size"] == 2
    assert house.renderer.file_reader.files.get(found["g"]["uri"]) == b'{"a":1}\n{"a":2}\n'


async def test_an_error_is_shown_without_the_password(house: House, postgres: Postgres) -> None:
    house.orchestrator.install(house.flow(trigger(postgres, "postgres", "select * from nowhere", "failOnTriggerError: true")))
    await until(lambda: house.started, "the failed execution")
    reason = house.started[0].failed_because or ""
    assert "nowhere" in reason
    assert PASSWORD not in reason


async def test_a_secret_in_the_sql_is_shown_to_nobody(house: House, postgres: Postgres, capsys: pytest.CaptureFixture[str]) -> None:
    query = "select * from nowhere where word = '{{ secret('WORD') }}'"
    house.orchestrator.install(house.flow(trigger(postgres, "postgres", query, "failOnTriggerError: true")))
    await until(lambda: house.started, "the failed execution")
    assert "word = '********'" in (house.started[0].failed_because or "")
    said = capsys.readouterr()
    assert "word = '********'" in said.out + said.err
    assert "abracadabra" not in said.out + said.err + str(house.orchestrator.states)


async def test_a_poll_that_hangs_ends_when_its_trigger_changes(house: House, postgres: Postgres) -> None:
    database = postgres.database()
    house.orchestrator.install(house.flow(trigger(postgres, database, "select pg_sleep(300)")))
    with postgres.connect(database) as connection:

        def sleeping() -> bool:
            asked = "select 1 from pg_stat_activity where query like 'select pg_sleep%' and state = 'active' and datname = current_database()"
            return bool(connection.execute(asked).fetchall())

        await until(sleeping, "the poll to hang")
        house.orchestrator.install(house.flow(trigger(postgres, database, "select 5 as a", "fetchType: FETCH_ONE")))
        await until(lambda: house.started, "the execution of the changed trigger")
        assert variables(house) == {"row": {"a": 5}, "size": 1}
        await until(lambda: not sleeping(), "the server to end the old poll")


async def test_embedded_databases_start_flows_too(house: House, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a\n7\n")
    duck = flow_with(f"type: io.kestra.plugin.jdbc.duckdb.Trigger\nurl: 'jdbc:duckdb:'\nsql: \"select * from '{tmp_path}/x.csv'\"\ninterval: PT1S\n")
    lite = flow_with("type: io.kestra.plugin.jdbc.sqlite.Trigger\nurl: 'jdbc:sqlite:'\nsql: select 8 as a\ninterval: PT1S\n").replace("id: f\n", "id: g\n")
    house.orchestrator.install(house.flow(duck), house.flow(lite))
    await until(lambda: {each.flow_id for each in house.started} == {"f", "g"}, "an execution of each")
    found = {request.flow_id: (request.trigger or {})["variables"]["rows"] for request in house.started}
    assert found == {"f": [{"a": 7}], "g": [{"a": 8}]}
