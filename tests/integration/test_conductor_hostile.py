"""The conductor met by odd commands, odd outcomes and crashes at odd moments: nothing is lost, doubled, kept for ever, or in the way of others."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from conductor_house import House, house

from podium.base.errors import ConflictError, StoreError
from podium.base.redact import MASK
from podium.conductor.core import deciding
from podium.conductor.core.evaluate import Evaluator
from podium.conductor.port import StartRequest
from podium.plugin import Metric, Request
from podium.workers.work import Ended, Work

NOW = datetime(2026, 1, 5, tzinfo=UTC)
COMMAND = "{id: a, type: scripts.shell.Commands, commands: [echo]}"


def flow(tasks: str, more: str = "", name: str = "f") -> str:
    return f"id: {name}\nnamespace: n\n{more}\ntasks:\n{tasks}"


async def start(h: House, name: str = "f", **more: Any) -> dict[str, Any]:
    return await h.podium.start(StartRequest(namespace="n", flow_id=name, **more))


async def until(h: House, execution_id: str, *states: str) -> dict[str, Any]:
    for _ in range(5_000):
        view = await h.podium.execution(execution_id)
        if view["state"]["current"] in states:
            return view
        await asyncio.sleep(0.01)
    raise AssertionError(f"{execution_id} is {view['state']['current']}, not one of {states}")


class Once:
    """Fails the first attempt that comes, whatever it is of; the others succeed."""

    def __init__(self, times: int = 1) -> None:
        self.times = times

    def __call__(self, work: Work) -> str:
        self.times -= 1
        return "FAILED" if self.times >= 0 else "SUCCESS"


RETRIED = flow("  - " + COMMAND, "retry: {type: constant, interval: PT0.1S, maxAttempts: 3, behavior: CREATE_NEW_EXECUTION}", name="child")
PARENT = flow("  - {id: s, type: core.flow.Subflow, namespace: n, flowId: child}", name="parent")


async def test_a_retry_as_a_new_execution_is_made_with_the_end_of_the_old_one(tmp_path: Path) -> None:
    async with house(tmp_path, tell=Once()) as h:
        await h.deploy(RETRIED)
        first = await start(h, "child")
        retried = await h.podium.wait(first["id"], timeout_s=60)
        assert retried["state"]["current"] == "RETRIED"
        assert [run["state"]["current"] for run in retried["taskRunList"]] == ["RETRIED"]
    async with house(tmp_path) as h:
        found, total = await h.podium.executions()
        assert total == 2
        second = next(each for each in found if each["id"] != first["id"])
        ended = await h.podium.wait(second["id"], timeout_s=60)
        assert (ended["state"]["current"], ended["parentId"], ended["originalId"]) == ("SUCCESS", first["id"], first["id"])
        assert ended["metadata"]["attemptNumber"] == 2


async def test_a_parent_follows_its_subflow_into_the_new_execution(tmp_path: Path) -> None:
    async with house(tmp_path, tell=Once(2)) as h:
        await h.deploy(RETRIED, PARENT)
        parent = await h.podium.wait((await start(h, "parent"))["id"], timeout_s=60)
        assert parent["state"]["current"] == "SUCCESS"
        child = await h.podium.execution(parent["taskRunList"][0]["outputs"]["executionId"])
        assert (child["state"]["current"], child["metadata"]["attemptNumber"]) == ("SUCCESS", 3)


@pytest.mark.parametrize(("behavior", "same"), [("RETRY_FAILED", True), ("NEW_EXECUTION", False)])
async def test_restarting_a_parent_restarts_its_failed_subflow(tmp_path: Path, behavior: str, same: bool) -> None:
    parent = flow(f"  - {{id: s, type: core.flow.Subflow, namespace: n, flowId: child, restartBehavior: {behavior}}}", name="parent")
    child = flow("  - {id: before, type: core.log.Log, message: x}\n  - " + COMMAND, name="child")
    failing = Once()
    async with house(tmp_path, tell=lambda work: "SUCCESS" if work.task.id == "before" else failing(work)) as h:
        await h.deploy(child, parent)
        failed = await h.podium.wait((await start(h, "parent"))["id"], timeout_s=60)
        first = failed["taskRunList"][0]["outputs"]["executionId"]
        assert failed["state"]["current"] == "FAILED"
        await h.podium.restart(failed["id"])
        ended = await h.podium.wait(failed["id"], timeout_s=60)
        assert ended["state"]["current"] == "SUCCESS"
        assert (ended["taskRunList"][0]["outputs"]["executionId"] == first) is same
        assert len([each for each in h.worker.works if each.task.id == "before"]) == (1 if same else 2)
        assert (await h.podium.executions())[1] == (2 if same else 3)


async def test_commands_that_change_nothing_leave_nothing_in_memory_and_no_record(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.deploy(flow("  - " + COMMAND))
        done = await h.podium.wait((await start(h))["id"], timeout_s=60)
        queued = len(await h.queue.pending(after_seq=0, limit=100))
        with pytest.raises(ConflictError):
            await h.podium.restart(done["id"])
        await h.podium.change_status(done["id"], "SUCCESS")
        assert dict(h.conductor.in_flight) == {}
        assert len(await h.queue.pending(after_seq=0, limit=100)) == queued


async def test_labels_of_an_ended_execution_are_an_amendment_of_its_record(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.deploy(flow("  - " + COMMAND))
        done = await h.podium.wait((await start(h))["id"], timeout_s=60)
        await h.podium.set_labels(done["id"], {"k": "v"})
        records = [each for each in await h.queue.pending(after_seq=0, limit=100) if each.kind == "execution"]
        assert len({each.path for each in records}) == 2
        assert {"key": "k", "value": "v"} in json.loads(records[1].body)["execution"]["labels"]
        view = await h.podium.execution(done["id"])
        assert {"key": "k", "value": "v"} in view["labels"]
        assert view["state"] == done["state"]


async def test_an_outcome_that_cannot_be_stored_fails_its_task_and_nothing_else(tmp_path: Path) -> None:
    def tell(work: Work) -> Any:
        now = work.variables["execution"]["startDate"]
        return Ended(state="SUCCESS", started_at=now, ended_at=now, outputs={"bad": "\ud800"}) if work.namespace == "n" and work.flow_id == "odd" else "SUCCESS"

    async with house(tmp_path, tell=tell) as h:
        await h.deploy(flow("  - " + COMMAND, name="odd"), flow("  - {id: l, type: core.log.Log, message: x}", name="f"))
        odd, fine = await start(h, "odd"), await start(h)
        assert (await h.podium.wait(odd["id"], timeout_s=60))["state"]["current"] == "FAILED"
        assert (await h.podium.wait(fine["id"], timeout_s=60))["state"]["current"] == "SUCCESS"
        await h.deploy(flow("  - {id: l, type: core.log.Log, message: x}", name="odd"), revision=2)
        assert (await h.podium.wait((await start(h, "odd"))["id"], timeout_s=60))["state"]["current"] == "FAILED"


async def test_an_attempt_runs_although_the_disk_was_full_when_it_was_to_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(tmp_path) as h:
        await h.deploy(flow("  - " + COMMAND))
        commit, full = h.journal.commit, iter([False, True])

        async def sometimes(batch: Any, now: Any) -> int:
            if next(full, False):
                raise StoreError("disk full", hint="make room")
            return await commit(batch, now)

        monkeypatch.setattr(h.journal, "commit", sometimes)
        assert (await h.podium.wait((await start(h))["id"], timeout_s=60))["state"]["current"] == "SUCCESS"


async def test_the_newest_revision_says_how_many_may_run_and_the_oldest_goes_first(tmp_path: Path) -> None:
    one = flow("  - " + COMMAND, "concurrency: {limit: 1}")
    async with house(tmp_path, tell=lambda work: None) as h:
        await h.deploy(one)
        started = [await start(h) for _ in range(4)]
        assert [each["state"]["current"] for each in started] == ["RUNNING", "QUEUED", "QUEUED", "QUEUED"]
        await h.deploy(one.replace("limit: 1", "limit: 3"), revision=2)
        await until(h, started[2]["id"], "RUNNING")
        assert (await h.podium.execution(started[3]["id"]))["state"]["current"] == "QUEUED"
        await h.podium.kill(started[0]["id"])
        later = await start(h)
        assert later["state"]["current"] == "QUEUED"
        await until(h, started[3]["id"], "RUNNING")
        assert (await h.podium.execution(later["id"]))["state"]["current"] == "QUEUED"


async def test_what_cannot_be_read_at_a_start_keeps_no_other_back(tmp_path: Path) -> None:
    async with house(tmp_path, tell=lambda work: None) as h:
        await h.deploy(flow("  - " + COMMAND))
        broken, fine = await start(h), await start(h)
    h.database.close()
    import sqlite3

    with sqlite3.connect(tmp_path / "journal.db") as connection:
        connection.execute("UPDATE events SET body = '{}' WHERE stream = ? AND version = 2", (broken["id"],))
    connection.close()
    async with house(tmp_path) as h:
        assert (await h.podium.wait(fine["id"], timeout_s=60))["state"]["current"] == "SUCCESS"


async def test_a_subflow_with_a_date_that_is_none_fails_its_task(tmp_path: Path) -> None:
    parent = flow("  - {id: s, type: core.flow.Subflow, namespace: n, flowId: child, scheduleDate: \"{{ 'soon' }}\"}", name="parent")
    async with house(tmp_path) as h:
        await h.deploy(parent, flow("  - " + COMMAND, name="child"))
        assert (await h.podium.wait((await start(h, "parent"))["id"], timeout_s=60))["state"]["current"] == "FAILED"


async def test_a_parent_that_missed_the_end_of_a_new_execution_hears_of_it_after_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(tmp_path, tell=Once(2)) as h:
        await h.deploy(RETRIED, PARENT)
        monkeypatch.setattr(h.conductor.performer, "closed", lambda stream: None)
        parent = await start(h, "parent")
        for _ in range(5_000):
            if (await h.podium.executions(states=["SUCCESS"]))[1]:
                break
            await asyncio.sleep(0.01)
        assert (await h.podium.execution(parent["id"]))["state"]["current"] == "RUNNING"
    async with house(tmp_path) as h:
        assert (await h.podium.wait(parent["id"], timeout_s=60))["state"]["current"] == "SUCCESS"


async def test_listeners_run_after_the_end_when_their_conditions_hold(tmp_path: Path) -> None:
    more = """
