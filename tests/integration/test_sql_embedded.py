"""The tasks of jdbc.duckdb and jdbc.sqlite through a real worker, in real child processes."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from worker_bench import Bench, Journal

from podium.workers.work import Ended

DUCK, LITE = "jdbc.duckdb.", "jdbc.sqlite."


class House:
    """A bench whose tasks may read the files given to them."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    async def go(self, kind: str, files: dict[str, str] | None = None, **more: Any) -> tuple[Ended, Journal]:
        return await self.bench.go(kind, variables={"inputs": files or {}}, **more)

    async def ok(self, kind: str, files: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        ended, journal = await self.go(kind, files, **more)
        assert ended.state == "SUCCESS", (ended.error, journal.texts())
        return dict(ended.outputs)

    async def failed(self, kind: str, files: dict[str, str] | None = None, **more: Any) -> str:
        ended, _ = await self.go(kind, files, **more)
        assert ended.state == "FAILED", ended.outputs
        return ended.error or ""

    def file(self, name: str, content: str) -> str:
        path = self.bench.home / name
        path.write_text(content)
        return self.bench.storage.put(f"kestra:///company/team/flow-one/executions/given/{name}", path)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    bench = Bench(tmp_path / "home")
    yield House(bench)
    await bench.close()


# ---- DuckDB

DUCK_VALUES: dict[str, Any] = {
    "null": None, "true": True, "7::tinyint": 7, "sum(3)": "3", "1.50::decimal(8,2)": 1.5, "2.5::float": 2.5, "'nan'::double": "NaN",
    "date '2026-01-05'": "2026-01-05", "time '08:00'": "08:00:00", "timestamp '2026-01-05 08:09:10.5'": "2026-01-05T08:09:10.5Z",
    "timestamptz '2026-01-05 08:00+02'": "2026-01-05T06:00:00Z", "interval '90 minutes'": "PT1H30M", "[1, 2]": [1, 2],
    "{'a': 1, 'b': [date '2026-01-05']}": {"a": 1, "b": ["2026-01-05"]}, "map {'x': 1}": {"x": 1}, "'ab'::blob": "YWI=", "'101'::bit": "101",
    "'{\"k\": [1]}'::json": {"k": [1]}, "'6c8ad0f5-4f0e-4b0e-8b1c-0d7d2f9a2a11'::uuid": "6c8ad0f5-4f0e-4b0e-8b1c-0d7d2f9a2a11",
    "'a'::enum('a', 'b')": "a",
}


async def test_duckdb_types_become_outputs(house: House) -> None:
    columns = ", ".join(f"{expression} as c{number}" for number, expression in enumerate(DUCK_VALUES))
    row = (await house.ok(DUCK + "Query", sql=f"select {columns}", fetchType="FETCH_ONE"))["row"]
    assert dict(zip(DUCK_VALUES, row.values(), strict=True)) == DUCK_VALUES
    paris = await house.ok(DUCK + "Query", sql="select timestamptz '2026-01-05 08:00+00' as a", fetchType="FETCH_ONE", timeZoneId="Europe/Paris")
    assert paris["row"] == {"a": "2026-01-05T09:00:00+01:00"}


async def test_duckdb_reads_input_files_and_writes_output_files(house: House) -> None:
    uri = house.file("orders.csv", "order_id,customer,total\n1,ada,10.5\n2,bob,2\n3,ada,1\n")
    sql = """
    create table orders as select * from read_csv_auto('in.csv', header=true);
    select customer, sum(total) as total from orders group by all order by customer;
    copy (select customer from orders) to '{{ outputFiles.out }}' (header, delimiter ';');
    copy orders to '{{ outputFiles["all.parquet"] }}';
    insert into orders values (4, 'eve', 1);
    select count(*) as n from read_csv('{{ workingDir }}/in.csv');
    select '{{ dbFilePath }}' != '' as has_file;
    """
    out = await house.ok(
        DUCK + "Queries", {"csv": uri}, sql=sql, fetchType="FETCH", inputFiles={"in.csv": "{{ inputs.csv }}"}, outputFiles=["out", "all.parquet", "none"]
    )
    totals, count, has_file = out["outputs"]
    assert totals["rows"] == [{"customer": "ada", "total": 11.5}, {"customer": "bob", "total": 2.0}]
    assert count["rows"] == [{"n": 3}]
    assert has_file["rows"] == [{"has_file": True}]
    assert house.bench.stored(out["outputFiles"]["out"]) == b"customer\nada\nbob\nada\n"
    assert house.bench.stored(out["outputFiles"]["all.parquet"])[:4] == b"PAR1"
    assert house.bench.stored(out["outputFiles"]["none"]) == b""


async def test_duckdb_input_files_may_be_text_or_json_text(house: House) -> None:
    more: dict[str, Any] = {"fetchType": "FETCH", "sql": "select a, filename from read_csv('x.csv', filename = true)"}
    rows = [{"a": 1, "filename": "x.csv"}]
    assert (await house.ok(DUCK + "Query", inputFiles={"x.csv": "a\n1\n"}, **more))["rows"] == rows
    assert (await house.ok(DUCK + "Query", inputFiles=json.dumps({"x.csv": "a\n1\n"}), **more))["rows"] == rows
    error = await house.failed(DUCK + "Query", sql="select * from 'missing.csv'")
    assert "inputFiles" in error
    assert "statement: select * from 'missing.csv'" in error


async def test_a_duckdb_database_goes_from_task_to_task(house: House) -> None:
    made = await house.ok(DUCK + "Queries", sql="create table t (a int); insert into t values (1), (2)", outputDbFile=True)
    assert made["outputs"] == []
    out = await house.ok(DUCK + "Query", {"db": made["databaseUri"]}, sql="select sum(a)::int as s from t", databaseUri="{{ inputs.db }}", fetchType="FETCH_ONE")
    assert out["row"] == {"s": 3}


async def test_a_duckdb_file_has_its_folder_as_working_directory(house: House, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "duck"
    more = {"url": f"jdbc:duckdb:{folder}/my.db"}
    await house.ok(DUCK + "Queries", sql="create table t as select 7 as a; copy t to '{{ workingDir }}/t.csv'", **more)
    assert (folder / "t.csv").read_text() == "a\n7\n"
    assert (await house.ok(DUCK + "Query", sql="select * from 't.csv' as f join t using (a)", fetchType="FETCH", **more))["rows"] == [{"a": 7}]
    assert sorted(path.name for path in folder.iterdir()) == ["my.db", "t.csv"]
    error = await house.failed(DUCK + "Query", url=f"jdbc:duckdb:{folder}/my.db?read_only=true", sql="drop table t")
    assert "read-only" in error


async def test_duckdb_transactions_parameters_and_after_sql(house: House, tmp_path: Path) -> None:
    more = {"url": f"jdbc:duckdb:{tmp_path}/x.db"}
    await house.ok(DUCK + "Query", sql="create table t (a int, b text)", **more)
    assert "statement 2 of 2" in await house.failed(DUCK + "Queries", sql="insert into t values (1, 'x'); insert into nowhere values (1)", **more)
    await house.ok(DUCK + "Query", sql="insert into t values (:a, :b)", afterSQL="insert into t values (2, 'after')", parameters={"a": 1, "b": "it's"}, **more)
    out = await house.ok(DUCK + "Query", sql="select * from t where b != :b or b::text = :b order by a", parameters={"b": "it's"}, fetchType="FETCH", **more)
    assert out["rows"] == [{"a": 1, "b": "it's"}, {"a": 2, "b": "after"}]
    returned = await house.ok(DUCK + "Query", sql="delete from t returning a", fetchType="FETCH", **more)
    assert sorted(row["a"] for row in returned["rows"]) == [1, 2]
    await house.ok(DUCK + "Queries", sql="begin; insert into t values (9, 'own'); commit", transaction=False, **more)
    assert (await house.ok(DUCK + "Query", sql="from t", fetchType="FETCH", **more))["size"] == 1


async def test_an_extension_that_cannot_be_had_is_only_told_of(house: House) -> None:
    ended, journal = await house.go(DUCK + "Query", sql="select 1 as a", fetchType="FETCH_ONE", communityExtensions=["no_such_thing", "bad name"])
    assert ended.outputs["row"] == {"a": 1}
    assert len(journal.texts("WARN")) == 2


async def test_a_token_in_the_url_of_duckdb_is_in_no_message(house: House) -> None:
    ended, journal = await house.go(DUCK + "Query", url="jdbc:duckdb:md:x?motherduck_token=hush-hush-hush", sql="select 1")
    assert ended.state == "FAILED"
    assert "hush-hush" not in (ended.error or "") + "".join(journal.texts())


async def test_a_duckdb_query_ends_with_its_timeout(house: House) -> None:
    began = time.monotonic()
    ended, _ = await house.go(DUCK + "Query", sql="select count(*) from range(100000000) a, range(100000000) b where (a.range * b.range) % 7 = 3", timeout="PT1S")
    assert "Timeout after PT1S" in (ended.error or "")
    assert time.monotonic() - began < 60, "the query itself takes years"


async def test_duckdb_stores_rows_that_can_be_read_again(house: House) -> None:
    out = await house.ok(DUCK + "Query", sql="select range as n, range::decimal(20,5) / 7 as d, date '2026-01-05' as day from range(25000)", fetchType="STORE")
    assert out["size"] == 25_000
    lines = house.bench.stored(out["uri"]).splitlines()
    assert lines[1].startswith(b"{n:1,d:0.142857")


# ---- SQLite


async def test_sqlite_in_memory_with_types_of_columns(house: House) -> None:
    sql = """
    create table t (i integer, r real, x text, b blob, d date, ts datetime, at timestamp, tm time, n numeric, odd date);
    insert into t values (1, 1.5, 'é', x'00ff', '2026-01-05', '2026-01-05 08:00:00', 1767600000000, '08:00', null, 'someday');
    create trigger copied after insert on t when new.i > 100 begin update t set x = 'a;b'; delete from t; end;
    select * from t;
    """
    out = await house.ok(LITE + "Queries", sql=sql, fetchType="FETCH", timeZoneId="Europe/Paris")
    assert out == {"outputs": [{"rows": [{
        "i": 1, "r": 1.5, "x": "é", "b": "AP8=", "d": "2026-01-05", "ts": "2026-01-05T07:00:00Z", "at": "2026-01-05T08:00:00Z", "tm": "08:00:00",
        "n": None, "odd": "someday",
    }], "size": 1}]}


async def test_a_sqlite_database_goes_from_task_to_task(house: House) -> None:
    made = await house.ok(LITE + "Queries", url="jdbc:sqlite:my.db", sql="create table t (a); insert into t values (1)", outputDbFile=True)
    assert made["databaseUri"].endswith("/my.db")
    more: dict[str, Any] = {"sqliteFile": "{{ inputs.db }}", "fetchType": "FETCH"}
    out = await house.ok(LITE + "Query", {"db": made["databaseUri"]}, url="jdbc:sqlite:other.db", sql="select * from t", **more)
    assert out == {"rows": [{"a": 1}], "size": 1}
    copy = await house.ok(LITE + "Query", {"db": made["databaseUri"]}, sql="vacuum into '{{ outputFiles.copy }}'", outputFiles=["copy"], **more)
    assert house.bench.stored(copy["outputFiles"]["copy"])[:15] == b"SQLite format 3"


async def test_a_sqlite_file_of_the_machine(house: House, tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table t (a integer primary key, b text)")
    url = f"jdbc:sqlite:{path}?foreign_keys=true&busy_timeout=1000&odd=1"
    ended, journal = await house.go(LITE + "Query", url=url, sql="insert into t (b) values (:b)", parameters={"b": "x"}, afterSQL="update t set b = b || '!'")
    assert ended.state == "SUCCESS", ended.error
    assert any("'odd'" in text for text in journal.texts("WARN"))
    assert (await house.ok(LITE + "Query", url=url, sql="select b from t where a = :a", parameters={"a": "1"}, fetchType="FETCH_ONE"))["row"] == {"b": "x!"}
    error = await house.failed(LITE + "Queries", url=url, sql="insert into t (b) values ('y'); insert into t (a) values (1)")
    assert "UNIQUE constraint failed: t.a [SQLITE_CONSTRAINT_PRIMARYKEY]" in error
    with sqlite3.connect(path) as connection:
        assert connection.execute("select count(*) from t").fetchone() == (1,)
    assert "transaction: false" in await house.failed(LITE + "Queries", url=url, sql="vacuum; select 1")


async def test_a_wrong_url_is_named(house: House) -> None:
    for kind, url in ((LITE, "jdbc:duckdb:"), (DUCK, "jdbc:sqlite:")):
        assert (await house.failed(kind + "Query", {"url": url}, url="{{ inputs.url }}", sql="select 1")).startswith("url: ")
        with pytest.raises(ValidationError, match="a URL like"):
            house.bench.task(kind + "Query", url=url, sql="select 1")


async def test_a_sqlite_query_ends_when_it_is_killed(house: House) -> None:
    sql = "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n"
    work = house.bench.work(house.bench.task(LITE + "Query", sql=sql))
    running = asyncio.create_task(house.bench.worker.run(work, Journal()))
    await asyncio.sleep(2)
    await house.bench.worker.kill(work.attempt_id)
    assert (await asyncio.wait_for(running, 60)).state == "KILLED"


async def test_runs_with_other_sql_are_never_taken_for_the_same(house: House) -> None:
    async def key(n: int) -> str:
        task = house.bench.task(DUCK + "Query", sql="select {{ inputs.n }} as n, '{{ outputFiles.x }}{{ workingDir }}' as p", outputFiles=["x"], taskCache={"enabled": True})
        work = house.bench.work(task, variables={"inputs": {"n": n}})
        ended = await house.bench.worker.run(work, Journal())
        assert ended.state == "SUCCESS", ended.error
        return next(str(request.body["key"]) for request in ended.requests)

    assert await key(1) == await key(1)
    assert await key(1) != await key(2)
