"""What is past its time goes, with its files, once; what is not, and what is open, stays. The purge tasks go the same way."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from conductor_house import House, house

from podium.base.errors import StoreError
from podium.base.system import base62
from podium.base.system.disk import Room, readable
from podium.conductor.port import StartRequest
from podium.conductor.upkeep import Freed, Terms, Upkeep
from podium.store.journal import ExecutionRow, LogRow
from podium.store.retention import Retention

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def at(days: float) -> datetime:
    return NOW - timedelta(days=days)


def id_at(days: float) -> str:
    return base62.encode(int(at(days).timestamp() * 1000) << base62.TAIL_BITS)


@pytest.fixture
async def h(tmp_path: Path, clock: Any) -> AsyncIterator[House]:
    clock.advance((NOW - clock.now()).total_seconds())
    async with house(tmp_path, clock=clock) as opened:
        yield opened


async def enter(h: House, days: float, *, namespace: str = "n", held: bool = False, files: int = 1) -> str:
    """An execution of so many days ago, with a line and a file; its id."""
    identifier = id_at(days)
    await h.views.enter([ExecutionRow(
        id=identifier, namespace=namespace, flow_id="f", revision=1, state="PAUSED" if held else "SUCCESS", created_at=at(days), ended_at=at(days),
        trigger_id=None, trigger_execution_id=None, parent_id=None, open=held, summary={"id": identifier}, labels={"a": "b"},
    )])
    await h.logs.append([
        LogRow(execution_id=identifier, namespace=namespace, flow_id="f", at=at(days), level=level, message="x") for level in ("INFO", "DEBUG")
    ])
    for number in range(files):
        h.files.put(f"kestra:///{namespace}/f/executions/{identifier}/tasks/t/r/{number}", b"12345")
    return identifier


def upkeep(h: House, **terms: float) -> Upkeep:
    return Upkeep(retention=Retention(h.database), files=h.files, clock=h.clock, terms=Terms(**terms))


def known(h: House) -> set[str]:
    return {row[0] for row in h.database.read_now(lambda c: c.execute("SELECT id FROM executions").fetchall())}


def stored(h: House) -> set[str]:
    return {uri.split("/executions/")[1].partition("/")[0] for uri in h.files.list("kestra:///n") if "/executions/" in uri}


def some(freed: Freed) -> dict[str, int]:
    return {name: count for name, count in asdict(freed).items() if count}


async def test_a_pass_removes_what_is_past_its_time_and_says_so_before(h: House) -> None:
    old, young, held = await enter(h, 100), await enter(h, 10), await enter(h, 120, held=True)
    told = await h.upkeep.once(dry=True)
    assert some(told) == {"executions": 1, "logs": 2, "folders": 1, "files": 1, "bytes": 5}
    assert known(h) == stored(h) == {old, young, held}
    assert await h.upkeep.once() == told
    assert known(h) == stored(h) == {young, held}
    assert some(await h.upkeep.once()) == {}
    assert h.logs.of(old) == []
    assert len(h.logs.of(held)) == 2


async def test_files_logs_and_metrics_may_have_shorter_terms(h: House) -> None:
    old, young = await enter(h, 20), await enter(h, 1)
    short = upkeep(h, files=10, logs=15)
    assert some(await short.once()) == {"logs": 2, "folders": 1, "files": 1, "bytes": 5}
    assert known(h) == {old, young}
    assert stored(h) == {young}
    assert len(h.logs.of(young)) == 2


async def test_a_pass_does_not_look_at_files_that_it_removed_before(h: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for days in (18, 17, 16):
        await enter(h, days)
    looked = list[str]()
    usage = h.files.usage
    monkeypatch.setattr(h.files, "usage", lambda prefix: looked.append(prefix) or usage(prefix))
    short = upkeep(h, files=10)
    await short.once()
    assert len(looked) == 3
    await enter(h, 15)
    await short.once()
    assert len(looked) == 4


async def test_files_may_outlive_their_execution(h: House) -> None:
    old = await enter(h, 20)
    long = upkeep(h, executions=10, files=30)
    assert some(await long.once()) == {"executions": 1, "logs": 2}
    assert (known(h), stored(h)) == (set(), {old})
    h.clock.advance(11 * 86_400)  # type: ignore[attr-defined]
    assert some(await long.once()) == {"folders": 1, "files": 1, "bytes": 5}
    assert stored(h) == set()


async def test_an_upload_that_no_execution_took_goes_too(h: House) -> None:
    await h.podium.store_upload("n", "f", "data", "a.csv", b"abc")
    assert len(h.files.list("kestra:///n")) == 1
    h.clock.advance(89 * 86_400)  # type: ignore[attr-defined]
    await h.upkeep.once()
    assert len(h.files.list("kestra:///n")) == 1
    h.clock.advance(2 * 86_400)  # type: ignore[attr-defined]
    assert (await h.upkeep.once()).files == 1
    assert h.files.list("kestra:///n") == []


async def test_a_sweep_finds_files_that_nobody_knows_of(h: House) -> None:
    kept, held = await enter(h, 100, held=True), id_at(101)
    h.files.put(f"kestra:///n/f/executions/{held}/inputs/i/of-an-open-flow", b"1")
    h.files.put(f"kestra:///n/gone/executions/{id_at(102)}/tasks/t/r/x", b"123")
    h.files.put(f"kestra:///n/gone/executions/{id_at(2)}/tasks/t/r/x", b"123")
    assert some(await h.upkeep.once()) == {}
    assert some(await h.upkeep.once(sweep=True)) == {"folders": 1, "files": 1, "bytes": 3}
    assert stored(h) == {kept, held, id_at(2)}


async def test_caches_that_nobody_made_anew_go(h: House) -> None:
    h.files.put("kestra:///n/f/build/cache/cache.zip", b"1234567")
    assert some(await upkeep(h, caches=1e-9).once()) == {}  # the clock of the test is before that of the file system
    h.clock.advance(3650 * 86_400)  # type: ignore[attr-defined]
    assert some(await h.upkeep.once(caches=False)) == {}
    assert some(await h.upkeep.once()) == {"caches": 1, "files": 1, "bytes": 7}


async def test_the_purge_tasks_take_what_they_name(h: House) -> None:
    old, other = await enter(h, 5, namespace="old"), await enter(h, 6)
    lines = await enter(h, 7, namespace="lines")
    await h.upkeep.purge_executions({"namespace": "old", "endDate": "2026-06-01T00:00:00Z"})
    assert known(h) == {other, lines}
    assert h.files.list("kestra:///old") == []
    await h.upkeep.purge_executions({"namespace": "n", "endDate": "2026-06-01T00:00:00Z", "files": False, "logs": False})
    assert known(h) == {lines}
    assert stored(h) == {other}
    assert len(h.logs.of(other)) == 2
    await h.upkeep.purge_logs({"namespace": "lines", "levels": ["DEBUG"], "endDate": "2026-06-01T00:00:00Z"})
    assert [each["level"] for each in h.logs.of(lines)] == ["INFO"]
    assert h.logs.of(old) == []


async def test_a_disk_that_is_nearly_full_takes_no_new_execution_and_says_so(h: House) -> None:
    await h.deploy("id: f\nnamespace: n\ntasks: [{id: t, type: core.log.Log, message: x}]\n")

    class Full(Room):
        def look(self) -> tuple[int, int]:
            return self.now

        now = (100, 200)

    h.podium.room = room = Full(Path("/"), 200)
    assert h.podium.starter is not None
    h.podium.starter.admit = room.check
    with pytest.raises(StoreError, match="full: 100 bytes left"):
        await h.podium.start(StartRequest(namespace="n", flow_id="f"))
    health = await h.podium.health()
    assert (health["status"], health["disk"]) == ("DOWN", {"freeBytes": 100, "leastBytes": 200, "low": True})
    assert "full" in health["journal"]["error"]
    room.now = (2_000_000, 3_000_000)
    assert (await h.podium.health())["status"] == "DEGRADED"
    room.now = (300, 200)
    await h.podium.start(StartRequest(namespace="n", flow_id="f"))
    assert (await h.podium.health())["status"] == "UP"


def test_room_is_that_of_the_disk(tmp_path: Path) -> None:
    free, least = Room(tmp_path, 1000).look()
    assert free > 0
    assert least == 1000
    assert not Room(tmp_path, 0).low
    assert Room(tmp_path / "none", 10).look() == (0, 0)
    assert [readable(each) for each in (0, 999, 1_500, 250_000_000, 3e15)] == ["0 bytes", "999 bytes", "1.5 kB", "250 MB", "3000 TB"]