listeners:
  - conditions: [{type: core.condition.ExecutionStatus, in: [SUCCESS]}]
    tasks: [{id: good, type: core.log.Log, message: x}]
  - conditions: [{type: core.condition.ExecutionStatus, in: [FAILED]}, {type: core.condition.Expression, expression: "{{ execution.state == 'FAILED' }}"}]
    tasks: [{id: bad, type: core.execution.Fail}, {id: never, type: core.log.Log, message: x}]
  - tasks: [{id: always, type: core.log.Log, message: x}]
afterExecution: [{id: after, type: core.log.Log, message: x}]
"""
    broken = {"a", "bad"}
    async with house(tmp_path, tell=lambda work: "FAILED" if work.task.id in broken else "SUCCESS") as h:
        await h.deploy(flow("  - " + COMMAND, more))
        ended = await h.podium.wait((await start(h))["id"], timeout_s=60)
        assert ended["state"]["current"] == "FAILED"
        assert [run["taskId"] for run in ended["taskRunList"]] == ["a", "after", "bad", "always"]
        broken.clear()
        await h.podium.restart(ended["id"])
        again = await h.podium.wait(ended["id"], timeout_s=60)
        assert [run["taskId"] for run in again["taskRunList"]] == ["a", "after", "good", "always"]


async def test_many_writes_at_once_never_disturb_one_another(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        for _ in range(20):
            await asyncio.gather(*(h.logs.forget_cursors([str(number)]) for number in range(200)))


async def test_a_restart_at_the_moment_its_events_are_dropped_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(tmp_path, tell=Once()) as h:
        await h.deploy(flow("  - " + COMMAND))
        failed = await h.podium.wait((await start(h))["id"], timeout_s=60)
        read = h.journal.stream

        async def dropped_meanwhile(execution_id: str) -> list[bytes]:
            bodies = await read(execution_id)
            await h.database.write(lambda c: c.execute("DELETE FROM events WHERE stream = ?", (execution_id,)))
            return bodies

        monkeypatch.setattr(h.journal, "stream", dropped_meanwhile)
        with pytest.raises(StoreError):
            await h.podium.restart(failed["id"])
        monkeypatch.setattr(h.journal, "stream", read)
        await h.podium.restart(failed["id"])
        assert (await h.podium.wait(failed["id"], timeout_s=60))["state"]["current"] == "SUCCESS"


async def test_a_huge_loop_of_quick_tasks_does_not_hold_up_others_and_survives_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "ROUND_S", 0.002)
    huge = flow("  - {id: e, type: core.flow.ForEach, values: '{{ range(1, 5000) }}', concurrencyLimit: 0, tasks: "
                "[{id: l, type: core.log.Log, message: x}]}", name="huge")
    async with house(tmp_path) as h:
        await h.deploy(huge, flow("  - {id: l, type: core.log.Log, message: x}"))
        big = await start(h, "huge")
        small = await h.podium.wait((await start(h))["id"], timeout_s=60)
        assert small["state"]["current"] == "SUCCESS"
        assert (await h.podium.execution(big["id"]))["state"]["current"] == "RUNNING"
    async with house(tmp_path) as h:
        ended = await h.podium.wait(big["id"], timeout_s=60)
        assert ended["state"]["current"] == "SUCCESS"
        assert len(ended["taskRunList"]) == 5001


async def test_secrets_in_labels_and_metrics_are_masked_in_every_list(tmp_path: Path) -> None:
    def tell(work: Work) -> Ended:
        work.redactor.add(["very-secret"])
        return Ended(
            state="SUCCESS", started_at=NOW, ended_at=NOW, metrics=[Metric(name="m", type="counter", value=1.0, tags={"t": "a very-secret"})],
            requests=[Request(kind="set_labels", body={"labels": {"l": "very-secret"}})],
        )

    async with house(tmp_path, tell=tell) as h:
        await h.deploy(flow("  - " + COMMAND))
        identifier = (await start(h))["id"]
        await until(h, identifier, "SUCCESS")
        listed, _ = await h.podium.executions()
        shown = json.dumps([listed, await h.podium.metrics(identifier), await h.podium.execution(identifier)])
    assert "very-secret" not in shown
    assert shown.count(MASK) == 3


async def test_health_tells_of_a_journal_that_cannot_be_written_until_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    async with house(tmp_path) as h:
        await h.deploy(flow("  - " + COMMAND))
        with monkeypatch.context() as disk:
            disk.setattr("podium.store.journal._enter", full)
            disk.setattr("podium.store.db._touch", full)
            with pytest.raises(StoreError):
                await start(h)
            health = await h.podium.health()
            assert health["status"] == "DOWN"
            assert "full" in health["journal"]["error"]
        assert (await h.podium.health())["status"] == "UP"


async def test_a_heavy_expression_is_evaluated_beside_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside: list[str] = []
    later = Evaluator.answer_later

    async def noted(self: Evaluator, stream: Any, key: str) -> Any:
        beside.append(key.partition(":")[2])
        return await later(self, stream, key)

    monkeypatch.setattr(Evaluator, "answer_later", noted)
    heavy = "{% for i in range(1, 60000) %}{% endfor %}{{ 1 }}"
    async with house(tmp_path) as h:
        await h.deploy(flow(
            f"  - {{id: heavy, type: core.flow.If, condition: '{heavy}', then: [{{id: a, type: core.log.Log, message: x}}]}}\n"
            "  - {id: light, type: core.flow.If, condition: '{{ 1 }}', then: [{id: b, type: core.log.Log, message: x}]}",
            f"outputs: [{{id: o, type: STRING, value: '{heavy}'}}]",
        ))
        done = await until(h, (await start(h))["id"], "SUCCESS")
        assert [run["taskId"] for run in done["taskRunList"]] == ["heavy", "a", "light", "b"]
        assert done["outputs"] == {"o": "1"}
        assert beside == ["if", "outputs"]
