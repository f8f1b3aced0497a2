"""The conductor over a real database: what is acknowledged is durable, what a crash cuts off is taken up again."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from conductor_house import house

from podium.base.errors import ConflictError, FlowDisabled, FlowNotFound, InputError, NotFound
from podium.base.system.clock import SystemClock
from podium.conductor.port import StartRequest

COMMAND = "{id: a, type: scripts.shell.Commands, commands: [echo]}"


def flow(tasks: str, more: str = "", name: str = "f") -> str:
    return f"id: {name}\nnamespace: n\n{more}\ntasks:\n{tasks}"


def request(**more: object) -> StartRequest:
    return StartRequest(namespace="n", flow_id="f", **more)  # type: ignore[arg-type]


async def test_an_execution_runs_to_its_end_and_leaves_record_log_and_row(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.deploy(flow("  - {id: l, type: core.log.Log, message: x}\n  - " + COMMAND))
        started = await h.podium.start(request(labels={"team": "blue"}))
        ended = await h.podium.wait(started["id"], timeout_s=60)
        assert ended["state"]["current"] == "SUCCESS"
        assert [each["message"] for each in await h.podium.logs(started["id"])] == ["ran l", "ran a"]
        pinned = {"source": "main", "commit": "c" * 40, "path": "flow.yaml", "blob": "b" * 40}
        assert (await h.podium.execution(started["id"]))["git"] == started["git"] == pinned
        queued = await h.queue.pending(after_seq=0, limit=10)
        record = json.loads(next(each.body for each in queued if each.kind == "execution"))
        assert record["execution"]["id"] == started["id"]
        assert record["flow"] == {"commit": "c" * 40, "path": "flow.yaml", "blob": "b" * 40, "revision": 1}
        found, total = await h.podium.executions(labels={"team": "blue"}, namespace="n", states=["SUCCESS"])
        assert (total, found[0]["id"]) == (1, started["id"])
        assert h.worker.released == [f"{h.worker.works[1].task_run_id}-1"]


async def test_refused_starts_leave_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.deploy(
            flow("  - " + COMMAND, "inputs: [{id: x, type: INT}]"), flow("  - " + COMMAND, "disabled: true", name="off"),
        )
        with pytest.raises(InputError, match="missing required input"):
            await h.podium.start(request())
        with pytest.raises(FlowDisabled):
            await h.podium.start(StartRequest(namespace="n", flow_id="off"))
        with pytest.raises(FlowNotFound):
            await h.podium.start(StartRequest(namespace="n", flow_id="gone"))
        with pytest.raises(NotFound):
            await h.podium.execution("0" * 22)
        assert (await h.podium.executions())[1] == 0
        failed = await h.podium.start(request(fail_on_bad_inputs=True))
        assert failed["state"]["current"] == "FAILED"


async def test_a_second_request_with_the_same_key_starts_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.deploy(flow("  - " + COMMAND))
        both = await asyncio.gather(h.podium.start(request(dedupe_key="k")), h.podium.start(request(dedupe_key="k")))
        assert both[0]["id"] == both[1]["id"]
        assert [bool(each.get("duplicate")) for each in both] == [False, True]
    async with house(tmp_path) as h:
        again = await h.podium.start(request(dedupe_key="k"))
        assert again["duplicate"]
        assert (await h.podium.executions())[1] == 1


async def test_what_runs_at_a_crash_is_taken_up_with_started_set(tmp_path: Path) -> None:
    async with house(tmp_path, tell=lambda work: None) as h:
        await h.deploy(flow("  - " + COMMAND + "\n  - {id: b, type: core.debug.Return, format: done}"))
        started = await h.podium.start(request())
        for _ in range(5_000):
            if h.worker.works:
                break
            await asyncio.sleep(0.01)
        assert h.worker.works[0].started is False
    async with house(tmp_path) as h:
        ended = await h.podium.wait(started["id"], timeout_s=60)
        assert [(work.task.id, work.started) for work in h.worker.works] == [("a", True), ("b", False)]
        assert h.worker.works[0].attempt_id in h.worker.reaped[0]
        assert ended["state"]["current"] == "SUCCESS"
        assert len(ended["taskRunList"][0]["attempts"]) == 1


async def test_timers_and_queues_survive_a_restart(tmp_path: Path, clock: object) -> None:
    async with house(tmp_path, clock=clock) as h:  # type: ignore[arg-type]
        await h.deploy(flow("  - {id: s, type: core.flow.Sleep, duration: PT1H}", "concurrency: {limit: 1}"))
        first, second = [await h.podium.start(request()) for _ in range(2)]
        assert second["state"]["current"] == "QUEUED"
    clock.advance(3601)  # type: ignore[attr-defined]
    async with house(tmp_path, clock=clock) as h:  # type: ignore[arg-type]
        ended = await h.podium.wait(first["id"], timeout_s=60)
        assert ended["state"]["current"] == "SUCCESS"
        for _ in range(5_000):
            if (await h.podium.execution(second["id"]))["state"]["current"] == "RUNNING":
                break
            await asyncio.sleep(0.01)
        else:
            pytest.fail("the queued execution did not begin")


async def test_a_full_disk_takes_back_what_was_decided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(tmp_path) as h:
        await h.deploy(flow("  - " + COMMAND))
        commit = h.journal.commit

        async def full(*_: object) -> int:
            from podium.base.errors import StoreError

            raise StoreError("database or disk is full", hint="free some space")

        monkeypatch.setattr(h.journal, "commit", full)
        from podium.base.errors import StoreError

        with pytest.raises(StoreError):
            await h.podium.start(request())
        monkeypatch.setattr(h.journal, "commit", commit)
        assert h.conductor.in_flight == {}
        assert h.worker.works == []
        ended = await h.podium.wait((await h.podium.start(request()))["id"], timeout_s=60)
        assert ended["state"]["current"] == "SUCCESS"


async def test_subflows_end_their_parents_and_a_kill_cascades(tmp_path: Path) -> None:
    parent = flow("  - {id: s, type: core.flow.Subflow, namespace: n, flowId: child, inputs: {x: 7}}", name="f")
    child = flow("  - " + COMMAND, "inputs: [{id: x, type: INT}]\noutputs: [{id: o, type: INT, value: '{{ inputs.x + 1 }}'}]", name="child")
    async with house(tmp_path) as h:
        await h.deploy(parent, child)
        ended = await h.podium.wait((await h.podium.start(request()))["id"], timeout_s=60)
        assert ended["taskRunList"][0]["outputs"]["outputs"] == {"o": 8}
        h.worker.tell = lambda work: None
        running = await h.podium.start(request())
        for _ in range(5_000):
            if len(h.worker.works) == 2:
                break
            await asyncio.sleep(0.01)
        await h.podium.kill(running["id"])
        killed = await h.podium.wait(running["id"], timeout_s=60)
        assert killed["state"]["current"] == "KILLED"
        children, _ = await h.podium.executions(trigger_execution_id=running["id"])
        assert [each["state"]["current"] for each in children] == ["KILLED"]


async def test_restart_and_replay_work_from_the_record_when_events_are_gone(tmp_path: Path) -> None:
    async with house(tmp_path, tell=lambda work: "FAILED" if work.task.id == "b" else "SUCCESS") as h:
        await h.deploy(flow("  - {id: a, type: core.debug.Return, format: one}\n  - {id: b, type: scripts.shell.Commands, commands: [x]}"))
        failed = await h.podium.wait((await h.podium.start(request()))["id"], timeout_s=60)
        assert failed["state"]["current"] == "FAILED"
        await h.database.write(lambda c: c.execute("DELETE FROM events"))
        h.worker.tell = lambda work: "SUCCESS"
        restarted = await h.podium.restart(failed["id"])
        assert restarted["state"]["current"] == "RUNNING"
        ended = await h.podium.wait(failed["id"], timeout_s=60)
        assert ended["state"]["current"] == "SUCCESS"
        assert [len(run["attempts"]) for run in ended["taskRunList"]] == [1, 2]
        replayed = await h.podium.replay(failed["id"], task_run_id=ended["taskRunList"][1]["id"])
        again = await h.podium.wait(replayed["id"], timeout_s=60)
        assert again["parentId"] == failed["id"]
        assert again["state"]["current"] == "SUCCESS"
        with pytest.raises(ConflictError):
            await h.podium.restart(again["id"])


async def test_keys_written_by_a_task_are_seen_by_the_next_in_the_same_round(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.podium.kv_put("n", "k", {"a": 1})
        assert (await h.podium.kv("n", "k"))["value"] == {"a": 1}  # type: ignore[index]
        await h.podium.kv_put("n", "old", 1, ttl_s=-1)
        assert await h.podium.kv("n", "old") is None
        assert await h.podium.kv_delete("n", "k") is True
        assert await h.podium.kv("n", "k") is None


async def test_a_schedule_date_in_the_future_waits(tmp_path: Path, clock: object) -> None:
    async with house(tmp_path, clock=clock) as h:  # type: ignore[arg-type]
        await h.deploy(flow("  - {id: l, type: core.log.Log, message: x}"))
        later = clock.now() + timedelta(hours=1)  # type: ignore[attr-defined]
        waiting = await h.podium.start(request(schedule_date=later))
        assert waiting["state"]["current"] == "CREATED"
    clock.advance(3600)  # type: ignore[attr-defined]
    async with house(tmp_path, clock=clock) as h:  # type: ignore[arg-type]
        assert (await h.podium.wait(waiting["id"], timeout_s=60))["state"]["current"] == "SUCCESS"


async def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    from podium.base.errors import StoreError
    from podium.store.db import Database

    Database.open(tmp_path / "journal.db").close()
    with sqlite3.connect(tmp_path / "journal.db") as raw:
        raw.execute("PRAGMA user_version=99")
    raw.close()
    with pytest.raises(StoreError, match="newer"):
        Database.open(tmp_path / "journal.db")


def test_dates_are_stored_as_they_sort() -> None:
    from podium.engine.shape.view import iso

    assert iso(datetime(2026, 1, 5, 8, 0, 0, 1000, tzinfo=UTC)) == "2026-01-05T08:00:00.001Z"


async def test_a_secret_in_an_output_is_masked_for_whoever_looks_and_in_the_record(tmp_path: Path) -> None:
    from podium.workers.work import Ended

    def tell(work: object) -> object:
        work.redactor.add(["s3cr3t-value"])  # type: ignore[attr-defined]
        now = SystemClock().now()
        if work.task.id == "b":  # type: ignore[attr-defined]
            assert work.variables["outputs"]["a"] == {"value": "the s3cr3t-value"}  # type: ignore[attr-defined]
            return None
        return Ended(state="SUCCESS", started_at=now, ended_at=now, outputs={"value": "the s3cr3t-value"})

    async with house(tmp_path, tell=tell) as h:
        await h.deploy(flow("  - {id: a, type: core.log.Log, message: x}\n  - {id: b, type: scripts.shell.Commands, commands: [x]}"))
        started = await h.podium.start(request())
        assert "s3cr3t" not in json.dumps(started)
        for _ in range(5_000):
            if len(h.worker.works) == 2:
                break
            await asyncio.sleep(0.01)
        assert "s3cr3t" not in json.dumps(await h.podium.execution(started["id"]))
        await h.podium.kill(started["id"])
        ended = await h.podium.wait(started["id"], timeout_s=60)
        assert ended["taskRunList"][0]["outputs"] == {"value": "the ********"}
