"""The tasks of jdbc.postgresql through a real worker, in real child processes, against a real server."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from worker_bench import Bench, Journal

from podium.workers.work import Ended
from postgres_house import PASSWORD, USER, Postgres, TlsDoor

SQL = "jdbc.postgresql."


class House:
    """A bench and a database of its own."""

    def __init__(self, bench: Bench, server: Postgres) -> None:
        self.bench, self.server = bench, server
        self.database = server.database()
        self.url = server.url(self.database)

    def properties(self, more: dict[str, Any]) -> dict[str, Any]:
        return {"url": self.url, "username": USER, "password": PASSWORD, **more}

    async def go(self, kind: str, **more: Any) -> tuple[Ended, Journal]:
        if "from" in more:  # a file that the execution was handed
            more["variables"] = {"inputs": {"file": more["from"]}}
        return await self.bench.go(SQL + kind, **self.properties(more))

    async def ok(self, kind: str, **more: Any) -> dict[str, Any]:
        ended, journal = await self.go(kind, **more)
        assert ended.state == "SUCCESS", (ended.error, journal.texts())
        return dict(ended.outputs)

    async def failed(self, kind: str, **more: Any) -> str:
        ended, _ = await self.go(kind, **more)
        assert ended.state == "FAILED", ended.outputs
        assert PASSWORD not in (ended.error or "")
        return ended.error or ""

    async def value(self, expression: str, **more: Any) -> Any:
        return (await self.ok("Query", sql=f"select {expression} as v", fetchType="FETCH_ONE", **more))["row"]["v"]

    def do(self, sql: str) -> list[Any]:
        with self.server.connect(self.database) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def file(self, name: str, content: str | bytes) -> str:
        path = self.bench.home / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return self.bench.storage.put(f"kestra:///company/team/flow-one/executions/given/{name}", path)

    def stored(self, uri: str) -> str:
        return self.bench.stored(uri).decode()


@pytest.fixture
async def house(tmp_path: Path, postgres: Postgres) -> AsyncIterator[House]:
    bench = Bench(tmp_path / "home")
    yield House(bench, postgres)
    await bench.close()


# ---- fetching


async def test_rows_come_back_as_the_fetch_type_says(house: House) -> None:
    sql = "select n as number, 'x' || n as name from generate_series(1, 3) n"
    assert await house.ok("Query", sql=sql) == {}
    rows = [{"number": n, "name": f"x{n}"} for n in (1, 2, 3)]
    assert await house.ok("Query", sql=sql, fetchType="FETCH") == {"rows": rows, "size": 3}
    assert await house.ok("Query", sql=sql, fetchType="FETCH_ONE") == {"row": rows[0], "size": 1}
    stored = await house.ok("Query", sql=sql, fetchType="STORE")
    assert stored["size"] == 3
    assert [json.loads(line) for line in house.stored(stored["uri"]).splitlines()] == rows


async def test_deprecated_booleans_win_over_the_fetch_type_in_their_order(house: House) -> None:
    sql = "select 1 as a"
    assert "rows" in await house.ok("Query", sql=sql, fetch=True, fetchOne=True, store=True, fetchType="NONE")
    assert "row" in await house.ok("Query", sql=sql, fetchOne=True, store=True, fetchType="FETCH")
    assert "uri" in await house.ok("Query", sql=sql, store=True, fetchType="FETCH")


async def test_no_rows_are_no_rows(house: House) -> None:
    sql = "select 1 as a where false"
    assert await house.ok("Query", sql=sql, fetchType="FETCH") == {"rows": [], "size": 0}
    assert await house.ok("Query", sql=sql, fetchType="FETCH_ONE") == {"size": 0}
    assert (await house.ok("Query", sql=sql, fetchType="STORE"))["size"] == 0
    assert await house.ok("Query", sql="create table t (a int)", fetchType="FETCH") == {}


async def test_rows_larger_than_an_output_are_refused_with_the_way_out(house: House) -> None:
    error = await house.failed("Query", sql="select repeat('x', 1000) as a from generate_series(1, 100000)", fetchType="FETCH")
    assert "STORE" in error


async def test_many_rows_are_stored_in_little_memory(house: House) -> None:
    stored = await house.ok("Query", sql="select n, repeat('x', 100) as t from generate_series(1, 200000) n", fetchType="STORE", fetchSize=5000)
    assert stored["size"] == 200_000
    assert house.stored(stored["uri"]).count("\n") == 200_000


async def test_fetched_rows_are_counted_in_a_metric(house: House) -> None:
    ended, _ = await house.go("Query", sql="select 1 union all select 2", fetchType="FETCH")
    assert [(each.name, each.value, dict(each.tags)) for each in ended.metrics] == [("fetch.size", 2, {"fetch": "true", "store": "false"})]


# ---- types

VALUES: dict[str, Any] = {
    "null::int": None, "true": True, "7::smallint": 7, "9223372036854775807": 9223372036854775807, "1.5::real": 1.5, "2.25::float8": 2.25,
    "'nan'::float8": "NaN", "'-infinity'::float8": "-Infinity", "12.50::numeric(8,2)": 12.5, "sum(3::bigint)": 3,
    "12345678901234567890::numeric": 12345678901234567890, "'NaN'::numeric": "NaN", "'Infinity'::numeric": "Infinity",
    "'plain'::text": "plain", "'ab'::char(4)": "ab  ", "'x'::\"char\"": "x", "'12.30'::money": "$12.30",
    "date '2026-01-05'": "2026-01-05", "'infinity'::date": "infinity", "'0044-03-15 BC'::date": "0044-03-15 BC",
    "time '08:09:10.5'": "08:09:10.5", "time '24:00'": "24:00:00", "timetz '08:00+02'": "08:00:00+02:00",
    "timestamp '2026-01-05 08:09:10'": "2026-01-05T08:09:10", "timestamp '2026-01-05 08:09:10.123456'": "2026-01-05T08:09:10.123456",
    "timestamptz '2026-01-05 08:00+02'": "2026-01-05T06:00:00Z", "'infinity'::timestamptz": "infinity",
    "interval '1 year 2 mons 3 days 04:05:06.7'": "P1Y2M3DT4H5M6.7S", "interval '90 minutes'": "PT1H30M", "interval '0'": "PT0S",
    "interval '-1 day -02:00'": "P-1DT-2H",
    "'6c8ad0f5-4f0e-4b0e-8b1c-0d7d2f9a2a11'::uuid": "6c8ad0f5-4f0e-4b0e-8b1c-0d7d2f9a2a11",
    "'{\"a\": [1, null]}'::json": {"a": [1, None]}, "'[1, 2]'::jsonb": [1, 2], "'\"text\"'::jsonb": "text",
    "array[1, 2]": [1, 2], "array['a', null]": ["a", None], "array[[1, 2], [3, 4]]": [[1, 2], [3, 4]], "array[date '2026-01-05']": ["2026-01-05"],
    "'\\x00ff'::bytea": "AP8=", "'10.0.0.1/8'::inet": "10.0.0.1/8", "int4range(1, 5)": "[1,5)", "b'101'": "101", "point(1, 2)": "(1,2)",
    "to_tsvector('english', 'two cats')": "'cat':2 'two':1", "row(1, 'a')": "(1,a)", "'pg_class'::regclass": "pg_class",
}


async def test_types_become_outputs(house: House) -> None:
    columns = ", ".join(f'{expression} as c{number}' for number, expression in enumerate(VALUES))
    row = (await house.ok("Query", sql=f"select {columns}", fetchType="FETCH_ONE"))["row"]
    assert dict(zip(VALUES, row.values(), strict=True)) == VALUES


async def test_types_of_users_and_extensions(house: House) -> None:
    house.do("create extension hstore; create extension citext; create type mood as enum ('sad', 'ok'); create domain age as int check (value > 0)")
    house.do("create type pair as (a int, b text)")
    assert await house.value("'a=>1, b=>NULL'::hstore") == {"a": "1", "b": None}
    assert await house.value("array['sad', 'ok']::mood[]") == ["sad", "ok"]
    assert await house.value("array['A']::citext[]") == ["A"]
    assert await house.value("'ok'::mood") == "ok"
    assert await house.value("5::age") == 5
    assert await house.value("(1, 'x')::pair") == "(1,x)"


async def test_moments_are_in_the_zone_asked_for(house: House) -> None:
    house.do(f"alter database {house.database} set datestyle = 'German'; alter database {house.database} set intervalstyle = 'sql_standard'")
    assert await house.value("array[interval '1 day 02:00', interval '1 year']") == ["P1DT2H", "P1Y"]
    assert await house.value("timestamptz '2026-01-05 08:00+00'", timeZoneId="Europe/Paris") == "2026-01-05T09:00:00+01:00"
    assert await house.value("current_setting('TimeZone')", timeZoneId="Europe/Paris") == "Europe/Paris"
    assert "timeZoneId" in await house.failed("Query", sql="select 1", timeZoneId="Mars/Base")


async def test_stored_rows_keep_every_digit_and_can_be_read_again(house: House) -> None:
    sql = (
        "select 0.1234567890123456789::numeric as d, timestamp '2026-01-05 08:09:10.123456' as ts, timestamptz '2026-01-05 08:00:00.000001+00' as tz, "
        "date '2026-01-05' as day, time '08:00' as t, '\\x00ff'::bytea as raw, 'nan'::float8 as f, '{\"a\": 1}'::jsonb as j"
    )
    stored = await house.ok("Query", sql=sql, fetchType="STORE")
    text = house.stored(stored["uri"])
    assert "0.1234567890123456789" in text
    house.do("create table back (d numeric, ts timestamp, tz timestamptz, day date, t time, raw bytea, f float8, j jsonb)")
    assert await house.ok("Batch", **{"from": stored["uri"], "table": "back"}) == {"rowCount": 1, "updatedCount": 1}
    assert house.do(f"select back = probe.r from back, (select row({sql.removeprefix('select ').replace(' as d', '').split(', timestamp')[0]}) r) probe limit 0") == []
    again = await house.ok("Query", sql="select * from back", fetchType="STORE")
    assert house.stored(again["uri"]) == text


# ---- statements


async def test_a_query_is_one_statement(house: House) -> None:
    error = await house.failed("Query", sql="select 1; select 2")
    assert "support only a single SQL statement. Use the Queries task" in error
    assert await house.ok("Query", sql="select ';' as a; -- the end ;\n", fetchType="FETCH_ONE") == {"row": {"a": ";"}, "size": 1}


async def test_parameters_are_bound_and_casts_are_left_alone(house: House) -> None:
    house.do("create table p (id int, name text, at date, data jsonb); insert into p values (1, 'O''Brien', '2026-01-05', '{\"k\": 1}'), (2, 'b', null, null)")
    sql = "select id::text as id, name from p where name = :name and at = :at and id = :id -- :other\n"
    out = await house.ok("Query", sql=sql, fetchType="FETCH", parameters={"name": "{{ inputs.name }}", "at": "2026-01-05", "id": 1}, variables={"inputs": {"name": "O'Brien"}})
    assert out["rows"] == [{"id": "1", "name": "O'Brien"}]
    await house.ok("Query", sql="insert into p values (:a, :b, :c, :d)", parameters={"a": 3, "b": None, "c": None, "d": {"list": [1]}})
    assert house.do("select data->'list'->>0 from p where id = 3") == [("1",)]
    assert "syntax error" in await house.failed("Query", sql="select :missing", parameters={"other": 1})


async def test_after_sql_shares_the_transaction_of_the_query(house: House) -> None:
    house.do("create table inbox (id int, done bool default false); insert into inbox values (1), (2)")
    out = await house.ok("Query", sql="select id from inbox where not done order by id", afterSQL="update inbox set done = true", fetchType="FETCH")
    assert out["size"] == 2
    assert house.do("select count(*) from inbox where done") == [(2,)]
    error = await house.failed("Query", sql="insert into inbox values (3)", afterSQL="insert into nowhere values (1)")
    assert "afterSQL" in error
    assert house.do("select count(*) from inbox") == [(2,)]


async def test_queries_give_an_output_for_each_statement_with_rows(house: House) -> None:
    sql = """
    create table t (a int, note text);  -- first; not the end
    insert into t values (1, 'semi;colon'), (2, $$dollar; $$);
    create function f() returns int language plpgsql as $body$ begin return 1; end; $body$;
    select * from t order by a;
    update t set a = a + 1 returning a;
    select f() as f;
    """
    ended, journal = await house.go("Queries", sql=sql, fetchType="FETCH")
    assert ended.state == "SUCCESS", ended.error
    first, second, third = ended.outputs["outputs"]
    assert first == {"rows": [{"a": 1, "note": "semi;colon"}, {"a": 2, "note": "dollar; "}], "size": 2}
    assert sorted(row["a"] for row in second["rows"]) == [2, 3]
    assert third == {"rows": [{"f": 1}], "size": 1}
    assert ended.metrics[0].value == 5
    ended, journal = await house.go("Queries", sql="select 1; select 2")
    assert ended.outputs == {"outputs": [{}, {}]}
    assert any("NONE" in text for text in journal.texts("INFO"))


async def test_queries_are_all_or_nothing_unless_told_otherwise(house: House) -> None:
    house.do("create table t (a int)")
    sql = "insert into t values (1); insert into t values (2); insert into nowhere values (3)"
    error = await house.failed("Queries", sql=sql)
    assert "statement 3 of 3: insert into nowhere" in error
    assert "42P01" in error
    assert house.do("select count(*) from t") == [(0,)]
    await house.failed("Queries", sql=sql, transaction=False)
    assert house.do("select count(*) from t") == [(2,)]


async def test_what_cannot_be_in_a_transaction_says_how(house: House) -> None:
    house.do("create table t (a int)")
    assert "transaction: false" in await house.failed("Queries", sql="vacuum t; select 1")
    await house.ok("Queries", sql="vacuum t; select 1", transaction=False)
    await house.ok("Query", sql="vacuum t")


async def test_copy_in_a_query_says_which_tasks_copy(house: House) -> None:
    house.do("create table t (a int)")
    assert "use jdbc.postgresql.CopyIn or CopyOut" in await house.failed("Query", sql="copy t to stdout")


async def test_a_database_of_another_encoding_is_read_as_text(house: House) -> None:
    with house.server.connect() as connection:
        connection.execute(f"create database latin_{house.database} encoding 'LATIN1' template template0")
        connection.execute(f"create database ascii_{house.database} encoding 'SQL_ASCII' template template0")
    for kind in ("latin", "ascii"):
        out = await house.ok("Query", url=house.server.url(f"{kind}_{house.database}"), sql="select 'caf\u00e9' as a", fetchType="FETCH_ONE")
        assert out["row"] == {"a": "caf\u00e9"}


async def test_notices_of_the_server_are_in_the_log(house: House) -> None:
    _, journal = await house.go("Query", sql="do $$ begin raise notice 'half way'; raise warning 'careful'; end $$")
    assert "NOTICE: half way" in journal.texts("INFO")
    assert "WARNING: careful" in journal.texts("WARN")


# ---- connections


async def test_a_password_is_in_no_message(house: House) -> None:
    for more in ({"password": "wrong-Pa55word"}, {"username": None, "password": None, "url": f"{house.url}?user={USER}&password=wrong-Pa55word"}):
        ended, journal = await house.bench.go(SQL + "Query", **{**house.properties({}), **more}, sql="select 1")
        assert ended.state == "FAILED"
        assert "password authentication failed" in (ended.error or "")
        assert "wrong-Pa55word" not in (ended.error or "") + "".join(journal.texts())
    error = await house.failed("Query", sql="alter user nobody_there password 'hush-hush'")
    assert "hush-hush" not in error


async def test_parameters_of_the_url_are_honoured(house: House) -> None:
    house.do("create schema other; create table other.t (a int)")
    url = f"{house.url}?currentSchema=other&ApplicationName=my%20flow&user={USER}&password={PASSWORD}&connectTimeout=5&stringtype=unspecified&odd=1"
    ended, journal = await house.bench.go(SQL + "Query", url=url, sql="select current_setting('application_name') as a, count(*) as n from t", fetchType="FETCH_ONE")
    assert ended.outputs["row"] == {"a": "my flow", "n": 0}, ended.error
    assert any("'odd'" in text for text in journal.texts("WARN"))
    assert not any("stringtype" in text for text in journal.texts())


@pytest.mark.parametrize("url", ["jdbc:mysql://localhost/x", "postgresql://localhost/x", "jdbc:postgresql://host:99999/x"])
async def test_a_wrong_url_is_named(house: House, url: str) -> None:
    ended, _ = await house.bench.go(SQL + "Query", url="{{ inputs.url }}", sql="select 1", variables={"inputs": {"url": url}})
    assert (ended.error or "").startswith("url: ")


async def test_a_server_that_is_away_is_named(house: House, free_port: int) -> None:
    error = await house.failed("Query", url=f"jdbc:postgresql://127.0.0.1:{free_port}/x", sql="select 1")
    assert f"127.0.0.1:{free_port}" in error


async def test_tls_is_used_and_verified_as_asked(house: House, tmp_path: Path) -> None:
    door = TlsDoor(house.server, tmp_path)
    here, there = (f"jdbc:postgresql://{host}:{door.port}/{house.database}" for host in ("localhost", "127.0.0.1"))
    query: dict[str, Any] = {"sql": "select 1 as a", "fetchType": "FETCH_ONE"}
    await house.ok("Query", url=here, sslMode="DISABLE", **query)
    assert door.encrypted == 0
    await house.ok("Query", url=here, sslMode="REQUIRE", **query)
    await house.ok("Query", url=there, sslMode="VERIFY_CA", sslRootCert=door.authority, **query)
    await house.ok("Query", url=here, ssl=True, sslRootCert=door.authority, **query)
    assert door.encrypted == 3
    assert "certificate verify failed" in await house.failed("Query", url=here, sslMode="VERIFY_FULL", **query)
    assert "does not match host name" in await house.failed("Query", url=there, sslMode="VERIFY_FULL", sslRootCert=door.authority, **query)
    assert "SSL" in await house.failed("Query", sslMode="REQUIRE", **query)
    door.close()


# ---- batch


async def test_batch_writes_records_by_name(house: House) -> None:
    house.do("create table b (id serial, vendorid int, note text, tags text[], data jsonb, at timestamptz)")
    lines = [{"VendorID": n, "note": None, "tags": ["a", "b"], "data": [{"n": n}], "at": "2026-01-05T08:00:00Z"} for n in range(2_500)]
    uri = house.file("rows.ion", "\n".join(json.dumps(line) for line in lines))
    ended, _ = await house.go("Batch", **{"from": uri, "table": "b", "chunk": 1000})
    assert ended.outputs == {"rowCount": 2500, "updatedCount": 2500}, ended.error
    assert {each.name: each.value for each in ended.metrics} == {"records": 2500, "updated": 2500, "query": 3}
    assert house.do("select count(*), max(vendorid), max(data->0->>'n'), max(tags::text) from b") == [(2500, 2499, "999", "{a,b}")]


async def test_batch_with_a_statement_of_its_own(house: House) -> None:
    house.do("create table b (id int primary key, note text)")
    uri = house.file("rows.ion", '{id:1,extra:"x",note:"one ? \\u00e9"}\n{id:1,extra:"y",note:"two"}\n')
    sql = "insert into b values (?, ?) on conflict (id) do update set note = excluded.note || '?'"
    assert await house.ok("Batch", **{"from": uri, "sql": sql, "columns": ["id", "note"]}) == {"rowCount": 2, "updatedCount": 2}
    assert house.do("select * from b") == [(1, "two?")]
    lists = house.file("lists.ion", "[2, 'b']\n[3, 'c']\n".replace("'", '"'))
    assert (await house.ok("Batch", **{"from": lists, "sql": "insert into b values (?, ?)"}))["rowCount"] == 2
    assert "row 1 has 2 values, and the statement takes 1" in await house.failed("Batch", **{"from": lists, "sql": "insert into b (id) values (?)"})


async def test_batch_reads_csv_and_keeps_whole_chunks(house: House) -> None:
    house.do("create table b (id int, note text)")
    uri = house.file("rows.csv", 'id,note\n1,"a, b"\n2,\nx,bad\n')
    error = await house.failed("Batch", **{"from": uri, "table": "b", "chunk": 2})
    assert "rows 3 to 3" in error
    assert house.do("select * from b order by id") == [(1, "a, b"), (2, None)]


async def test_batch_goes_on_after_a_lost_connection(house: House) -> None:
    house.do("create table b (id int); create table victims (pid int)")
    house.do("""
        create function cut() returns trigger language plpgsql as $$ begin
          if new.id = 1500 and not exists (select from victims) then perform dblink_cut(); end if; return new; end $$;
        create function dblink_cut() returns void language plpgsql as $$ begin perform pg_sleep(30); end $$;
        create trigger t before insert on b for each row execute function cut()""")
    uri = house.file("rows.ion", "\n".join(json.dumps({"id": n}) for n in range(3_000)))
    running = asyncio.create_task(house.go("Batch", **{"from": uri, "table": "b", "retryScope": "ALL", "retryBackoff": "PT0.1S"}))
    for _ in range(200):
        await asyncio.sleep(0.05)
        pids = house.do("select pid from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()")
        if pids:
            break
    house.do("insert into victims values (1)")
    house.do(f"select pg_terminate_backend({pids[0][0]})")
    ended, journal = await running
    assert ended.state == "SUCCESS", ended.error
    assert house.do("select count(*), count(distinct id) from b") == [(3000, 3000)]
    assert any("Try 1 of 3" in text for text in journal.texts("WARN"))


# ---- copy


async def test_copy_in_and_out_are_real_copies(house: House) -> None:
    house.do('create table staging (unique_id text, "order" text, VendorID int, fare numeric, "Mixed Name" text)')
    uri = house.file("taxi.csv", 'VendorID,fare,order,mixed\n1,"2.50",up,a\n2,,down,\n')
    out = await house.ok("CopyIn", **{"from": uri, "table": "public.staging", "columns": ["VendorID", "fare", "order", "Mixed Name"], "format": "CSV", "header": True})
    assert out == {"rowCount": 2}
    assert house.do('select vendorid, fare::text, "order", "Mixed Name" from staging order by 1') == [(1, "2.50", "up", "a"), (2, None, "down", None)]
    out = await house.ok("CopyOut", sql="select vendorid, fare from staging order by 1;", format="CSV", header=True, delimiter=";", nullString="-", forceQuote=["*"])
    assert out["rowCount"] == 2
    assert house.stored(out["uri"]) == '"vendorid";"fare"\n"1";"2.50"\n"2";-\n'.replace('"vendorid";"fare"', "vendorid;fare")
    for form in ("TEXT", "BINARY"):
        out = await house.ok("CopyOut", table="staging", columns=["vendorid"], format=form)
        back = await house.ok("CopyIn", **{"from": out["uri"], "table": "staging", "columns": ["vendorid"], "format": form})
        assert out["rowCount"] == back["rowCount"] > 0


async def test_copy_says_which_line_is_wrong(house: House) -> None:
    house.do("create table t (a int, b text)")
    uri = house.file("bad.csv", "1,x\nnope,y\n")
    error = await house.failed("CopyIn", **{"from": uri, "table": "t", "format": "CSV"})
    assert "line 2, column a" in error
    assert "COPY t FROM STDIN" in error
    assert house.do("select count(*) from t") == [(0,)]
    assert "is not a name" in await house.failed("CopyIn", **{"from": uri, "table": "t; drop table t"})
    assert "one-byte" in await house.failed("CopyIn", **{"from": uri, "table": "t", "delimiter": "||"})
    assert "either `table` or `sql`" in await house.failed("CopyOut", table="t", sql="select 1")


async def test_copy_takes_other_encodings(house: House) -> None:
    house.do("create table t (a text)")
    uri = house.file("latin.txt", "caf\xe9\n".encode("latin-1"))
    await house.ok("CopyIn", **{"from": uri, "table": "t", "encoding": "LATIN1"})
    assert house.do("select a from t") == [("caf\xe9",)]


# ---- ending


async def running_statements(house: House) -> int:
    return int(house.do("select count(*) from pg_stat_activity where query like 'select pg_sleep%' and state = 'active' and datname = current_database()")[0][0])


async def until(look: Any, what: str, timeout_s: float = 30) -> None:
    end = time.monotonic() + timeout_s
    while not await look():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.05)


async def test_a_kill_ends_the_statement_on_the_server(house: House) -> None:
    task = house.bench.task(SQL + "Query", **house.properties({"sql": "select pg_sleep(60)", "fetchType": "FETCH"}))
    work = house.bench.work(task)
    running = asyncio.create_task(house.bench.worker.run(work, Journal()))

    async def began() -> bool:
        return await running_statements(house) == 1

    async def over() -> bool:
        return await running_statements(house) == 0

    await until(began, "the statement to run")
    await house.bench.worker.kill(work.attempt_id)
    assert (await running).state == "KILLED"
    await until(over, "the server to end the statement")


async def test_a_timeout_ends_the_statement_on_the_server(house: House) -> None:
    ended, _ = await house.go("Queries", sql="create table gone (a int); select pg_sleep(60)", timeout="PT1S")
    assert "Timeout after PT1S" in (ended.error or "")

    async def over() -> bool:
        return await running_statements(house) == 0

    await until(over, "the server to end the statement")
    assert house.do("select to_regclass('gone')") == [(None,)]


async def test_no_library_of_a_database_is_in_this_process(house: House) -> None:
    import subprocess
    import sys

    code = "import sys, podium.plugins.sql; print([name for name in ('psycopg', 'duckdb') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ))
    assert done.stdout.strip() == "[]"
